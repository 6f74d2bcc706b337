//! Values of the command line that are a path or a name with settings behind it: `PATH,serial=S,ro`.
//!
//! Only settings that are known are taken off, from the end, so a path may have commas.

use std::path::PathBuf;
use std::str::FromStr;

use genpack_core::guid::Guid;
use genpack_qemu::machine::ImageFormat;
use serde::{Deserialize, Serialize};

/// Longest serial number of a virtio disk.
const MAX_SERIAL_BYTES: usize = 20;

/// Takes the known settings off the end: `(head, [(key, value)])`, in their order; a word has an empty value.
fn split_settings<'a>(text: &'a str, keys: &[&str], words: &[&str]) -> (&'a str, Vec<(&'a str, &'a str)>) {
    let mut head = text;
    let mut settings = Vec::new();
    while let Some((rest, last)) = head.rsplit_once(',') {
        match last.split_once('=') {
            Some((key, value)) if keys.contains(&key) => settings.push((key, value)),
            None if words.contains(&last) => settings.push((last, "")),
            _ => break,
        }
        head = rest;
    }
    settings.reverse();
    (head, settings)
}

/// A disk: `PATH[,serial=S][,format=raw|qcow2][,ro][,snapshot][,sata]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskWords {
    /// File or block device.
    pub path: PathBuf,
    /// Serial number in the guest.
    pub serial: Option<String>,
    /// It is qcow2.
    pub qcow2: bool,
    /// The guest cannot write to it.
    pub read_only: bool,
    /// What the guest writes is thrown away at the end.
    pub snapshot: bool,
    /// SATA instead of virtio.
    pub sata: bool,
}

impl DiskWords {
    /// Returns a plain disk.
    #[must_use]
    pub fn plain(path: impl Into<PathBuf>, serial: Option<&str>) -> Self {
        Self {
            path: path.into(),
            serial: serial.map(str::to_owned),
            qcow2: false,
            read_only: false,
            snapshot: false,
            sata: false,
        }
    }

    /// Returns the format.
    #[must_use]
    pub const fn format(&self) -> ImageFormat {
        if self.qcow2 { ImageFormat::Qcow2 } else { ImageFormat::Raw }
    }
}

/// Checks a serial number: what QEMU would cut off or the guest could not name is refused.
///
/// # Errors
/// What is allowed.
pub fn check_serial(serial: &str) -> Result<(), &'static str> {
    let plain = serial.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    if plain && !serial.is_empty() && serial.len() <= MAX_SERIAL_BYTES {
        Ok(())
    } else {
        Err("a serial number has 1 to 20 letters, digits, '.', '_' or '-'")
    }
}

impl FromStr for DiskWords {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (path, settings) = split_settings(text, &["serial", "format"], &["ro", "snapshot", "sata"]);
        let mut disk = Self::plain(path, None);
        for (key, value) in settings {
            match (key, value) {
                ("serial", serial) => {
                    check_serial(serial)?;
                    disk.serial = Some(serial.to_owned());
                }
                ("format", "raw") => disk.qcow2 = false,
                ("format", "qcow2") => disk.qcow2 = true,
                ("format", _) => return Err("the format is raw or qcow2"),
                ("ro", _) => disk.read_only = true,
                ("snapshot", _) => disk.snapshot = true,
                _ => disk.sata = true,
            }
        }
        if path.is_empty() { Err("a disk needs a path") } else { Ok(disk) }
    }
}

/// A network card: `INTERFACE[,mac=M][,vhost=on|off][,restrict=on|off]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetWords {
    /// What is behind it, see [`super::network`].
    pub interface: String,
    /// Its address; default: follows from the name.
    pub mac: Option<String>,
    /// The kernel moves the packets where it can.
    pub vhost: bool,
    /// By QEMU's own network the guest reaches nothing but what is forwarded.
    #[serde(default)]
    pub restrict: bool,
}

impl NetWords {
    /// Returns a card with what follows from the machine's name.
    #[must_use]
    pub fn plain(interface: &str) -> Self {
        Self { interface: interface.to_owned(), mac: None, vhost: true, restrict: false }
    }
}

