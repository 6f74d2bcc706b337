//! Boot loaders of a disk that is in use are renewed, when someone asks for it: those that the good image brings.
//!
//! Nothing tries a loader once and goes back, so this is no part of an update. What protects it: the new one is written
//! beside the old one and read back, and a single step makes it the one that starts. On the boot partition two names are
//! exchanged, and the old loader stays under the other name (`bootx64.alt`); before the first partition LBA 0 links
//! another core (`genpack_boot::bios_embed::replace`). A Raspberry Pi has [`firmware`] instead. Not handled: loaders that
//! the disk does not have yet.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use genpack_boot::bios_embed::{self, Replacement, SECTOR_SIZE};
use genpack_boot::esp::{self, BOOT_IMG, CORE_IMG, GRUB_CFG_PATH};
use genpack_boot::menu_policy::Place;
use genpack_core::disk::mbr::{self, Mbr, TYPE_GPT_PROTECTIVE};
use genpack_rpi::boot_slots::is_shared;
use serde_json::json;

use super::facts::{Machine, Named};
use super::new_image::installed;
use super::op::{At, Content, Op};
use super::plan::{Loader, Partition};
use super::{apply, firmware};
use crate::bootable::image::boot_files;
use crate::bootable::loaders;
use crate::command_error::{CommandError, Context, Kind, Result};
use crate::ctx::Ctx;
use crate::disk::size::Size;
use crate::io::interrupt::Interrupt;
use crate::io::system_image::SystemImage;

/// Largest gap that is read: partitions begin at 1 MiB.
const MAX_GAP_SECTORS: u32 = 8192;
/// Largest loader on a boot partition that is compared.
const MAX_LOADER_BYTES: u64 = 64 << 20;

/// A loader file of the boot partition.
#[derive(Clone, Debug)]
pub struct Renewal {
    /// Its path.
    pub path: String,
    /// What it is.
    pub now: Vec<u8>,
    /// What is under the other name; nothing when that cannot be read.
    pub other: Option<Vec<u8>>,
    /// What it becomes.
    pub new: Vec<u8>,
}

impl Renewal {
    /// Returns the other name: as long as a FAT's short names are, so that both are in one sector of the directory.
    #[must_use]
    pub fn other_path(path: &str) -> String {
        format!("{}.alt", path.rsplit_once('.').map_or(path, |(stem, _)| stem))
    }
}

/// Decides what is done about one file: nothing when it is new already.
///
/// # Errors
/// When both names have the same bytes: they may share their clusters, and to remove one would end the other.
pub fn plan(file: &Renewal) -> Result<Vec<Op>> {
    if file.now == file.new {
        return Ok(Vec::new());
    }
    let other = At::boot(Renewal::other_path(&file.path));
    if file.other.as_ref() == Some(&file.now) {
        return Err(CommandError::refused(format!(
            "{} and {} have the same bytes, and may share their clusters: power failed when loaders were renewed",
            file.path, other.path
        ))
        .hint("check the boot partition from another system (fsck.fat -a), then try again"));
    }
    let mut ops = make(other.clone(), file.other.as_deref(), &file.new);
    ops.push(Op::Exchange { a: other, b: At::boot(file.path.clone()) });
    Ok(ops)
}

/// Returns what makes a file that nothing uses have these bytes; `there` is what it has.
pub(super) fn make(at: At, there: Option<&[u8]>, bytes: &[u8]) -> Vec<Op> {
    let write = |to| Op::Write { to, content: Content::Bytes(bytes.into()) };
    match there {
        Some(there) if there == bytes => vec![Op::Sync(at)],
        Some(_) => vec![Op::Remove(at.clone()), write(at)],
        None => vec![write(at)],
    }
}

