#!/usr/bin/env bash
# Builds core and boot for targets without operating system, libc and std, links every public function of core that
# needs no allocator into one program, and asks tools/bare.py whether one can panic, and how much stack each takes:
# tools/bare.sh [--write]     (--write: writes the budgets of docs/stack.md anew)
set -euo pipefail
cd "$(dirname "$0")/.."
targets=(thumbv7em-none-eabihf aarch64-unknown-none riscv64gc-unknown-none-elf)
dir=$PWD/target/cross

# Every set of features by itself: the tests of the workspace know only all of them at once.
for features in "" alloc docs std serde; do cargo check -q --locked -p genpack-core --features "$features"; done
# What is public: rustdoc's JSON is unstable, so is what this reads of it.
RUSTC_BOOTSTRAP=1 cargo rustdoc -q --locked -p genpack-core --lib -- -Z unstable-options --output-format json --cap-lints allow
api=${CARGO_TARGET_DIR:-target}/doc/genpack_core.json

tools/cross-toolchain.sh "$dir"
tools/cross-sysroot.sh "$dir" "${targets[@]}"
. "$dir/env"

# Links the program; the unstable flags change no code, they only tell: program TARGET [FEATURE]
program() {
  local linker; linker=CARGO_TARGET_$(tr 'a-z-' 'A-Z_' <<<"$1")_LINKER
  env "$linker=$dir/bin/rust-lld" RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR="$dir/bare${2:+-$2}" \
    cargo rustc -q --locked --release --target "$1" --manifest-path tests/bare/Cargo.toml ${2:+--features "$2"} -- \
    -C link-arg=--emit-relocs -Z emit-stack-sizes --emit mir -Z mir-opt-level=0 -Z trim-diagnostic-paths=no
}
built() { echo "$dir/bare/$1/release/genpack-bare"; }

failed=0
for target in "${targets[@]}"; do
  for features in alloc serde; do
    cargo check -q --locked --release --target "$target" -p genpack-core --features "$features"
  done
  cargo build -q --locked --release --target "$target" -p genpack-boot
  rm -f "$dir/bare/$target"/release/deps/*.mir
  touch tests/bare/src/main.rs
  program "$target"
  echo "$target: $(stat -c %s "$(built "$target")") bytes of program"
  tools/bare.py panics "$(built "$target")" || failed=1
done
tools/bare.py api "$api" "$dir/bare/${targets[0]}"/release/deps/*.mir || failed=1

# tools/bare.py reads the frames of the first two.
if [ "${1:-}" = --write ]; then
  { sed '/^| \[\?`/d' docs/stack.md; tools/bare.py table "$(built "${targets[0]}")" "$(built "${targets[1]}")"; } > docs/stack.md.new
  mv docs/stack.md.new docs/stack.md
fi
for target in "${targets[@]:0:2}"; do
  tools/bare.py stack "$(built "$target")" docs/stack.md "$target" || failed=1
done

# The test of the test: a panic and a recursion are found.
program "${targets[0]}" faults
faulty=$dir/bare-faults/${targets[0]}/release/genpack-bare
finds() { # COMMAND WORDS: the command fails and says so
  local out
  if out=$($1 2>&1) || ! grep -q "$2" <<<"$out"; then echo "error: $1 does not find: $2" >&2; failed=1; fi
}
finds "tools/bare.py panics $faulty" "faults::index can panic"
finds "tools/bare.py stack $faulty docs/stack.md ${targets[0]}" "calls in a circle"
exit $failed
