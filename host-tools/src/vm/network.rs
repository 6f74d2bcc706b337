//! What an interface's name means, told by what the host has of that name, and QEMU's end of it.
//!
//! The order of the questions is that of earlier tools: `user`, bridge, tap, multicast group, macvtap, VDE switch,
//! SR-IOV function. `passt` is new. Not handled: making interfaces.

use std::net::Ipv4Addr;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use crate::command_error::{CommandError, Result};

/// `IFF_TAP` of `linux/if_tun.h`.
const IFF_TAP: u32 = 0x2;
/// Longest name of an interface: `IFNAMSIZ` less its NUL.
const MAX_INTERFACE_BYTES: usize = 15;

/// What is behind a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interface {
    /// QEMU's own network.
    User,
    /// passt, a user-space network outside QEMU.
    Passt,
    /// A bridge.
    Bridge(String),
    /// A tap interface.
    Tap(String),
    /// A multicast group, `address:port`.
    Multicast(String),
    /// A macvtap interface.
    Macvtap(String),
    /// A VDE switch's directory.
    Vde(String),
    /// One of the virtual functions `first` to `last` of a network card.
    SrIov {
        /// The card's interface.
        card: String,
        /// First function that may be taken.
        first: u16,
        /// Last one.
        last: u16,
    },
}

impl Interface {
    /// Returns what a name means on the host whose sysfs is `sys`.
    ///
    /// # Errors
    /// When it means nothing.
    pub fn of(name: &str, sys: &Path) -> Result<Self> {
        match name {
            "user" => return Ok(Self::User),
            "passt" => return Ok(Self::Passt),
            _ => {}
        }
        if let Some(class) = class_directory(name, sys) {
            if class.join("bridge").exists() {
                return Ok(Self::Bridge(name.to_owned()));
            }
            if is_tap(name, sys) {
                return Ok(Self::Tap(name.to_owned()));
            }
        }
        if is_multicast(name) {
            return Ok(Self::Multicast(name.to_owned()));
        }
        if class_directory(name, sys).is_some_and(|class| class.join("macvtap").is_dir()) {
            return Ok(Self::Macvtap(name.to_owned()));
        }
        let control = std::fs::metadata(Path::new(name).join("ctl"));
        if control.is_ok_and(|ctl| ctl.file_type().is_socket()) {
            return Ok(Self::Vde(name.to_owned()));
        }
        if let Some(functions) = virtual_functions(name, sys) {
            return Ok(functions);
        }
        let exists = class_directory(name, sys).is_some_and(|class| class.exists());
        let why = if exists { "is neither a bridge nor a tap nor a macvtap" } else { "does not exist" };
        Err(CommandError::failed(format!("the network interface {name:?} {why}")).hint(
            "use user, passt, the name of a bridge, tap or macvtap, a group as 230.0.0.1:1234, the directory of a \
             VDE switch, or functions of a card as eth0v0-7",
        ))
    }

    /// Tells whether packets can be moved by the kernel.
    #[must_use]
    pub const fn can_vhost(&self) -> bool {
        matches!(self, Self::Bridge(_) | Self::Tap(_) | Self::Macvtap(_))
    }
}

/// Tells whether an interface can have this name.
#[must_use]
pub fn is_interface(name: &str) -> bool {
    let plain = !name.is_empty() && name.len() <= MAX_INTERFACE_BYTES && name != "." && name != "..";
    plain && !name.contains(|c: char| c == '/' || c.is_whitespace())
}

/// Tells whether the host has a tap of this name.
#[must_use]
pub fn is_tap(name: &str, sys: &Path) -> bool {
    let flags = class_directory(name, sys).and_then(|class| read_hex(&class.join("tun_flags")));
    flags.is_some_and(|flags| flags & IFF_TAP != 0)
}

/// Returns the interface's directory, `None` for a name that no interface can have.
fn class_directory(name: &str, sys: &Path) -> Option<PathBuf> {
    is_interface(name).then(|| sys.join("class/net").join(name))
}

/// Reads a number as sysfs writes flags: hexadecimal, `0x` before it.
pub(super) fn read_hex(path: &Path) -> Option<u32> {
    let text = std::fs::read_to_string(path).ok()?;
    u32::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok()
}

fn is_multicast(name: &str) -> bool {
    name.split_once(':').is_some_and(|(address, port)| {
        let port_is_plain = port.bytes().all(|b| b.is_ascii_digit()) && !port.starts_with('0');
        address.parse::<Ipv4Addr>().is_ok_and(|a| a.is_multicast())
            && port_is_plain
            && port.parse::<u16>().is_ok()
    })
}

