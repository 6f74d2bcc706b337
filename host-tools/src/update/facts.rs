//! Looks at the partitions of the machine that is to be updated: this one, or one whose partitions are mounted here.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use genpack_boot::menu_policy::Place;
use genpack_core::contract::boot_slots::{self, CMDLINE, CONFIG, EXTLINUX, SLOTS, linked};
use genpack_core::contract::boot_state::{BootState, GOOD, GRUBENV, Image};
use genpack_core::contract::{boot_status, cmdline_keys, paths};
use genpack_core::loader::grubenv::{Block, SIZE};
use genpack_core::text::kernel_cmdline;
use rustix::fs::{StatVfsMountFlags, statvfs};

use super::medium::Mounted;
use super::plan::{Facts, Loader, Menu, OTHER_MENU, Partition, Slots, file_name};
use crate::command_error::{CommandError, Context, Result};

/// Longest text of a boot partition that is read.
const MAX_TEXT: u64 = 64 * 1024;
/// Most files of a slot and of the loaders; a real card has some hundreds.
const MAX_FILES: usize = 10_000;
/// Deepest folder of a slot.
const MAX_DEPTH: usize = 8;

/// Which partitions were named.
#[derive(Clone, Debug, Default)]
pub struct Named {
    /// Mount point of the boot partition.
    pub boot: Option<PathBuf>,
    /// Mount point of the data partition.
    pub data: Option<PathBuf>,
}

/// The machine.
#[derive(Debug)]
pub struct Machine {
    /// Where its partitions are.
    pub mounted: Mounted,
    /// What plans are made from.
    pub facts: Facts,
    /// The environment block as it is.
    pub block: Block,
    /// There is a record in it.
    pub has_record: bool,
    /// The partitions are those that this system was started from.
    pub is_this: bool,
    /// The boot partition has to be made writable first.
    pub is_read_only: bool,
    /// What the system says about its start.
    pub status: BTreeMap<String, String>,
    /// Held as long as this is: two updates at once would be none.
    _lock: File,
}

impl Machine {
    /// Looks at the named partitions, else at those of this system, and keeps others from updating them.
    ///
    /// # Errors
    /// When there is no boot partition there, or someone else is updating it.
    pub fn open(named: &Named) -> Result<Self> {
        let is_this = named.boot.is_none();
        let boot = named.boot.clone().unwrap_or_else(|| paths::BOOT.into());
        let status = if is_this { read_status() } else { BTreeMap::new() };
        let lock = File::open(&boot).map_err(|e| no_boot_partition(&boot, is_this, &e))?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).map_err(|e| {
            CommandError::refused(format!("another update of {} is running ({e})", boot.display()))
                .hint("wait until it has ended")
        })?;
        let data = match &named.data {
            Some(data) => Some(data.clone()),
            // Why: without a data partition a tmpfs stands in for it, and what is written there is gone at the restart.
            None => {
                (status.get(boot_status::DATA).map(String::as_str) == Some("used")).then(|| paths::RW.into())
            }
        };
        let mounted = Mounted { boot, data };
        let running = status.get(boot_status::IMAGE).and_then(|name| Image::of_file(name));
        let block = read_block(&mounted.boot)?;
        let record = block.as_ref().filter(|block| block.get(GOOD).is_some());
        let loader = loader(&mounted.boot, record.is_some(), is_this)?;
        let state = record.map(BootState::parse).unwrap_or_default();
        let facts = Facts {
            boot: partition(&mounted.boot, Place::Boot)?,
            data: mounted.data.as_deref().map(|data| partition(data, Place::Data)).transpose()?,
            state,
            loader,
            running,
        };
        let is_read_only = is_this
            && statvfs(&mounted.boot).is_ok_and(|stat| stat.f_flag.contains(StatVfsMountFlags::RDONLY));
        let has_record = record.is_some();
        let block = block.unwrap_or_default();
        Ok(Self { mounted, facts, block, has_record, is_this, is_read_only, status, _lock: lock })
    }

    /// Returns the image that a slot of a Raspberry Pi's card belongs to.
    #[must_use]
    pub fn image_of_slot(&self, slot: &str) -> Option<Image> {
        let text = read_text(&self.mounted.boot.join(slot).join(CMDLINE)).ok().flatten()?;
        boot_slots::image_of(&text)
    }
}

fn no_boot_partition(boot: &Path, is_this: bool, e: &std::io::Error) -> CommandError {
    let error =
        CommandError::failed(e.to_string()).context(format!("opening the boot partition {}", boot.display()));
    if is_this {
        error.hint(
            "this system was not started from a disk of ours; name a mounted boot partition with --boot DIR",
        )
    } else {
        error.hint("--boot takes the directory where the boot partition is mounted")
    }
}

fn read_status() -> BTreeMap<String, String> {
    let text = fs::read_to_string(paths::BOOT_STATUS).unwrap_or_default();
    let pair = |line: &str| line.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    text.lines().filter_map(pair).collect()
}

