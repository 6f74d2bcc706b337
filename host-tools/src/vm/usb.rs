//! USB devices of the host, read from sysfs (no privileges needed), and which of them a query means.
//!
//! A query is `VVVV:PPPP`, `serial=…`, `port=1-2.3`, or XPath over the document that `vm usb` prints. Root hubs are
//! left out. Kernel documentation: `ABI/testing/sysfs-bus-usb`. Not handled: devices plugged in later.

use std::fmt::Write as _;
use std::path::Path;

use genpack_qemu::machine::UsbDevice;
use serde::{Deserialize, Serialize};

use crate::command_error::{CommandError, Context, Result};

mod xpath;

/// Class of hubs.
const HUB_CLASS: u32 = 9;
/// Vendor of Linux' root hubs.
const LINUX_FOUNDATION: &str = "1d6b";

/// A device that is plugged in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// Number of its bus.
    pub bus: u16,
    /// Its number on the bus; another one each time it is plugged in.
    pub number: u16,
    /// Port path, as `2.3`.
    pub port: String,
    /// Serial number.
    pub serial: Option<String>,
    /// What the document says of it, in its order.
    pub attributes: Vec<(&'static str, String)>,
}

impl Device {
    /// Returns the device's file.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/dev/bus/usb/{:03}/{:03}", self.bus, self.number)
    }

    /// Returns an attribute of the document.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
    }

    /// Returns how QEMU finds it.
    #[must_use]
    pub fn for_qemu(&self) -> UsbDevice {
        UsbDevice { bus: self.bus, port: self.port.clone() }
    }
}

/// Reads all devices, by bus and number.
///
/// # Errors
/// When the host has no USB.
pub fn devices(sys: &Path) -> Result<Vec<Device>> {
    let directory = sys.join("bus/usb/devices");
    let entries =
        std::fs::read_dir(&directory).with_context(|| format!("reading {}", directory.display()))?;
    // A device that is unplugged in this moment has no files any more, and is no device.
    let mut all: Vec<Device> = entries.flatten().filter_map(|entry| device(&entry.path())).collect();
    all.sort_by_key(|d| (d.bus, d.number));
    Ok(all)
}

fn device(path: &Path) -> Option<Device> {
    let read = |name: &str| std::fs::read_to_string(path.join(name)).ok().map(|t| t.trim().to_owned());
    let (_, port) = path.file_name()?.to_str()?.split_once('-')?;
    if port.contains(':') {
        // An interface of a device.
        return None;
    }
    let (bus, number): (u16, u16) = (read("busnum")?.parse().ok()?, read("devnum")?.parse().ok()?);
    let hex = |name: &str| u32::from_str_radix(&read(name)?, 16).ok();
    let class = hex("bDeviceClass")?;
    let (vendor, product) = (read("idVendor")?, read("idProduct")?);
    if class == HUB_CLASS && vendor == LINUX_FOUNDATION {
        return None;
    }
    // sysfs writes 2.00 for the descriptor's 0200.
    let version = read("version").unwrap_or_default().replace('.', "");
    let mut found =
        Device { bus, number, port: port.to_owned(), serial: read("serial"), attributes: Vec::new() };
    let mut attributes = vec![
        ("path", found.path()),
        ("id", format!("{bus:03}:{number:03}")),
        ("bus_id", bus.to_string()),
        ("device_id", number.to_string()),
        ("vendor_id", vendor),
        ("product_id", product),
        ("device_revision", read("bcdDevice").unwrap_or_default()),
        ("device_class", class.to_string()),
        ("device_subclass", hex("bDeviceSubClass").unwrap_or_default().to_string()),
        ("usb_version", format!("{version:0>4}")),
        ("speed", speed(&read("speed").unwrap_or_default()).to_owned()),
        ("port", format!("{bus}-{port}")),
    ];
    for (name, file) in [("serial", "serial"), ("vendor_name", "manufacturer"), ("product_name", "product")] {
        attributes.extend(read(file).filter(|value| !value.is_empty()).map(|value| (name, value)));
    }
    found.attributes = attributes;
    Some(found)
}

fn speed(megabits: &str) -> &'static str {
    match megabits {
        "1.5" => "Low (1.5 Mbps)",
        "12" => "Full (12 Mbps)",
        "480" => "High (480 Mbps)",
        "5000" => "Super (5 Gbps)",
        _ => "Unknown",
    }
}

