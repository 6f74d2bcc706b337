#!/usr/bin/env bash
# Our initramfs and genpack-init against a dracut initramfs and Python modules, which configure the same disk in the
# same way: bytes, time and processor time from /init to /sbin/init, peak memory; the minimum of BENCH_RUNS (default 3;
# 0: only what is the same in each run).
# Emulated, so times are ratios and nothing else. The peer is in tools/peers/init; nothing of it is in the product.
set -euo pipefail
cd "$(dirname "$0")/.."
host=$PWD/target/release/genpack-host
runs=${BENCH_RUNS:-3}
bench=target/bench/init
peer=tools/peers/init
mkdir -p "$bench/files"/usr/lib/{bench,dracut/modules.d/90peer,peer-init} "$bench/files/usr/bin"
install -m 755 "$peer/end" "$bench/files/usr/lib/bench/end"
install -m 755 "$peer"/dracut/*.sh "$bench/files/usr/lib/dracut/modules.d/90peer/"
install -m 644 "$peer"/modules/*.py "$bench/files/usr/lib/peer-init/"
install -m 755 "$peer/peer-init" "$bench/files/usr/bin/peer-init"
# One image for both. dracut runs while it is built; neither it nor what it needs is in the image.
cat > "$bench/genpack.json5" <<'JSON'
{
  name: "bench", base: "debian", profile: "baremetal",
  packages: ["python3-minimal", "openssh-server"],
  buildtime_packages: ["dracut-core", "dosfstools"],
  setup_commands: [
    "dracut --quiet --force --no-hostonly --no-early-microcode --zstd --add peer --omit 'systemd systemd-initrd i18n network-manager plymouth' --kver $(ls /usr/lib/modules) /boot/initramfs.dracut",
    "ln -sf /usr/lib/bench/end /usr/sbin/init",
  ],
}
JSON
"$host" -C "$bench" build
image=$bench/bench-x86_64.squashfs
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for file in kernel initramfs initramfs.dracut; do "$host" cat "$image" "/boot/$file" > "$scratch/$file"; done
ssh-keygen -q -t ed25519 -N '' -C owner@desk -f "$scratch/key"
"$host" flash "$image" "$scratch/disk" --yes --verify off --quiet --set hostname=bench --set timezone=Asia/Tokyo \
  --set locale=C.UTF-8 --ssh-key "$scratch/key.pub"

boot() { # INITRAMFS INIT [QEMU-OPTION...]: the guest's line
  local initramfs=$1 init=$2 line; shift 2
  # Always the first boot of a disk.
  cp --sparse=always "$scratch/disk" "$scratch/copy"
  line=$(timeout 1800 qemu-system-x86_64 -machine q35 -cpu max -m 1024 -nodefaults -no-reboot -display none -serial stdio \
    -kernel "$scratch/kernel" -initrd "$scratch/$initramfs" \
    -append "console=ttyS0 quiet panic=-1 root=systemimg:auto init=$init" \
    -drive "file=$scratch/copy,format=raw,if=virtio" "$@" </dev/null | tee "$scratch/console" | tr -d '\r' | grep '^BENCH ') \
    || { tail -20 "$scratch/console" >&2; echo "error: no answer from the guest with $initramfs" >&2; exit 1; }
  # Both must have done the same.
  case $line in
    *" hostname=bench zone="*"/zoneinfo/Asia/Tokyo locale=LANG=C.UTF-8 keys=1 root=overlayfs"*) echo "$line" ;;
    *) echo "error: the guest is not configured: $line" >&2; exit 1 ;;
  esac
}

figures() { # LINE: milliseconds, processor milliseconds, KiB
  sed -E 's/.* start=([0-9.]+) end=([0-9.]+) cpu_us=([0-9]+) peak_kib=([0-9]+) .*/\1 \2 \3 \4/' <<<"$1" \
    | awk '{ printf "%d %d %d\n", ($2 - $1) * 1000, $3 / 1000, $4 }'
}

