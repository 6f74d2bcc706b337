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

kernel=$("$host" ls "$image" /boot | grep '^vmlinuz' | head -1)
head -c 4096 "$image" > "$scratch/head"
python3 - "$scratch/big.json" <<'P'
import json, sys
json.dump([{"name": f"package-{i}", "size": i * 1.5, "tags": ["a", "b\n", None, True]} for i in range(40000)], open(sys.argv[1], "w"))
P

echo "min of $runs runs, ratio below 1 is faster than the peer"
versus "cat kernel | unsquashfs -cat" "'$host' cat '$image' /boot/$kernel" "unsquashfs -cat '$image' boot/$kernel"
versus "ls -l /usr/bin | unsquashfs -lls" "'$host' ls -l '$image' /usr/bin" "unsquashfs -lls -max-depth 3 '$image' usr/bin"
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
cargo run -q --release --locked -p genpack-core --features serde --example json5_speed
