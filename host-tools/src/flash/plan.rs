//! Decides what a flashed disk looks like, byte for byte; pure.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use genpack_boot::{bios_embed, esp, grub_cfg};
use genpack_core::contract::paths::SYSTEM_IMG;
use genpack_core::fs::fat::emit::{self, DosTime, Entry, EntryKind, Label, Volume};
use genpack_core::guid::Guid;
use genpack_core::kernel::arch::Arch;
use genpack_rpi::boot_slots::{Content, Placement};

use super::data_fs::DataFs;
use crate::bootable::boards::{self, BoardReport, Texts};
use crate::bootable::loaders::Loaders;
use crate::command_error::{CommandError, Result};
use crate::disk::layout::{self, Layout, MIB, Partition, Problem, Table};
use crate::disk::size::Size;
use crate::disk::table::{self, Guids, LBA0_BYTES};
use crate::disk::target::{Facts, Kind};
use crate::disk::write::{Source, Write};

/// Rounding of file sizes when the boot partition is sized: the largest cluster that we choose.
const CLUSTER_BYTES: u64 = 16 << 10;

/// A file for the boot partition.
#[derive(Clone, Debug)]
pub struct BootFile {
    /// Path on the partition, `/` between names, none in front.
    pub path: String,
    /// Its bytes.
    pub source: Source,
}

/// Numbers that tell one disk from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Serial number of the boot file system: its UUID.
    pub serial: u32,
    /// Signature of the MBR.
    pub disk_signature: u32,
    /// UUID of the data file system.
    pub data_uuid: Guid,
    /// GUIDs of a GPT.
    pub guids: Guids,
    /// Time stamp of the files, seconds since 1970.
    pub now: u64,
}

/// Everything that a plan is made from.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// The target.
    pub target: Facts,
    /// Size of a disk file.
    pub size: Option<u64>,
    /// The partition table that was asked for.
    pub table: Option<Table>,
    /// Marks the boot partition as EFI system partition.
    pub esp: bool,
    /// Makes a data partition.
    pub data: bool,
    /// Its file system.
    pub data_fs: DataFs,
    /// Bytes of the boot partition, when somebody says so.
    pub boot_bytes: Option<u64>,
    /// Volume label of the boot partition.
    pub label: Option<Label>,
    /// The system image.
    pub image: Source,
    /// Its path.
    pub image_path: PathBuf,
    /// Architecture of the image.
    pub arch: Option<Arch>,
    /// What starts the kernel.
    pub boot: Boot,
    /// `system.ini`, `system.cfg`.
    pub config: Vec<BootFile>,
    /// Files that the user adds; they win over ours.
    pub additions: Vec<BootFile>,
    /// Numbers of this disk.
    pub identity: Identity,
    /// Warnings that were found on the way, with hints.
    pub warnings: Vec<(String, Option<String>)>,
}

/// What starts the kernel, with the files that it needs.
#[derive(Clone, Debug)]
pub enum Boot {
    /// GRUB, and its files.
    Grub(Loaders),
    /// The firmware of a Raspberry Pi.
    RaspberryPi {
        /// Files of the image's `/boot`.
        files: BTreeMap<String, Source>,
        /// `config.txt` and `cmdline.txt`, the owner's or the image's.
        texts: Texts,
    },
    /// U-Boot, by its menu.
    Extlinux {
        /// Files of the image's `/boot`.
        files: BTreeMap<String, Source>,
        /// The menu, the owner's or the image's.
        menu: String,
    },
}

/// A file and where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedFile {
    /// Path on the boot partition.
    pub path: String,
    /// Length in bytes.
    pub bytes: u64,
    /// Byte offset on the disk; `None` for an empty file.
    pub offset: Option<u64>,
}

/// The data file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataFileSystem {
    /// Its kind.
    pub kind: DataFs,
    /// Its partition.
    pub partition: Partition,
    /// Its label: by it the boot finds the data that belongs to a boot partition.
    pub label: String,
    /// Its UUID.
    pub uuid: String,
    /// The system image, when it is too large for FAT; it becomes the file `system`.
    pub image: Option<PathBuf>,
}

