#!/usr/bin/env bash
# Fuzzes every format, or the TARGETs named, for FUZZ_SECONDS (default 60) each, FUZZ_JOBS (default: processors) at a
# time. A crash is kept in fuzz/artifacts/TARGET/ and fails the run.
#   tools/fuzz.sh [run|pack] [TARGET...]
# `pack` puts what was found since back into fuzz/corpus/TARGET.cpio, as few and as small inputs as reach the same code.
#
# Stable Rust serves: these are the flags of cargo-fuzz without the address sanitizer, which alone needs a nightly
# compiler and has nothing to find in code that forbids unsafe. `cargo +nightly fuzz run TARGET` works too.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
seconds=${FUZZ_SECONDS:-60} jobs=${FUZZ_JOBS:-$(nproc)}
# What a corpus may hold of inputs that only repeat known code another number of times, bytes.
max_corpus=$((96 * 1024))

verb=run
case "${1:-}" in run | pack) verb=$1; shift ;; esac
targets=("$@")
[ ${#targets[@]} -gt 0 ] || for file in fuzz/fuzz_targets/*.rs; do targets+=("$(basename "$file" .rs)"); done

for program in c++ cpio; do
  command -v "$program" >/dev/null || { echo "error: fuzzing needs $program (tools/setup.sh test)" >&2; exit 1; }
done

triple=$(rustc -vV | sed -n 's/^host: //p')
bin=$root/fuzz/target/$triple/release
echo ":: building ${#targets[@]} targets"
coverage="-Cpasses=sancov-module"
for option in level=4 inline-8bit-counters pc-table trace-compares; do
  coverage+=" -Cllvm-args=-sanitizer-coverage-$option"
done
(cd fuzz && RUSTFLAGS="$coverage -Cllvm-args=-simplifycfg-branch-fold-threshold=0 -Ccodegen-units=1 -Cdebug-assertions --cfg fuzzing" \
  cargo build --locked --quiet --release --target "$triple" "${targets[@]/#/--bin=}")

unpack() { # TARGET: gives it its seeds; what an earlier run found stays
  mkdir -p "fuzz/corpus/$1"
  [ ! -f "fuzz/corpus/$1.cpio" ] || (cd "fuzz/corpus/$1" && cpio -idu --quiet <"../$1.cpio")
}

run() { # TARGET
  unpack "$1"
  local options=(-max_total_time="$seconds" -rss_limit_mb=1024 -timeout=10 -print_final_stats=1)
  [ ! -f "fuzz/dict/$1.dict" ] || options+=(-dict="fuzz/dict/$1.dict")
  mkdir -p "fuzz/artifacts/$1"
  local regress=()
  [ ! -d "fuzz/regress/$1" ] || regress=("fuzz/regress/$1")
  local log=fuzz/target/$1.log
  if "$bin/$1" "fuzz/corpus/$1" "${regress[@]}" "${options[@]}" -artifact_prefix="fuzz/artifacts/$1/" >"$log" 2>&1; then
    echo "$1: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") executions, $(grep -oE 'cov: [0-9]+' "$log" | tail -n1)"
  else
    grep -E 'panicked|ERROR|SUMMARY|Test unit written' -A1 "$log" | sed "s/^/$1: /" >&2
    echo "error: $1 crashed; once more: $bin/$1 fuzz/artifacts/$1/crash-..." >&2
    return 1
  fi
}

pack() { # TARGET
  unpack "$1"
  local new; new=$(mktemp -d)
  # First every piece of code with the smallest input that reaches it, then other counts of the same as far as they fit.
  mkdir "$new/all" "$new/few"
  "$bin/$1" -merge=1 -use_counters=0 -rss_limit_mb=1024 "$new/few" "fuzz/corpus/$1" >"$new/log" 2>&1
  "$bin/$1" -merge=1 -rss_limit_mb=1024 "$new/all" "$new/few" "fuzz/corpus/$1" >>"$new/log" 2>&1
  local size name bytes=0
  while read -r size name; do
    bytes=$((bytes + size))
    [ "$bytes" -le "$max_corpus" ] || break
    cp "$new/all/$name" "$new/few/"
  done < <(cd "$new/all" && find . -type f -printf '%s %P\n' | sort -n)
  (cd "$new/few" && find . -type f -exec touch -d @0 {} + -exec chmod 644 {} + && find . -type f -printf '%P\n' | LC_ALL=C sort \
    | cpio -o -H newc --quiet --reproducible -R 0:0) >"fuzz/corpus/$1.cpio"
  echo "$1: $(find "$new/few" -type f | wc -l) inputs, $(stat -c %s "fuzz/corpus/$1.cpio") bytes"
  rm -rf "$new"
}

export -f run pack unpack
export bin seconds max_corpus
printf '%s\n' "${targets[@]}" | xargs -P "$jobs" -I{} bash -euo pipefail -c "$verb {}"
