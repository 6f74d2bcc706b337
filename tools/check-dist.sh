#!/usr/bin/env bash
# Tries what tools/dist.sh made on a machine that has nothing: tools/check-dist.sh [SUITE [build]]   (default: bookworm; root)
# A Debian without anything, apt included, is bootstrapped and entered as a container without a network. With "build" another
# one installs the package with all that it recommends, builds the first image and flashes it; that takes some minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

suite=${1:-bookworm}
dist=target/dist
deb=$(ls "$dist"/genpack_*.deb)
tarball=$(ls "$dist"/genpack-*.tar.gz)
root=$(mktemp -d "${TMPDIR:-/tmp}/genpack-dist.XXXXXX")
trap 'rm -rf "$root"' EXIT
mmdebstrap --quiet --variant=essential "$suite" "$root"
cp "$deb" "$tarball" "$root/root"

cat > "$root/root/try" <<'END'
set -euxo pipefail
cd /root
# Static: what it works with is all inside.
use() { # PROGRAM
  local g=$1
  "$g" --version
  rm -rf kitchen* unpacked disk.img* editor.html page.html bill.json tree
  "$g" init --from hello kitchen
  "$g" check kitchen
  "$g" -C kitchen config --json > settings
  grep -q '"name": "kitchen"' settings
  # A dry run looks for the init that comes along, and is what a build would do.
  "$g" -C kitchen build --dry-run > plan
  test -s plan
  "$g" -q squash kitchen kitchen.squashfs
  "$g" cat kitchen.squashfs /genpack.json5 | cmp - kitchen/genpack.json5
  "$g" -q unpack kitchen.squashfs unpacked
  cmp kitchen/genpack.json5 unpacked/genpack.json5
  "$g" ini-editor editor.html
  printf 'hostname = kitchen\n' | "$g" check -
  printf 'hostname = -\n' | { ! "$g" check -; }
  # What is no image is refused in words.
  { ! "$g" flash kitchen.squashfs disk.img; } 2> said
  grep -q '^error: ' said
  # One that boots by UEFI, as far as a disk can tell: looked at, and written to a disk file without any other program.
  mkdir -p tree/.genpack tree/boot tree/usr/lib/genpack-install
  echo x86_64 > tree/.genpack/arch
  echo kitchen > tree/.genpack/artifact
  printf 'base-files-1[amd64]\n# VERSION: 1\n# LICENSE: GPL-2+\n' > tree/.genpack/packages
  for file in boot/kernel boot/initramfs usr/lib/genpack-install/bootx64.efi; do head -c 3M /dev/urandom > "tree/$file"; done
  "$g" -q squash tree kitchen.img
  "$g" inspect kitchen.img | grep -q 'genpack.artifact  *kitchen'
  "$g" -q inspect kitchen.img --html page.html
  "$g" -q diff kitchen.squashfs kitchen.img --html page.html > changes
  "$g" -q sbom kitchen.img -o bill.json
  "$g" -q flash kitchen.img disk.img --no-data --set hostname=kitchen
  "$g" probe disk.img > probed
  grep -q '"active": *true' probed
}
mkdir tarball
tar -xzf genpack-*.tar.gz -C tarball
use "$(echo /root/tarball/*/usr/bin/genpack-host)"
dpkg -i genpack_*.deb
use genpack-host
for name in genpack genpack-install vm; do "$name" --help > /dev/null; done
test -x /usr/lib/genpack/init/x86_64/genpack-init
bash -n /usr/share/bash-completion/completions/genpack-host
gzip -t /usr/share/man/man1/genpack*.gz
test "$(ls /usr/share/man/man1/genpack-host*.gz | wc -l)" -gt 40
for link in genpack genpack-install vm; do test -e "/usr/share/man/man1/$link.1.gz"; done
dpkg --verify genpack
dpkg -r genpack
test ! -e /usr/bin/genpack-host
END
# Where systemd is not PID 1 there is none to register a unit with.
keep=()
[ -d /run/systemd/system ] || keep=(--keep-unit)
systemd-nspawn --quiet --register=no "${keep[@]}" --as-pid2 --machine="genpack-dist-$$" --private-network --timezone=off \
  --link-journal=no --resolv-conf=off --console=pipe --directory="$root" bash /root/try
echo "a clean $suite takes the package and the tarball"
[ "${2:-}" = build ] || exit 0

rm -rf "$root"
mmdebstrap --quiet --variant=apt --include=ca-certificates "$suite" "$root"
cp "$deb" "$root/root/genpack.deb"
touch "$root/etc/resolv.conf"
cat > "$root/root/try" <<'END'
set -euxo pipefail
export DEBIAN_FRONTEND=noninteractive HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin
cd /root
apt-get update -qq
apt-get install -y -qq ./genpack.deb > /dev/null
genpack-host init first
genpack-host -C first build
genpack-host inspect first/*.squashfs | grep -q 'genpack.artifact  *first'
genpack-host cat first/*.squashfs /.genpack/files | grep -q '^openssh-server$'
genpack-host -q inspect first/*.squashfs --html page.html
grep -q 'id="packages"' page.html
genpack-host -q sbom first/*.squashfs -o bill.json
genpack-host -q flash first/*.squashfs first.img
genpack-host probe first.img | grep -q '"number": *2'
END
# Why no container: the build makes containers itself, with all that they need of the kernel.
root=$root unshare -m --propagation private bash -euc '
  mount --bind "$root" "$root"
  mount -t proc proc "$root/proc"
  for dir in /sys /dev; do mount --rbind "$dir" "$root$dir"; done
  for dir in /run /tmp; do mount -t tmpfs tmpfs "$root$dir"; done
  # How this machine reaches its mirror.
  mount --bind /etc/apt/apt.conf.d "$root/etc/apt/apt.conf.d"
  mount --bind /etc/resolv.conf "$root/etc/resolv.conf"
  cd "$root"
  exec chroot . bash /root/try'
echo "a clean $suite builds its first image with the package and flashes it"
