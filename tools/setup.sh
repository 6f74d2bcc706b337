#!/usr/bin/env bash
# Installs what genpack needs on Debian 12 and newer. Usage: tools/setup.sh demo|test|full
# Does nothing, and asks for nothing, when everything is there.
set -euo pipefail

# What builds: a C compiler for the compression libraries.
packages=(gcc libc6-dev make ca-certificates
  # what builds an image: bootstrap, container, loaders
  mmdebstrap systemd-container debian-archive-keyring gpgv xz-utils grub-common grub-efi-amd64-bin grub-pc-bin
  # what makes and edits a disk file
  btrfs-progs mtools
  # what boots it and talks to it
  qemu-system-x86 ovmf openssh-client curl)
# Peers that judge us in the tests.
peers=(attr bc gpg gpg-agent bcache-tools bmap-tools cpio cryptsetup-bin dosfstools e2fsprogs erofs-utils exfatprogs f2fs-tools
  fdisk g++
  gdisk genisoimage gfs2-utils grub-emu hfsutils jfsutils kmod minisign nilfs-tools node-json5 nodejs ntfs-3g ocfs2-tools openssl python3
  python3-pip python3-venv
  qemu-efi-aarch64 qemu-system-arm qemu-user-static reiserfsprogs squashfs-tools strace swtpm systemd-boot-efi u-boot-qemu udftools unzip util-linux util-linux-extra
  xfsprogs xorriso xz-utils
  zstd)
# Debian 12 has RISC-V among the miscellaneous machines.
peers+=("$(. /etc/os-release; [ "${VERSION_ID:-}" = 12 ] && echo qemu-system-misc || echo qemu-system-riscv)")

case "${1:-demo}" in
  demo) ;;
  test) packages+=("${peers[@]}") ;;
  # The long matrix drives a browser.
  full) packages+=("${peers[@]}" chromium) ;;
  *) echo "usage: $0 demo|test|full" >&2; exit 2 ;;
esac

# The oldest compiler this project is tested with (rust-version in Cargo.toml).
have_cargo() {
  local version
  version=$(rustc --version 2>/dev/null | cut -d' ' -f2) || return 1
  [ -n "$version" ] && command -v cargo >/dev/null && printf '%s\n' 1.95.0 "${version%%-*}" | sort -VC
}
# Debian carries a current compiler for web browsers; it serves where there is no rustup.
have_cargo || packages+=(cargo-web rustc-web)

missing=()
for package in "${packages[@]}"; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null || { echo "error: installing ${missing[*]} needs root or sudo" >&2; exit 1; }
  as_root=(sudo)
fi
echo ":: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
have_cargo || { echo "error: no Rust 1.95 or newer after the installation; install a current Rust with rustup" >&2; exit 1; }
