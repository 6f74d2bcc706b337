//! What stage 1 decides about the data partition: which one it is, whether one is missed, how it grows, how it is emptied.
//!
//! Pure functions, as in [`super::plan`]; the rules are in `docs/contract.md`. Nothing foreign is ever written to: a
//! partition is ours by its label, or it lies behind the boot partition and has a writable layer on it. Not handled:
//! a data partition on several devices.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::plan::{Device, Kind, data_device};
use crate::fault::Fault;
use crate::op::{Op, Step};
use crate::sys::device::Growable;
use genpack_core::contract::paths;
use genpack_core::contract::system_ini::Settings;
use genpack_core::disk::grow::{Growth, MIN_GROWTH, Write};

/// What follows when the data partition cannot be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// A layer in memory.
    #[default]
    Memory,
    /// The machine stops for a person to come.
    Rescue,
    /// The machine tries again.
    Reboot,
}

/// What the owner wants of the data partition: the keys of `system.ini` that stage 1 reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wishes {
    /// What follows when it cannot be used.
    pub on_failure: OnFailure,
    /// Whether it was said that there is one.
    pub expected: bool,
    /// Whether it grows to the end of its disk.
    pub grow: bool,
}

impl Wishes {
    /// Reads them off the settings.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        let on_failure = match settings.on_data_failure.as_deref() {
            Some("rescue") => OnFailure::Rescue,
            Some("reboot") => OnFailure::Reboot,
            _ => OnFailure::Memory,
        };
        let expected = settings.on_data_failure.is_some();
        Self { on_failure, expected, grow: settings.data_grow.unwrap_or(true) }
    }
}

/// The data partition of a boot partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// This one: it has the label.
    Labelled(Device),
    /// This one when there is a writable layer on it: it has no label of ours, and its place is that of an old product.
    Unlabelled(Device),
    /// There should be one, and this is what was found instead.
    Missing(String),
    /// None was configured.
    None,
}

/// Finds the data partition among the devices.
#[must_use]
pub fn data_of(boot: &Device, seen: &[Device], expected: bool) -> Data {
    if let Some(device) = data_device(boot, seen) {
        return Data::Labelled(device.clone());
    }
    let second = (boot.number == 1).then(|| seen.iter().find(|d| d.disk == boot.disk && d.number == 2));
    match second.flatten() {
        Some(d) if d.kind.is_some_and(Kind::can_hold_data) => Data::Unlabelled(d.clone()),
        Some(d) if d.kind.is_none() && !d.foreign => {
            Data::Missing(format!("{} has no file system that could be the data partition", d.path()))
        }
        _ if expected => {
            let uuid = boot.uuid.as_deref().unwrap_or("?");
            Data::Missing(format!("no file system has the label data-{uuid}"))
        }
        _ => Data::None,
    }
}

/// Plans the growth of a partition, before its file system is mounted.
#[must_use]
pub fn grow_partition(device: &Device, growth: Growth) -> Vec<Step> {
    let disk = || format!("/dev/{}", device.disk);
    let mut plan = Vec::new();
    for Write { offset, content } in growth.writes {
        plan.push(Step::new(Fault::DataFs, Op::WriteDisk { disk: disk(), offset, content }));
    }
    let (number, start, bytes) = (device.number, device.start, growth.bytes);
    plan.push(Step::new(Fault::DataFs, Op::ResizePartition { disk: disk(), number, start, bytes }));
    plan
}

/// Plans the growth of a mounted file system to the size of its device; none when there is nothing to gain.
#[must_use]
pub fn grow_file_system(device: &Device) -> Vec<Step> {
    let kind = match device.kind {
        Some(Kind::Ext) => Growable::Ext,
        Some(Kind::Btrfs) => Growable::Btrfs,
        Some(Kind::Xfs) => Growable::Xfs,
        _ => return Vec::new(),
    };
    let bytes = device.bytes;
    if device.fs_bytes == 0 || device.fs_bytes.saturating_add(MIN_GROWTH) > bytes {
        return Vec::new();
    }
    [Step::new(Fault::Housekeeping, Op::GrowFileSystem { mounted: paths::RW.into(), kind, bytes })].into()
}

