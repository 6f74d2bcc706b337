#!/usr/bin/env bash
# Looks at a large image, and at two that differ a little, against what one would do with squashfs-tools: the same listing,
# the same unpacking, the same comparison of trees. Prints wall seconds, the minimum of all runs, and peak memory.
# Usage: tools/bench-look.sh [TREE]     (default: /usr; dpkg's database is put beside it)
# BENCH_RUNS   how often each command runs, the minimum counts (default 3)
# BENCH_MB     how much of TREE is packed, in megabytes (default 500)
# GENPACK_HOST the program to measure (default: the release build, made first)
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${BENCH_RUNS:-3} megabytes=${BENCH_MB:-500} source=${1:-/usr}
host=${GENPACK_HOST:-}
[ -n "$host" ] || { cargo build -q --release --locked -p genpack-host --bins; host=$PWD/target/release/genpack-host; }
mkdir -p target/bench-look
scratch=$(mktemp -d "$PWD/target/bench-look/XXXXXX")
trap 'rm -rf "$scratch"' EXIT

# Whole directories in the order of their names, until there is enough; hard links keep one copy on the disk.
python3 - "$source" "$scratch/old/usr" "$megabytes" <<'P'
import os, shutil, sys
source, to, left = sys.argv[1], sys.argv[2], int(sys.argv[3]) * 10**6
seen = set()
for top, directories, names in os.walk(source):
    directories.sort()
    here = os.path.join(to, os.path.relpath(top, source))
    os.makedirs(here, exist_ok=True)
    for name in sorted(names):
        path = os.path.join(top, name)
        try:
            state = os.lstat(path)
            shutil.copy2(path, os.path.join(here, name), follow_symlinks=False)
        except OSError:
            continue
        if (state.st_dev, state.st_ino) not in seen and not os.path.islink(path):
            seen.add((state.st_dev, state.st_ino))
            left -= state.st_size
        if left < 0:
            sys.exit()
P
mkdir -p "$scratch/old/var/lib" "$scratch/old/.genpack"
cp -a /var/lib/dpkg "$scratch/old/var/lib/" 2>/dev/null || true
cp /etc/os-release "$scratch/old/usr/lib/os-release" 2>/dev/null || true
echo bench > "$scratch/old/.genpack/artifact"
echo x86_64 > "$scratch/old/.genpack/arch"
cp -al "$scratch/old" "$scratch/new"
# One percent of the files is another one, as after an update.
find "$scratch/new/usr" -type f | sort | awk 'NR % 100 == 0' | while read -r file; do
  { cat "$file"; echo changed; } > "$scratch/changed"
  rm "$file"
  mv "$scratch/changed" "$file"
done
for name in old new; do
  "$host" squash -q --compression zstd --level 3 "$scratch/$name" "$scratch/$name.squashfs" > /dev/null
done
rm -rf "$scratch/old" "$scratch/new"
files=$(unsquashfs -lls "$scratch/new.squashfs" | wc -l)
echo "image: $(($(stat -c %s "$scratch/new.squashfs") / 1000000)) MB, $files paths; runs: $runs"

row() { # NAME COMMAND...
  python3 - "$runs" "$scratch/rm" "$@" <<'P'
import os, shutil, subprocess, sys, time
runs, gone, name, command = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:]
best, peak = None, 0
for _ in range(runs):
    shutil.rmtree(gone, ignore_errors=True)
    start = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    took = time.monotonic() - start
    if status != 0:
        sys.exit(f"{command}: {said.decode(errors='replace')}")
    best = took if best is None else min(best, took)
    peak = max(peak, usage.ru_maxrss)
print(f"{name:44} {best:8.2f} s {peak / 1024:8.1f} MiB")
P
}
new=$scratch/new.squashfs old=$scratch/old.squashfs
row "inspect" "$host" -q inspect "$new"
row "  unsquashfs -s, -lls" sh -c "unsquashfs -s $new && unsquashfs -lls $new"
row "ls -l, everything" "$host" -q ls -lR "$new"
row "inspect --html" "$host" -q inspect "$new" --html "$scratch/page.html"
row "inspect --verify" "$host" -q inspect --verify "$new"
row "  unsquashfs" unsquashfs -q -n -d "$scratch/rm" "$new"
row "diff" "$host" -q diff "$old" "$new"
row "diff --html" "$host" -q diff "$old" "$new" --html "$scratch/page.html"
row "  unsquashfs both, diff -rq --no-dereference" sh -c "mkdir $scratch/rm && unsquashfs -q -n -d $scratch/rm/a $old && unsquashfs -q -n -d $scratch/rm/b $new
  diff -rq --no-dereference $scratch/rm/a $scratch/rm/b > $scratch/diff; [ \$? -le 1 ]"
row "sbom" "$host" -q sbom "$new" -o "$scratch/sbom.json"
