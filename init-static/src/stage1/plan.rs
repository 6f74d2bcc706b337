//! What stage 1 decides: which device to boot from, where data lives, which image, in which order everything happens.
//!
//! Pure functions from what was seen to lists of operations; the rules are in `docs/contract.md`. Nothing is guessed:
//! a partition is ours when its UUID or label says so. Not handled: LVM, LUKS, RAID.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::exitrd::plan::Verb;
use crate::fault::Fault;
use crate::op::{Flag, Mount, Op, Step};
use genpack_core::contract::boot_state::Image;
use genpack_core::contract::{labels, paths};
use genpack_core::fs::fat::dos_time::DosTime;

/// What kind of file system is on a device; what we cannot mount is not named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// FAT12, FAT16 or FAT32.
    Fat,
    /// ISO 9660.
    Iso9660,
    /// ext2, ext3 or ext4.
    Ext,
    /// btrfs
    Btrfs,
    /// XFS
    Xfs,
    /// A system image.
    Squashfs,
}

impl Kind {
    /// Returns the type name that mount(2) takes, and the modules that may have to be loaded first.
    #[must_use]
    pub const fn mount_type(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Fat => ("vfat", &["vfat", "nls_cp437", "nls_ascii", "nls_iso8859-1", "nls_utf8"]),
            Self::Iso9660 => ("iso9660", &["isofs"]),
            Self::Ext => ("ext4", &["ext4"]),
            Self::Btrfs => ("btrfs", &["btrfs"]),
            Self::Xfs => ("xfs", &["xfs"]),
            Self::Squashfs => ("squashfs", &["squashfs"]),
        }
    }

    /// Tells whether a writable layer can live on it.
    #[must_use]
    pub const fn can_hold_data(self) -> bool {
        matches!(self, Self::Ext | Self::Btrfs | Self::Xfs)
    }
}

/// A block device as it was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// Name below `/dev`.
    pub name: String,
    /// Name of the whole disk; the same for a whole disk.
    pub disk: String,
    /// Number of the partition, 0 for a whole disk.
    pub number: u32,
    /// Where the partition begins on its disk, bytes.
    pub start: u64,
    /// Size, bytes.
    pub bytes: u64,
    /// Size that the file system claims, bytes; 0 when it claims none.
    pub fs_bytes: u64,
    /// Whether there is something on it that we know and do not mount.
    pub foreign: bool,
    /// Name in the partition table.
    pub part_label: Option<String>,
    /// Identity in the partition table; only looked for when it is asked for.
    pub part_uuid: Option<String>,
    /// File system, when we know it.
    pub kind: Option<Kind>,
    /// UUID as blkid spells it.
    pub uuid: Option<String>,
    /// Label of the file system.
    pub label: Option<String>,
    /// Whether `/system.img` is on it; `None` when nobody looked.
    pub has_image: Option<bool>,
}

impl Device {
    /// Returns the path of the node.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/dev/{}", self.name)
    }
}

/// What `root=` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    /// The boot partition with this UUID.
    BootPartition(String),
    /// Whichever FAT has an image.
    Auto,
    /// A block device by its name below `/dev`: an image, or a boot partition.
    Device(String),
    /// A block device by the UUID of its file system.
    DeviceUuid(String),
    /// A block device by the label of its file system.
    DeviceLabel(String),
    /// A partition by its identity in the table.
    PartUuid(String),
    /// A partition by its name in the table.
    PartLabel(String),
    /// A tree shared by the host under this tag; used as it is.
    Virtiofs(String),
}

impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BootPartition(uuid) => write!(f, "boot partition {uuid}"),
            Self::Auto => f.write_str("any boot partition with an image"),
            Self::Device(name) => write!(f, "/dev/{name}"),
            Self::DeviceUuid(uuid) => write!(f, "device with UUID {uuid}"),
            Self::DeviceLabel(label) => write!(f, "device with label {label}"),
            Self::PartUuid(uuid) => write!(f, "partition with UUID {uuid}"),
            Self::PartLabel(label) => write!(f, "partition with label {label}"),
            Self::Virtiofs(tag) => write!(f, "virtiofs tag {tag}"),
        }
    }
}