/// Parses `<card>v<N>` and `<card>v<N>-<M>`.
fn virtual_functions(name: &str, sys: &Path) -> Option<Interface> {
    let (card, range) = name.rsplit_once('v')?;
    let number = |text: &str| {
        let plain = (1..=3).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| text.parse::<u16>().ok()).flatten()
    };
    let (first, last) = match range.split_once('-') {
        Some((first, last)) => (number(first)?, number(last)?),
        None => (number(range)?, number(range)?),
    };
    let total = class_directory(card, sys)?.join("device/sriov_totalvfs");
    let total: u16 = std::fs::read_to_string(total).ok()?.trim().parse().ok()?;
    (first <= last && last < total).then(|| Interface::SrIov { card: card.to_owned(), first, last })
}

/// Returns the PCI addresses of the virtual functions that exist, in order.
#[must_use]
pub fn function_addresses(card: &str, first: u16, last: u16, sys: &Path) -> Vec<String> {
    let address = |function: u16| {
        let link = class_directory(card, sys)?.join(format!("device/virtfn{function}"));
        let target = std::fs::read_link(link).ok()?;
        Some(target.file_name()?.to_str()?.to_owned())
    };
    (first..=last).filter_map(address).collect()
}

/// What the kernel says of a macvtap interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Macvtap {
    /// Its device.
    pub device: PathBuf,
    /// Its address, which the guest must use.
    pub mac: String,
}

/// Looks at a macvtap interface.
///
/// # Errors
/// When it has no number or address.
pub fn macvtap(name: &str, sys: &Path, dev: &Path) -> Result<Macvtap> {
    let read = |file: &str| {
        let path = sys.join("class/net").join(name).join(file);
        std::fs::read_to_string(&path)
            .map(|text| text.trim().to_owned())
            .map_err(|e| CommandError::failed(e.to_string()).context(format!("reading {}", path.display())))
    };
    let index = read("ifindex")?;
    let mac = super::words::parse_mac(&read("address")?).map_err(CommandError::failed)?;
    Ok(Macvtap { device: dev.join(format!("tap{index}")), mac })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    fn put(root: &Path, path: &str, content: &str) {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn host() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let sys = dir.path();
        put(sys, "class/net/br0/bridge/bridge_id", "x");
        put(sys, "class/net/tap0/tun_flags", "0x1002\n");
        put(sys, "class/net/tun0/tun_flags", "0x1001\n");
        put(sys, "class/net/macvtap0/macvtap/tap7/uevent", "");
        put(sys, "class/net/macvtap0/ifindex", "7\n");
        put(sys, "class/net/macvtap0/address", "02:00:00:AB:cd:01\n");
        put(sys, "class/net/eth0/address", "x");
        put(sys, "class/net/eth1/device/sriov_totalvfs", "8\n");
        for function in [0, 1, 3] {
            let link = sys.join(format!("class/net/eth1/device/virtfn{function}"));
            std::os::unix::fs::symlink(format!("../0000:02:10.{function}"), link).unwrap();
        }
        dir
    }

    #[test]
    fn name_means_what_the_host_has() {
        let host = host();
        let sys = host.path();
        let sr_iov = |first, last| Interface::SrIov { card: "eth1".into(), first, last };
        for (name, expected) in [
            ("user", Interface::User),
            ("passt", Interface::Passt),
            ("br0", Interface::Bridge("br0".into())),
            ("tap0", Interface::Tap("tap0".into())),
            ("macvtap0", Interface::Macvtap("macvtap0".into())),
            ("230.0.0.1:1234", Interface::Multicast("230.0.0.1:1234".into())),
            ("eth1v0", sr_iov(0, 0)),
            ("eth1v2-7", sr_iov(2, 7)),
        ] {
            assert_eq!(Interface::of(name, sys).unwrap(), expected, "{name}");
        }
    }

    #[test]
    fn name_that_means_nothing_is_refused() {
        let host = host();
        for name in [
            "eth0",
            "tun0",
            "nosuch",
            "",
            "..",
            "../net/br0",
            "eth1v8",
            "eth1v5-2",
            "eth0v0",
            "eth1v",
            "10.0.0.1:1234",
            "230.0.0.1:0",
            "230.0.0.1:01",
            "230.0.0.1:99999",
            "300.0.0.1:1",
            "eth1v0-1000",
        ] {
            assert!(Interface::of(name, host.path()).is_err(), "{name}");
        }
    }

    #[test]
    fn vde_switch_is_a_directory_with_a_socket() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_str().unwrap();
        assert!(Interface::of(path, dir.path()).is_err());
        let _socket = UnixListener::bind(dir.path().join("ctl")).unwrap();
        assert_eq!(Interface::of(path, dir.path()).unwrap(), Interface::Vde(path.into()));
    }

    #[test]
    fn functions_that_exist_have_addresses() {
        let host = host();
        assert_eq!(function_addresses("eth1", 1, 7, host.path()), ["0000:02:10.1", "0000:02:10.3"]);
    }

    #[test]
    fn macvtap_has_a_device_and_the_hosts_address() {
        let host = host();
        let found = macvtap("macvtap0", host.path(), Path::new("/dev")).unwrap();
        assert_eq!(found, Macvtap { device: "/dev/tap7".into(), mac: "02:00:00:ab:cd:01".into() });
    }
}
