//! Kernel events about devices, as they arrive on the netlink socket.
//!
//! Format: the kernel's `lib/kobject_uevent.c`: `ACTION@DEVPATH`, NUL, then `KEY=value` strings, each with a NUL.
//! Not handled: udev's own messages (magic `libudev`), which come from another group.

/// The parts of an event that a boot needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uevent<'a> {
    /// `add`, `change`, `remove`, …
    pub action: &'a str,
    /// `block`, `pci`, `usb`, …
    pub subsystem: &'a str,
    /// Node below `/dev`; empty without one.
    pub devname: &'a str,
    /// What `modules.alias` is matched against; empty without one.
    pub modalias: &'a str,
}

impl<'a> Uevent<'a> {
    /// Parses one datagram; `None` for anything that does not begin as a kernel event.
    #[must_use]
    pub fn parse(datagram: &'a [u8]) -> Option<Self> {
        let mut strings = datagram.split(|b| *b == 0).filter_map(|s| core::str::from_utf8(s).ok());
        let (action, _) = strings.next()?.split_once('@')?;
        let mut event = Self { action, ..Self::default() };
        for (key, value) in strings.filter_map(|s| s.split_once('=')) {
            match key {
                "SUBSYSTEM" => event.subsystem = value,
                "DEVNAME" => event.devname = value,
                "MODALIAS" => event.modalias = value,
                _ => {}
            }
        }
        Some(event)
    }

    /// Tells whether the event announces or changes a block device.
    #[must_use]
    pub fn is_block(&self) -> bool {
        self.subsystem == "block"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_event_gives_action_and_node() {
        let datagram = b"add@/devices/pci0000:00/virtio1/block/vda/vda1\0ACTION=add\0\
            DEVPATH=/devices/pci0000:00/virtio1/block/vda/vda1\0SUBSYSTEM=block\0MAJOR=254\0MINOR=1\0\
            DEVNAME=vda1\0DEVTYPE=partition\0PARTN=1\0SEQNUM=1042\0";
        let event = Uevent::parse(datagram).unwrap();
        assert_eq!(event, Uevent { action: "add", subsystem: "block", devname: "vda1", modalias: "" });
        assert!(event.is_block());
    }

    #[test]
    fn bus_event_gives_its_modalias() {
        let datagram = b"add@/devices/x\0ACTION=add\0SUBSYSTEM=virtio\0MODALIAS=virtio:d00000002v00001AF4\0";
        let event = Uevent::parse(datagram).unwrap();
        assert_eq!(event.modalias, "virtio:d00000002v00001AF4");
        assert!(!event.is_block());
    }

    #[test]
    fn foreign_or_damaged_datagram_is_ignored() {
        assert_eq!(Uevent::parse(b""), None);
        assert_eq!(Uevent::parse(b"libudev\0\xFE\xED\xCA\xFE"), None);
        assert_eq!(Uevent::parse(&[0xFF; 64]), None);
        assert_eq!(
            Uevent::parse(b"add@/x\0MODALIAS\0=\0SUBSYSTEM="),
            Some(Uevent { action: "add", ..Uevent::default() })
        );
    }
}