/// What the kernel command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Where the root is.
    pub root: Root,
    /// Seconds to wait for it.
    pub timeout_s: u32,
    /// Leave the data partition alone.
    pub transient: bool,
    /// Image file instead of `system.img`; a base name.
    pub image: Option<String>,
    /// Program to start instead of stage 2.
    pub init: Option<String>,
    /// Offer a shell when nothing boots.
    pub shell: bool,
    /// Stop before the new root is entered.
    pub stop: bool,
    /// What follows when nothing boots.
    pub last: Verb,
    /// Log every operation.
    pub debug: bool,
}

/// What to do about the devices seen so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Nothing fits yet.
    Wait,
    /// See whether these have an image, then ask again.
    Look(Vec<String>),
    /// This is the boot partition; the flag says that others would fit too.
    Boot(Device, bool),
    /// This device is an image.
    Image(Device),
    /// This tag is the root.
    Tree(String),
}

/// Chooses what to boot from.
#[must_use]
pub fn choose(root: &Root, seen: &[Device]) -> Choice {
    let boot = |found: Option<&Device>| match found {
        Some(d) if d.kind == Some(Kind::Squashfs) => Choice::Image(d.clone()),
        Some(d) if d.kind.is_some() => Choice::Boot(d.clone(), false),
        // Why: a device without a known file system may be a disk whose content is not there yet.
        _ => Choice::Wait,
    };
    match root {
        Root::BootPartition(uuid) => {
            let mut found = seen.iter().filter(|d| has_uuid(d, uuid) && d.kind != Some(Kind::Squashfs));
            match found.next() {
                Some(first) => Choice::Boot(first.clone(), found.next().is_some()),
                None => Choice::Wait,
            }
        }
        Root::Auto => choose_auto(seen),
        Root::Device(name) => boot(seen.iter().find(|d| d.name == *name)),
        Root::DeviceUuid(uuid) => boot(seen.iter().find(|d| has_uuid(d, uuid))),
        Root::DeviceLabel(label) => boot(seen.iter().find(|d| d.label.as_deref() == Some(label))),
        Root::PartUuid(uuid) => {
            boot(seen.iter().find(|d| d.part_uuid.as_ref().is_some_and(|u| u.eq_ignore_ascii_case(uuid))))
        }
        Root::PartLabel(label) => boot(seen.iter().find(|d| d.part_label.as_deref() == Some(label))),
        Root::Virtiofs(tag) => Choice::Tree(tag.clone()),
    }
}

fn choose_auto(seen: &[Device]) -> Choice {
    let fats = || seen.iter().filter(|d| d.kind == Some(Kind::Fat));
    let unknown: Vec<String> = fats().filter(|d| d.has_image.is_none()).map(|d| d.name.clone()).collect();
    if !unknown.is_empty() {
        return Choice::Look(unknown);
    }
    let mut with_image = fats().filter(|d| d.has_image == Some(true));
    if let Some(first) = with_image.next() {
        return Choice::Boot(first.clone(), with_image.next().is_some());
    }
    // Why: an image of 4 GiB and more lives on the data partition, so the FAT is known by its partner only.
    match fats().find(|d| data_device(d, seen).is_some()) {
        Some(d) => Choice::Boot(d.clone(), false),
        None => Choice::Wait,
    }
}

fn has_uuid(device: &Device, uuid: &str) -> bool {
    device.uuid.as_ref().is_some_and(|u| u.eq_ignore_ascii_case(uuid))
}

/// Returns the data device of a boot partition: labelled with its UUID, on the same disk rather than on another.
#[must_use]
pub fn data_device<'a>(boot: &Device, seen: &'a [Device]) -> Option<&'a Device> {
    let uuid = boot.uuid.as_ref()?;
    labels::DATA_LABEL_PREFIXES.iter().find_map(|prefix| {
        let label = format!("{prefix}{uuid}");
        let fits = |d: &&Device| {
            d.label.as_deref() == Some(label.as_str()) && d.kind.is_some_and(Kind::can_hold_data)
        };
        seen.iter().filter(fits).find(|d| d.disk == boot.disk).or_else(|| seen.iter().find(fits))
    })
}

