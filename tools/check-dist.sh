#!/usr/bin/env bash
# Tries what tools/dist.sh made on a machine that has nothing: tools/check-dist.sh [SUITE]    (default: bookworm; root)
# A Debian without anything beyond apt is bootstrapped and entered as a container without a network.
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
  rm -rf kitchen kitchen.squashfs unpacked disk.img editor.html
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
  # Without anything to make file systems with, it says what is missing.
  { ! "$g" flash kitchen.squashfs disk.img; } 2> said
  grep -q '^error: ' said
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
