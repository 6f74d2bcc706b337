#!/usr/bin/env bash
# Unpacks a private rustc with the standard libraries of aarch64 and riscv64 Linux, for machines without rustup
# targets: tools/cross-toolchain.sh [DIR]     (default target/cross; then: . DIR/env)
# Nothing is installed: Debian's rust-web packages are unpacked under DIR. About 150 MB to fetch; when DIR is
# complete this ends at once and needs no network. Needs apt, dpkg-deb, and rustup's toolchain for rust-lld.
set -euo pipefail
dir=$(realpath -m "${1:-$(dirname "$0")/../target/cross}")
[ ! -f "$dir/complete" ] || exit 0
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null \
  || { echo "error: the cross compilers come from Debian packages, and this is no Debian; use rustup target add" >&2; exit 1; }
host_lib=$(rustc --print sysroot)/lib/rustlib/x86_64-unknown-linux-gnu
[ -x "$host_lib/bin/rust-lld" ] || { echo "error: no rust-lld in $host_lib/bin; it comes with rustup's toolchains" >&2; exit 1; }

prefix=$dir/prefix
mkdir -p "$dir/debs" "$dir/bin"
# shellcheck source=tools/apt-root.sh
. "$(dirname "$0")/apt-root.sh"
main=$(mirror "$suite") security=$(mirror "$suite-security")
[ -n "$main" ] && [ -n "$security" ] || { echo "error: the apt sources name no $suite and $suite-security" >&2; exit 1; }
# Why trixie: bookworm has no riscv64. The library must match the compiler, which is checked below.
apt_root "$dir/apt" "amd64,arm64 $main bookworm" "amd64,arm64 $security bookworm-security" "riscv64 $main trixie"

version() { # PACKAGE UPSTREAM: newest version, of that upstream version when it is given
  apt-cache madison "$1" | awk -F' *\\| *' -v up="$2" 'up == "" || index($2, up "-") == 1 { print $2; exit }'
}
web=$(version rustc-web "")
[ -n "$web" ] || { echo "error: no rustc-web in the apt sources" >&2; exit 1; }
upstream=${web%-*} release=$(cut -d. -f1,2 <<<"$web")
packages=("rustc-web=$web" "libstd-rust-web-dev=$web" "libstd-rust-web-$release=$web" "rust-web-src=$web")
late=() # targets that Debian has no library of this version for
for pair in arm64:aarch64-unknown-linux-gnu riscv64:riscv64gc-unknown-linux-gnu; do
  v=$(version "libstd-rust-web-dev:${pair%%:*}" "$upstream")
  if [ -n "$v" ]; then packages+=("libstd-rust-web-dev:${pair%%:*}=$v"); else late+=("${pair#*:}"); fi
done
llvm=$(apt-cache show "libstd-rust-web-$release=$web" | grep -oE 'libllvm[0-9]+' | sed 1q)
packages+=("$llvm=$(version "$llvm" "")")
( cd "$dir/debs" && rm -f ./*.deb && apt-get download -qq "${packages[@]}" )
unset APT_CONFIG

rm -rf "$prefix"
for deb in "$dir"/debs/*.deb; do dpkg-deb -x "$deb" "$prefix"; done
rm -rf "$dir/debs"
ln -sfn "$host_lib/bin/rust-lld" "$dir/bin/rust-lld"
cat > "$dir/bin/rustc" <<RUSTC
#!/bin/sh
LD_LIBRARY_PATH=$prefix/usr/lib/x86_64-linux-gnu\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH} exec $prefix/usr/bin/rustc "\$@"
RUSTC
chmod +x "$dir/bin/rustc"
# A linker that is named this way, not by RUSTFLAGS, is what build scripts see as RUSTC_LINKER. The builds go to a
# directory of their own: two compilers in one would rebuild each other's dependencies at every turn.
static="-C target-feature=+crt-static -C relocation-model=static"
cat > "$dir/env" <<ENV
export RUSTC=$dir/bin/rustc
export CARGO_TARGET_DIR=$dir/build
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=$dir/bin/rust-lld
export CARGO_TARGET_RISCV64GC_UNKNOWN_LINUX_GNU_LINKER=$dir/bin/rust-lld
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS="$static"
export CARGO_TARGET_RISCV64GC_UNKNOWN_LINUX_GNU_RUSTFLAGS="$static"
ENV
[ ${#late[@]} = 0 ] || "$(dirname "$0")/cross-sysroot.sh" "$dir" "${late[@]}"
touch "$dir/complete"
"$dir/bin/rustc" -V