/// Returns the data device of a bare image: the virtual machine's second disk, when it has a file system.
#[must_use]
pub fn data_device_of_image<'a>(image: &Device, seen: &'a [Device]) -> Option<&'a Device> {
    (image.name == "vda")
        .then(|| seen.iter().find(|d| d.name == "vdb" && d.kind.is_some_and(Kind::can_hold_data)))?
}

/// An image that may be booted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// File name, or device name.
    pub name: String,
    /// Directory it is in, or `/dev`.
    pub directory: String,
}

impl Candidate {
    fn new(directory: &str, name: &str) -> Self {
        Self { name: name.into(), directory: directory.into() }
    }

    /// Returns the path of the image.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}/{}", self.directory, self.name)
    }
}

/// Lists the images to try, best first, among the files that are there.
///
/// `wanted` is the one that the kernel came from, `order` is the boot state's. `boot` and `data` are directories with
/// the names in them; a place that is not mounted is `None`.
#[must_use]
pub fn candidates(
    wanted: Option<&str>,
    order: [Image; 4],
    boot: Option<(&str, &[String])>,
    data: Option<(&str, &[String])>,
) -> Vec<Candidate> {
    let mut list: Vec<Candidate> = Vec::new();
    let mut add = |place: Option<(&str, &[String])>, name: &str| {
        if let Some((directory, files)) = place {
            let candidate = Candidate::new(directory, name);
            if files.iter().any(|f| f.eq_ignore_ascii_case(name)) && !list.contains(&candidate) {
                list.push(candidate);
            }
        }
    };
    if let Some(name) = wanted {
        add(boot, name);
        add(data, name);
    }
    for image in order {
        add(boot, image.on_boot());
        add(data, image.on_data());
    }
    list
}

/// Plans the rename that an update left for its first boot: the replaced image becomes the old one.
///
/// Only when the new image is mounted: an image that cannot be mounted must not cost the one before it.
#[must_use]
pub fn promote(booted: &Candidate, files: &[String]) -> Vec<Step> {
    let is_current = booted.name == paths::SYSTEM_IMG || booted.name == paths::SYSTEM_ON_DATA;
    if !is_current || !files.iter().any(|f| f == Image::Cur.on_boot()) {
        return Vec::new();
    }
    let rename = Op::Rename {
        from: format!("{}/{}", booted.directory, Image::Cur.on_boot()),
        to: format!("{}/{}", booted.directory, Image::Old.on_boot()),
    };
    [Step::new(Fault::Housekeeping, rename)].into()
}

fn mkdir(fault: Fault, path: &str, mode: u32) -> Step {
    Step::new(fault, Op::Mkdir { path: path.into(), mode, owner: None })
}

fn mount(
    fault: Fault,
    source: &str,
    target: &str,
    fstype: &'static str,
    flags: &'static [Flag],
    options: &str,
) -> Step {
    let (source, target, options) = (source.into(), target.into(), options.into());
    Step::new(fault, Op::Mount(Box::new(Mount { source, target, fstype, flags, options })))
}

fn load(modules: &[&str]) -> impl Iterator<Item = Step> {
    modules.iter().map(|name| Step::new(Fault::Housekeeping, Op::LoadModule { name: (*name).to_string() }))
}

