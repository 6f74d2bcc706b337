//! Decides what an update does, from what the partitions hold and what the new image is (`docs/adr/0007-boot-state.md`).
//!
//! Four ways, by what starts the machine: GRUB that reads the boot state (the usual one), a Raspberry Pi's firmware and
//! U-Boot (slots), and a loader of old that only knows `system.img`. In each the old image stays what boots until the last
//! operation.

use std::collections::BTreeMap;

use genpack_boot::menu_policy::{PLACES, Place};
use genpack_core::contract::boot_slots::{CONFIG, EXTLINUX, SLOTS, linked};
use genpack_core::contract::boot_state::{BootState, IMAGES, Image};
use genpack_rpi::boot_slots::{self, Step};
use genpack_rpi::extlinux_slots;

use super::op::{At, Content, Op, place_name};
use crate::command_error::{CommandError, Result};
use crate::disk::size::Size;

/// A file on FAT is smaller than this.
pub const FAT_FILE_LIMIT: u64 = 1 << 32;

/// What one partition holds.
#[derive(Clone, Debug, Default)]
pub struct Partition {
    /// Bytes that are free.
    pub free: u64,
    /// Bytes of a cluster: what a file takes is a multiple of it.
    pub cluster: u64,
    /// Files by their path, with their sizes: images and slots.
    pub files: BTreeMap<String, u64>,
}

/// What starts the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loader {
    /// It reads the boot state.
    Record,
    /// The firmware of a Raspberry Pi, by the slot that `config.txt` links.
    Slots(Slots),
    /// U-Boot, by the slot that its menu links.
    Extlinux(Menu),
    /// It knows `system.img` and nothing else.
    Old,
}

/// The texts of a Raspberry Pi's card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slots {
    /// `config.txt`.
    pub config: String,
    /// `cmdline.txt` of the slot in use.
    pub cmdline: String,
    /// UUID of the boot partition.
    pub uuid: String,
}

/// The menu of a board with U-Boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Menu {
    /// `extlinux.conf`.
    pub text: String,
    /// What is under the name that it is exchanged with; nothing when that cannot be read.
    pub other: Option<Vec<u8>>,
    /// UUID of the boot partition.
    pub uuid: String,
}

/// The name that the menu is exchanged with.
pub const OTHER_MENU: &str = "extlinux/extlinux.alt";

/// What the machine is.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The boot partition.
    pub boot: Partition,
    /// The data partition.
    pub data: Option<Partition>,
    /// What boots; the first record where there is none.
    pub state: BootState,
    /// What starts it.
    pub loader: Loader,
    /// The image that runs now; none when the partitions of another machine are updated.
    pub running: Option<Image>,
}

/// What the new image is.
#[derive(Clone, Debug, Default)]
pub struct NewImage {
    /// Its length.
    pub bytes: u64,
    /// It brings a GRUB menu of its own, which GRUB looks at only under the name `system.img`.
    pub own_menu: bool,
    /// GRUB cannot read its compression.
    pub unreadable_by_grub: Option<&'static str>,
    /// Files below its `/boot`, with sizes.
    pub boot_files: BTreeMap<String, u64>,
    /// Its menu for U-Boot.
    pub menu: String,
    /// The partitions already hold it here, byte for byte.
    pub already: Vec<At>,
    /// `system.new` has the same bytes as the live image: on FAT both may be one chain of clusters.
    pub twins: bool,
}

/// What the user asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// Attempts of the new image.
    pub tries: u8,
    /// Write it and do not put it on trial.
    pub stage_only: bool,
}

/// What will be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Under which name.
    pub image: Image,
    /// Where.
    pub place: Place,
    /// The operations.
    pub ops: Vec<Op>,
    /// What the user should know before.
    pub warnings: Vec<String>,
    /// Argument that the restart needs.
    pub reboot_argument: Option<&'static str>,
}

