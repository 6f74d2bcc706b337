#!/bin/bash
# Module of dracut: finds the boot partition, mounts image, data and overlay.
check() { return 0; }
depends() { echo base; }
installkernel() { instmods vfat nls_cp437 nls_iso8859-1 nls_ascii squashfs overlay loop btrfs xfs virtiofs virtio_blk; }
install() {
  inst_multiple blkid date fsck.fat touch head cp mountpoint
  inst_hook cmdline 90 "$moddir/root.sh"
  inst_hook mount 90 "$moddir/mount.sh"
}