/// Plans the file systems that every process expects, before anything else can be known.
#[must_use]
pub fn early() -> Vec<Step> {
    use Fault::Housekeeping as H;
    use Flag::{NoDev, NoExec, NoSuid};
    let mut plan = Vec::new();
    for directory in &["/proc", "/sys", "/dev", "/run", paths::SYSROOT] {
        plan.push(mkdir(H, directory, 0o755));
    }
    plan.push(mount(H, "proc", "/proc", "proc", &[NoSuid, NoDev, NoExec], ""));
    plan.push(mount(H, "sysfs", "/sys", "sysfs", &[NoSuid, NoDev, NoExec], ""));
    plan.push(mount(H, "devtmpfs", "/dev", "devtmpfs", &[NoSuid], "mode=0755"));
    plan.push(mkdir(H, "/dev/pts", 0o755));
    plan.push(mount(H, "devpts", "/dev/pts", "devpts", &[NoSuid, NoExec], "gid=5,mode=620,ptmxmode=000"));
    plan.push(mkdir(H, "/dev/shm", 0o755));
    plan.push(mount(H, "tmpfs", "/dev/shm", "tmpfs", &[NoSuid, NoDev], "mode=1777"));
    plan.push(mount(H, "tmpfs", "/run", "tmpfs", &[NoSuid, NoDev, NoExec], "mode=0755"));
    for directory in &["/run/lock", "/run/log", paths::RUN_INITRAMFS, paths::RUN_GENPACK] {
        plan.push(mkdir(H, directory, 0o755));
    }
    // Why: the shutdown stage is a program, and nothing else below /run is to be executed. Two copies of it fit.
    let options = "mode=0755,size=4m";
    plan.push(mount(H, "tmpfs", paths::RUN_INITRAMFS, "tmpfs", &[NoSuid, NoDev], options));
    let (from, to) = ("/init".into(), paths::EXITRD.into());
    plan.push(Step::new(H, Op::CopyProgram { from, to }));
    for &(target, link) in &[
        ("/proc/self/fd", "/dev/fd"),
        ("/proc/self/fd/0", "/dev/stdin"),
        ("/proc/self/fd/1", "/dev/stdout"),
        ("/proc/self/fd/2", "/dev/stderr"),
    ] {
        plan.push(Step::new(H, Op::Symlink { target: target.into(), link: link.into() }));
    }
    // Why: the kernel drops all but ten lines per five seconds otherwise; systemd sets the same.
    plan.push(Step::new(H, Op::Sysctl { name: "kernel/printk_devkmsg", value: "on".into() }));
    plan
}

/// Tells whether a boot partition of this kind is mounted for writing first.
#[must_use]
pub fn boot_is_writable(device: &Device) -> bool {
    device.kind == Some(Kind::Fat)
}

/// Plans the mount of a boot partition, which hides its secrets.
#[must_use]
pub fn mount_boot(device: &Device, writable: bool) -> Vec<Step> {
    let mut plan = Vec::new();
    let Some(kind) = device.kind else { return plan };
    let (fstype, modules) = kind.mount_type();
    plan.push(mkdir(Fault::BootFs, paths::BOOT, 0o755));
    plan.extend(load(modules));
    let flags: &'static [Flag] = if writable {
        &[Flag::NoSuid, Flag::NoDev, Flag::NoExec]
    } else {
        &[Flag::ReadOnly, Flag::NoSuid, Flag::NoDev, Flag::NoExec]
    };
    let options = if kind == Kind::Fat { "fmask=0177,dmask=0077,flush" } else { "" };
    plan.push(mount(Fault::BootFs, &device.path(), paths::BOOT, fstype, flags, options));
    plan
}

/// Seconds that the check of a FAT may take: it reads the table of a large card once.
const FSCK_DEADLINE_S: u32 = 120;

/// Plans the repair of a boot partition that was not unmounted: what can be decided is decided, and written at once.
#[must_use]
pub fn repair_boot(device: &Device) -> Op {
    Op::run(&[paths::FSCK_FAT, "-a", "-w", &device.path()], FSCK_DEADLINE_S)
}

/// Plans what a person is told at login about a boot that has less than was configured.
#[must_use]
pub fn motd(degraded: &str) -> Vec<Step> {
    let text = format!("This system has started with less than was configured: {degraded}\n");
    let directory = paths::MOTD.rsplit_once('/').map_or("", |(directory, _)| directory);
    let path = paths::MOTD.into();
    let op = Op::Write { path, mode: 0o644, owner: None, content: text.into_bytes() };
    [mkdir(Fault::Report, directory, 0o755), Step::new(Fault::Report, op)].into()
}

/// Seconds beyond the wait for the root that a boot may take before the watchdog restarts the machine: until systemd
/// has opened it, a reset of a large layer and the check of a FAT included.
pub const WATCHDOG_S: u32 = 240;