impl Plan {
    /// Returns the bytes that are written.
    #[must_use]
    pub fn bytes(&self, new: &NewImage) -> u64 {
        let size = |op: &Op| match op {
            Op::Write { content: Content::Image(bytes), .. } => *bytes,
            Op::Write { content: Content::Bytes(bytes), .. } => bytes.len() as u64,
            Op::Write { content: Content::Member(path), .. } => member_size(new, path),
            _ => 0,
        };
        self.ops.iter().map(size).sum()
    }
}

fn member_size(new: &NewImage, path: &str) -> u64 {
    path.strip_prefix("/boot/").and_then(|path| new.boot_files.get(path)).copied().unwrap_or(0)
}

/// Returns the name of an image's file on a partition.
#[must_use]
pub const fn file_name(image: Image, place: Place) -> &'static str {
    match place {
        Place::Boot => image.on_boot(),
        Place::Data => image.on_data(),
    }
}

impl Facts {
    /// Returns a partition, when there is one.
    #[must_use]
    pub fn partition(&self, place: Place) -> Option<&Partition> {
        match place {
            Place::Boot => Some(&self.boot),
            Place::Data => self.data.as_ref(),
        }
    }

    /// Returns the files of an image that are there, with their sizes.
    pub fn files_of(&self, image: Image) -> impl Iterator<Item = (At, u64)> + '_ {
        PLACES.into_iter().filter_map(move |place| {
            let name = file_name(image, place);
            let size = self.partition(place)?.files.get(name)?;
            Some((At::new(place, name), *size))
        })
    }

    /// Tells whether there is a file of an image.
    #[must_use]
    pub fn has(&self, image: Image) -> bool {
        self.files_of(image).next().is_some()
    }
}

/// Operations that remove files, and how much room that makes on each partition.
#[derive(Default)]
struct Removals {
    ops: Vec<Op>,
    boot: u64,
    data: u64,
}

impl Removals {
    fn add(&mut self, facts: &Facts, (at, size): (At, u64)) {
        let op = Op::Remove(at.clone());
        if !self.ops.contains(&op) {
            let room = rounded(size, facts.partition(at.place));
            match at.place {
                Place::Boot => self.boot = self.boot.saturating_add(room),
                Place::Data => self.data = self.data.saturating_add(room),
            }
            self.ops.push(op);
        }
    }

    fn room(&self, facts: &Facts, place: Place) -> u64 {
        let freed = if place == Place::Boot { self.boot } else { self.data };
        facts.partition(place).map_or(0, |partition| partition.free.saturating_add(freed))
    }
}

fn rounded(bytes: u64, partition: Option<&Partition>) -> u64 {
    let cluster = partition.map_or(1, |partition| partition.cluster.max(1));
    bytes.checked_next_multiple_of(cluster).unwrap_or(u64::MAX)
}

/// Returns what a file takes on a partition, with one per cent for names and tables.
fn needed(bytes: u64, partition: Option<&Partition>) -> u64 {
    let bytes = rounded(bytes, partition);
    bytes.saturating_add(bytes / 100)
}

/// Decides.
///
/// # Errors
/// When the machine cannot be updated that way, or has no room.
pub fn plan(facts: &Facts, new: &NewImage, wish: &Wish) -> Result<Plan> {
    let has_grub = matches!(facts.loader, Loader::Record | Loader::Old);
    if let (Some(compressor), true) = (new.unreadable_by_grub, has_grub) {
        return Err(CommandError::refused(format!(
            "the image is compressed with {compressor}, which GRUB cannot read"
        ))
        .hint("pack the image with gzip or xz"));
    }
    match &facts.loader {
        Loader::Slots(slots) => by_slots(facts, new, wish, slots),
        Loader::Extlinux(menu) => by_menu(facts, new, wish, menu),
        // Why: under another name GRUB would not show the image's own menu. While that name is free there is no need
        // for the old way.
        Loader::Record if new.own_menu && !is_free(facts, Image::Img) => by_names(facts, new, wish),
        Loader::Record => {
            // What an update that was cut off, or told only to stage, has written need not be written again.
            let written = |image: &Image| {
                let name = |at: &At| file_name(*image, at.place) == at.path;
                *image != Image::Cur && is_free(facts, *image) && new.already.iter().any(name)
            };
            let image = match IMAGES.into_iter().find(written) {
                _ if new.own_menu => Image::Img,
                Some(image) => image,
                None => facts.state.staging(facts.running),
            };
            by_record(facts, new, wish, image)
        }
        Loader::Old => by_names(facts, new, wish),
    }
}