impl FromStr for NetWords {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (interface, settings) = split_settings(text, &["mac", "vhost", "restrict"], &[]);
        let mut net = Self::plain(interface);
        for (key, value) in settings {
            match (key, value) {
                ("mac", mac) => net.mac = Some(parse_mac(mac)?),
                ("vhost", "on" | "off") => net.vhost = value == "on",
                ("restrict", "on" | "off") => net.restrict = value == "on",
                _ => return Err("vhost and restrict are on or off"),
            }
        }
        if interface.is_empty() { Err("a card needs an interface") } else { Ok(net) }
    }
}

/// Checks a card's address and returns it in lower case.
///
/// # Errors
/// What is wrong.
pub fn parse_mac(text: &str) -> Result<String, &'static str> {
    let bytes: Vec<&str> = text.split(':').collect();
    let byte = |b: &&str| b.len() == 2 && b.chars().all(|c| c.is_ascii_hexdigit());
    if bytes.len() != 6 || !bytes.iter().all(byte) {
        return Err("an address is six bytes, as 52:54:00:12:34:56");
    }
    let first = u8::from_str_radix(bytes[0], 16).map_err(|_| "not hexadecimal")?;
    if first & 1 == 1 {
        Err("this is the address of a group, not of a card")
    } else {
        Ok(text.to_lowercase())
    }
}

/// A directory for the guest: `PATH:TAG[:ro][:9p|:virtiofs][:MOUNTPOINT]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareWords {
    /// The directory.
    pub path: PathBuf,
    /// The guest's name of it.
    pub tag: String,
    /// The guest cannot write to it.
    pub read_only: bool,
    /// What carries it; default: virtiofs when its daemon is there.
    pub transport: Option<ShareTransport>,
    /// Where the guest mounts it.
    pub mount_point: Option<String>,
}

/// What carries a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ShareTransport {
    /// A daemon outside QEMU.
    Virtiofs,
    /// QEMU itself.
    NineP,
}

impl FromStr for ShareWords {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut head = text;
        let (mut read_only, mut transport, mut mount_point) = (false, None, None);
        loop {
            let (rest, last) = head.rsplit_once(':').ok_or("write PATH:TAG, as /srv/data:data")?;
            match last {
                "ro" => read_only = true,
                "9p" => transport = Some(ShareTransport::NineP),
                "virtiofs" => transport = Some(ShareTransport::Virtiofs),
                _ if last.starts_with('/') && mount_point.is_none() => mount_point = Some(last.to_owned()),
                tag => {
                    check_tag(tag)?;
                    if rest.is_empty() {
                        return Err("write PATH:TAG, as /srv/data:data");
                    }
                    let path = rest.into();
                    return Ok(Self { path, tag: tag.to_owned(), read_only, transport, mount_point });
                }
            }
            head = rest;
        }
    }
}

/// A mount tag is at most 31 bytes (9p) or 36 (virtiofs), and stands in the guest's fstab.
///
/// # Errors
/// What is allowed.
pub fn check_tag(tag: &str) -> Result<(), &'static str> {
    let plain = tag.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    if plain && (1..=31).contains(&tag.len()) {
        Ok(())
    } else {
        Err("a tag has 1 to 31 letters, digits, '.', '_' or '-'")
    }
}

/// A PCI device: `ID[,multifunction][,vga][,romfile=PATH]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PciWords {
    /// Its address, as `0000:01:00.0`.
    pub id: String,
    /// It has several functions.
    pub multifunction: bool,
    /// It is the guest's VGA card.
    pub vga: bool,
    /// File with its option ROM.
    pub romfile: Option<String>,
}

impl FromStr for PciWords {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (id, mut rest) = text.split_once(',').unwrap_or((text, ""));
        let mut device = Self { id: parse_pci_id(id)?, multifunction: false, vga: false, romfile: None };
        while !rest.is_empty() {
            // A file's path may have commas, so it is the last.
            if let Some(path) = rest.strip_prefix("romfile=") {
                device.romfile = Some(path.to_owned());
                break;
            }
            let (word, after) = rest.split_once(',').unwrap_or((rest, ""));
            match word {
                "multifunction" => device.multifunction = true,
                "vga" => device.vga = true,
                _ => return Err("behind the address stand multifunction, vga and, last, romfile=PATH"),
            }
            rest = after;
        }
        Ok(device)
    }
}