/// What will be written. One object for `--dry-run`, tests and the run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The target.
    pub target: Facts,
    /// Where the partitions lie.
    pub layout: Layout,
    /// Volume label of the boot partition.
    pub label: Option<Label>,
    /// The boot file system.
    pub volume: Volume,
    /// UUID of the boot file system, as blkid prints it.
    pub boot_uuid: String,
    /// Files on the boot partition, in the order of their places.
    pub files: Vec<PlacedFile>,
    /// The data file system; its program makes it while the plan runs.
    pub data: Option<DataFileSystem>,
    /// Bytes of the system image.
    pub image_bytes: u64,
    /// A BIOS can boot the disk.
    pub bios: bool,
    /// Where the loaders come from; nothing for boards without GRUB.
    pub loaders_from: Option<String>,
    /// The Raspberry Pis and what they lack; empty for other machines.
    pub boards: Vec<BoardReport>,
    /// What stops a device from booting what is on it now: its first sector, in zeros. It is kept before anything else
    /// changes.
    pub disable: Vec<Write>,
    /// What must read as zeros where a device held something before.
    pub wipe: Vec<Write>,
    /// File systems and loader.
    pub body: Vec<Write>,
    /// What makes the disk bootable: written last, in this order.
    pub enable: Vec<Write>,
    /// Things that the user should know, with hints.
    pub warnings: Vec<(String, Option<String>)>,
}

impl Plan {
    /// Returns how many bytes will be written, without the data file system.
    #[must_use]
    pub fn written_bytes(&self) -> u64 {
        self.body.iter().chain(&self.enable).map(|write| write.source.len()).sum()
    }

    /// Returns how many bytes the image takes on the data file system.
    #[must_use]
    pub fn image_on_data_bytes(&self) -> u64 {
        if self.data.as_ref().is_some_and(|data| data.image.is_some()) { self.image_bytes } else { 0 }
    }
}

/// Decides everything.
///
/// # Errors
/// When the target is too small, files do not fit or clash, or the loaders do not suit the image.
pub fn plan(inputs: &Inputs) -> Result<Plan> {
    let mut warnings = inputs.warnings.clone();
    let boot_uuid = format!("{:04X}-{:04X}", inputs.identity.serial >> 16, inputs.identity.serial & 0xFFFF);
    let boot = beside_the_image(inputs, &boot_uuid)?;
    let layout = plan_layout(inputs, &boot.files)?;
    let bios = boot.bios && layout.table == Table::Mbr;
    if let Boot::Grub(loaders) = &inputs.boot {
        check_loaders(inputs, loaders, bios, &layout)?;
    }
    let files = boot_files(inputs, boot.files, &mut warnings);
    let volume = plan_volume(inputs, &layout, &files)?;
    let embedding = match &inputs.boot {
        Boot::Grub(loaders) if bios => Some(embed(loaders, &layout)?),
        _ => None,
    };
    let data = layout.data.map(|partition| DataFileSystem {
        kind: inputs.data_fs,
        partition,
        label: inputs.data_fs.label(&boot_uuid),
        uuid: inputs.identity.data_uuid.to_string(),
        image: is_image_on_data(inputs).then(|| inputs.image_path.clone()),
    });
    let at = |offset: u64| layout.boot.start.saturating_add(offset);
    let mut metadata: Vec<Write> = volume
        .metadata()
        .into_iter()
        .map(|extent| Write::bytes("the boot file system", at(extent.offset), extent.bytes))
        .collect();
    let mut body = Vec::new();
    let mut placed = Vec::new();
    for (index, file) in files.iter().enumerate() {
        let offset = volume.file_offset(index).map(at);
        placed.push(PlacedFile { path: file.path.clone(), bytes: file.source.len(), offset });
        body.extend(offset.map(|offset| Write {
            what: file.path.clone(),
            offset,
            source: file.source.clone(),
        }));
    }
    let mut lba0 = [0; LBA0_BYTES];
    if let Some(embedding) = &embedding {
        body.push(Write::bytes("the BIOS loader", LBA0_BYTES as u64, embedding.core));
        embedding.merge_into(&mut lba0);
    }
    let enable = match layout.table {
        // Without a table the boot sector of the file system is what firmware looks for.
        Table::Superfloppy => metadata.drain(..1).collect(),
        Table::Mbr => table::mbr(&layout, inputs.identity.disk_signature, lba0),
        Table::Gpt => table::gpt(&layout, &inputs.identity.guids)?,
    };
    // The small pieces first: a directory and a table that fail are found before minutes of image are written.
    metadata.append(&mut body);
    Ok(Plan {
        disable: disable(inputs, &layout),
        wipe: wipe(inputs, &layout, &volume),
        target: inputs.target.clone(),
        layout,
        label: inputs.label,
        volume,
        boot_uuid,
        files: placed,
        data,
        image_bytes: inputs.image.len(),
        bios: embedding.is_some(),
        loaders_from: match &inputs.boot {
            Boot::Grub(loaders) => Some(loaders.from.clone()),
            _ => None,
        },
        boards: boot.boards,
        body: metadata,
        enable,
        warnings,
    })
}