/// Renews the loaders of a machine; `bios_disk` is the disk whose loader for a BIOS is renewed too.
///
/// # Errors
/// When it has none of ours, the good image brings none, or there is no room; the machine boots as before then.
pub fn renew(ctx: &Ctx, named: &Named, bios_disk: Option<&Path>) -> Result<()> {
    let _interrupt = Interrupt::watch()?;
    let machine = Machine::open(named)?;
    let good = machine.facts.state.good().on_boot();
    let image = installed(&machine)
        .ok_or_else(|| CommandError::refused(format!("the good image {good} cannot be read")))?;
    if matches!(machine.facts.loader, Loader::Slots(_)) {
        return renew_firmware(ctx, &machine, &image, bios_disk);
    }
    if matches!(machine.facts.loader, Loader::Extlinux(_)) {
        return Err(CommandError::refused("U-Boot, which starts this board, is no file of ours")
            .hint("the board's maker says how it is renewed"));
    }
    let new = loaders::of_image(&image)?;
    if new.is_empty() {
        return Err(CommandError::refused(format!("{good} brings no boot loaders"))
            .hint("images that genpack-host build makes for real machines have them"));
    }
    let mut bios = bios_disk.map(|disk| Bios::open(&ctx.path(disk), &new)).transpose()?;
    let mut ops = Vec::new();
    for placement in esp::plan(new.keys().map(String::as_str), bios_disk.is_some()).placements {
        // The script goes with the core that knows its commands.
        let esp::Content::Loader(name) = placement.content else { continue };
        let (Some(bytes), Some(now)) = (new.get(&name), read(&machine, &placement.path)?) else { continue };
        let other = Renewal::other_path(&placement.path);
        let other = read(&machine, &other).ok().flatten().or_else(|| exists(&machine, &other));
        let file = Renewal { path: placement.path, now, other, new: bytes.clone() };
        ops.push((file.path == GRUB_CFG_PATH, plan(&file)?));
    }
    let of = |is_script: bool| -> Vec<Op> {
        ops.iter().filter(|(script, _)| *script == is_script).flat_map(|(_, ops)| ops.clone()).collect()
    };
    let (programs, script) = (of(false), of(true));
    check_room(&machine.facts.boot, programs.iter().chain(&script))?;
    let link = bios.as_ref().and_then(Bios::line);
    if ctx.dry_run {
        let lines = |ops: &[Op]| ops.iter().map(ToString::to_string).collect::<Vec<_>>();
        let all: Vec<String> = lines(&programs).into_iter().chain(link).chain(lines(&script)).collect();
        if ctx.ui.is_json() {
            ctx.ui.document(&json!({"operations": all}));
        }
        all.iter().for_each(|line| ctx.ui.answer(line));
        return Ok(());
    }
    let bytes = |ops: &[Op]| ops.iter().map(written).sum::<u64>().saturating_mul(2);
    apply(ctx, &machine, &programs, None, bytes(&programs))?;
    if let (Some(bios), Some(line)) = (&mut bios, link) {
        ctx.ui.detail(line);
        bios.write()?;
    }
    apply(ctx, &machine, &script, None, bytes(&script))?;
    let renewed = ops.iter().filter(|(_, ops)| !ops.is_empty()).count();
    let is_bios = bios.is_some_and(|bios| bios.replacement.is_some());
    ctx.ui.event("done", json!({"files": renewed, "bios": is_bios}));
    ctx.ui.step(match (renewed, is_bios) {
        (0, false) => format!("the loaders are those of {good} already"),
        (_, false) => format!("{renewed} files are those of {good} now"),
        (_, true) => format!("{renewed} files and the loader for a BIOS are those of {good} now"),
    });
    Ok(())
}