/// Plans that systemd takes over an armed watchdog; a later drop-in of the image may say otherwise.
#[must_use]
pub fn hand_over_watchdog() -> Vec<Step> {
    let directory = format!("{}/system.conf.d", paths::SYSTEMD_RUN);
    let path = format!("{directory}/10-genpack-watchdog.conf");
    let content = b"[Manager]\nRuntimeWatchdogSec=60s\n".to_vec();
    let op = Op::Write { path, mode: 0o644, owner: None, content };
    [
        mkdir(Fault::Report, paths::SYSTEMD_RUN, 0o755),
        mkdir(Fault::Report, &directory, 0o755),
        Step::new(Fault::Report, op),
    ]
    .into()
}

/// Plans the marker of a running system on the boot partition; the shutdown stage takes it away.
///
/// `now` are seconds since 1970; a person reads them in Notepad.
#[must_use]
pub fn mark_running(now: u64) -> Vec<Step> {
    let time = DosTime::from_unix(now);
    let (date, clock) = (time.date(), time.time());
    let text = format!(
        "{}-{:02}-{:02} {:02}:{:02}:{:02} UTC\r\n",
        u32::from(date >> 9) + 1980,
        date >> 5 & 15,
        date & 31,
        clock >> 11,
        clock >> 5 & 63,
        (clock & 31) * 2
    );
    let path = format!("{}/{}", paths::BOOT, paths::BOOTTIME);
    let op = Op::Write { path, mode: 0o600, owner: None, content: text.into_bytes() };
    [Step::new(Fault::Report, op)].into()
}

/// Plans the look at what may or may not be ours.
#[must_use]
pub fn look(device: &Device) -> Vec<Step> {
    let mut plan = Vec::new();
    let Some(kind) = device.kind else { return plan };
    let (fstype, modules) = kind.mount_type();
    plan.push(mkdir(Fault::BootFs, paths::LOOK, 0o755));
    plan.extend(load(modules));
    plan.push(mount(Fault::BootFs, &device.path(), paths::LOOK, fstype, &[Flag::ReadOnly], ""));
    plan
}