/// What stands on the boot partition beside the image and the owner's files.
#[derive(Default)]
struct Beside {
    files: Vec<BootFile>,
    /// The files for a BIOS are among the loaders.
    bios: bool,
    boards: Vec<BoardReport>,
}

fn beside_the_image(inputs: &Inputs, uuid: &str) -> Result<Beside> {
    let environment_block = || BootFile {
        path: esp::GRUBENV_PATH.to_owned(),
        source: Source::Bytes(grub_cfg::environment_block().as_slice().into()),
    };
    match &inputs.boot {
        Boot::Grub(loaders) => {
            let mbr = !matches!(inputs.table, Some(Table::Gpt | Table::Superfloppy));
            let plan = esp::plan(loaders.files.keys().map(String::as_str), mbr);
            let files = plan.placements.iter().filter_map(|placement| match &placement.content {
                esp::Content::Loader(name) => {
                    let bytes: Arc<[u8]> = loaders.files.get(name)?.as_slice().into();
                    Some(BootFile { path: placement.path.clone(), source: Source::Bytes(bytes) })
                }
                esp::Content::EnvironmentBlock => Some(environment_block()),
            });
            Ok(Beside { files: files.collect(), bios: plan.bios, boards: Vec::new() })
        }
        Boot::RaspberryPi { files, texts } => {
            let names: Vec<&str> = files.keys().map(String::as_str).collect();
            let (placements, boards) = boards::raspberry_pi(&names, texts, uuid)?;
            // The record of the boot state lies there on every kind of boot partition.
            let files = std::iter::once(environment_block()).chain(placed(placements, files)).collect();
            Ok(Beside { files, bios: false, boards })
        }
        Boot::Extlinux { files, menu } => {
            let names: Vec<&str> = files.keys().map(String::as_str).collect();
            let placements = boards::extlinux(&names, menu, uuid)?;
            let files = std::iter::once(environment_block()).chain(placed(placements, files)).collect();
            Ok(Beside { files, ..Beside::default() })
        }
    }
}

fn placed(placements: Vec<Placement>, files: &BTreeMap<String, Source>) -> impl Iterator<Item = BootFile> {
    placements.into_iter().filter_map(|placement| {
        let source = match placement.content {
            Content::Image(path) => files.get(&path)?.clone(),
            Content::Text(text) => Source::Bytes(text.into_bytes().into()),
        };
        Some(BootFile { path: placement.path, source })
    })
}

