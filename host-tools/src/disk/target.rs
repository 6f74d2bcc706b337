//! May this file or device be overwritten?
//!
//! [`gather`] asks the kernel, [`check`] decides on what was found. A disk is refused when it, one of its
//! partitions, or anything that stands on them (RAID, LUKS, LVM) is mounted or swap, when it or a partition is a
//! member of such a stack or of a ZFS pool though nothing uses it now, when it is read-only, and when it is a
//! partition. A file is refused when it backs a loop device or is swap. Not handled: what uses a disk without a mount
//! (Ceph); the kernel refuses that at the exclusive open.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::content::{self, Found};
use super::size::Size;
use crate::command_error::{CommandError, Context, Kind as ErrorKind, Result};

/// Device number: major, minor.
pub type DeviceNumber = (u32, u32);

/// What the target is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing yet: a file will be made.
    Missing,
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A block device.
    Device,
    /// A socket, pipe or character device.
    Other,
}

/// What was found about a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The path as it was given.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
    /// Its length in bytes.
    pub bytes: u64,
    /// Bytes of a logical sector; 512 for a file.
    pub sector_bytes: u32,
    /// It cannot be written.
    pub read_only: bool,
    /// It is a partition, not a disk.
    pub partition: bool,
    /// Where it, or something on it, is mounted.
    pub mounts: Vec<String>,
    /// Swap areas that are it or lie on it.
    pub swaps: Vec<String>,
    /// Devices that stand on it: RAID, LUKS, LVM.
    pub holders: Vec<String>,
    /// What is on a device now; members of RAID, LUKS, LVM, ZFS, bcache and BitLocker among it, in use or not.
    pub content: Vec<Found>,
    /// Loop devices that read it.
    pub loops: Vec<String>,
    /// Vendor and model.
    pub model: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// How a device is attached: `usb`, `mmc`, `sata` …
    pub transport: Option<&'static str>,
    /// Made to be taken out.
    pub removable: bool,
    /// Device number.
    pub number: Option<DeviceNumber>,
    /// Permission bits of a file.
    pub mode: Option<u32>,
}

impl Facts {
    fn of(path: &Path, kind: Kind, bytes: u64) -> Self {
        Self {
            path: path.to_owned(),
            kind,
            bytes,
            sector_bytes: 512,
            read_only: false,
            partition: false,
            mounts: Vec::new(),
            swaps: Vec::new(),
            holders: Vec::new(),
            content: Vec::new(),
            loops: Vec::new(),
            model: None,
            serial: None,
            transport: None,
            removable: false,
            number: None,
            mode: None,
        }
    }
}

/// Decides whether the target may be overwritten.
///
/// # Errors
/// A refusal that names what was found.
pub fn check(facts: &Facts) -> Result<()> {
    let refuse = |what: String, hint: &str| {
        Err(CommandError::refused(format!("{} {what}", facts.path.display())).hint(hint))
    };
    match facts.kind {
        Kind::Directory => return refuse("is a directory".into(), "name a file in it, for example disk.img"),
        Kind::Other => {
            return refuse("is neither a disk nor a regular file".into(), "name a disk or a file");
        }
        Kind::Missing | Kind::File | Kind::Device => {}
    }
    let joined = |names: &[String]| names.join(", ");
    if !facts.mounts.is_empty() {
        return refuse(format!("is mounted on {}", joined(&facts.mounts)), "unmount it first");
    }
    if !facts.swaps.is_empty() {
        return refuse(format!("is in use as swap ({})", joined(&facts.swaps)), "run swapoff first");
    }
    if !facts.holders.is_empty() {
        return refuse(format!("is in use by {}", joined(&facts.holders)), "stop what uses it first");
    }
    let members: Vec<String> = facts.content.iter().filter(|f| f.is_member).map(Found::to_string).collect();
    if !members.is_empty() {
        return refuse(
            format!("holds {}", joined(&members)),
            "if nothing needs it any more, wipefs --all on what was named clears it",
        );
    }
    if !facts.loops.is_empty() {
        return refuse(
            format!("is in use by the loop device {}", joined(&facts.loops)),
            "detach it first with losetup -d",
        );
    }
    if facts.partition {
        return refuse("is a partition".into(), "name the whole disk");
    }
    if facts.read_only {
        return refuse("is read-only".into(), "check the switch on the card, or the permissions");
    }
    Ok(())
}

