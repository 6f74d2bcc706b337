#!/usr/bin/env bash
# Packs one tree with `genpack-host squash`, with mksquashfs at the same compressor and level, and with the crate
# backhand, alternately; prints wall seconds, CPU seconds, peak memory and size. Beside them stands the limit: our
# compressor alone on all processors, no reading and no writing. Then repacks with a cache.
# Usage: tools/bench-pack.sh [ROW...]      rows: gzip-1 gzip gzip-9 zstd-1 zstd-3 zstd-9 zstd-15 xz lz4 repack
#   `fast` stands for gzip-1 gzip zstd-1 zstd-3 repack (under 6 minutes on two idle processors), `slow` for the others
#   (BENCH_MB=150 makes them bearable); without a row, all of them.
# BENCH_RUNS   how often a quick row runs, the minimum counts (default 3); slow rows run once
# BENCH_TREE   the folder to pack (default: a sample of /usr, BENCH_MB megabytes, the same on the same machine)
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${BENCH_RUNS:-3}
megabytes=${BENCH_MB:-575}
host=$PWD/target/release/genpack-host
limit=$PWD/target/release/examples/compress_limit
peer=$PWD/target/peers/release/backhand-pack
fast=(gzip-1 gzip zstd-1 zstd-3 repack)
slow=(gzip-9 lz4 zstd-9 zstd-15 xz)
# `repack` changes the tree, so it comes last.
case "${1:-all}" in
  all) set -- "${fast[@]:0:4}" "${slow[@]}" repack ;;
  fast) set -- "${fast[@]}" ;;
  slow) set -- "${slow[@]}" ;;
esac

cargo build -q --release --locked -p genpack-host --bins --examples
(cd tools/peers && CARGO_TARGET_DIR=../../target/peers cargo build -q --release --locked)
mkdir -p target/bench-pack
scratch=$(mktemp -d "$PWD/target/bench-pack/XXXXXX")
trap 'rm -rf "$scratch"' EXIT

sample() { # DIR: a sample of /usr, spread over all of it by the hash of the names, so that all kinds of files are there
  mkdir "$1"
  python3 - "$megabytes" > "$scratch/list" <<'P'
import hashlib, os, sys
left, found = int(sys.argv[1]) * 1000000, []
for top, dirs, names in os.walk("/usr"):
    dirs[:] = sorted(d for d in dirs if not os.path.ismount(os.path.join(top, d)))
    found += [os.path.join(top, name) for name in names]
for path in sorted(found, key=lambda p: hashlib.sha256(os.fsencode(p)).digest()):
    size = os.lstat(path).st_size
    if size < 32 << 20 and b"\n" not in os.fsencode(path):
        sys.stdout.buffer.write(os.fsencode(path[1:]) + b"\n")
        left -= size
    if left < 0:
        break
P
  tar -C / --xattrs -cf - --verbatim-files-from -T "$scratch/list" | tar -C "$1" --xattrs -xf -
}

measure() { # COMMAND...: prints wall seconds, CPU seconds, peak MiB
  python3 - "$@" <<'P'
import os, sys, time
start = time.monotonic()
child = os.fork()
if child == 0:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.execvp(sys.argv[1], sys.argv[1:])
_, status, used = os.wait4(child, 0)
wall = time.monotonic() - start
if status:
    sys.exit(f"failed: {sys.argv[1:]}")
print(f"{wall:.3f} {used.ru_utime + used.ru_stime:.3f} {used.ru_maxrss // 1024}")
P
}

# best[NAME]: wall, CPU, memory of the fastest run, and the size of what it made.
declare -A best
once() { # NAME FILE COMMAND...
  local name=$1 file=$2 result
  shift 2
  [ -z "$file" ] || rm -f "$file"
  result=$(measure "$@")
  if [ -z "${best[$name]:-}" ] || awk -v a="$result" -v b="${best[$name]}" 'BEGIN { split(a, x); split(b, y); exit !(x[1] < y[1]) }'; then
    best[$name]="$result $([ -z "$file" ] || stat -c %s "$file")"
  fi
}

print_row() { # LABEL NAME: ours, theirs and the ratio
  awk -v label="$1" -v name="$2" -v r="${best[$2]}" -v base="${best[mksquashfs]}" 'BEGIN {
    split(r, x); split(base, y)
    printf "%-10s %-22s %8.2f s %8.2f s cpu %6d MiB %9.2f MB", label, name, x[1], x[2], x[3], x[4] / 1e6
    if (name != "mksquashfs") printf "   wall %.3f  cpu %.3f  memory %.2f  size %.3f", x[1] / y[1], x[2] / y[2], x[3] / y[3], x[4] / y[4]
    print "" }'
}