fn plan_layout(inputs: &Inputs, beside: &[BootFile]) -> Result<Layout> {
    let rounded = |len: u64| len.checked_next_multiple_of(CLUSTER_BYTES).unwrap_or(len);
    let given = inputs.config.iter().chain(&inputs.additions).map(|file| rounded(file.source.len()));
    let beside = beside.iter().map(|file| rounded(file.source.len())).fold(0, u64::saturating_add);
    let is_grub = matches!(inputs.boot, Boot::Grub(_));
    // Without GRUB an update puts the next kernel beside this one.
    let beside = if is_grub { beside } else { beside.saturating_mul(2) };
    let existing = Some(inputs.target.bytes).filter(|bytes| *bytes > 0);
    let disk_bytes = match inputs.target.kind {
        Kind::Device => existing,
        _ => inputs.size.or(existing),
    };
    let request = layout::Request {
        table: inputs.table.or((!is_grub).then_some(Table::Mbr)),
        esp: inputs.esp && is_grub,
        data: inputs.data,
        image_bytes: inputs.image.len(),
        boot_file_bytes: given.fold(beside, u64::saturating_add),
        disk_bytes,
        sector_bytes: inputs.target.sector_bytes,
        boot_bytes: inputs.boot_bytes,
        least_data: inputs.data_fs.least_bytes(),
    };
    layout::plan(&request).map_err(|problem| {
        let path = inputs.target.path.display();
        let hint = match problem {
            Problem::TooSmall { needed, .. } if inputs.target.kind == Kind::Device => {
                format!(
                    "use a disk of at least {}, or --no-data for a disk without data partition",
                    Size(needed)
                )
            }
            Problem::TooSmall { needed, .. } => {
                format!("give --size {}M or more", needed.div_ceil(MIB))
            }
            Problem::MbrSector(_) | Problem::MbrSize(_) if is_grub => "use --gpt".to_owned(),
            Problem::MbrSector(_) | Problem::MbrSize(_) => {
                "use another disk; these boards read an MBR only".to_owned()
            }
            Problem::ImageNeedsData(_) => "leave --no-data and --superfloppy out".to_owned(),
        };
        let what =
            if matches!(problem, Problem::TooSmall { .. }) { "is too small" } else { "cannot be used" };
        CommandError::refused(format!("{path} {what}: {problem}")).hint(hint)
    })
}

/// A disk that its own machine cannot start is not worth writing.
fn check_loaders(inputs: &Inputs, loaders: &Loaders, bios: bool, layout: &Layout) -> Result<()> {
    let Some(arch) = inputs.arch else { return Ok(()) };
    let program = esp::efi_name(arch);
    let bios = bios && matches!(arch, Arch::X86_64 | Arch::I686);
    if bios || loaders.files.contains_key(program) {
        return Ok(());
    }
    Err(CommandError::failed(format!(
        "no boot loader for {}: {} has neither {program} nor{} the files for a BIOS",
        arch.name(),
        loaders.from,
        if layout.table == Table::Mbr { "" } else { ", without an MBR," },
    ))
    .hint("build the image with genpack-host build, which puts GRUB into it"))
}

/// Returns the files of the boot partition; the image comes last, where it can grow.
fn boot_files(
    inputs: &Inputs,
    beside: Vec<BootFile>,
    warnings: &mut Vec<(String, Option<String>)>,
) -> Vec<BootFile> {
    let mut files = beside;
    files.extend(inputs.config.iter().cloned());
    for addition in &inputs.additions {
        let same = |file: &BootFile| file.path.eq_ignore_ascii_case(&addition.path);
        match files.iter_mut().find(|file| same(file)) {
            Some(file) => {
                warnings.push((format!("--add replaces {}", file.path), None));
                *file = addition.clone();
            }
            None if addition.path.eq_ignore_ascii_case(SYSTEM_IMG) => {
                warnings.push((format!("--add replaces {SYSTEM_IMG}"), None));
                files.push(addition.clone());
            }
            None => files.push(addition.clone()),
        }
    }
    let replaced = files.iter().any(|file| file.path.eq_ignore_ascii_case(SYSTEM_IMG));
    if !replaced && !is_image_on_data(inputs) {
        files.push(BootFile { path: SYSTEM_IMG.to_owned(), source: inputs.image.clone() });
    }
    files
}

fn is_image_on_data(inputs: &Inputs) -> bool {
    inputs.image.len() > layout::MAX_IMAGE_ON_FAT
}

