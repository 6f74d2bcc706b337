#!/usr/bin/env bash
# Builds core and boot for targets without operating system, libc and std, links every parser of core into a program
# that has no allocator, and looks for a panic in it: tools/bare.sh [TARGET]...
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$PWD/target/cross
[ $# -gt 0 ] || set -- thumbv7em-none-eabihf aarch64-unknown-none riscv64gc-unknown-none-elf
tools/cross-toolchain.sh "$dir"
tools/cross-sysroot.sh "$dir" "$@"
. "$dir/env"
failed=0
for target in "$@"; do
  cargo build -q --locked --release --target "$target" -p genpack-core
  cargo build -q --locked --release --target "$target" -p genpack-core --features alloc
  cargo build -q --locked --release --target "$target" -p genpack-boot
  linker=CARGO_TARGET_$(tr 'a-z-' 'A-Z_' <<<"$target")_LINKER
  env "$linker=$dir/bin/rust-lld" cargo build -q --locked --release --target "$target" --manifest-path tests/bare/Cargo.toml
  program=$CARGO_TARGET_DIR/$target/release/genpack-bare
  panics=$(readelf -sW "$program" | awk '$4 == "FUNC" { print $8 }' | grep -E 'panicking|panic_fmt|unwrap_failed|expect_failed|slice_.*_fail|copy_from_slice' | sort -u || true)
  echo "$target: $(stat -c %s "$program") bytes of program, $(grep -c . <<<"$panics" || true) functions that panic"
  [ -z "$panics" ] || { printf '  %s\n' $panics; failed=1; }
done
exit $failed
