#!/bin/sh
# Builds genpack-init: tools/build-init.sh [x86_64|aarch64|riscv64]...     (default: x86_64)
# Result: target/init/<arch>/genpack-init. Where rustup lacks a foreign target, tools/cross-toolchain.sh brings it; when
# that fails too the exit status is 3.
set -eu
cd "$(dirname "$0")/.."
dir=${CARGO_TARGET_DIR:-target}

build() {
    arch=$1
    case $arch in
        x86_64) triple=x86_64-unknown-linux-gnu machine=X86-64 ;;
        aarch64) triple=aarch64-unknown-linux-gnu machine=AArch64 ;;
        riscv64) triple=riscv64gc-unknown-linux-gnu machine=RISC-V ;;
        *) echo "error: no genpack-init for '$arch'" >&2; exit 2 ;;
    esac
    if [ ! -d "$(rustc --print sysroot)/lib/rustlib/$triple" ]; then
        tools/cross-toolchain.sh "$dir/cross" || exit 3
        # shellcheck source=/dev/null
        . "$dir/cross/env"
    fi
    # Addresses that are fixed and equal pieces of code that are shared: 7 KiB less. What moves work out of loops keeps
    # values in registers that then have to be saved; blocks in the order of the source need fewer jumps: 8 KiB.
    passes="-enable-machine-outliner=always -disable-machine-licm -disable-lsr -disable-constant-hoisting"
    passes="$passes -disable-machine-cse -disable-early-taildup -disable-tail-duplicate -tail-merge-size=2"
    passes="$passes -enable-misched=false -split-spill-mode=size -disable-block-placement"
    # Functions that differ in constants only become one: another 2 KiB. Older compilers do not know the pass.
    llvm=$("${RUSTC:-rustc}" -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
    [ "${llvm:-0}" -lt 20 ] || passes="$passes -enable-global-merge-func"
    cargo rustc --locked --profile init -p genpack-init-static --bin genpack-init --target "$triple" -- \
        -C relocation-model=static -C llvm-args="$passes"
    mkdir -p "$dir/init/$arch"
    # Aside and renamed: a reader never sees half a program.
    new=$dir/init/$arch/.genpack-init.new
    cp "${CARGO_TARGET_DIR:-target}/$triple/init/genpack-init" "$new"
    # lld keeps the room of the section headers that it does not write: some hundred zeros behind the last segment.
    if readelf -hW "$new" | grep -q 'Number of section headers: *0$'; then
        end=0
        for segment in $(readelf -lW "$new" | awk '$1 == "LOAD" { print $2 "+" $5 }'); do
            [ $(($segment)) -le $end ] || end=$(($segment))
        done
        truncate -s "$end" "$new"
    fi
    mv "$new" "$dir/init/$arch/genpack-init"
    # PID 1 must not need a loader or a libc.
    headers=$(readelf -hlW "$dir/init/$arch/genpack-init")
    if ! echo "$headers" | grep -q "Machine:.*$machine" || echo "$headers" | grep -Eq 'INTERP|DYNAMIC'; then
        echo "error: genpack-init is not a static program for $arch" >&2
        exit 1
    fi
    size=$(stat -c %s "$dir/init/$arch/genpack-init")
    echo "genpack-init $arch: $size bytes"
    # The budget is a test: a growth beyond it needs room made elsewhere (docs/adr/0010-size-of-the-init.md).
    [ "$size" -le 262144 ] || { echo "error: genpack-init is larger than 262144 bytes" >&2; exit 1; }
}

[ $# -gt 0 ] || set -- x86_64
for arch; do (build "$arch"); done