/// Plans the mount of the data file system, or of what only lends its image (`transient`).
#[must_use]
pub fn mount_data(device: &Device, transient: bool) -> Vec<Step> {
    let mut plan = Vec::new();
    let Some(kind) = device.kind else { return plan };
    let (fstype, modules) = kind.mount_type();
    let (target, flags): (_, &'static [Flag]) =
        if transient { (paths::IMAGE_STORE, &[Flag::ReadOnly]) } else { (paths::RW, &[]) };
    plan.push(mkdir(Fault::DataFs, target, 0o755));
    plan.extend(load(modules));
    plan.push(mount(Fault::DataFs, &device.path(), target, fstype, flags, ""));
    plan
}

/// Plans the mount of a directory that the host shares as the writable layer of a virtual machine.
#[must_use]
pub fn mount_shared_data() -> Vec<Step> {
    let mut plan: Vec<Step> = load(&["virtiofs"]).collect();
    plan.push(mkdir(Fault::DataFs, paths::RW, 0o755));
    plan.push(mount(Fault::DataFs, paths::VIRTIOFS_TAG, paths::RW, "virtiofs", &[], ""));
    plan
}

/// Plans a writable layer in memory.
#[must_use]
pub fn mount_memory() -> Vec<Step> {
    [
        mkdir(Fault::MemoryOverlay, paths::RW, 0o755),
        mount(Fault::MemoryOverlay, "tmpfs", paths::RW, "tmpfs", &[], "mode=0755"),
    ]
    .into()
}

/// Plans the way from a data file system that cannot be used to a layer in memory.
#[must_use]
pub fn give_up_data() -> Vec<Step> {
    // Why: the image may lie on it and keep it busy; then the memory is mounted over it.
    let mut plan = Vec::new();
    plan.push(Step::new(Fault::Housekeeping, Op::Unmount { target: paths::RW.into() }));
    plan.extend(mount_memory());
    plan
}

/// Plans that everything of a boot that failed goes, the last mount first.
#[must_use]
pub fn take_apart() -> Vec<Op> {
    let mut plan = Vec::new();
    for target in &[paths::SYSROOT, paths::RO, paths::RW, paths::IMAGE_STORE, paths::BOOT] {
        plan.push(Op::Unmount { target: (*target).into() });
    }
    plan
}

/// Plans the note of which image the writable layer is used with.
#[must_use]
pub fn note_image(id: &str) -> Vec<Step> {
    let path = format!("{}/{}", paths::RW, paths::IMAGE_ID);
    let op = Op::Write { path, mode: 0o644, owner: None, content: format!("{id}\n").into_bytes() };
    [Step::new(Fault::Report, op)].into()
}

/// Plans the mount of an image.
#[must_use]
pub fn mount_image(image: &Candidate) -> Vec<Step> {
    let mut plan: Vec<Step> = load(&["loop", "squashfs"]).collect();
    plan.push(mkdir(Fault::Image, paths::RO, 0o755));
    plan.push(Step::new(Fault::Image, Op::MountImage { image: image.path(), target: paths::RO.into() }));
    plan
}

/// Where the writable layer lies: the layout of an older product is still honoured.
#[must_use]
pub fn overlay_base(legacy_layout: bool) -> String {
    if legacy_layout { format!("{}/rw", paths::RW) } else { paths::RW.into() }
}

/// Why: the kernel's defaults differ between distributions, and an upper layer must survive a change of image: no index
/// and no redirects into the old lower layer. xino keeps inode numbers stable where it can.
pub const OVERLAY_OPTIONS: &str = "index=off,metacopy=off,redirect_dir=off,xino=auto";

/// Plans the overlay: image below, writable layer above, at the place of the new root.
///
/// `usr_in_upper` says that the upper layer has a copy of `/usr`: systemd takes that directory's time for the version
/// of the system, so it must be the image's.
#[must_use]
pub fn overlay(fault: Fault, legacy_layout: bool, usr_in_upper: bool) -> Vec<Step> {
    let base = overlay_base(legacy_layout);
    let (upper, work) = (format!("{base}/{}", paths::UPPER), format!("{base}/{}", paths::WORK));
    let mut plan: Vec<Step> = load(&["overlay"]).collect();
    plan.push(mkdir(fault, &upper, 0o755));
    plan.push(mkdir(fault, &work, 0o755));
    if usr_in_upper {
        let (from, to) = (format!("{}/usr", paths::RO), format!("{upper}/usr"));
        plan.push(Step::new(Fault::Housekeeping, Op::CopyMtime { from, to }));
    }
    let options = format!("lowerdir={},upperdir={upper},workdir={work},{OVERLAY_OPTIONS}", paths::RO);
    plan.push(mkdir(fault, paths::SYSROOT, 0o755));
    plan.push(mount(fault, "overlay", paths::SYSROOT, "overlay", &[], &options));
    plan
}

/// Plans the mount of a tree that the host shares as the root.
#[must_use]
pub fn mount_tree(tag: &str) -> Vec<Step> {
    let mut plan: Vec<Step> = load(&["virtiofs"]).collect();
    plan.push(mkdir(Fault::Switch, paths::SYSROOT, 0o755));
    plan.push(mount(Fault::Switch, tag, paths::SYSROOT, "virtiofs", &[], ""));
    plan
}

/// Plans the step into the new root; `modprobe` is the kernel's own setting, given back.
#[must_use]
pub fn switch(modprobe: &str) -> Vec<Step> {
    let mut plan = Vec::new();
    if !modprobe.is_empty() {
        let value = modprobe.to_string();
        plan.push(Step::new(Fault::Housekeeping, Op::Sysctl { name: "kernel/modprobe", value }));
    }
    for name in &["dev", "proc", "sys", "run"] {
        let to = format!("{}/{name}", paths::SYSROOT);
        plan.push(mkdir(Fault::Switch, &to, 0o755));
        plan.push(Step::new(Fault::Switch, Op::MoveMount { from: format!("/{name}"), to }));
    }
    plan.push(Step::new(Fault::Switch, Op::SwitchRoot { root: paths::SYSROOT.into() }));
    plan
}

/// Lists the programs to try as PID 1 of the new root, best first.
#[must_use]
pub fn programs(requested: Option<&str>) -> Vec<String> {
    let mut list: Vec<String> = Vec::new();
    for path in requested.into_iter().chain([paths::STAGE2, paths::INIT]) {
        if !list.iter().any(|p| p == path) {
            list.push(path.into());
        }
    }
    list
}

#[cfg(test)]
mod tests;