/// Decides whether a device is a card or stick, as `flash` expects one.
///
/// # Errors
/// A refusal for a disk that is built in or larger than cards are; `--force` takes it all the same.
pub fn check_is_portable(facts: &Facts) -> Result<()> {
    const LARGEST: u64 = 2_000_000_000_000;
    if facts.kind != Kind::Device {
        return Ok(());
    }
    let is_portable = facts.removable || matches!(facts.transport, Some("usb" | "mmc" | "loop"));
    let what = match (is_portable, facts.bytes > LARGEST) {
        (true, false) => return Ok(()),
        (false, _) => "seems to be built in".to_owned(),
        (true, true) => format!("has {}, more than cards and sticks have", Size(facts.bytes)),
    };
    Err(CommandError::refused(format!("{} {what}", facts.path.display()))
        .hint("genpack-host install --disk is for such disks; --force takes it all the same"))
}

/// Finds out about a target.
///
/// # Errors
/// When the parent directory is missing, or the kernel does not tell.
pub fn gather(path: &Path) -> Result<Facts> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return missing(path),
        Err(e) => {
            return Err(CommandError::new(ErrorKind::Failed, e.to_string())
                .context(format!("looking at {}", path.display())));
        }
    };
    let file_type = metadata.file_type();
    let mut facts = if file_type.is_block_device() {
        device(path, number(metadata.rdev()))?
    } else {
        let kind = match () {
            () if file_type.is_dir() => Kind::Directory,
            () if file_type.is_file() => Kind::File,
            () => Kind::Other,
        };
        Facts::of(path, kind, metadata.len())
    };
    if facts.kind == Kind::File {
        // What a link points to is replaced, not the link.
        let file = fs::canonicalize(path).with_context(|| format!("resolving {}", path.display()))?;
        if fs::symlink_metadata(path).is_ok_and(|m| m.is_symlink()) {
            facts.path.clone_from(&file);
        }
        facts.mode = Some(metadata.mode() & 0o777);
        facts.loops = loops_on(&file);
        let identity = (metadata.dev(), metadata.ino());
        facts.swaps = swaps(&read("/proc/swaps")?)
            .into_iter()
            .filter(|swap| fs::metadata(swap).is_ok_and(|m| (m.dev(), m.ino()) == identity))
            .collect();
        facts.read_only = rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_err();
    }
    Ok(facts)
}

/// Opens a device for us alone: the kernel refuses one that anything uses, also what [`gather`] did not think of. What
/// was opened must be what was looked at: a name may mean another disk by now.
///
/// # Errors
/// A refusal when it is in use, read-only or another disk; a failure without the right to write it.
pub fn open_exclusively(facts: &Facts) -> Result<File> {
    let path = &facts.path;
    let disk = open_for_us(path)?;
    let what = || format!("looking at {} again", path.display());
    let metadata = disk.metadata().with_context(what)?;
    let bytes = rustix::fs::seek(&disk, rustix::fs::SeekFrom::End(0)).with_context(what)?;
    let is_same = metadata.file_type().is_block_device()
        && facts.number == Some(number(metadata.rdev()))
        && facts.bytes == bytes;
    if is_same {
        return Ok(disk);
    }
    Err(CommandError::refused("it is not the disk that was there a moment ago")
        .context(what())
        .hint("list the disks again: genpack-host install --disk list"))
}

