#!/bin/sh
# Sourced by dracut's init.
peer_find_boot() {
    mkdir -p /run/probe
    for peer_device in $(blkid -t TYPE=vfat -o device); do
        mount -t vfat -o ro "$peer_device" /run/probe || continue
        [ -f /run/probe/system.img ] && peer_boot=$peer_device
        umount /run/probe
        [ -z "$peer_boot" ] || return 0
    done
    return 1
}

peer_mount() {
    udevadm settle --timeout=120
    peer_boot=
    peer_find_boot || die "no system image"
    peer_uuid=$(blkid -s UUID -o value "$peer_boot")
    mkdir -p /run/initramfs/boot /run/initramfs/rw /run/initramfs/ro
    fsck.fat -a -w "$peer_boot" >/dev/null
    mount -t vfat "$peer_boot" /run/initramfs/boot || die "no boot partition"
    date >/run/initramfs/boot/boottime.txt
    mount "/dev/disk/by-label/data-$peer_uuid" /run/initramfs/rw || mount -t tmpfs tmpfs /run/initramfs/rw
    mount -t squashfs -o ro,loop /run/initramfs/boot/system.img /run/initramfs/ro || die "no image"
    mkdir -p /run/initramfs/rw/root /run/initramfs/rw/work
    [ -d /run/initramfs/rw/root/usr ] && touch -r /run/initramfs/ro/usr /run/initramfs/rw/root/usr
    mount -o remount,exec /run
    cp -p /run/initramfs/ro/usr/libexec/genpack-shutdown /run/initramfs/shutdown
    mount -t overlay -o lowerdir=/run/initramfs/ro,upperdir=/run/initramfs/rw/root,workdir=/run/initramfs/rw/work \
        overlay "$NEWROOT" || die "no root"
}

case "$root" in systemimg:*) ismounted "$NEWROOT" || peer_mount ;; esac
