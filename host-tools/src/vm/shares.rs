//! What a guest is told of the directories it may mount.

use super::words::{ShareTransport, ShareWords};

/// Returns the share's line of the guest's fstab, when it has a mount point: systemd's credential `fstab.extra`.
/// `has_daemon` decides about a share that leaves its transport open.
///
/// Either transport mounts by the same tag; `x-initrd` is not set, so the initramfs leaves it to the system.
#[must_use]
pub fn fstab_line(share: &ShareWords, has_daemon: bool) -> Option<String> {
    let point = share.mount_point.as_ref()?;
    let kind = match share.transport {
        Some(ShareTransport::NineP) => "9p",
        None if !has_daemon => "9p",
        Some(ShareTransport::Virtiofs) | None => "virtiofs",
    };
    let options = match (kind, share.read_only) {
        ("9p", true) => "ro,trans=virtio,version=9p2000.L",
        ("9p", false) => "trans=virtio,version=9p2000.L",
        (_, true) => "ro",
        (_, false) => "defaults",
    };
    // fstab(5): a space is written \040.
    let point =
        point.replace('\\', "\\134").replace(' ', "\\040").replace('\t', "\\011").replace('\n', "\\012");
    Some(format!("{} {point} {kind} {options},nofail 0 0\n", share.tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn share_with_a_mount_point_is_mounted_by_systemd() {
        for (share, line) in [
            ("/srv:data", None),
            ("/srv:data:/m", Some("data /m 9p trans=virtio,version=9p2000.L,nofail 0 0\n")),
            ("/srv:data:virtiofs:/mnt/a b", Some("data /mnt/a\\040b virtiofs defaults,nofail 0 0\n")),
            ("/srv:data:ro:9p:/m", Some("data /m 9p ro,trans=virtio,version=9p2000.L,nofail 0 0\n")),
        ] {
            let share: ShareWords = share.parse().unwrap();
            assert_eq!(fstab_line(&share, false).as_deref(), line);
        }
    }
}