/// Renews the firmware on the card of a Raspberry Pi.
fn renew_firmware(ctx: &Ctx, machine: &Machine, image: &SystemImage, bios_disk: Option<&Path>) -> Result<()> {
    let good = machine.facts.state.good().on_boot();
    if bios_disk.is_some() {
        return Err(CommandError::refused("a Raspberry Pi has no BIOS").hint("leave --bios out"));
    }
    // Why: the settings of the trial do not name the copies.
    if let Some(trial) = machine.facts.state.trial() {
        return Err(CommandError::refused(format!("{} is on trial", trial.image.on_boot()))
            .hint("wait until it is found good, or go back with update rollback"));
    }
    let mut new = firmware::Files::new();
    for file in boot_files(image)?.into_iter().filter(|file| is_shared(&file.path)) {
        let bytes = image.read(&format!("/boot/{}", file.path), MAX_LOADER_BYTES)?;
        bytes.map(|bytes| new.insert(file.path, bytes));
    }
    if new.is_empty() {
        return Err(CommandError::refused(format!("{good} brings no firmware"))
            .hint("it belongs into /boot of the image: bootcode.bin, start*.elf, fixup*.dat"));
    }
    let mut card = firmware::Files::new();
    for name in firmware::names(new.keys().map(String::as_str)) {
        if let Some(bytes) = read(machine, &name).ok().flatten().or_else(|| exists(machine, &name)) {
            card.insert(name, bytes);
        }
    }
    let ops = firmware::plan(&card, &new)?;
    check_room(&machine.facts.boot, ops.iter())?;
    apply(ctx, machine, &ops, None, ops.iter().map(written).sum::<u64>().saturating_mul(2))?;
    if !ctx.dry_run {
        ctx.ui.event("done", json!({"files": new.len(), "changed": !ops.is_empty()}));
        let when = if ops.is_empty() { "already" } else { "now" };
        ctx.ui.step(format!("the firmware is that of {good} {when}"));
    }
    Ok(())
}

/// Returns nothing as the content of a file that is there and cannot be read: a power cut left it, and it is removed.
fn exists(machine: &Machine, path: &str) -> Option<Vec<u8>> {
    machine.mounted.path(&At::boot(path)).is_some_and(|path| path.exists()).then(Vec::new)
}

fn read(machine: &Machine, path: &str) -> Result<Option<Vec<u8>>> {
    let Some(path) = machine.mounted.path(&At::new(Place::Boot, path)) else { return Ok(None) };
    let what = || format!("reading {}", path.display());
    match std::fs::metadata(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Ok(found) if found.len() > MAX_LOADER_BYTES => {
            Err(CommandError::failed(format!("it has {}", Size(found.len())))).context(what())
        }
        _ => std::fs::read(&path).with_context(what).map(Some),
    }
}

fn written(op: &Op) -> u64 {
    match op {
        Op::Write { content: Content::Bytes(bytes), .. } => bytes.len() as u64,
        _ => 0,
    }
}

fn check_room<'a>(boot: &Partition, ops: impl Iterator<Item = &'a Op>) -> Result<()> {
    let needed: u64 = ops.map(|op| written(op).next_multiple_of(boot.cluster.max(1))).sum();
    if needed > boot.free {
        let (room, needed) = (Size(boot.free), Size(needed));
        return Err(CommandError::refused(format!("the boot partition has room for {room} of {needed}"))
            .hint("genpack-host update gc removes images that nothing needs"));
    }
    Ok(())
}

/// The loader before the first partition of a disk.
struct Bios {
    path: PathBuf,
    disk: File,
    replacement: Option<Replacement>,
}

impl Bios {
    fn open(path: &Path, new: &std::collections::BTreeMap<String, Vec<u8>>) -> Result<Self> {
        let what = || format!("reading {}", path.display());
        let disk = OpenOptions::new().read(true).write(true).open(path).with_context(what)?;
        let refuse =
            |e: String| CommandError::refused(e).context(format!("looking for GRUB on {}", path.display()));
        let (Some(boot_img), Some(core_img)) = (new.get(BOOT_IMG), new.get(CORE_IMG)) else {
            return Err(refuse("the good image brings no loader for a BIOS".to_owned()));
        };
        let mut lba0 = [0; SECTOR_SIZE];
        disk.read_exact_at(&mut lba0, 0).with_context(what)?;
        let table = Mbr::parse(mbr::Raw::new(&lba0)).map_err(|e| refuse(e.to_string()))?;
        let first = table.numbered().map(|(_, partition)| partition.start_lba).min();
        let is_gpt = table.numbered().any(|(_, partition)| partition.os_type == TYPE_GPT_PROTECTIVE);
        let first = first.filter(|first| !is_gpt && *first <= MAX_GAP_SECTORS);
        let first =
            first.ok_or_else(|| refuse("it has no MBR with a gap before its first partition".to_owned()))?;
        let mut gap = vec![0; usize::try_from(first).unwrap_or(0).saturating_mul(SECTOR_SIZE)];
        disk.read_exact_at(&mut gap, 0).with_context(what)?;
        let replacement = bios_embed::replace(boot_img, core_img, &gap).map_err(|e| refuse(e.to_string()))?;
        Ok(Self { path: path.to_owned(), disk, replacement })
    }

