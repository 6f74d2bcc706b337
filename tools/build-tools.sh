#!/bin/sh
# Builds genpack-tools, what build scripts call in a container: tools/build-tools.sh [ARCH]...   (default: this machine's)
# Result: target/tools/<arch>/genpack-tools. A foreign one needs its target of rustup.
set -eu
cd "$(dirname "$0")/.."
dir=${CARGO_TARGET_DIR:-target}

[ $# -gt 0 ] || set -- "$(uname -m)"
for arch; do
    case $arch in
        x86_64 | aarch64) triple=$arch-unknown-linux-gnu ;;
        i686) triple=i686-unknown-linux-gnu ;;
        riscv64) triple=riscv64gc-unknown-linux-gnu ;;
        *) echo "error: no genpack-tools for '$arch'" >&2; exit 2 ;;
    esac
    if [ ! -d "$(rustc --print sysroot)/lib/rustlib/$triple" ]; then
        echo "error: no Rust library for $triple: rustup target add $triple" >&2
        exit 1
    fi
    RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=+crt-static" \
        cargo build --locked --release -p genpack-image-tools --target "$triple"
    mkdir -p "$dir/tools/$arch"
    # Aside and renamed: a reader never sees half a program.
    cp "$dir/$triple/release/genpack-tools" "$dir/tools/$arch/.genpack-tools.new"
    mv "$dir/tools/$arch/.genpack-tools.new" "$dir/tools/$arch/genpack-tools"
    # It runs in userlands with any libc, or none.
    if readelf -lW "$dir/tools/$arch/genpack-tools" | grep -q INTERP; then
        echo "error: genpack-tools is not static" >&2
        exit 1
    fi
    echo "genpack-tools $arch: $(stat -c %s "$dir/tools/$arch/genpack-tools") bytes"
done