fn open_for_us(path: &Path) -> Result<File> {
    let opened = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(rustix::fs::OFlags::EXCL.bits().cast_signed())
        .open(path);
    opened.map_err(|e| {
        let what = format!("opening {} for us alone", path.display());
        let (kind, hint) = match e.kind() {
            std::io::ErrorKind::PermissionDenied => (ErrorKind::Failed, "run it as root"),
            std::io::ErrorKind::ResourceBusy => (ErrorKind::Refused, "stop what uses it first"),
            std::io::ErrorKind::ReadOnlyFilesystem => (ErrorKind::Refused, "check the switch on the card"),
            _ => (ErrorKind::Failed, "check that the disk is still there"),
        };
        CommandError::new(kind, e.to_string()).context(what).hint(hint)
    })
}

fn missing(path: &Path) -> Result<Facts> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if !parent.is_dir() {
        return Err(CommandError::failed(format!("there is no directory {}", parent.display()))
            .context(format!("creating {}", path.display()))
            .hint("make it first, or check the path"));
    }
    // Why: a typing error in /dev would make a file in memory that looks like a flashed card.
    if fs::canonicalize(parent).is_ok_and(|parent| parent.starts_with("/dev")) && !parent.ends_with("shm") {
        return Err(CommandError::refused(format!("there is no device {}", path.display()))
            .hint("list the disks: genpack-host install --disk list"));
    }
    Ok(Facts::of(path, Kind::Missing, 0))
}

fn device(path: &Path, number: DeviceNumber) -> Result<Facts> {
    let sys = sys_path(number)?;
    let text = |name: &str| fs::read_to_string(sys.join(name)).ok().map(|t| t.trim().to_owned());
    let sectors = text("size").and_then(|t| t.parse::<u64>().ok()).unwrap_or(0);
    let mut facts = Facts::of(path, Kind::Device, sectors.saturating_mul(512));
    facts.sector_bytes =
        text("queue/logical_block_size").and_then(|t| t.parse().ok()).unwrap_or(facts.sector_bytes);
    facts.read_only = text("ro").is_some_and(|t| t != "0");
    facts.partition = sys.join("partition").exists();
    facts.number = Some(number);
    facts.model = [text("device/vendor"), text("device/model").or_else(|| text("device/name"))]
        .into_iter()
        .flatten()
        .reduce(|a, b| a + " " + &b);
    facts.serial = text("device/serial").or_else(|| text("serial")).filter(|serial| !serial.is_empty());
    facts.removable = text("removable").is_some_and(|t| t == "1");
    facts.transport = transport(&sys);
    let mut family = BTreeSet::new();
    collect_family(&sys, &mut family, &mut facts.holders);
    facts.mounts = mounts(&read("/proc/self/mountinfo")?)
        .into_iter()
        // Why both: btrfs shows a made-up number and the true device as the source.
        .filter(|m| {
            family.contains(&m.number) || source_number(&m.source).is_some_and(|n| family.contains(&n))
        })
        .map(|m| m.point)
        .collect();
    facts.swaps = swaps(&read("/proc/swaps")?)
        .into_iter()
        .filter(|swap| source_number(swap).is_some_and(|n| family.contains(&n)))
        .collect();
    // Without the right to read it there is none to write it; then the exclusive open says so.
    if let Ok(disk) = File::open(path) {
        let found = content::find(&disk).map_err(|e| CommandError::failed(e.to_string()));
        facts.content = found.map_err(|e| e.context(format!("reading {}", path.display())))?;
    }
    Ok(facts)
}

/// Returns how a device is attached, by its place in the tree of devices.
fn transport(sys: &Path) -> Option<&'static str> {
    let path = sys.to_string_lossy();
    // The order matters: a stick is a SCSI disk, and its hub hangs on PCI like everything.
    let places = [
        ("/usb", "usb"),
        ("/mmc_host/", "mmc"),
        ("/nvme", "nvme"),
        ("/virtio", "virtio"),
        ("/ata", "sata"),
        ("/virtual/block/loop", "loop"),
    ];
    places.into_iter().find(|(place, _)| path.contains(place)).map(|(_, name)| name)
}

