#!/usr/bin/env bash
# Our initramfs against a dracut initramfs, and the settings of genpack-init against Python modules that do the same in
# the same tree: bytes, time, processor time; the minimum of BENCH_RUNS (default 5). Not measured: both in a booted
# machine. The peer is in tools/peers/init; nothing of it is in the product.
set -euo pipefail
cd "$(dirname "$0")/.."
host=$PWD/target/release/genpack-host
bench=target/bench/init
peer=tools/peers/init
mkdir -p "$bench/files"/usr/lib/{dracut/modules.d/90peer,peer-init} "$bench/files/usr/bin"
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
  ],
}
JSON
"$host" -C "$bench" build
image=$bench/bench-x86_64.squashfs
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for file in initramfs initramfs.dracut; do "$host" cat "$image" "/boot/$file" > "$scratch/$file"; done
ssh-keygen -q -t ed25519 -N '' -C owner@desk -f "$scratch/key"

bare() { # INITRAMFS: bytes, compressed alike, without kernel modules
  rm -rf "$scratch/tree" && mkdir "$scratch/tree"
  ( cd "$scratch/tree" && zstd -dcq "$scratch/$1" | cpio -id --quiet && rm -rf usr/lib/modules lib/modules/*/kernel \
      && find . | LC_ALL=C sort | cpio -o -H newc --quiet | zstd -15 -q | wc -c )
}

row() { # NAME UNIT OURS PEER TARGET
  awk -v n="$1" -v u="$2" -v o="$3" -v p="$4" -v t="$5" 'BEGIN {
    printf "%-34s ours %9d %-3s peer %9d %-3s ratio %.3f   target %s\n", n, o, u, p, u, o / p, t }'
}

least() { local column=$1; shift; printf '%s\n' "$@" | awk -v c="$column" 'NR == 1 || $c < m { m = $c } END { print m }'; }
row "init: initramfs" B "$(stat -c %s "$scratch/initramfs")" "$(stat -c %s "$scratch/initramfs.dracut")" -
row "init: without kernel modules" B "$(bare initramfs)" "$(bare initramfs.dracut)" "<= 0.1"

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
for ((run = 0; run < ${BENCH_RUNS:-5}; run++)); do
  { time \$ours >/dev/null 2>&1; } 2>> "$scratch/ours"
  { time \$peer >/dev/null 2>&1; } 2>> "$scratch/theirs"
done
SETTINGS
unshare --uts --mount bash "$scratch/settings.sh"
milliseconds() { awk '{ printf "%d %d\n", $1 * 1000, ($2 + $3) * 1000 }' "$scratch/$1"; }
row "init: settings, natively" ms "$(least 1 "$(milliseconds ours)")" "$(least 1 "$(milliseconds theirs)")" -
row "init: settings, processor time" ms "$(least 2 "$(milliseconds ours)")" "$(least 2 "$(milliseconds theirs)")" -
