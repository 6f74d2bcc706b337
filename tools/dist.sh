#!/usr/bin/env bash
# Makes what other machines install: tools/dist.sh
#   target/dist/genpack-VERSION-ARCH.tar.gz   unpack it anywhere and call usr/bin/genpack-host
#   target/dist/genpack_VERSION_ARCH.deb      for Debian and Ubuntu, whatever their release
# The program is static, so it runs on any Linux of this architecture. The same sources, compiler and place give the same
# bytes: times are those of the commit, or SOURCE_DATE_EPOCH.
# DIST_INIT_ARCHES: whose genpack-init goes in, default all three; compilers of the foreign ones are fetched once.
# DIST_BINARIES: a directory with genpack-host, genpack-tools and init/ that were built already.
set -euo pipefail
cd "$(dirname "$0")/.."

arch=$(uname -m)
triple=$arch-unknown-linux-gnu
case $arch in
  x86_64) debian=amd64 ;;
  aarch64) debian=arm64 ;;
  *) echo "error: no packages are made on $arch" >&2; exit 2 ;;
esac
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
umask 022
out=target/dist
work=$out/work
rm -rf "$work"
mkdir -p "$work"

binaries=${DIST_BINARIES:-}
if [ -z "$binaries" ]; then
  read -ra inits <<< "${DIST_INIT_ARCHES:-x86_64 aarch64 riscv64}"
  tools/build-init.sh "${inits[@]}"
  tools/build-tools.sh "$arch"
  # Paths of this machine are no part of the program.
  remap="--remap-path-prefix=$PWD=/genpack --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"
  RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=+crt-static $remap" CFLAGS="${CFLAGS:-} -ffile-prefix-map=$PWD=/genpack" \
    cargo build --locked --release -p genpack-host --target "$triple" --target-dir "$out/build"
  binaries=$work/binaries
  mkdir -p "$binaries/init"
  cp "$out/build/$triple/release/genpack-host" "target/tools/$arch/genpack-tools" "$binaries"
  for init in "${inits[@]}"; do cp -r "target/init/$init" "$binaries/init"; done
fi
host=$(realpath "$binaries/genpack-host")
headers=$(readelf -lW "$host")
if grep -q INTERP <<< "$headers"; then
  echo "error: $host is not static" >&2
  exit 1
fi

# What both have, below the prefix $1, with the data of the program in $2.
tree() {
  local prefix=$1 data=$2 name page
  install -Dm755 "$host" "$prefix/bin/genpack-host"
  for name in genpack genpack-install vm; do ln -s genpack-host "$prefix/bin/$name"; done
  mkdir -p "$data"
  cp -r "$binaries/init" "$data/init"
  install -Dm755 "$binaries/genpack-tools" "$data/tools/$arch/genpack-tools"
  "$host" man "$prefix/share/man/man1" > /dev/null
  for page in "$prefix"/share/man/man1/*; do gzip -9n "$page"; done
  for name in genpack genpack-install vm; do
    ln -s "genpack-host$([ $name != vm ] || echo -vm).1.gz" "$prefix/share/man/man1/$name.1.gz"
  done
  completion() { mkdir -p "$prefix/share/$2"; "$host" completions "$1" > "$prefix/share/$2/$3"; }
  completion bash bash-completion/completions genpack-host
  completion zsh zsh/site-functions _genpack-host
  completion fish fish/vendor_completions.d genpack-host.fish
}

documents() { # DIRECTORY
  mkdir -p "$1"
  cp README.md docs/install.md docs/keys.md docs/genpack-json5.md docs/genpack.schema.json docs/system.ini "$1"
  gzip -9nc CHANGELOG.md > "$1/changelog.gz"
  "$host" ini-editor "$1/system-ini-editor.html" > /dev/null
}

# The tarball: the program looks for init/ and tools/ beside its bin/, and for overlay/ beside what holds them.
top=genpack-$version-$arch
tree "$work/$top/usr" "$work/$top/usr"
documents "$work/$top/usr/share/doc/genpack"
cp -r overlay LICENSE-APACHE LICENSE-MIT "$work/$top"
tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX -C "$work" -cf - "$top" \
  | gzip -9n > "$out/.new.tar.gz"
mv "$out/.new.tar.gz" "$out/$top.tar.gz"
echo "$out/$top.tar.gz: $(stat -c %s "$out/$top.tar.gz") bytes"

# The package.
deb=$work/deb
tree "$deb/usr" "$deb/usr/lib/genpack"
documents "$deb/usr/share/doc/genpack"
mkdir -p "$deb/usr/share/genpack" "$deb/usr/lib/systemd/system" "$deb/DEBIAN"
cp -r overlay "$deb/usr/share/genpack/overlay"
"$host" vm unit > "$deb/usr/lib/systemd/system/vm@.service"
"$host" vm unit mirror > "$deb/usr/lib/systemd/system/vm-mirror@.service"
cat > "$deb/usr/share/doc/genpack/copyright" <<END
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: genpack

Files: *
Copyright: the genpack authors
License: Apache-2.0 or MIT

License: Apache-2.0
 On Debian systems the text is in /usr/share/common-licenses/Apache-2.0.

License: MIT
$(sed 's/^$/./; s/^/ /' LICENSE-MIT)
END
cat > "$deb/DEBIAN/control" <<END
Package: genpack
Version: $version
Architecture: $debian
Maintainer: the genpack authors <genpack@localhost>
Section: admin
Priority: optional
Installed-Size: $(du -sk --apparent-size --exclude=DEBIAN "$deb" | cut -f1)
Recommends: mmdebstrap, systemd-container, debian-archive-keyring, gpgv, xz-utils, curl, grub-common, grub-efi-amd64-bin | grub-efi-arm64-bin, grub-pc-bin, btrfs-progs, dosfstools
Suggests: qemu-system-x86, qemu-system-arm, ovmf, openssh-client, mtools
Description: builds, flashes, updates and runs immutable system images
 One genpack.json5 becomes a SquashFS image, which boots from disks, cards and
 discs and in QEMU, is set up by one system.ini on a FAT, and is updated so that
 a power cut never leaves a machine without a system.
 .
 The program is static. What it recommends is needed to build images; looking
 at images and writing disk files needs nothing else.
END
(cd "$deb" && find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum) > "$deb/DEBIAN/md5sums"
# A umask of the one who copied the sources is no part of them.
chmod -R u=rwX,go=rX "$deb"
find "$deb" -exec touch -hd "@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group -Zxz --build "$deb" "$out/.new.deb" > /dev/null
mv "$out/.new.deb" "$out/genpack_${version}_$debian.deb"
echo "$out/genpack_${version}_$debian.deb: $(stat -c %s "$out/genpack_${version}_$debian.deb") bytes"
rm -rf "$work"
