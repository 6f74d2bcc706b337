#!/bin/sh
# Builds genpack-init for one architecture: tools/build-init.sh [x86_64|aarch64|riscv64]
# Result: target/init/<arch>/genpack-init. The foreign two need the rustup target, or a compiler whose
# environment gives CARGO_TARGET_*_LINKER and RUSTFLAGS.
set -eu
cd "$(dirname "$0")/.."
arch=${1:-x86_64}
case $arch in
    x86_64 | aarch64) triple=$arch-unknown-linux-gnu ;;
    riscv64) triple=riscv64gc-unknown-linux-gnu ;;
    *) echo "error: no genpack-init for '$arch'" >&2; exit 2 ;;
esac
cargo build --profile init -p genpack-init-static --bin genpack-init --target "$triple"
dir=${CARGO_TARGET_DIR:-target}
mkdir -p "$dir/init/$arch"
# Aside and renamed: a reader never sees half a program.
cp "$dir/$triple/init/genpack-init" "$dir/init/$arch/.genpack-init.new"
mv "$dir/init/$arch/.genpack-init.new" "$dir/init/$arch/genpack-init"
# PID 1 must not need a loader or a libc.
if readelf -lW "$dir/init/$arch/genpack-init" 2>/dev/null | grep -q INTERP; then
    echo "error: genpack-init is not static" >&2
    exit 1
fi
size=$(stat -c %s "$dir/init/$arch/genpack-init")
echo "genpack-init $arch: $size bytes"
# The budget of 256 KiB is a test: a growth beyond it needs a decision.
[ "$size" -le 262144 ] || { echo "error: genpack-init is larger than 262144 bytes" >&2; exit 1; }
