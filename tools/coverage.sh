#!/usr/bin/env bash
# Which lines of core the kept inputs of the fuzzers reach, and they alone: no unit test runs here.
# Fails below COVERAGE_MIN percent (default 90). COVERAGE_SHOW=FILE shows the lines of one file.
# Needs llvm-profdata and llvm-cov of the LLVM that rustc has: Debian's llvm-NN, or rustup's llvm-tools.
set -euo pipefail
cd "$(dirname "$0")/.."

major=$(rustc -vV | sed -nE 's/^LLVM version: ([0-9]+).*/\1/p')
tool() { # NAME: prints how to call it
  local path
  for path in "$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin/$1" "$(command -v "$1-$major" || true)"; do
    [ ! -x "$path" ] || { echo "$path"; return; }
  done
  echo "error: no $1 for LLVM $major; apt-get install llvm-$major, or rustup component add llvm-tools" >&2
  return 1
}
profdata=$(tool llvm-profdata) cov=$(tool llvm-cov)

out=target/coverage
rm -rf "$out/profiles"
mkdir -p "$out/profiles"
export RUSTFLAGS="-Cinstrument-coverage" CARGO_TARGET_DIR=$PWD/$out LLVM_PROFILE_FILE=$PWD/$out/profiles/%p.profraw
cargo test --locked --quiet -p genpack-core --features _fuzz --test replay_corpus >"$out/test.log" 2>&1 \
  || { tail -n 30 "$out/test.log" >&2; exit 1; }
"$profdata" merge -sparse "$out"/profiles/*.profraw -o "$out/corpus.profdata"
binary=$(find "$out/debug/deps" -maxdepth 1 -type f -executable -name 'replay_corpus-*' -printf '%T@ %p\n' | sort -n | tail -n1 | cut -d' ' -f2)
arguments=("$binary" "-instr-profile=$out/corpus.profdata")

if [ -n "${COVERAGE_SHOW:-}" ]; then
  exec "$cov" show "${arguments[@]}" -show-branches=count "$PWD/$COVERAGE_SHOW"
fi
# The bodies are no formats, and the tests no part of the library.
"$cov" report "${arguments[@]}" "$PWD/core/src" --ignore-filename-regex='core/src/replay' \
  | awk -v min="${COVERAGE_MIN:-90}" '
    /^-+$/ || NF < 10 { next }
    $1 == "Filename" { printf "%-44s %7s %7s %7s\n", "file", "lines", "missed", "%"; next }
    { printf "%-44s %7d %7d %7s\n", $1, $8, $9, $10 }
    $1 == "TOTAL" { if ($10 + 0 < min) { print "error: below " min " % of the lines" > "/dev/stderr"; exit 1 } }'
