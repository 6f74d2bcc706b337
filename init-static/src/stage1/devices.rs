//! The block devices of the machine, and waiting for the right one.
//!
//! Events come first: the netlink socket is open before `/sys` is walked, so a device that appears meanwhile is not
//! missed. Waiting is `poll(2)` with a deadline, never a sleep. Not handled: device mapper, RAID members.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::modules::Modules;
use super::plan::{Device, Kind};
use super::uevent::Uevent;
use crate::report::Log;
use crate::sys::clock;
use crate::tree::{self, Tree};
use genpack_core::disk::gpt::Gpt;
use genpack_core::disk::mbr::{self, Mbr};
use genpack_core::fs::mountable::{self, Found};
use genpack_core::fs::probe;
use genpack_core::source::{ReadAt, ReadError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::netlink::{KOBJECT_UEVENT, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType};

/// The kernel's multicast group; udev's own messages are in the second.
const KERNEL_GROUP: u32 = 1;
/// Largest event; the kernel's own buffer has 2048 bytes.
const MAX_EVENT: usize = 8192;
/// Events of one batch; the rest waits in the socket. A device that reports without end must not hold up a deadline.
const MAX_BATCH: usize = 4096;
/// Directories of `/sys/devices` that are walked; a server has some thousand.
const MAX_WALK: usize = 200_000;
/// Block devices that are looked at.
const MAX_DEVICES: usize = 256;
/// Devices without content of their own, or slow and never ours.
const IGNORED: [&str; 5] = ["loop", "ram", "zram", "fd", "nbd"];
/// Bytes of a sector in `/sys`, whatever the device's own are.
const SECTOR: u64 = 512;
/// Silence that ends the wait for a data device, milliseconds.
const QUIET_MS: u64 = 100;
/// Longest wait for silence, milliseconds.
const MAX_SETTLE_MS: u64 = 2000;

/// Classes of PCI devices whose drivers look for disks for a long time: IDE, RAID, SATA, SAS, USB.
const SLOW: [&[u8]; 5] = [b"bc01sc01", b"bc01sc04", b"bc01sc06", b"bc01sc07", b"bc0Csc03"];

/// A block device as bytes.
pub struct BlockDevice(OwnedFd);

impl BlockDevice {
    /// Opens a device by its name.
    ///
    /// # Errors
    /// The errno of `open(2)`.
    pub fn open(name: &str) -> Result<Self, Errno> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        // Why: some names have a `/` in sysfs written as `!`.
        let node = format!("/dev/{}", name.replace('!', "/"));
        Ok(Self(rustix::fs::open(node.as_str(), flags, Mode::empty())?))
    }
}

impl ReadAt for BlockDevice {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        let (mut offset, mut rest) = (offset, buf);
        while !rest.is_empty() {
            match rustix::io::pread(&self.0, &mut *rest, offset) {
                Ok(0) => return Err(ReadError::EndOfInput),
                Ok(n) => {
                    offset += u64::try_from(n).unwrap_or(0);
                    rest = rest.get_mut(n..).unwrap_or(&mut []);
                }
                Err(Errno::INTR) => {}
                Err(e) => return Err(ReadError::Io(e.raw_os_error())),
            }
        }
        Ok(())
    }

    fn size(&self) -> Result<u64, ReadError> {
        rustix::fs::seek(&self.0, rustix::fs::SeekFrom::End(0)).map_err(|e| ReadError::Io(e.raw_os_error()))
    }
}

/// The devices seen so far, and the socket that tells of new ones.
#[derive(Debug)]
pub struct Devices {
    events: Option<OwnedFd>,
    /// In the order of their names.
    seen: Vec<Device>,
    /// What [`SLOW`] devices ask for and was not loaded yet.
    slow: Vec<String>,
    /// Devices that nobody is to look at again.
    given_up: Vec<String>,
    /// Whether partitions are asked for by their identity in the table.
    part_uuids: bool,
}

/// What a batch of events was about.
#[derive(Debug, Default)]
struct Batch {
    modaliases: Vec<String>,
    block: bool,
    /// Block devices whose content may be another one now.
    changed: Vec<String>,
    /// Events were lost, or there is no socket: everything has to be looked at again.
    lost: bool,
}

impl Devices {
    /// Opens the event socket; without one, waiting looks at `/sys` from time to time.
    #[must_use]
    pub fn open(part_uuids: bool, log: &mut Log) -> Self {
        let events = open_events();
        if let Err(e) = &events {
            log.warning(format_args!("no device events: errno {}", e.raw_os_error()));
        }
        Self { events: events.ok(), seen: Vec::new(), slow: Vec::new(), given_up: Vec::new(), part_uuids }
    }

    /// Returns the devices seen so far.
    #[must_use]
    pub fn seen(&self) -> &[Device] {
        &self.seen
    }

    /// Remembers whether a device has an image.
    pub fn set_has_image(&mut self, name: &str, has_image: bool) {
        if let Some(device) = self.seen.iter_mut().find(|d| d.name == name) {
            device.has_image = Some(has_image);
        }
    }

