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
# Bitcode for programs that are optimized as one piece; frame sizes for tools/bare.py.
flags="-C embed-bitcode=yes -Z emit-stack-sizes"
for target in "$@"; do
  lib=$dir/prefix/usr/lib/rustlib/$target/lib
  [ "$(cat "$lib/ready" 2>/dev/null)" != "$flags" ] || continue
  # The standard library is built from the compiler's own sources, which needs the compiler's unstable flags once;
  # the project itself uses none.
  # Cargo does not notice that the library changed under it.
  rm -rf "$dir/stub/target/$target" "$lib" "$dir"/{build,bare,bare-faults}/"$target"
  ( cd "$dir/stub" && RUSTC_BOOTSTRAP=1 RUSTFLAGS=$flags \
      cargo build -q --release -Zbuild-std=core,alloc --target "$target" --target-dir target )
  mkdir -p "$lib"
  find "$dir/stub/target/$target/release/deps" -name 'lib*.r*' ! -name 'libstub*' -exec cp -t "$lib" {} +
  echo "$flags" > "$lib/ready"
  echo "core and alloc for $target"
done