fn is_free(facts: &Facts, image: Image) -> bool {
    facts.state.good() != image && facts.running != Some(image)
}

/// What is done before the image is written, and where it goes.
struct Room {
    place: Place,
    /// The record without the images that are given up for it.
    state: BootState,
    removals: Vec<Op>,
    warnings: Vec<String>,
}

/// Finds room for an image under a name: first what is there anyhow, then without images that nothing links, then
/// without the one before the good one.
fn room(facts: &Facts, new: &NewImage, image: Image, more_on_boot: u64, only: Option<Place>) -> Result<Room> {
    let mut removals = Removals::default();
    // Why all places: a file of this name on the boot partition would be found before the new one.
    facts.files_of(image).for_each(|file| removals.add(facts, file));
    let mut state = facts.state.without(image);
    let mut warnings = Vec::new();
    let needed_on = |place| {
        let more = if place == Place::Boot { more_on_boot } else { 0 };
        needed(new.bytes, facts.partition(place)).saturating_add(more)
    };
    let fits = |removals: &Removals| {
        PLACES.into_iter().find(|place| {
            only.is_none_or(|only| only == *place)
                && facts.partition(*place).is_some()
                && (*place == Place::Data || new.bytes < FAT_FILE_LIMIT)
                && (*place == Place::Boot || removals.room(facts, Place::Boot) >= more_on_boot)
                && removals.room(facts, *place) >= needed_on(*place)
        })
    };
    let mut place = fits(&removals);
    let spare = |state: &BootState| {
        let kept = [Some(state.good()), state.prev(), facts.running, Some(image)];
        IMAGES.into_iter().filter(move |image| !kept.contains(&Some(*image)))
    };
    if place.is_none() {
        for unlinked in spare(&state).filter(|unlinked| facts.has(*unlinked)) {
            facts.files_of(unlinked).for_each(|file| removals.add(facts, file));
            state = state.without(unlinked);
        }
        place = fits(&removals);
    }
    if place.is_none()
        && let Some(prev) = state.prev().filter(|prev| facts.running != Some(*prev) && facts.has(*prev))
    {
        facts.files_of(prev).for_each(|file| removals.add(facts, file));
        state = state.without(prev);
        place = fits(&removals);
        warnings.push(format!(
            "{} is removed to make room: until the new image is good there is only {} to go back to",
            prev.on_boot(),
            state.good().on_boot()
        ));
    }
    let Some(place) = place else { return Err(no_room(facts, new, &removals, only, &needed_on)) };
    Ok(Room { place, state, removals: removals.ops, warnings })
}

fn no_room(
    facts: &Facts,
    new: &NewImage,
    removals: &Removals,
    only: Option<Place>,
    needed: &dyn Fn(Place) -> u64,
) -> CommandError {
    let places = || PLACES.into_iter().filter(|place| only.is_none_or(|only| only == *place));
    if new.bytes >= FAT_FILE_LIMIT && (facts.data.is_none() || only == Some(Place::Boot)) {
        return CommandError::refused(format!(
            "the image has {} and the boot partition takes files below 4 GiB only",
            Size(new.bytes)
        ))
        .hint("a machine with a data partition can be updated to it; else flash the disk anew");
    }
    let found: Vec<String> = places()
        .filter(|place| facts.partition(*place).is_some())
        .map(|place| {
            let (room, needed) = (Size(removals.room(facts, place)), Size(needed(place)));
            format!("the {} has room for {room} of {needed}", place_name(place))
        })
        .collect();
    CommandError::refused(found.join(", ")).hint(
        "remove files there, make the image smaller, or flash the disk anew with a larger boot partition",
    )
}

