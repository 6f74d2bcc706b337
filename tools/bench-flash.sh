#!/usr/bin/env bash
# Flashes a system image of 1 GB into a disk file and onto a loop device, against `dd` of the finished disk file and
# against bmaptool with our block map; prints wall seconds, bytes written by the device or file, and both as ratios.
# Everything is synced, caches are warm; our rows read everything back and compare, unless they say otherwise.
# Usage: tools/bench-flash.sh [ROW...]      rows: file device (default: both; `device` needs root and loop devices)
# BENCH_RUNS   how often each command runs, the minimum counts (default 3)
# BENCH_MB     size of the image in megabytes (default 1000)
# GENPACK_HOST the program to measure (default: the release build, made first)
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${BENCH_RUNS:-3} megabytes=${BENCH_MB:-1000}
[ $# -gt 0 ] || set -- file device
host=${GENPACK_HOST:-}
[ -n "$host" ] || { cargo build -q --release --locked -p genpack-host --bins; host=$PWD/target/release/genpack-host; }
mkdir -p target/bench-flash
scratch=$(mktemp -d "$PWD/target/bench-flash/XXXXXX")
loop=
trap '[ -z "$loop" ] || losetup -d "$loop"; rm -rf "$scratch"' EXIT

tree=$scratch/tree
mkdir -p "$tree/.genpack" "$tree/boot" "$tree/usr/lib/genpack-install" "$tree/usr/share"
echo x86_64 > "$tree/.genpack/arch"
head -c 12M /dev/urandom > "$tree/boot/kernel"
head -c 9M /dev/urandom > "$tree/boot/initramfs"
head -c 4M /dev/urandom > "$tree/usr/lib/genpack-install/bootx64.efi"
# What cannot be compressed any more, as the blocks of an image cannot.
head -c "${megabytes}M" /dev/urandom > "$tree/usr/share/content"
"$host" squash --quiet --compression gzip --level 1 "$tree" "$scratch/image"
rm -rf "$tree"

measure() { # COMMAND...: prints wall seconds, the minimum of all runs
  python3 - "$runs" "$@" <<'P'
import subprocess, sys, time
best = None
for _ in range(int(sys.argv[1])):
    start = time.monotonic()
    subprocess.run(sys.argv[2:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    took = time.monotonic() - start
    best = took if best is None else min(best, took)
print(f"{best:.2f}")
P
}
row() { # NAME SECONDS BYTES DD_SECONDS DD_BYTES
  python3 - "$@" <<'P'
import sys
name, seconds, size, dd_seconds, dd_size = sys.argv[1], *map(float, sys.argv[2:])
print(f"{name:34} {seconds:8.2f} s {size / 1e6:9.0f} MB   time {seconds / dd_seconds:.2f}   bytes {size / dd_size:.2f}")
P
}
data_bytes() { echo $(($(stat -c '%b' "$1") * 512)); }
written_bytes() { # DEVICE COMMAND...: bytes that the device was given
  local sys before; sys=/sys/block/$(basename "$1")/stat; shift
  before=$(awk '{print $7}' "$sys"); "$@" > /dev/null 2>&1
  echo $((($(awk '{print $7}' "$sys") - before) * 512))
}

"$host" flash -q "$scratch/image" "$scratch/disk.img" --no-data
size=$(stat -c %s "$scratch/disk.img")
finished=$scratch/finished.img
cp --sparse=always "$scratch/disk.img" "$finished"
cp "$scratch/disk.img.bmap" "$finished.bmap"
bmaptool=$(command -v bmaptool || true)
[ -n "$bmaptool" ] || echo "-- no bmaptool: apt-get install bmap-tools"

for what in "$@"; do
  case $what in
    file) target=$scratch/out.img ;;
    device)
      truncate -s "$size" "$scratch/backing"
      loop=$(losetup --find --show "$scratch/backing") || { echo "-- device skipped: no loop devices"; continue; }
      target=$loop ;;
    *) sed -n '2,8p' "$0" >&2; exit 2 ;;
  esac
  commands=(
    "dd of the finished disk|dd if=$finished of=$target bs=4M conv=fsync,notrunc"
    "flash, read back|$host flash -q -y --force $scratch/image $target --no-data"
    "flash --verify off|$host flash -q -y --force $scratch/image $target --no-data --verify off"
    "flash of the finished disk|$host flash -q -y --force $finished $target"
  )
  [ -z "$bmaptool" ] || commands+=("bmaptool copy|$bmaptool -q copy --bmap $finished.bmap $finished $target")
  echo "== $what, $(numfmt --to=si "$size") disk, image of $megabytes MB"
  dd_seconds='' dd_bytes=''
  for entry in "${commands[@]}"; do
    read -ra words <<< "${entry#*|}"
    if [ "$what" = file ]; then
      bytes_of() { rm -f "$target"; "$@" > /dev/null 2>&1; data_bytes "$target"; }
      bytes=$(bytes_of "${words[@]}")
      # Overwriting a file is another job than making one.
      seconds=$(measure sh -c 'rm -f "$0"; exec "$@"' "$target" "${words[@]}")
    else
      bytes=$(written_bytes "$target" "${words[@]}")
      seconds=$(measure "${words[@]}")
    fi
    : "${dd_seconds:=$seconds}" "${dd_bytes:=$bytes}"
    row "${entry%%|*}" "$seconds" "$bytes" "$dd_seconds" "$dd_bytes"
  done
  [ -z "$loop" ] || { losetup -d "$loop"; loop=; }
done