/// Adds the device, its partitions and everything that stands on them, however deep.
fn collect_family(sys: &Path, family: &mut BTreeSet<DeviceNumber>, holders: &mut Vec<String>) {
    let number = fs::read_to_string(sys.join("dev")).ok().and_then(|t| parse_number(t.trim()));
    if number.is_none_or(|number| !family.insert(number)) {
        return;
    }
    for holder in entries(&sys.join("holders")) {
        holders.extend(holder.file_name().map(|n| n.to_string_lossy().into_owned()));
        if let Ok(holder) = fs::canonicalize(&holder) {
            collect_family(&holder, family, holders);
        }
    }
    for child in entries(sys).into_iter().filter(|child| child.join("partition").exists()) {
        collect_family(&child, family, holders);
    }
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    // A directory that is not there has no entries; /sys shows only what exists.
    let mut paths: Vec<PathBuf> =
        fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn sys_path((major, minor): DeviceNumber) -> Result<PathBuf> {
    let link = format!("/sys/dev/block/{major}:{minor}");
    fs::canonicalize(&link).with_context(|| format!("looking for the disk in {link}"))
}

fn source_number(source: &str) -> Option<DeviceNumber> {
    let metadata = fs::metadata(source).ok()?;
    metadata.file_type().is_block_device().then(|| number(metadata.rdev()))
}

fn number(dev: u64) -> DeviceNumber {
    (rustix::fs::major(dev), rustix::fs::minor(dev))
}

fn loops_on(file: &Path) -> Vec<String> {
    entries(Path::new("/sys/block"))
        .into_iter()
        .filter(|sys| {
            fs::read_to_string(sys.join("loop/backing_file"))
                .is_ok_and(|text| Path::new(text.trim_end()) == file)
        })
        .filter_map(|sys| sys.file_name().map(|name| name.to_string_lossy().into_owned()))
        .collect()
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("reading {path}"))
}

/// A line of mountinfo.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    number: DeviceNumber,
    point: String,
    source: String,
}

/// Parses `/proc/self/mountinfo` (proc_pid_mountinfo(5)); lines of another shape are passed over.
fn mounts(text: &str) -> Vec<Mount> {
    let mount = |line: &str| {
        let (before, after) = line.split_once(" - ")?;
        let mut fields = before.split(' ');
        let number = parse_number(fields.nth(2)?)?;
        Some(Mount { number, point: unescape(fields.nth(1)?), source: unescape(after.split(' ').nth(1)?) })
    };
    text.lines().filter_map(mount).collect()
}

/// Parses `/proc/swaps`: the first column below the header.
fn swaps(text: &str) -> Vec<String> {
    text.lines().skip(1).filter_map(|line| line.split_whitespace().next()).map(unescape).collect()
}

