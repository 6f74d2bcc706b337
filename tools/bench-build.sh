#!/usr/bin/env bash
# Upper and pack of one lower image, ours against the older way: an overlay whose upper layer gets every file of the
# image copied up, then mksquashfs of that layer with the same compressor, level and block size. Prints wall seconds and
# bytes written of both; bytes are what the kernel counts for the processes (getrusage(2), ru_oublock).
# Usage: tools/bench-build.sh     needs root; the lower image is made once, into target/bench-build
# BENCH_PACKAGES  Debian packages of the lower image; the default comes to 1 GB, "gcc g++" to a third of it
# GENPACK         the program, instead of building it
# BENCH_RUNS      how often each way runs, alternately; the minimum counts (default 3)
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${BENCH_RUNS:-3}
packages=${BENCH_PACKAGES:-gcc g++ clang-14 openjdk-17-jre-headless}
host=${GENPACK:-$PWD/target/release/genpack-host}
[ -n "${GENPACK:-}" ] || cargo build -q --release --locked -p genpack-host
artifact=$PWD/target/bench-build
work=$artifact/work/$(uname -m)
mkdir -p "$artifact"
printf '{name: "bench", base: "debian", outfile: "bench.squashfs", compression: "gzip", packages: [%s]}\n' \
  "$(printf '"%s", ' $packages)" > "$artifact/genpack.json5"
export GENPACK_INIT_DIR=/nonexistent
"$host" -q -C "$artifact" build > /dev/null

measure() { # COMMAND...: prints wall seconds and MB written
  python3 - "$@" <<'P'
import os, resource, subprocess, sys, time
start = time.monotonic()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(f"{time.monotonic() - start:.2f} {used.ru_oublock * 512 / 1e6:.1f}")
P
}

ours() { # Both from nothing: no upper tree, no cache of blocks, no image.
  rm -rf "$work/upper" "$work/upper.key" "$work/blocks" "$work/pack.key" "$artifact/bench.squashfs"
  measure bash -ec '"$0" -q -C "$1" upper; "$0" -q -C "$1" pack' "$host" "$artifact"
}

older() {
  local dir=$artifact/older
  rm -rf "$dir"; mkdir -p "$dir"/{upper,work,root}
  # Every path of our image that the lower image has: what the older tool would have touched.
  unsquashfs -l -d '' "$artifact/bench.squashfs" 2>/dev/null | sed -n 's,^/,,p' > "$dir/all"
  (cd "$work/lower" && tr '\n' '\0' < "$dir/all" | xargs -0 stat -c %n 2>/dev/null || true) | tr '\n' '\0' > "$dir/list"
  measure unshare -m --propagation private bash -ec '
    mount -t overlay overlay -o "lowerdir=$0/lower,upperdir=$1/upper,workdir=$1/work" "$1/root"
    cd "$1/root"; xargs -0 touch -a -h -c < "$1/list"; cd /; umount "$1/root"
    mksquashfs "$1/upper" "$1/bench.squashfs" -noappend -no-progress -quiet -comp gzip -Xcompression-level 5 -b 128K
  ' "$work" "$dir"
}

best=(0 0 0 0)
keep() { # INDEX VALUE: the minimum
  local old=${best[$1]}
  best[$1]=$(awk -v a="$old" -v b="$2" 'BEGIN { print (a == 0 || b < a) ? b : a }')
}
for ((i = 0; i < runs; i++)); do
  read -r wall written < <(ours); keep 0 "$wall"; keep 1 "$written"
  read -r wall written < <(older); keep 2 "$wall"; keep 3 "$written"
done
size() { stat -c %s "$1" | awk '{ printf "%.0f MB", $1 / 1e6 }'; }
echo "lower image $(du -sx --block-size=1000000 "$work/lower" | cut -f1) MB; images: ours $(size "$artifact/bench.squashfs"), older $(size "$artifact/older/bench.squashfs")"
awk -v a="${best[0]}" -v b="${best[1]}" -v c="${best[2]}" -v d="${best[3]}" 'BEGIN {
  printf "%-34s ours %8.2f s    older %8.2f s    ratio %.2f (at most 0.5)\n", "upper and pack, wall", a, c, a / c
  printf "%-34s ours %8.1f MB   older %8.1f MB   ratio %.2f (at most 0.5)\n", "upper and pack, written", b, d, b / d }'
rm -rf "$artifact/older"