/// Ending of a layer that is being deleted.
const ASIDE: &str = ".reset";
/// Seconds that a boot spends on deleting; the rest is for the next ones.
const RESET_DEADLINE_S: u32 = 60;

/// Plans the emptying of the writable layer below `base`.
///
/// `requests` are the files that ask for it, `names` what is in `base`. A layer goes by one rename, then the request,
/// then the content: whenever power fails, the layer is there whole or not at all, and what is left is deleted later.
#[must_use]
pub fn reset(base: &str, names: &[String], requests: &[String]) -> Vec<Step> {
    let mut plan = Vec::new();
    let has = |name: &str| names.iter().any(|n| n == name);
    let delete = |plan: &mut Vec<Step>, aside: String| {
        let op = Op::RemoveTree { path: format!("{base}/{aside}"), deadline_s: RESET_DEADLINE_S };
        plan.push(Step::new(Fault::Reset, op));
    };
    // Why this order: the layer hides what the working directory was for, not the other way round.
    let layers = [paths::UPPER, paths::WORK];
    if !requests.is_empty() {
        for name in layers.into_iter().filter(|name| has(name)) {
            let aside = format!("{name}{ASIDE}");
            if has(&aside) {
                delete(&mut plan, aside.clone());
            }
            let (from, to) = (format!("{base}/{name}"), format!("{base}/{aside}"));
            plan.push(Step::new(Fault::Reset, Op::Rename { from, to }));
        }
        let remove = |path: &String| Step::new(Fault::Reset, Op::Remove { path: path.clone() });
        plan.extend(requests.iter().map(remove));
    }
    for name in layers {
        let aside = format!("{name}{ASIDE}");
        if has(&aside) || !requests.is_empty() && has(name) {
            delete(&mut plan, aside);
        }
    }
    plan
}