/// Which devices are meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query(String);

impl std::str::FromStr for Query {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match Form::of(text) {
            Form::XPath => xpath::Path::parse(text).map(drop)?,
            Form::Id | Form::Serial(_) | Form::Port(_) => {}
        }
        Ok(Self(text.to_owned()))
    }
}

enum Form<'a> {
    Id,
    Serial(&'a str),
    Port(&'a str),
    XPath,
}

impl<'a> Form<'a> {
    fn of(text: &'a str) -> Self {
        let hex4 = |part: &str| part.len() == 4 && part.chars().all(|c| c.is_ascii_hexdigit());
        if let Some(serial) = text.strip_prefix("serial=") {
            Self::Serial(serial)
        } else if let Some(port) = text.strip_prefix("port=") {
            Self::Port(port)
        } else if text.split_once(':').is_some_and(|(vendor, product)| hex4(vendor) && hex4(product)) {
            Self::Id
        } else {
            Self::XPath
        }
    }
}

impl Query {
    /// Returns it as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the devices that are meant, each once, in the order of `devices`.
    ///
    /// # Errors
    /// When the query is none; that was checked when it was made.
    pub fn choose<'a>(&self, devices: &'a [Device]) -> Result<Vec<&'a Device>> {
        let id = |d: &Device| {
            let part = |name| d.attribute(name).unwrap_or_default();
            format!("{}:{}", part("vendor_id"), part("product_id")).eq_ignore_ascii_case(&self.0)
        };
        Ok(match Form::of(&self.0) {
            Form::Id => devices.iter().filter(|d| id(d)).collect(),
            Form::Serial(serial) => devices.iter().filter(|d| d.serial.as_deref() == Some(serial)).collect(),
            Form::Port(port) => devices.iter().filter(|d| d.attribute("port") == Some(port)).collect(),
            Form::XPath => {
                let path = xpath::Path::parse(&self.0).map_err(CommandError::usage)?;
                path.choose(devices).into_iter().map(|at| &devices[at]).collect()
            }
        })
    }
}

/// Returns the document that XPath queries ask.
#[must_use]
pub fn document(devices: &[Device]) -> String {
    let mut xml = String::from("<usb>\n");
    for (bus, on_bus) in by_bus(devices) {
        // Writing to a string cannot fail.
        let _ = writeln!(xml, "  <bus path=\"/dev/bus/usb/{bus:03}\" id=\"{bus:03}\">");
        for at in on_bus {
            xml.push_str("    <device");
            for (name, value) in &devices[at].attributes {
                let _ = write!(xml, " {name}=\"{}\"", escape(value));
            }
            xml.push_str("/>\n");
        }
        xml.push_str("  </bus>\n");
    }
    xml + "</usb>\n"
}