/// The usual way.
fn by_record(facts: &Facts, new: &NewImage, wish: &Wish, image: Image) -> Result<Plan> {
    let there = new.already.iter().find(|at| file_name(image, at.place) == at.path);
    let mut warnings = Vec::new();
    let (place, state, ops) = match there {
        Some(at) => {
            // The same name elsewhere may be found before it.
            let others = facts.files_of(image).filter(|(other, _)| other != at);
            let removals = others.map(|(at, _)| Op::Remove(at));
            let state = facts.state.without(image);
            let mut ops = vec![Op::Record(state)];
            ops.extend(removals);
            ops.push(Op::Sync(at.clone()));
            (at.place, state, ops)
        }
        None => {
            let room = room(facts, new, image, 0, None)?;
            warnings = room.warnings;
            let mut ops = vec![Op::Record(room.state)];
            ops.extend(room.removals);
            let to = At::new(room.place, file_name(image, room.place));
            ops.push(Op::Write { to, content: Content::Image(new.bytes) });
            (room.place, room.state, ops)
        }
    };
    let mut ops = ops;
    if !wish.stage_only {
        ops.push(Op::Record(trial(state, image, wish.tries)?));
    }
    Ok(Plan { image, place, ops, warnings, reboot_argument: None })
}

fn trial(state: BootState, image: Image, tries: u8) -> Result<BootState> {
    state.try_new(image, tries).ok_or_else(|| {
        CommandError::usage(format!("{tries} attempts cannot be recorded")).hint("--tries takes 1 to 9")
    })
}

/// The way of old: the live name is exchanged with the new one.
fn by_names(facts: &Facts, new: &NewImage, wish: &Wish) -> Result<Plan> {
    let live = facts.files_of(Image::Img).next().map(|(at, _)| at);
    let Some(live) = live else {
        return Err(CommandError::refused(
            "there is no system.img on the boot partition and no system on the data partition",
        )
        .hint("only a disk that has an image can be updated; flash writes a new one"));
    };
    if new.twins && live.place == Place::Boot {
        return Err(CommandError::refused("system.new and system.img have the same bytes, and may share their clusters: power failed during the last update")
            .hint("check the boot partition from another system (fsck.fat -a), then update again"));
    }
    let place = live.place;
    // What the record says of these names is not true any more.
    let state = facts.state.without(Image::New).without(Image::Cur);
    let mut ops = Vec::new();
    if state != facts.state {
        ops.push(Op::Record(state));
    }
    let staged = At::new(place, file_name(Image::New, place));
    if new.already.contains(&staged) {
        ops.push(Op::Sync(staged.clone()));
    } else {
        let room = room(&Facts { state, ..facts.clone() }, new, Image::New, 0, Some(place))?;
        ops.extend(room.removals);
        ops.push(Op::Write { to: staged.clone(), content: Content::Image(new.bytes) });
    }
    let mut warnings = Vec::new();
    if !wish.stage_only {
        ops.push(Op::Exchange { a: staged.clone(), b: live });
        let current = At::new(place, file_name(Image::Cur, place));
        let is_kept = facts.files_of(Image::Cur).any(|(at, _)| at == current)
            && !ops.contains(&Op::Remove(current.clone()));
        // `system.cur` is what the running system was started from: a second update before a restart keeps it.
        ops.push(if is_kept { Op::Remove(staged) } else { Op::Rename { from: staged, to: current } });
        warnings.push(
            "the boot loader does not count attempts for this image: if it does not work, nothing goes back by itself"
                .to_owned(),
        );
    }
    Ok(Plan { image: Image::Img, place, ops, warnings, reboot_argument: None })
}