/// Returns the cluster size of a boot partition that would have too many clusters for its checker: fsck.fat 4.2 crashes
/// on twice as many, and the boot runs it. Sectors of 512 bytes end at 2 TiB, before that.
fn large_cluster_bytes(layout: &Layout) -> Option<u32> {
    const MAX_CHECKED_CLUSTERS: u64 = 1 << 27;
    const USUAL: u32 = 16 << 10;
    const LARGEST: u32 = 64 << 10;
    let is_checked = |bytes: &u32| layout.boot.len / u64::from((*bytes).max(1)) <= MAX_CHECKED_CLUSTERS;
    let fitting = [USUAL, USUAL * 2].into_iter().find(is_checked).unwrap_or(LARGEST);
    (layout.sector_bytes > 512 && fitting != USUAL).then_some(fitting)
}

fn plan_volume(inputs: &Inputs, layout: &Layout, files: &[BootFile]) -> Result<Volume> {
    let modified = DosTime::from_unix(inputs.identity.now);
    let options = emit::Options {
        sector_bytes: layout.sector_bytes,
        cluster_bytes: match inputs.boot {
            Boot::RaspberryPi { .. } => genpack_rpi::card_cluster_bytes(layout.boot.len),
            _ => large_cluster_bytes(layout),
        },
        label: inputs.label,
        serial: inputs.identity.serial,
        hidden_sectors: u32::try_from(layout.boot.start / u64::from(layout.sector_bytes.max(1))).unwrap_or(0),
        modified,
    };
    let entries: Vec<Entry<'_>> = files
        .iter()
        .map(|file| Entry { path: &file.path, kind: EntryKind::File(file.source.len()), modified })
        .collect();
    emit::plan(layout.boot.len, &options, &entries).map_err(|e| {
        let error = CommandError::failed(e.to_string());
        match e.entry().and_then(|index| files.get(index)) {
            Some(file) => error.context(format!("placing {} on the boot partition", file.path)),
            None => error.context("planning the boot partition"),
        }
    })
}

fn embed<'a>(loaders: &'a Loaders, layout: &Layout) -> Result<bios_embed::Embedding<'a>> {
    let file = |name: &str| loaders.files.get(name).map(Vec::as_slice).unwrap_or_default();
    let first_lba = u32::try_from(layout.boot.start / LBA0_BYTES as u64).unwrap_or(0);
    bios_embed::embed(file(esp::BOOT_IMG), file(esp::CORE_IMG), first_lba).map_err(|e| {
        CommandError::failed(e.to_string())
            .context(format!("placing the BIOS loader of {}", loaders.from))
            .hint("build the image again, or leave boot.img and core.img out of it")
    })
}

/// Returns the zeros of the first sector: the MBR with its loader, a GPT's protective MBR, the boot sector of a disk
/// without table. One sector is written or not written, whenever power fails.
fn disable(inputs: &Inputs, layout: &Layout) -> Vec<Write> {
    let what = "the old boot sector".to_owned();
    let zeros = Write { what, offset: 0, source: Source::Zeros(layout.sector_bytes.into()) };
    if inputs.target.kind == Kind::Device { vec![zeros] } else { Vec::new() }
}

/// Returns what must be zeroed on a device: old tables and signatures, and what the boot file system takes for granted.
/// A new file is all zeros.
fn wipe(inputs: &Inputs, layout: &Layout, volume: &Volume) -> Vec<Write> {
    if inputs.target.kind != Kind::Device {
        return Vec::new();
    }
    let range = |what: &str, start: u64, len: u64| {
        let end = start.saturating_add(len).min(layout.disk_bytes);
        Write { what: what.to_owned(), offset: start, source: Source::Zeros(end.saturating_sub(start)) }
    };
    let mut wipe = vec![
        range("the old partition table", 0, MIB),
        range("the old end of the disk", layout.disk_bytes.saturating_sub(MIB), MIB),
    ];
    for partition in [Some(layout.boot), layout.data].into_iter().flatten() {
        let end = partition.start.saturating_add(partition.len);
        wipe.push(range("an old file system", partition.start, MIB));
        wipe.push(range("an old file system", end.saturating_sub(MIB), MIB));
    }
    let zeros = volume.zeros().into_iter();
    wipe.extend(
        zeros.map(|(offset, len)| {
            range("the boot file system", layout.boot.start.saturating_add(offset), len)
        }),
    );
    wipe
}

#[cfg(test)]
pub(super) mod tests;