/// Returns the full address of a PCI device; `01:00.0` gets the domain 0000.
///
/// # Errors
/// How an address is written.
pub fn parse_pci_id(text: &str) -> Result<String, &'static str> {
    let full = if text.matches(':').count() == 1 { format!("0000:{text}") } else { text.to_owned() };
    let hex = |text: &str, digits| text.len() == digits && text.chars().all(|c| c.is_ascii_hexdigit());
    let parts: Vec<&str> = full.split([':', '.']).collect();
    let written = full.len() == 12 && full.as_bytes()[10] == b'.';
    match parts[..] {
        [domain, bus, slot, function]
            if written && hex(domain, 4) && hex(bus, 2) && hex(slot, 2) && hex(function, 1) =>
        {
            Ok(full.to_lowercase())
        }
        _ => Err("a PCI address is written 0000:01:00.0"),
    }
}

/// Width and height: `1920x1080`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolution {
    /// Pixels of a line.
    pub width: u32,
    /// Lines.
    pub height: u32,
}

impl FromStr for Resolution {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |text: &str| text.parse().ok().filter(|n| (1..=16384).contains(n));
        let parsed = text.split_once(['x', 'X']).and_then(|(w, h)| Some((number(w)?, number(h)?)));
        parsed.map(|(width, height)| Self { width, height }).ok_or("a resolution is written 1920x1080")
    }
}

/// A name and a value: `KEY=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyValue(pub String, pub String);

impl FromStr for KeyValue {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
        check_fw_key(key)?;
        Ok(Self(key.to_owned(), value.to_owned()))
    }
}

/// Checks a name under which the guest finds a value; QEMU's limit is 55 bytes with the `opt/` before it.
///
/// # Errors
/// What is allowed.
pub fn check_fw_key(key: &str) -> Result<(), &'static str> {
    let plain = key.chars().all(|c| c.is_ascii_graphic() && !",=\"'\\".contains(c));
    if plain && (1..=51).contains(&key.len()) {
        Ok(())
    } else {
        Err("a name has 1 to 51 letters, digits and signs, without comma, '=' and quotes")
    }
}

/// A credential for the guest's systemd: `NAME=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential(pub String, pub String);

impl FromStr for Credential {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
        check_credential(name)?;
        Ok(Self(name.to_owned(), value.to_owned()))
    }
}

/// Checks the name of a credential, which is that of a file in the guest.
///
/// # Errors
/// What is allowed.
pub fn check_credential(name: &str) -> Result<(), &'static str> {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "._-@".contains(c));
    if plain && (1..=255).contains(&name.len()) && !name.starts_with('.') {
        Ok(())
    } else {
        Err("a credential's name has 1 to 255 letters, digits, '.', '_', '-' or '@', and no '.' before them")
    }
}

/// A firmware: `CODE[,vars=FILE]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirmwareWords {
    /// The program; alone it holds its variables, too.
    pub code: PathBuf,
    /// What the variables begin as.
    pub vars: Option<PathBuf>,
}

impl FromStr for FirmwareWords {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (code, settings) = split_settings(text, &["vars"], &[]);
        let vars = settings.last().map(|(_, vars)| *vars);
        if code.is_empty() || vars == Some("") || settings.len() > 1 {
            return Err("write CODE, or CODE,vars=FILE");
        }
        Ok(Self { code: code.into(), vars: vars.map(PathBuf::from) })
    }
}