/// The way of a Raspberry Pi: kernel and device trees go to the slot that is not in use.
fn by_slots(facts: &Facts, new: &NewImage, wish: &Wish, slots: &Slots) -> Result<Plan> {
    let files: Vec<&str> = new.boot_files.keys().map(String::as_str).collect();
    let inputs = boot_slots::Inputs {
        files: &files,
        config: &slots.config,
        cmdline: &slots.cmdline,
        uuid: &slots.uuid,
    };
    let steps = boot_slots::stage(&inputs, facts.state, facts.running)
        .map_err(|e| CommandError::failed(e.to_string()).context(format!("reading {CONFIG}")))?;
    let current = linked(&slots.config);
    let other = SLOTS.into_iter().find(|slot| Some(*slot) != current);
    let (Some(steps), Some(other)) = (steps, other) else {
        return Err(CommandError::refused(format!("{CONFIG} links no slot"))
            .hint("flash the card anew: this one has a single kernel, which cannot be replaced safely"));
    };
    let mut plan = by_steps(facts, new, wish, steps, other)?;
    plan.reboot_argument = Some(genpack_core::contract::boot_slots::TRYBOOT_ARGUMENT);
    Ok(plan)
}

/// The way of a board with U-Boot: as a Raspberry Pi's, and the menu that has both slots comes last.
fn by_menu(facts: &Facts, new: &NewImage, wish: &Wish, menu: &Menu) -> Result<Plan> {
    let what = || format!("reading /boot/{EXTLINUX} of the image");
    let inputs = extlinux_slots::Inputs { menu: &new.menu, uuid: &menu.uuid };
    let steps = extlinux_slots::stage(&inputs, &menu.text, facts.state, facts.running)
        .map_err(|e| CommandError::refused(e.to_string()).context(what()))?;
    let current = linked(&menu.text);
    let other = SLOTS.into_iter().find(|slot| Some(*slot) != current);
    let (Some(steps), Some(other)) = (steps, other) else {
        return Err(CommandError::refused(format!("{EXTLINUX} links no slot"))
            .hint("flash the card anew: this one has a single kernel, which cannot be replaced safely"));
    };
    let missing = steps.iter().find_map(|step| match step {
        Step::Write(placement) => match &placement.content {
            boot_slots::Content::Image(path) => (!new.boot_files.contains_key(path)).then_some(path),
            boot_slots::Content::Text(_) => None,
        },
        _ => None,
    });
    if let Some(path) = missing {
        return Err(CommandError::refused(format!("it names {path}, and the image has no /boot/{path}"))
            .context(what())
            .hint("correct the menu and build the image again"));
    }
    if menu.other.as_ref().is_some_and(|other| *other == menu.text.as_bytes()) {
        return Err(CommandError::refused(format!(
            "{EXTLINUX} and {OTHER_MENU} have the same bytes, and may share their clusters: power failed during the last update"
        ))
        .hint("check the boot partition from another system (fsck.fat -a), then update again"));
    }
    let mut plan = by_steps(facts, new, wish, steps, other)?;
    let Some(Op::Write { content, .. }) = plan.ops.pop() else { return Ok(plan) };
    if !wish.stage_only {
        let written = At::boot(OTHER_MENU);
        let last = plan.ops.pop();
        plan.ops.extend(menu.other.is_some().then(|| Op::Remove(written.clone())));
        plan.ops.push(Op::Write { to: written.clone(), content });
        plan.ops.extend(last);
        plan.ops.push(Op::Exchange { a: written, b: At::boot(EXTLINUX) });
    }
    Ok(plan)
}

