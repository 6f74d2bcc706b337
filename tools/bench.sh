#!/usr/bin/env bash
# Whole-process figures against a peer measured in the same run, alternately; the minimum of BENCH_RUNS (default 5).
# Usage: tools/bench.sh [IMAGE.squashfs]     (default: the image of artifacts/hello, built when it is missing)
set -euo pipefail
cd "$(dirname "$0")/.."
host=$PWD/target/release/genpack-host
runs=${BENCH_RUNS:-5}
image=${1:-artifacts/hello/hello-$(uname -m).squashfs}
[ -f "$image" ] || "$host" -C artifacts/hello build
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

micros() { # COMMAND: wall time of one run in microseconds
  local start=$EPOCHREALTIME
  bash -c "$1" >/dev/null 2>&1
  local end=$EPOCHREALTIME
  echo $(( ${end/./} - ${start/./} ))
}

versus() { # NAME OURS PEER
  local ours=0 peer=0 t i
  for ((i = 0; i < runs; i++)); do
    t=$(micros "$2"); (( ours == 0 || t < ours )) && ours=$t
    t=$(micros "$3"); (( peer == 0 || t < peer )) && peer=$t
  done
  awk -v n="$1" -v o="$ours" -v p="$peer" \
    'BEGIN { printf "%-34s ours %8.1f ms   peer %8.1f ms   ratio %.2f\n", n, o / 1000, p / 1000, o / p }'
}

# A SquashFS of a hundred thousand small files and one of a real tree, read by us, by unsquashfs and by backhand.
# Processor time stands beside wall time: it also tells on a machine that is busy. As unsquashfs does, nothing waits
# for the disk.
squashfs_rows() {
  local small=$scratch/small.squashfs real=$scratch/real.squashfs out=$scratch/out name from
  local peer=target/peers/release/backhand
  CARGO_TARGET_DIR=target/peers cargo build -q --release --locked --manifest-path tools/peers/Cargo.toml
  python3 - "$scratch/small" <<'P'
import os, sys
root = sys.argv[1]
os.makedirs(f"{root}/one")
for i in range(50000):
    open(f"{root}/one/file-{i:06d}", "w").write(f"content of file {i}\n" * (i % 40 + 1))
for d in range(500):
    os.makedirs(path := f"{root}/many/{d // 20:02d}/{d % 20:02d}")
    for i in range(100):
        open(f"{path}/{i:03d}", "w").write(f"{d} {i} hello\n" * (i % 50 + 1))
P
  local options=(-noappend -quiet -no-progress -comp zstd -Xcompression-level 3)
  mksquashfs "$scratch/small" "$small" "${options[@]}" >/dev/null
  rm -rf "$scratch/small"
  # shellcheck disable=SC2086 # several directories
  mksquashfs ${BENCH_TREE:-/usr/bin /usr/share} "$real" "${options[@]}" >/dev/null
  both "list 100k | unsquashfs -ll" "'$host' ls -lR '$small'" "unsquashfs -ll '$small'"
  both "list 100k | backhand" "'$host' ls -lR '$small'" "'$peer' ls '$small'"
  for name in small real; do
    from=${!name}
    both "read $name | backhand" "'$host' inspect --verify '$from'" "'$peer' read '$from'"
    both "unpack -j1 $name | unsquashfs -p1" "'$host' unpack --no-sync -j 1 '$from' '$out'" \
      "unsquashfs -p 1 -d '$out' '$from'"
    both "unpack $name | unsquashfs" "'$host' unpack --no-sync '$from' '$out'" "unsquashfs -d '$out' '$from'"
  done
  rm -rf "$small" "$real" "$out"
}

both() { # NAME OURS PEER: as versus, with processor time; $scratch/out is gone before each run
  local ow=0 oc=0 pw=0 pc=0 wall cpu i
  for ((i = 0; i < runs; i++)); do
    read -r wall cpu < <(wall_and_cpu "$2")
    (( ow == 0 || wall < ow )) && ow=$wall; (( oc == 0 || cpu < oc )) && oc=$cpu
    read -r wall cpu < <(wall_and_cpu "$3")
    (( pw == 0 || wall < pw )) && pw=$wall; (( pc == 0 || cpu < pc )) && pc=$cpu
  done
  awk -v n="$1" -v ow="$ow" -v oc="$oc" -v pw="$pw" -v pc="$pc" 'BEGIN {
    printf "%-34s ours %8.1f ms   peer %8.1f ms   ratio %.2f", n, ow / 1000, pw / 1000, ow / pw
    printf "   processor %.2f\n", oc / pc }'
}

wall_and_cpu() { # COMMAND: wall and processor time of one run in microseconds
  local TIMEFORMAT='%R %U %S'
  rm -rf "$scratch/out"
  { time bash -c "$1" >/dev/null 2>&1; } 2>&1 | awk '{ printf "%d %d\n", $1 * 1e6 + 1, ($2 + $3) * 1e6 + 1 }'
}

kernel=$("$host" ls "$image" /boot | grep '^vmlinuz' | head -1)
head -c 4096 "$image" > "$scratch/head"
python3 - "$scratch/big.json" <<'P'
import json, sys
json.dump([{"name": f"package-{i}", "size": i * 1.5, "tags": ["a", "b\n", None, True]} for i in range(40000)], open(sys.argv[1], "w"))
P

echo "min of $runs runs, ratio below 1 is faster than the peer"
versus "cat kernel | unsquashfs -cat" "'$host' cat '$image' /boot/$kernel" "unsquashfs -cat '$image' boot/$kernel"
versus "ls -l /usr/bin | unsquashfs -lls" "'$host' ls -l '$image' /usr/bin" "unsquashfs -lls -max-depth 3 '$image' usr/bin"
squashfs_rows
versus "probe | blkid -p" "'$host' probe '$scratch/head'" "blkid -p '$scratch/head' || true"
versus "json5 | python3 -m json.tool" "'$host' json5 '$scratch/big.json'" "python3 -m json.tool '$scratch/big.json'"
size=$(( $(stat -c %s "$image") / 1048576 * 2 + 600 ))
cat > "$scratch/peer.sh" <<P
set -e
rm -f '$scratch/peer.img'; truncate -s ${size}M '$scratch/peer.img'
echo 'start=2048, type=ef, bootable' | sfdisk -q '$scratch/peer.img'
mkfs.vfat -F 32 -s 8 --offset 2048 '$scratch/peer.img' $(( (size - 1) * 1024 ))
mcopy -i '$scratch/peer.img@@1M' '$image' ::/system.img
sync '$scratch/peer.img'
P
versus "flash | sfdisk+mkfs.vfat+mcopy" "'$host' flash --yes --no-data --verify off '$image' '$scratch/ours.img'" "bash '$scratch/peer.sh'"

echo
cargo run -q --release --locked -p genpack-core --features std --example fat_speed
cargo run -q --release --locked -p genpack-core --features serde --example json5_speed