row() { # LABEL COMPRESSION LEVEL BLOCK MKSQUASHFS-OPTIONS...
  local label=$1 compression=$2 level=$3 block=$4 times=$runs i
  shift 4
  local ours=("$host" squash "$tree" "$scratch/ours" --compression "$compression" --block-size "$block")
  [ "$level" = - ] || ours+=(--level "$level")
  case $label in zstd-9 | zstd-15 | xz) times=1 ;; esac
  best=()
  for ((i = 0; i < times; i++)); do
    once ours "$scratch/ours" "${ours[@]}"
    once no-verify "$scratch/ours" "${ours[@]}" --no-verify
    once mksquashfs "$scratch/theirs" mksquashfs "$tree" "$scratch/theirs" -noappend -no-progress -b "$block" "$@"
    case $label in
      gzip | lz4) ;;
      *) [ "$block" != 131072 ] || once backhand "$scratch/backhand" "$peer" "$tree" "$scratch/backhand" "$compression" "$level" ;;
    esac
  done
  print_row "$label" mksquashfs
  print_row "$label" ours
  print_row "$label" no-verify
  [ -z "${best[backhand]:-}" ] || print_row "$label" backhand
  "$limit" "$tree" "$compression" "$level" "$block" "$(nproc)" |
    awk -v label="$label" '{ printf "%-10s %-22s %8.2f s %8.2f s cpu %20.2f MB   (%.0f MB/s per core, %d blocks stored)\n", label, "limit", $1, $2, $4 / 1e6, $3 / 1e6 / $2, $5 }'
}

repack() {
  local i
  best=()
  for ((i = 0; i < runs; i++)); do
    once mksquashfs "$scratch/theirs" mksquashfs "$tree" "$scratch/theirs" -noappend -no-progress -comp gzip -Xcompression-level 1
  done
  # Why: files of the last two seconds are not trusted to be what they were.
  sleep 3
  rm -rf "$scratch/cache"
  local ours=("$host" squash "$tree" "$scratch/ours" --cache "$scratch/cache")
  once "filling the cache" "$scratch/ours" "${ours[@]}"
  for ((i = 0; i < runs; i++)); do
    once "image there" "" "${ours[@]}"
    once "nothing changed" "$scratch/ours" "${ours[@]}"
  done
  best["image there"]+=" $(stat -c %s "$scratch/ours")"
  find "$tree" -type f -links 1 -size +0 | LC_ALL=C sort | awk 'NR % 100 == 50' > "$scratch/changed"
  while IFS= read -r file; do printf 'changed' >> "$file"; done < "$scratch/changed"
  sleep 3
  # Why: only the first run after a change shows what it costs.
  once "1 % of the files" "$scratch/ours" "${ours[@]}"
  mv "$scratch/ours" "$scratch/warm"
  for name in mksquashfs "filling the cache" "image there" "nothing changed" "1 % of the files"; do print_row repack "$name"; done
  "$host" squash "$tree" "$scratch/ours" > /dev/null
  cmp "$scratch/ours" "$scratch/warm" && echo "repack     $(wc -l < "$scratch/changed") files changed; the image is the one of a cold pack, byte for byte"
}

if [ -n "${BENCH_TREE:-}" ]; then
  # Why: `repack` changes files.
  cp -a "$BENCH_TREE" "$scratch/tree"
else
  sample "$scratch/tree"
fi
tree=$scratch/tree
find "$tree" -type f -exec cat {} + > /dev/null
echo "$(du -sb --apparent-size "$tree" | cut -f1) bytes, $(find "$tree" | wc -l) nodes, $(nproc) processors, $(mksquashfs -version | head -1)"
for name in "$@"; do
  case $name in
    gzip-1) row "$name" gzip 1 131072 -comp gzip -Xcompression-level 1 ;;
    gzip) row "$name" gzip - 131072 -comp gzip -Xcompression-level 1 ;;
    gzip-9) row "$name" gzip 9 131072 -comp gzip -Xcompression-level 9 ;;
    zstd-*) row "$name" zstd "${name#zstd-}" 131072 -comp zstd -Xcompression-level "${name#zstd-}" ;;
    xz) row "$name" xz - 1048576 -comp xz -Xbcj x86 ;;
    lz4) row "$name" lz4 - 131072 -comp lz4 -Xhc ;;
    repack) repack ;;
    *) echo "error: no row $name" >&2; exit 2 ;;
  esac
done