/// Makes the operations of the steps that fill a slot.
fn by_steps(facts: &Facts, new: &NewImage, wish: &Wish, steps: Vec<Step>, other: &str) -> Result<Plan> {
    let image = facts.state.staging(facts.running);
    let written: Vec<String> = steps
        .iter()
        .filter_map(
            |step| if let Step::Write(placement) = step { Some(placement.path.clone()) } else { None },
        )
        .collect();
    let size =
        |path: &String| new.boot_files.get(path.strip_prefix(other).unwrap_or(path)).copied().unwrap_or(4096);
    let slot_bytes: u64 = written.iter().map(|path| needed(size(path), Some(&facts.boot))).sum();
    let old = facts.boot.files.iter().filter(|(path, _)| path.starts_with(other));
    let freed: u64 = old.clone().map(|(_, size)| rounded(*size, Some(&facts.boot))).sum();
    let room = room(facts, new, image, slot_bytes.saturating_sub(freed), None)?;
    let mut ops = Vec::new();
    for step in steps {
        match step {
            // The record before the trial: without what is removed to make room.
            Step::Record(state) if state.trial().is_none() => ops.push(Op::Record(room.state)),
            Step::Record(_) if wish.stage_only => {}
            Step::Record(state) => {
                let tries = state.trial().map_or(boot_slots::TRIES, |trial| trial.tries);
                ops.push(Op::Record(trial(room.state, image, tries)?));
            }
            Step::Remove(path) => ops.push(Op::Remove(At::boot(path))),
            Step::Image(_) => {
                // Why: a kernel that only the slot's earlier image had would be preferred by some boards.
                let stale = old.clone().map(|(path, _)| Op::Remove(At::boot(path.clone())));
                let removals: Vec<Op> =
                    stale.chain(room.removals.clone()).filter(|op| !ops.contains(op)).collect();
                ops.extend(removals);
                let to = At::new(room.place, file_name(image, room.place));
                ops.push(Op::Write { to, content: Content::Image(new.bytes) });
            }
            Step::Write(placement) => {
                let content = match placement.content {
                    boot_slots::Content::Image(path) => Content::Member(format!("/boot/{path}")),
                    boot_slots::Content::Text(text) => Content::Bytes(text.into_bytes().into()),
                };
                ops.push(Op::Write { to: At::boot(placement.path), content });
            }
        }
    }
    Ok(Plan { image, place: room.place, ops, warnings: room.warnings, reboot_argument: None })
}

/// Returns what removes every file that the machine can do without; with `all` the one before the good one too.
#[must_use]
pub fn collect(facts: &Facts, all: bool) -> Vec<Op> {
    let mut state = facts.state;
    let mut removals: Vec<Op> = Vec::new();
    for image in IMAGES {
        let trial = state.trial().map(|trial| trial.image);
        let is_kept = [Some(state.good()), facts.running, trial].contains(&Some(image))
            || (!all && state.prev() == Some(image))
            // The old loader's way back, as long as there is no record to say otherwise.
            || (!all && facts.loader == Loader::Old);
        if !is_kept && facts.has(image) {
            state = state.without(image);
            removals.extend(facts.files_of(image).map(|(at, _)| Op::Remove(at)));
        }
    }
    let record = (state != facts.state).then_some(Op::Record(state));
    record.into_iter().chain(removals).collect()
}

/// Returns what makes a state the recorded one: where there are slots the link to the slot moves first.
#[must_use]
pub fn link(facts: &Facts, state: BootState, slot_of: impl Fn(&str) -> Option<Image>) -> Vec<Op> {
    let mut ops = Vec::new();
    let text = match &facts.loader {
        Loader::Slots(slots) => Some((CONFIG, &slots.config)),
        Loader::Extlinux(menu) => Some((EXTLINUX, &menu.text)),
        Loader::Record | Loader::Old => None,
    };
    if let Some((path, text)) = text
        && let Some(slot) = SLOTS.into_iter().find(|slot| slot_of(slot) == Some(state.good()))
        && linked(text) != Some(slot)
        && let Some((offset, byte)) = genpack_core::contract::boot_slots::link(text, slot)
    {
        ops.push(Op::Overwrite { at: At::boot(path), offset: offset as u64, bytes: vec![byte] });
    }
    if state != facts.state {
        ops.push(Op::Record(state));
    }
    ops
}

#[cfg(test)]
mod tests;
