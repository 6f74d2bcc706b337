#!/usr/bin/env bash
# Time and memory from `vm run` to QEMU's exec over sizes of the image, against extracting kernel and initramfs with
# unsquashfs. QEMU is a program that ends at once: what is measured is ours. Neither figure may grow with the image.
# Usage: tools/bench-vm.sh [MIB...]     (default: 100 1024 4096)
set -euo pipefail
cd "$(dirname "$0")/.."
host=$PWD/target/release/genpack-host
runs=${BENCH_RUNS:-5}
mkdir -p target/bench-vm
scratch=$(mktemp -d "$PWD/target/bench-vm/XXXXXX")
trap 'rm -rf "$scratch"' EXIT
export GENPACK_VM_RUN=$scratch/run

# A QEMU that says when it was started and what its parent's memory had been.
mkdir "$scratch/bin"
cat > "$scratch/bin/qemu-system-x86_64" <<'Q'
#!/bin/sh
grep VmHWM "/proc/$PPID/status" > "$BENCH_OUT"
exit 1
Q
chmod +x "$scratch/bin/qemu-system-x86_64"

image_of() { # MIB: an image with a kernel of 12 MiB, an initramfs of 30 MiB and noise
  local tree=$scratch/tree image=$scratch/$1.squashfs
  rm -rf "$tree"; mkdir -p "$tree/boot" "$tree/usr"
  python3 - "$tree/boot/kernel" <<'P'
import os, sys
head = bytearray(os.urandom(12 << 20))
head[0x1fe:0x200] = b"\x55\xaa"; head[0x202:0x206] = b"HdrS"; head[0x206:0x208] = b"\x0f\x02"; head[0x236] = 1
head[0:2] = b"\xea\x00"
open(sys.argv[1], "wb").write(head)
P
  head -c $((30 << 20)) /dev/urandom > "$tree/boot/initramfs"
  head -c $(($1 << 20)) /dev/urandom > "$tree/usr/noise"
  mksquashfs "$tree" "$image" -noappend -quiet -no-progress -comp zstd -Xcompression-level 1 >/dev/null
  rm -rf "$tree"
  echo "$image"
}

best() { # COMMAND: least wall time in microseconds
  local least=0 start t i
  for ((i = 0; i < runs; i++)); do
    start=$EPOCHREALTIME
    bash -c "$1" >/dev/null 2>&1 || true
    t=$EPOCHREALTIME; t=$(( ${t/./} - ${start/./} ))
    (( least == 0 || t < least )) && least=$t
  done
  echo "$least"
}

for mib in "${@:-100 1024 4096}"; do for size in $mib; do
  image=$(image_of "$size")
  export BENCH_OUT=$scratch/memory
  ours=$(best "PATH='$scratch/bin':\$PATH '$host' --arch x86_64 vm run '$image' --no-kvm")
  peer=$(best "unsquashfs -f -d '$scratch/out' '$image' boot/kernel boot/initramfs")
  awk -v s="$size" -v o="$ours" -v p="$peer" -v m="$(awk '{print $2}' "$BENCH_OUT")" 'BEGIN {
    printf "vm run, image of %5d MiB   ours %8.1f ms   unsquashfs %8.1f ms   ratio %.2f   our memory %6.1f MiB\n",
      s, o / 1000, p / 1000, o / p, m / 1024 }'
  rm -rf "$image" "$scratch/out"
done; done