    /// Returns what is done, in words; none when nothing is.
    fn line(&self) -> Option<String> {
        let new = self.replacement.as_ref()?;
        Some(format!("write GRUB for a BIOS to sector {} of {} and link it", new.lba, self.path.display()))
    }

    fn write(&mut self) -> Result<()> {
        let Some(new) = &self.replacement else { return Ok(()) };
        write_core(&mut self.disk, new).with_context(|| format!("writing {}", self.path.display()))
    }
}

/// A disk, as far as the renewal of its loader needs it.
pub trait Sectors {
    /// Writes bytes.
    ///
    /// # Errors
    /// When the disk does not take them.
    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes what was written durable and forgets what the memory holds of it.
    ///
    /// # Errors
    /// When the disk does not take it.
    fn sync(&mut self) -> io::Result<()>;

    /// Reads bytes.
    ///
    /// # Errors
    /// When they cannot be read.
    fn read(&mut self, at: u64, bytes: &mut [u8]) -> io::Result<()>;
}

impl Sectors for File {
    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, at)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()?;
        // Clean pages are forgotten, so that what is read is what the disk has.
        let _ = rustix::fs::fadvise(&*self, 0, None, rustix::fs::Advice::DontNeed);
        Ok(())
    }

    fn read(&mut self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(bytes, at)
    }
}

/// Writes the core beside the one that starts, reads it back, and links it: one sector.
///
/// # Errors
/// When the disk refuses, or [`Kind::VerifyFailed`] when it does not keep the core; what starts is as it was.
pub fn write_core(disk: &mut impl Sectors, new: &Replacement) -> Result<()> {
    let at = u64::from(new.lba).saturating_mul(SECTOR_SIZE as u64);
    let mut back = vec![0; new.core.len()];
    let written =
        disk.write(at, &new.core).and_then(|()| disk.sync()).and_then(|()| disk.read(at, &mut back));
    written.context("the core of GRUB")?;
    if back != new.core {
        return Err(CommandError::new(Kind::VerifyFailed, "what was read back is not what was written")
            .hint("the disk is failing: replace it; what starts is as it was"));
    }
    disk.write(0, &new.lba0).and_then(|()| disk.sync()).context("the first sector")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(now: &str, other: Option<&str>, new: &str) -> Result<Vec<String>> {
        let bytes = |text: &str| text.as_bytes().to_vec();
        let path = "efi/boot/bootx64.efi".to_owned();
        let file = Renewal { path, now: bytes(now), other: other.map(bytes), new: bytes(new) };
        plan(&file).map(|ops| ops.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn loader_is_written_beside_the_old_one_and_exchanged() {
        let write = "write efi/boot/bootx64.alt on the boot partition (1 bytes)".to_owned();
        let remove = "remove efi/boot/bootx64.alt on the boot partition".to_owned();
        let keep = "keep efi/boot/bootx64.alt on the boot partition: it is the image already".to_owned();
        let exchange =
            "exchange efi/boot/bootx64.alt on the boot partition with efi/boot/bootx64.efi".to_owned();
        assert_eq!(lines("1", None, "1").unwrap(), [""; 0]);
        assert_eq!(lines("1", None, "2").unwrap(), [write.clone(), exchange.clone()]);
        assert_eq!(lines("2", Some("1"), "3").unwrap(), [remove, write, exchange.clone()]);
        // Power failed before the exchange, or in it.
        assert_eq!(lines("1", Some("2"), "2").unwrap(), [keep, exchange]);
        assert_eq!(lines("1", Some("1"), "2").unwrap_err().kind, Kind::Refused);
    }
}