/// Checks a UUID and returns it in lower case.
///
/// # Errors
/// How one is written.
pub fn parse_uuid(text: &str) -> Result<String, &'static str> {
    let uuid = Guid::parse(text).ok_or("a UUID is written 01234567-89ab-cdef-0123-456789abcdef")?;
    Ok(uuid.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disk_keeps_commas_of_its_path() {
        let disk: DiskWords = "/a,ro,b.img,serial=x1,ro,format=qcow2".parse().unwrap();
        let expected =
            DiskWords { qcow2: true, read_only: true, ..DiskWords::plain("/a,ro,b.img", Some("x1")) };
        assert_eq!(disk, expected);
        assert_eq!("d,snapshot,sata".parse::<DiskWords>().map(|d| (d.snapshot, d.sata)), Ok((true, true)));
        for wrong in
            ["", ",ro", "d,serial=", "d,serial=a b", "d,format=vmdk", "d,serial=123456789012345678901"]
        {
            assert!(wrong.parse::<DiskWords>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn card_has_an_address_of_its_own_when_asked() {
        let card: NetWords = "br0,mac=52:54:00:AA:bb:01,vhost=off".parse().unwrap();
        assert_eq!(card.interface, "br0");
        assert_eq!((card.mac.as_deref(), card.vhost), (Some("52:54:00:aa:bb:01"), false));
        assert!("user,restrict=on".parse::<NetWords>().unwrap().restrict);
        for wrong in [
            "",
            "user,restrict=",
            "br0,vhost=maybe",
            "br0,mac=1",
            "br0,mac=53:54:00:12:34:56",
            "br0,mac=52:54:00:12:34:5g",
        ] {
            assert!(wrong.parse::<NetWords>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn share_is_split_from_its_end() {
        let share: ShareWords = "/srv/a:b:data:ro:9p:/mnt/data".parse().unwrap();
        let expected = ShareWords {
            path: "/srv/a:b".into(),
            tag: "data".into(),
            read_only: true,
            transport: Some(ShareTransport::NineP),
            mount_point: Some("/mnt/data".into()),
        };
        assert_eq!(share, expected);
        for wrong in
            ["", "data", ":data", "/srv:", "/srv:a b", "/srv:ro", "/x:01234567890123456789012345678901"]
        {
            assert!(wrong.parse::<ShareWords>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn pci_device_is_named_in_full() {
        let device: PciWords = "01:00.0,vga,romfile=/a,b.rom".parse().unwrap();
        assert_eq!(device.id, "0000:01:00.0");
        assert_eq!((device.vga, device.multifunction), (true, false));
        assert_eq!(device.romfile.as_deref(), Some("/a,b.rom"));
        for wrong in
            ["", "01:00", "0000:01:00.0,x", "../0000:01:00.0", "0000:01:00:0", "0000.01:00.0", "1:0.0"]
        {
            assert!(wrong.parse::<PciWords>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn resolution_and_names_of_values_are_checked() {
        assert_eq!("1920x1080".parse(), Ok(Resolution { width: 1920, height: 1080 }));
        for wrong in ["1920", "0x1", "axb", "1x99999999999"] {
            assert!(wrong.parse::<Resolution>().is_err(), "{wrong}");
        }
        assert_eq!("a=b=c".parse(), Ok(KeyValue("a".into(), "b=c".into())));
        for wrong in ["a", "=b", "a,b=c"] {
            assert!(wrong.parse::<KeyValue>().is_err(), "{wrong}");
        }
        let name = "ssh.ephemeral-authorized_keys-all";
        assert_eq!(format!("{name}=a=b").parse(), Ok(Credential(name.into(), "a=b".into())));
        for wrong in ["a", "=b", "../a=b", ".a=b", "a/b=c"] {
            assert!(wrong.parse::<Credential>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn firmware_is_one_file_or_two() {
        let words = |code: &str, vars: Option<&str>| FirmwareWords {
            code: code.into(),
            vars: vars.map(PathBuf::from),
        };
        assert_eq!("/a,b.fd".parse(), Ok(words("/a,b.fd", None)));
        assert_eq!("/c,vars=/v,1".parse::<FirmwareWords>(), Ok(words("/c,vars=/v,1", None)));
        assert_eq!("/c,vars=/v".parse(), Ok(words("/c", Some("/v"))));
        for wrong in ["", ",vars=/v", "/c,vars="] {
            assert!(wrong.parse::<FirmwareWords>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn uuid_is_checked_and_written_in_lower_case() {
        let uuid = "C0FFEE00-0000-4000-8000-000000000001";
        assert_eq!(parse_uuid(uuid), Ok(uuid.to_lowercase()));
        for wrong in [
            "",
            "c0ffee00-0000-4000-8000-00000000000",
            "c0ffee00000040008000000000000001",
            "g0ffee00-0000-4000-8000-000000000001",
        ] {
            assert!(parse_uuid(wrong).is_err(), "{wrong}");
        }
    }
}