/// Reads the environment block; none when the file is not there or has another size.
fn read_block(boot: &Path) -> Result<Option<Block>> {
    let path = boot.join(GRUBENV);
    let mut bytes = [0; SIZE];
    let read = File::open(&path).and_then(|mut file| {
        file.read_exact(&mut bytes)?;
        Ok(file.metadata()?.len() == SIZE as u64)
    });
    match read {
        Ok(is_block) => Ok(Block::parse(&bytes).ok().filter(|_| is_block)),
        Err(e) if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::UnexpectedEof) => {
            Ok(None)
        }
        Err(e) => Err(e).with_context(|| format!("reading {}", path.display())),
    }
}

/// Finds out what starts the machine.
fn loader(boot: &Path, has_record: bool, is_this: bool) -> Result<Loader> {
    let config = read_text(&boot.join(CONFIG))?;
    let is_pi =
        config.is_some() && ["bootcode.bin", "start4.elf"].iter().any(|name| boot.join(name).exists());
    let slot_of = |slot: &str| -> Result<(String, String)> {
        let cmdline = read_text(&boot.join(slot).join(CMDLINE))?.unwrap_or_default();
        let root = kernel_cmdline::value(cmdline.trim_end(), cmdline_keys::ROOT).unwrap_or_default();
        let uuid = root.strip_prefix(cmdline_keys::ROOT_SYSTEMIMG).unwrap_or(cmdline_keys::ROOT_AUTO);
        let uuid = uuid.to_owned();
        Ok((cmdline, uuid))
    };
    if let Some(slot) = config.as_deref().and_then(linked)
        && has_record
    {
        let (cmdline, uuid) = slot_of(slot)?;
        return Ok(Loader::Slots(Slots { config: config.unwrap_or_default(), cmdline, uuid }));
    }
    if let Some(text) = read_text(&boot.join(EXTLINUX))? {
        let Some(slot) = linked(&text).filter(|_| has_record) else {
            return Err(CommandError::refused(
                "this card of a board with U-Boot has no slots: its kernel would be replaced in place",
            )
            .hint("flash it anew once; from then on it can be updated"));
        };
        let other = boot.join(OTHER_MENU);
        // What a power cut has left may be unreadable; then it is removed, whatever it was.
        let other = other.exists().then(|| fs::read(&other).unwrap_or_default());
        return Ok(Loader::Extlinux(Menu { uuid: slot_of(slot)?.1, text, other }));
    }
    if is_pi || SLOTS.iter().any(|slot| boot.join(slot).is_dir()) {
        return Err(CommandError::refused(
            "this card of a Raspberry Pi has no slots: its kernel would be replaced in place",
        )
        .hint("flash it anew once; from then on it can be updated"));
    }
    // Why: the loaders that read the record tell the kernel its image; one that does not is an old one, or a menu of
    // the image itself, whatever the record says.
    let is_named = || {
        let cmdline = fs::read_to_string("/proc/cmdline").unwrap_or_default();
        kernel_cmdline::value(cmdline.trim_end(), cmdline_keys::IMAGE).is_some()
    };
    Ok(if has_record && (!is_this || is_named()) { Loader::Record } else { Loader::Old })
}

fn read_text(path: &Path) -> Result<Option<String>> {
    let what = || format!("reading {}", path.display());
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e).with_context(what),
    };
    let mut bytes = Vec::new();
    file.take(MAX_TEXT).read_to_end(&mut bytes).with_context(what)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn partition(root: &Path, place: Place) -> Result<Partition> {
    let what = || format!("looking at {}", root.display());
    let stat = statvfs(root).with_context(what)?;
    let mut files = BTreeMap::new();
    let images = genpack_core::contract::boot_state::IMAGES.map(|image| file_name(image, place));
    for name in images {
        add_file(root, name, &mut files)?;
    }
    if place == Place::Boot {
        for directory in SLOTS {
            add_tree(root, directory.trim_end_matches('/'), 0, &mut files)?;
        }
    }
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    Ok(Partition { free, cluster: stat.f_frsize.max(1), files })
}

fn add_file(root: &Path, path: &str, files: &mut BTreeMap<String, u64>) -> Result<()> {
    match fs::symlink_metadata(root.join(path)) {
        Ok(metadata) if metadata.is_file() => {
            files.insert(path.to_owned(), metadata.len());
            Ok(())
        }
        Ok(_) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e).with_context(|| format!("looking at {}", root.join(path).display())),
    }
}

fn add_tree(root: &Path, path: &str, depth: usize, files: &mut BTreeMap<String, u64>) -> Result<()> {
    let directory = root.join(path);
    let entries = match fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(e) if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return Ok(());
        }
        Err(e) => return Err(e).with_context(|| format!("listing {}", directory.display())),
    };
    for entry in entries {
        let entry = entry.with_context(|| format!("listing {}", directory.display()))?;
        let below = format!("{path}/{}", entry.file_name().to_string_lossy());
        if files.len() > MAX_FILES || depth > MAX_DEPTH {
            return Err(CommandError::failed(format!("{} has too many files", directory.display())));
        }
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            add_tree(root, &below, depth + 1, files)?;
        } else {
            add_file(root, &below, files)?;
        }
    }
    Ok(())
}