/// Returns the files among `names` that ask for the writable layer to be emptied.
#[must_use]
pub fn reset_requests(directory: &str, names: &[String]) -> Vec<String> {
    let is_request = |name: &&String| paths::RESET_REQUESTS.iter().any(|r| name.eq_ignore_ascii_case(r));
    let mut requests = Vec::new();
    for name in names.iter().filter(is_request) {
        requests.push(format!("{directory}/{name}"));
    }
    requests
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;
    use genpack_core::disk::grow::Write;

    fn device(name: &str, number: u32, kind: Option<Kind>, label: &str) -> Device {
        let label = (!label.is_empty()).then(|| label.into());
        let uuid = Some("1234-ABCD".into());
        Device { name: name.into(), disk: "sda".into(), number, kind, label, uuid, ..Device::default() }
    }

    fn lines(plan: &[Step]) -> Vec<String> {
        plan.iter().map(|step| step.op.to_string()).collect()
    }

    #[test]
    fn missing_data_is_told_from_data_that_nobody_wants() {
        let boot = device("sda1", 1, Some(Kind::Fat), "");
        let second = |kind, label: &str| device("sda2", 2, kind, label);
        let foreign = Device { foreign: true, ..second(None, "") };
        let elsewhere = Device { disk: "sdb".into(), ..second(Some(Kind::Btrfs), "home") };
        for (seen, expected, found) in [
            (vec![second(Some(Kind::Btrfs), "data-1234-ABCD")], false, "labelled"),
            (vec![second(Some(Kind::Ext), "home")], false, "unlabelled"),
            (vec![second(None, "")], false, "missing"),
            (vec![foreign.clone()], false, "none"),
            (vec![foreign], true, "missing"),
            (vec![second(Some(Kind::Fat), "")], false, "none"),
            (vec![elsewhere.clone()], false, "none"),
            (vec![elsewhere], true, "missing"),
            (vec![], false, "none"),
            (vec![], true, "missing"),
        ] {
            let kind = match data_of(&boot, &seen, expected) {
                Data::Labelled(_) => "labelled",
                Data::Unlabelled(_) => "unlabelled",
                Data::Missing(_) => "missing",
                Data::None => "none",
            };
            assert_eq!(kind, found, "{seen:?} {expected}");
        }
        // The boot file system fills its disk: what the old product would have taken is another disk.
        let superfloppy = device("sda", 0, Some(Kind::Fat), "");
        assert_eq!(data_of(&superfloppy, &[second(Some(Kind::Ext), "")], false), Data::None);
    }

    #[test]
    fn wishes_have_the_documented_defaults() {
        let mut settings = Settings::default();
        let wishes = |on_failure, expected, grow| Wishes { on_failure, expected, grow };
        assert_eq!(Wishes::of(&settings), wishes(OnFailure::Memory, false, true));
        settings.data_grow = Some(false);
        for (word, on_failure) in
            [("tmpfs", OnFailure::Memory), ("rescue", OnFailure::Rescue), ("reboot", OnFailure::Reboot)]
        {
            settings.on_data_failure = Some(word.into());
            assert_eq!(Wishes::of(&settings), wishes(on_failure, true, false));
        }
    }

    #[test]
    fn partition_grows_on_the_disk_first_and_in_the_kernel_last() {
        let device = Device { start: 9 << 20, ..device("sda2", 2, Some(Kind::Btrfs), "") };
        let writes = vec![Write { offset: 512, content: vec![1; 3] }, Write { offset: 0, content: vec![2] }];
        assert_eq!(
            lines(&grow_partition(&device, Growth { writes, bytes: 77 })),
            [
                "write 3 bytes to /dev/sda at 512",
                "write 1 bytes to /dev/sda at 0",
                "resize partition 2 of /dev/sda to 77 bytes"
            ]
        );
    }

    #[test]
    fn file_system_grows_when_its_device_is_larger() {
        let sized = |kind, fs_bytes, bytes| Device { fs_bytes, bytes, ..device("sda2", 2, kind, "") };
        for (device, expected) in [
            (sized(Some(Kind::Ext), 10 << 20, 30 << 20), 1),
            (sized(Some(Kind::Btrfs), 10 << 20, 18 << 20), 1),
            (sized(Some(Kind::Xfs), 10 << 20, 11 << 20), 0),
            (sized(Some(Kind::Xfs), 0, 30 << 20), 0),
            (sized(Some(Kind::Fat), 10 << 20, 30 << 20), 0),
            (sized(None, 10 << 20, 30 << 20), 0),
        ] {
            assert_eq!(grow_file_system(&device).len(), expected, "{device:?}");
        }
    }

    #[test]
    fn reset_moves_the_layer_away_before_it_forgets_the_request() {
        let names = |names: &[&str]| -> Vec<String> { names.iter().map(ToString::to_string).collect() };
        let asked = names(&["/b/system.reset"]);
        for (there, requests, expected) in [
            (
                &["root", "work", "system"][..],
                &asked[..],
                &[
                    "rename /rw/root to /rw/root.reset",
                    "rename /rw/work to /rw/work.reset",
                    "remove /b/system.reset",
                    "remove tree /rw/root.reset",
                    "remove tree /rw/work.reset",
                ][..],
            ),
            // power failed after the first rename
            (
                &["root.reset", "work"],
                &asked,
                &[
                    "rename /rw/work to /rw/work.reset",
                    "remove /b/system.reset",
                    "remove tree /rw/root.reset",
                    "remove tree /rw/work.reset",
                ],
            ),
            // power failed after the request had gone: the new layer stays
            (&["root", "work", "root.reset"], &[], &["remove tree /rw/root.reset"]),
            // asked again before the first one was deleted
            (
                &["root", "root.reset"],
                &asked,
                &[
                    "remove tree /rw/root.reset",
                    "rename /rw/root to /rw/root.reset",
                    "remove /b/system.reset",
                    "remove tree /rw/root.reset",
                ],
            ),
            (&["root", "work"], &[], &[]),
            (&[], &asked, &["remove /b/system.reset"]),
        ] {
            assert_eq!(lines(&reset("/rw", &names(there), requests)), expected, "{there:?}");
        }
        assert_eq!(
            reset_requests("/b", &names(&["SYSTEM.RESET", "system.reset.txt", "system.reset.bak"])),
            ["/b/SYSTEM.RESET", "/b/system.reset.txt"]
        );
    }
}