    /// Loads modules for all devices the machine has but the slow ones, then looks at the block devices.
    pub fn coldplug(&mut self, tree: &Tree, modules: &mut Modules, log: &mut Log) {
        let is_slow = |m: &String| m.as_bytes().windows(8).any(|part| SLOW.contains(&part));
        let (mut slow, mut fast) = (Vec::new(), Vec::new());
        for modalias in modaliases() {
            let list = if is_slow(&modalias) { &mut slow } else { &mut fast };
            list.push(modalias);
        }
        self.slow = slow;
        let new = modules.load_aliases(&fast, log);
        log.info(format_args!("{} kinds of devices, {new} modules loaded for them", fast.len()));
        self.scan(tree, log);
    }

    /// Loads the modules for slow devices, without waiting for what they find; answers whether there was one.
    pub fn load_slow(&mut self, modules: &mut Modules, log: &mut Log) -> bool {
        let slow = core::mem::take(&mut self.slow);
        modules.set_async(true);
        let new = modules.load_aliases(&slow, log);
        modules.set_async(false);
        new > 0
    }

    /// Forgets the devices that do not fit.
    fn keep(&mut self, fits: &dyn Fn(&Device) -> bool) {
        self.seen.retain(fits);
    }

    /// Forgets a device for ever.
    pub fn give_up(&mut self, name: &str) {
        self.keep(&|d| d.name != name);
        self.given_up.push(name.into());
    }

    /// Waits for events at most `timeout_ms`, loads modules for them and looks at new block devices.
    ///
    /// Answers whether anything happened.
    pub fn wait(&mut self, timeout_ms: u64, tree: &Tree, modules: &mut Modules, log: &mut Log) -> bool {
        // Why: without a socket, looking again ten times a second is all that is left.
        let slice = if self.events.is_some() { timeout_ms } else { timeout_ms.min(100) };
        let timeout = Timespec {
            tv_sec: i64::try_from(slice / 1000).unwrap_or(0),
            tv_nsec: i64::try_from(slice % 1000).unwrap_or(0) * 1_000_000,
        };
        let ready = match &self.events {
            Some(events) => poll(&mut [PollFd::new(events, PollFlags::IN)], Some(&timeout)),
            None => poll(&mut [], Some(&timeout)),
        };
        let batch = self.read_events();
        if batch.lost {
            let all = modaliases();
            modules.load_aliases(&all, log);
        }
        if !batch.modaliases.is_empty() {
            modules.load_aliases(&batch.modaliases, log);
        }
        self.keep(&|d| !batch.changed.contains(&d.name));
        if batch.block || batch.lost {
            self.scan(tree, log);
        }
        // Why: without a socket everything is always looked at again; that is news only when time has passed.
        batch.lost && slice > 0 || ready.is_ok_and(|n| n > 0)
    }

    /// Waits until the devices that are on their way have arrived: a short silence, or until `done` says so.
    pub fn settle(
        &mut self,
        tree: &Tree,
        modules: &mut Modules,
        log: &mut Log,
        done: impl Fn(&[Device]) -> bool,
    ) {
        let end = clock::boot_ms() + MAX_SETTLE_MS;
        while !done(&self.seen) && clock::boot_ms() < end && self.wait(QUIET_MS, tree, modules, log) {}
    }

    fn read_events(&self) -> Batch {
        let mut batch = Batch::default();
        let Some(events) = &self.events else { return Batch { lost: true, ..batch } };
        let mut datagram = [0; MAX_EVENT];
        for _ in 0..MAX_BATCH {
            match rustix::net::recv(events, &mut datagram[..], RecvFlags::DONTWAIT) {
                Ok((n, _)) => {
                    let Some(event) = Uevent::parse(datagram.get(..n).unwrap_or(&[])) else { continue };
                    if event.is_block() {
                        batch.block = true;
                        batch.changed.push(event.devname.into());
                    }
                    let known = batch.modaliases.iter().any(|m| m == event.modalias);
                    if event.action == "add" && !event.modalias.is_empty() && !known {
                        batch.modaliases.push(event.modalias.into());
                    }
                }
                Err(Errno::INTR) => {}
                // Why: ENOBUFS says that the kernel dropped events.
                Err(Errno::NOBUFS) => batch.lost = true,
                Err(_) => break,
            }
        }
        batch
    }

    /// Looks at every block device that is new.
    fn scan(&mut self, tree: &Tree, log: &mut Log) {
        let Ok(entries) = tree.list("/sys/class/block") else { return };
        self.keep(&|d| entries.iter().any(|e| e.name == d.name));
        for entry in entries {
            let ignored = IGNORED.iter().any(|prefix| entry.name.starts_with(prefix));
            let ignored = ignored || self.given_up.contains(&entry.name);
            if ignored || self.seen.len() >= MAX_DEVICES || self.seen.iter().any(|d| d.name == entry.name) {
                continue;
            }
            if let Some(device) = look_at(&entry.name, self.part_uuids, tree) {
                log.debug(format_args!(
                    "device {}: {} uuid {} label {}",
                    device.name,
                    device.kind.map_or("-", |kind| kind.mount_type().0),
                    device.uuid.as_deref().unwrap_or("-"),
                    device.label.as_deref().unwrap_or("-")
                ));
                let order = |d: &Device| (d.name.len(), d.name.clone());
                let place = self.seen.partition_point(|d| order(d) < order(&device));
                self.seen.insert(place, device);
            }
        }
    }
}