bare() { # INITRAMFS LEVEL: bytes without kernel modules, compressed at a level of zstd
  rm -rf "$scratch/tree" && mkdir "$scratch/tree"
  ( cd "$scratch/tree" && zstd -dcq "$scratch/$1" | cpio -id --quiet && rm -rf usr/lib/modules lib/modules/*/kernel \
      && find . | LC_ALL=C sort | cpio -o -H newc --quiet | zstd "-$2" -q | wc -c )
}

row() { # NAME UNIT OURS PEER TARGET
  awk -v n="$1" -v u="$2" -v o="$3" -v p="$4" -v t="$5" 'BEGIN {
    printf "%-34s ours %9d %-3s peer %9d %-3s ratio %.3f   target %s\n", n, o, u, p, u, o / p, t }'
}

least() { local column=$1; shift; printf '%s\n' "$@" | awk -v c="$column" 'NR == 1 || $c < m { m = $c } END { print m }'; }
row "init: initramfs" B "$(stat -c %s "$scratch/initramfs")" "$(stat -c %s "$scratch/initramfs.dracut")" -
# Each at the level of its maker, as it is in an image; then both at ours.
row "init: without kernel modules" B "$(bare initramfs 19)" "$(bare initramfs.dracut 15)" "<= 0.1"
row "init: without modules, alike" B "$(bare initramfs 19)" "$(bare initramfs.dracut 19)" -

if [ "$runs" -gt 0 ]; then
# The settings alone, on this machine's own processor, in the tree of the image.
"$host" unpack --no-sync "$image" "$scratch/root" >/dev/null
cat > "$scratch/settings.sh" <<SETTINGS
set -e
mount --bind /proc "$scratch/root/proc"
mount -t tmpfs tmpfs "$scratch/root/run"
mkdir -p "$scratch/root/run/initramfs/boot"
printf 'hostname=bench\ntimezone=Asia/Tokyo\nlocale=C.UTF-8\nssh_pubkey=%s\n' "$(cat "$scratch/key.pub")" \
  > "$scratch/root/run/initramfs/boot/system.ini"
TIMEFORMAT='%R %U %S'
ours="chroot $scratch/root /usr/bin/genpack-init apply --root / --ini /run/initramfs/boot/system.ini"
peer="chroot $scratch/root /usr/bin/peer-init"
for ((run = 0; run < $runs; run++)); do
  { time \$ours >/dev/null 2>&1; } 2>> "$scratch/ours"
  { time \$peer >/dev/null 2>&1; } 2>> "$scratch/theirs"
done
cp "$scratch/root/run/peer-peak-kib" "$scratch/peak"
SETTINGS
unshare --uts --mount bash "$scratch/settings.sh"
milliseconds() { awk '{ printf "%d %d\n", $1 * 1000, ($2 + $3) * 1000 }' "$scratch/$1"; }
row "init: settings, natively" ms "$(least 1 "$(milliseconds ours)")" "$(least 1 "$(milliseconds theirs)")" -
row "init: settings, processor time" ms "$(least 2 "$(milliseconds ours)")" "$(least 2 "$(milliseconds theirs)")" -

ours=() theirs=()
for ((run = 0; run < runs; run++)); do
  line=$(boot initramfs /usr/bin/genpack-init -accel tcg,thread=multi -smp 2)
  ours+=("$(figures "$line")")
  line=$(boot initramfs.dracut /usr/bin/peer-init -accel tcg,thread=multi -smp 2)
  theirs+=("$(figures "$line")")
done
row "init: /init to /sbin/init" ms "$(least 1 "${ours[@]}")" "$(least 1 "${theirs[@]}")" "<= 0.2"
row "init: processor time" ms "$(least 2 "${ours[@]}")" "$(least 2 "${theirs[@]}")" -
row "init: peak memory" KiB "$(least 3 "${ours[@]}")" "$(least 3 "${theirs[@]}")" "<= 0.1"
fi

# The budget: one instruction counts as one nanosecond, which no processor of the last fifteen years is slower than.
counted=(-accel tcg -icount shift=0,sleep=off -smp 1)
line=$(boot initramfs /usr/bin/genpack-init "${counted[@]}")
read -r _ cpu peak < <(figures "$line")
# Once more with the modules in the kernel: what it takes to check, place and start them is not ours to make faster.
modules=${line##* modules=}
mkdir "$scratch/preload" "$scratch/modules"
cc -O2 -static -o "$scratch/preload/preload" "$peer/preload.c"
( cd "$scratch/modules" && zstd -dcq "$scratch/initramfs" | cpio -id --quiet "*.ko" )
for module in $modules; do
  ( cd "$scratch/modules" && find . -name "${module//_/[-_]}.ko" | sed 's/^\.//' )
done > "$scratch/preload/preload.list"
( cd "$scratch/preload" && find . | cpio -o -H newc --quiet ) > "$scratch/preload.cpio"
truncate -s %512 "$scratch/preload.cpio"
cat "$scratch/preload.cpio" "$scratch/initramfs" > "$scratch/initramfs.preload"
line=$(boot initramfs.preload "/usr/bin/genpack-init rdinit=/preload" "${counted[@]}")
read -r _ bare peak < <(figures "$line")
echo "init: both stages, $cpu million instructions, $((cpu - bare)) million of them the kernel's for loading" \
  "$(wc -l < "$scratch/preload/preload.list") modules; $bare without (budget 50 ms), $peak KiB (budget 8192)"
