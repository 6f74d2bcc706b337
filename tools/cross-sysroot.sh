#!/usr/bin/env bash
# Adds core and alloc for more targets to the compiler of cross-toolchain.sh: tools/cross-sysroot.sh DIR TARGET...
# Then plain `cargo build --target TARGET` works; a target that is there already costs nothing.
set -euo pipefail
dir=$(realpath "$1"); shift
. "$dir/env"
mkdir -p "$dir/stub/src"
echo '#![no_std]' > "$dir/stub/src/lib.rs"
printf '%s\n' '[package]' 'name = "stub"' 'version = "0.0.0"' 'edition = "2024"' '[workspace]' '[profile.release]' 'panic = "abort"' \
  > "$dir/stub/Cargo.toml"
for target in "$@"; do
  lib=$dir/prefix/usr/lib/rustlib/$target/lib
  [ ! -f "$lib/ready" ] || continue
  # The standard library is built from the compiler's own sources, which needs the compiler's unstable flag once;
  # the project itself uses none.
  ( cd "$dir/stub" && RUSTC_BOOTSTRAP=1 RUSTFLAGS="-C embed-bitcode=yes" \
      cargo build -q --release -Zbuild-std=core,alloc --target "$target" --target-dir target )
  rm -rf "$lib"; mkdir -p "$lib"
  find "$dir/stub/target/$target/release/deps" -name 'lib*.r*' ! -name 'libstub*' -exec cp -t "$lib" {} +
  touch "$lib/ready"
  echo "core and alloc for $target"
done
