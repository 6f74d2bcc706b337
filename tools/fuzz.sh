#!/usr/bin/env bash
# Fuzzes every format for FUZZ_SECONDS (default 60) each; a crash is kept in fuzz/artifacts/ and fails the run.
# Needs cargo-fuzz and a nightly toolchain. The same bodies run on stable Rust in every `make test`.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${FUZZ_SECONDS:-60}
rustup toolchain list 2>/dev/null | grep -q nightly || { echo "error: fuzzing needs a nightly toolchain (rustup toolchain install nightly)" >&2; exit 1; }
cargo fuzz --version >/dev/null 2>&1 || cargo install --locked cargo-fuzz
for target in ${1:-$(cargo +nightly fuzz list)}; do
  echo ":: $target, $seconds s"
  mkdir -p "fuzz/corpus/$target"
  [ "$target" != squashfs_read ] || cp core/tests/fixtures/*.squashfs fuzz/corpus/squashfs_read/
  dictionary=fuzz/dict/$target.dict options=()
  [ ! -f "$dictionary" ] || options=(-dict="$dictionary")
  cargo +nightly fuzz run "$target" -- "${options[@]}" -max_total_time="$seconds" -rss_limit_mb=512 -timeout=10 -print_final_stats=1 2>&1 \
    | grep -E 'stat::|SUMMARY|ERROR|panicked|Done' || { echo "error: $target failed; run: cargo +nightly fuzz run $target" >&2; exit 1; }
  [ "${PIPESTATUS[0]}" = 0 ] || { echo "error: $target crashed, see fuzz/artifacts/$target" >&2; exit 1; }
done
