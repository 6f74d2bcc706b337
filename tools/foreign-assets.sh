#!/usr/bin/env bash
# Unpacks what machines of other architectures boot: tools/foreign-assets.sh [DIR]     (default target/assets)
#   DIR/{aarch64,riscv64}  Debian's kernel with its modules, GRUB's EFI modules, a static busybox
#   DIR/firmware           EDK2 for aarch64, U-Boot for riscv64
#   DIR/grub               GRUB's tools, new enough for riscv64, where the machine's own are not
# Nothing is installed. About 250 MB to fetch; when DIR is complete this ends at once and needs no network.
set -euo pipefail
dir=$(realpath -m "${1:-$(dirname "$0")/../target/assets}")
[ ! -f "$dir/complete" ] || exit 0
# shellcheck source=tools/apt-root.sh
. "$(dirname "$0")/apt-root.sh"
main=$(mirror "$suite")
[ -n "$main" ] || { echo "error: the apt sources name no $suite" >&2; exit 1; }
# Why trixie: bookworm has no riscv64. GRUB's tools run here and must not want a newer libc: its backport.
rm -rf "$dir"
apt_root "$dir/apt" "amd64,arm64,riscv64 $main trixie" "amd64 $main bookworm-backports"

kernel() { # ARCH: the package that the kernel's metapackage stands for
  apt-cache depends --important "linux-image-$1:$1" | sed -n 's/^ *Depends: //p' | sed 1q
}
fetch() { # DIR PACKAGE...: unpacks packages
  local into=$1 deb; shift
  mkdir -p "$dir/debs" "$into"
  ( cd "$dir/debs" && apt-get download -qq "$@" )
  for deb in "$dir"/debs/*.deb; do dpkg-deb -x "$deb" "$into"; done
  rm -rf "$dir/debs"
}
for pair in aarch64:arm64 riscv64:riscv64; do
  arch=${pair%:*} debian=${pair#*:} tree=$dir/${pair%:*}
  fetch "$tree" "$(kernel "$debian")" "grub-efi-$debian-bin:$debian" "busybox-static:$debian"
  # A tree as an image has it: /lib is a symbolic link, the tables of the modules are there.
  [ -d "$tree/usr/lib/modules" ] || { mkdir -p "$tree/usr/lib"; mv "$tree/lib/modules" "$tree/usr/lib/"; }
  rm -rf "$tree/lib" && ln -s usr/lib "$tree/lib"
  depmod -b "$tree" "$(ls "$tree/usr/lib/modules")"
done
fetch "$dir/firmware" qemu-efi-aarch64 u-boot-qemu
[ "$suite" != bookworm ] || fetch "$dir/grub" grub-common/bookworm-backports
# Half of it is firmware that nothing here starts.
find "$dir/firmware" -type f ! -name AAVMF_CODE.no-secboot.fd ! -name AAVMF_VARS.fd ! -path '*riscv64*' -delete
rm -rf "$dir/apt"
touch "$dir/complete"