fn open_events() -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket =
        rustix::net::socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(KOBJECT_UEVENT))?;
    rustix::net::bind(&socket, &SocketAddrNetlink::new(0, KERNEL_GROUP))?;
    // Why: some hundred devices may appear while one slow module loads; root may go beyond the system's limit.
    let _ = rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, 4 << 20);
    Ok(socket)
}

/// Reads name, disk and superblock of a device; `None` when it cannot be read now (no medium, no node yet).
fn look_at(name: &str, part_uuids: bool, tree: &Tree) -> Option<Device> {
    let link = format!("/sys/class/block/{name}");
    let number = |file: &str| tree.read_text(&format!("{link}/{file}"), 64)?.trim().parse::<u64>().ok();
    let bytes = number("size")?.checked_mul(SECTOR)?;
    if bytes == 0 {
        return None;
    }
    let source = BlockDevice::open(name).ok()?;
    // Why: an unreadable disk is a disk without a file system; another one may be fine.
    let Found { filesystem: found, is_foreign } = mountable::probe(&source).unwrap_or_default();
    let mut device = Device {
        name: name.to_string(),
        disk: name.to_string(),
        bytes,
        fs_bytes: found.as_ref().map_or(0, |f| f.bytes),
        kind: found.as_ref().and_then(|f| kind(f.kind)),
        foreign: is_foreign,
        uuid: found.as_ref().and_then(|f| f.uuid.as_ref()).map(|u| u.as_str().to_string()),
        label: found.as_ref().and_then(|f| f.label.as_ref()).map(|l| l.as_str().to_string()),
        ..Device::default()
    };
    if let Some(partition) = number("partition").and_then(|n| u32::try_from(n).ok()) {
        let target = tree.read_link(&link)?;
        device.disk = target.rsplit('/').nth(1)?.to_string();
        device.number = partition;
        device.start = number("start")?.checked_mul(SECTOR)?;
        let event = tree.text(&format!("{link}/uevent"), MAX_EVENT);
        device.part_label = event.lines().find_map(|line| line.strip_prefix("PARTNAME=")).map(String::from);
        if part_uuids {
            device.part_uuid = part_uuid(&device.disk, partition);
        }
    }
    Some(device)
}

/// Reads the identity of a partition, as blkid spells it.
fn part_uuid(disk: &str, number: u32) -> Option<String> {
    let disk = BlockDevice::open(disk).ok()?;
    if let Some(table) = Gpt::open(&disk).ok().flatten() {
        let partition = table.partitions().filter_map(Result::ok).find(|p| p.number == number)?;
        return Some(format!("{}", partition.unique_guid));
    }
    let sector = disk.read_array_at::<{ mbr::LEN }>(0).ok()??;
    let table = Mbr::parse(mbr::Raw::new(&sector)).ok()?;
    Some(format!("{:08x}-{number:02x}", table.disk_signature))
}

fn kind(kind: probe::Kind) -> Option<Kind> {
    match kind {
        probe::Kind::Fat(_) => Some(Kind::Fat),
        probe::Kind::Ext2 | probe::Kind::Ext3 | probe::Kind::Ext4 => Some(Kind::Ext),
        probe::Kind::Btrfs => Some(Kind::Btrfs),
        probe::Kind::Xfs => Some(Kind::Xfs),
        probe::Kind::Squashfs => Some(Kind::Squashfs),
        probe::Kind::Iso9660 => Some(Kind::Iso9660),
        // Nothing that we mount; such a device is only said to be foreign.
        _ => None,
    }
}

/// Collects every modalias below `/sys/devices`, each once; symbolic links are not followed.
fn modaliases() -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut pending: Vec<String> = Vec::from([String::from("/sys/devices")]);
    let mut walked = 0;
    while let Some(directory) = pending.pop() {
        walked += 1;
        if walked > MAX_WALK {
            break;
        }
        let Ok(fd) = rustix::fs::open(directory.as_str(), flags, Mode::empty()) else { continue };
        for entry in tree::list(fd.as_fd()).unwrap_or_default() {
            if entry.kind == FileType::Directory {
                pending.push(format!("{directory}/{}", entry.name));
            } else if entry.name == "modalias"
                && let Some(modalias) = read_modalias(&fd)
                && !found.contains(&modalias)
            {
                found.push(modalias);
            }
        }
    }
    found
}

fn read_modalias(directory: &OwnedFd) -> Option<String> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(directory, "modalias", flags, Mode::empty()).ok()?;
    let mut text = [0; 4096];
    let n = rustix::io::read(&file, &mut text[..]).ok()?;
    let modalias = core::str::from_utf8(text.get(..n)?).ok()?.trim();
    (!modalias.is_empty()).then(|| modalias.into())
}