/// Returns the buses and the indices of their devices.
fn by_bus(devices: &[Device]) -> Vec<(u16, Vec<usize>)> {
    let mut buses: Vec<(u16, Vec<usize>)> = Vec::new();
    for (at, device) in devices.iter().enumerate() {
        match buses.iter_mut().find(|(bus, _)| *bus == device.bus) {
            Some((_, on_bus)) => on_bus.push(at),
            None => buses.push((device.bus, vec![at])),
        }
    }
    buses
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => out.push(char::REPLACEMENT_CHARACTER),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Puts a device into a fake sysfs.
    pub(crate) fn put(sys: &Path, name: &str, files: &[(&str, &str)]) {
        let path = sys.join("bus/usb/devices").join(name);
        std::fs::create_dir_all(&path).unwrap();
        for (file, content) in files {
            std::fs::write(path.join(file), format!("{content}\n")).unwrap();
        }
    }

    fn host() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let device =
            |name: &str, bus: &str, number: &str, vendor: &str, class: &str, more: &[(&str, &str)]| {
                put(
                    dir.path(),
                    name,
                    &[
                        ("busnum", bus),
                        ("devnum", number),
                        ("idVendor", vendor),
                        ("idProduct", "c52b"),
                        ("bDeviceClass", class),
                        ("bDeviceSubClass", "00"),
                        ("bcdDevice", "0100"),
                        ("version", " 2.00"),
                        ("speed", "480"),
                    ],
                );
                put(dir.path(), name, more);
            };
        device("usb1", "1", "1", "1d6b", "09", &[]);
        device("1-2", "1", "4", "046d", "00", &[("manufacturer", "Logi & \"Co\""), ("product", "Receiver")]);
        device("1-2:1.0", "1", "4", "046d", "00", &[]);
        device("1-4.1", "1", "7", "0951", "00", &[("serial", "A1B2"), ("manufacturer", "Kingston")]);
        device("2-1", "2", "2", "05e3", "09", &[("product", "Hub")]);
        put(dir.path(), "3-1", &[("busnum", "3")]);
        dir
    }

    fn chosen(query: &str) -> Vec<String> {
        let host = host();
        let all = devices(host.path()).unwrap();
        let query: Query = query.parse().unwrap();
        query.choose(&all).unwrap().iter().map(|d| d.attribute("port").unwrap().to_owned()).collect()
    }

    #[test]
    fn devices_are_those_that_are_plugged_in() {
        let host = host();
        let all = devices(host.path()).unwrap();
        assert_eq!(
            all.iter().map(Device::path).collect::<Vec<_>>(),
            ["/dev/bus/usb/001/004", "/dev/bus/usb/001/007", "/dev/bus/usb/002/002"]
        );
        assert_eq!(all[1].for_qemu(), UsbDevice { bus: 1, port: "4.1".into() });
        assert!(devices(Path::new("/nonexistent")).is_err());
    }

    #[test]
    fn document_has_every_attribute_escaped() {
        let host = host();
        let xml = document(&devices(host.path()).unwrap()[..1]);
        assert_eq!(
            xml,
            "<usb>\n  <bus path=\"/dev/bus/usb/001\" id=\"001\">\n    <device path=\"/dev/bus/usb/001/004\" \
             id=\"001:004\" bus_id=\"1\" device_id=\"4\" vendor_id=\"046d\" product_id=\"c52b\" \
             device_revision=\"0100\" device_class=\"0\" device_subclass=\"0\" usb_version=\"0200\" \
             speed=\"High (480 Mbps)\" port=\"1-2\" vendor_name=\"Logi &amp; &quot;Co&quot;\" \
             product_name=\"Receiver\"/>\n  </bus>\n</usb>\n"
        );
    }

    #[test]
    fn query_means_by_id_serial_and_port() {
        for (query, expected) in [
            ("046D:c52b", &["1-2"][..]),
            ("serial=A1B2", &["1-4.1"]),
            ("port=2-1", &["2-1"]),
            ("ffff:ffff", &[]),
        ] {
            assert_eq!(chosen(query), expected, "{query}");
        }
    }

    #[test]
    fn query_means_by_xpath() {
        for (query, expected) in [
            ("//device[@vendor_id='046d' and @product_id='c52b']", &["1-2"][..]),
            ("//device[contains(@vendor_name,'King')]", &["1-4.1"]),
            ("//device[starts-with(@vendor_name, \"Logi\") or @device_class='9']", &["1-2", "2-1"]),
            ("/usb/bus[@id='001']/device", &["1-2", "1-4.1"]),
            ("//device[1]", &["1-2", "2-1"]),
            ("//bus[2]/device[last()]", &["2-1"]),
            ("//device[not(@serial)]", &["1-2", "2-1"]),
            ("//device[@device_id > 3][@device_id<7]", &["1-2"]),
            ("//device[@vendor_id != '046d']", &["1-4.1", "2-1"]),
            ("bus/device[position()=2]", &["1-4.1"]),
            ("//bus", &[]),
            ("//*[@serial]", &["1-4.1"]),
            ("device", &[]),
        ] {
            assert_eq!(chosen(query), expected, "{query}");
        }
    }

    #[test]
    fn query_that_is_none_is_refused_with_its_place() {
        for query in [
            "",
            "//",
            "//device[",
            "//device[@a='",
            "//device[foo(@a)]",
            "//device]",
            "1234",
            "//device[@a=]",
        ] {
            assert!(query.parse::<Query>().is_err(), "{query}");
        }
        let deep = format!("//device[{}@a{}]", "(".repeat(10_000), ")".repeat(10_000));
        assert!(deep.parse::<Query>().is_err());
    }
}