fn parse_number(text: &str) -> Option<DeviceNumber> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Returns a field of /proc with `\040` and its like turned into the characters.
fn unescape(field: &str) -> String {
    let mut parts = field.split('\\');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(code) => {
                out.push(char::from(code));
                out.push_str(part.get(3..).unwrap_or_default());
            }
            None => {
                out.push('\\');
                out.push_str(part);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mountinfo_and_swaps_are_read() {
        let text = "36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 - ext3 /dev/root\\040x rw,errors=continue\n\
                    40 35 0:44 / /data rw - btrfs /dev/sdb2 rw\nnonsense\n";
        let mount =
            |number, point: &str, source: &str| Mount { number, point: point.into(), source: source.into() };
        assert_eq!(
            mounts(text),
            [mount((98, 0), "/mnt 2", "/dev/root x"), mount((0, 44), "/data", "/dev/sdb2")]
        );
        let text =
            "Filename Type Size Used Priority\n/dev/sda3 partition 1 0 -2\n/swap\\040file file 1 0 -3\n";
        assert_eq!(swaps(text), ["/dev/sda3", "/swap file"]);
    }

    #[test]
    fn every_danger_is_refused_and_named() {
        let disk = Facts { bytes: 1 << 33, ..Facts::of(Path::new("/dev/sdx"), Kind::Device, 0) };
        assert!(check(&disk).is_ok());
        let one = |name: &str| vec![name.to_owned()];
        let cases = [
            (Facts { kind: Kind::Directory, ..disk.clone() }, "/dev/sdx is a directory"),
            (Facts { kind: Kind::Other, ..disk.clone() }, "/dev/sdx is neither a disk nor a regular file"),
            (Facts { mounts: one("/media"), ..disk.clone() }, "/dev/sdx is mounted on /media"),
            (Facts { swaps: one("/dev/sdx2"), ..disk.clone() }, "/dev/sdx is in use as swap (/dev/sdx2)"),
            (Facts { holders: one("dm-0"), ..disk.clone() }, "/dev/sdx is in use by dm-0"),
            (
                Facts {
                    content: vec![Found {
                        kind: Some("LVM2_member".into()),
                        label: None,
                        partition: Some(2),
                        bytes: 1,
                        is_member: true,
                    }],
                    ..disk.clone()
                },
                "/dev/sdx holds LVM2_member on partition 2",
            ),
            (Facts { loops: one("loop0"), ..disk.clone() }, "/dev/sdx is in use by the loop device loop0"),
            (Facts { partition: true, ..disk.clone() }, "/dev/sdx is a partition"),
            (Facts { read_only: true, ..disk.clone() }, "/dev/sdx is read-only"),
        ];
        for (facts, message) in cases {
            let error = check(&facts).unwrap_err();
            assert_eq!((error.kind, error.to_string().as_str()), (ErrorKind::Refused, message));
            assert!(error.hint.is_some());
        }
    }

    #[test]
    fn disks_that_are_built_in_or_huge_need_force() {
        let disk = Facts { bytes: 1 << 33, ..Facts::of(Path::new("/dev/sdx"), Kind::Device, 0) };
        let usb = Facts { transport: Some("usb"), ..disk.clone() };
        for (facts, is_portable) in [
            (Facts::of(Path::new("disk.img"), Kind::File, 1 << 50), true),
            (usb.clone(), true),
            (Facts { bytes: 3_000_000_000_000, ..usb.clone() }, false),
            (Facts { transport: Some("mmc"), ..disk.clone() }, true),
            (Facts { removable: true, ..disk.clone() }, true),
            (Facts { transport: Some("nvme"), ..disk.clone() }, false),
            (disk, false),
        ] {
            assert_eq!(check_is_portable(&facts).is_ok(), is_portable, "{facts:?}");
        }
    }

    #[test]
    fn transport_is_read_from_the_place_of_the_device() {
        for (path, transport) in [
            (
                "/sys/devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host4/target4:0:0/4:0:0:0/block/sdb",
                Some("usb"),
            ),
            ("/sys/devices/pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block/sda", Some("sata")),
            (
                "/sys/devices/platform/emmc2bus/fe340000.mmc/mmc_host/mmc0/mmc0:aaaa/block/mmcblk0",
                Some("mmc"),
            ),
            ("/sys/devices/virtual/block/loop3", Some("loop")),
            ("/sys/devices/virtual/block/dm-0", None),
        ] {
            assert_eq!(super::transport(Path::new(path)), transport, "{path}");
        }
    }

    #[test]
    fn missing_target_needs_its_directory() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(gather(&dir.path().join("disk.img")).unwrap().kind, Kind::Missing);
        assert_eq!(gather(&dir.path().join("no/disk.img")).unwrap_err().kind, ErrorKind::Failed);
        assert_eq!(gather(Path::new("/dev/no-such-disk")).unwrap_err().kind, ErrorKind::Refused);
        assert_eq!(gather(dir.path()).unwrap().kind, Kind::Directory);
    }
}
