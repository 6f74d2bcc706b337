//! `iso`: a disc that boots on a BIOS and on UEFI, and the same bytes on a stick.
//!
//! [`layout`] decides where everything goes (pure), [`run`] writes it in one pass. The disc holds the image, GRUB and the
//! script; what makes it boot is `genpack_boot::eltorito`, on a stick its boot sector and the partition with GRUB for
//! UEFI. The same input gives the same bytes. Not handled: discs for several images, saved data.

use std::path::PathBuf;
use std::sync::Arc;

use genpack_boot::eltorito::{self, BIOS_IMG, Boots, HYBRID_IMG};
use genpack_boot::esp::{GRUB_CFG, GRUB_CFG_PATH};
use genpack_core::contract::paths::SYSTEM_IMG;
use genpack_core::disk::mbr::{Mbr, Partition, TYPE_EFI_SYSTEM, TYPE_LINUX};
use genpack_core::fs::fat::emit::{self, DosTime, Entry, EntryKind, Options};
use serde_json::json;

use crate::bootable::image::check_boots_by_grub;
use crate::bootable::loaders::{self, Loaders};
use crate::command_error::{CommandError, Kind, Result};
use crate::ctx::Ctx;
use crate::disk::size::Size;
use crate::disk::write::Source;
use crate::io::hash;
use crate::io::interrupt::Interrupt;
use crate::placed::{self, Placed};

pub mod layout;
pub mod names;
mod record;
pub mod run;
mod time;
pub mod volume;

use layout::{BLOCK, FIRST_DESCRIPTOR, File, Layout};
use volume::Volume;

/// The catalog on the disc.
pub const CATALOG_PATH: &str = "boot/grub/boot.cat";
/// GRUB for a BIOS on the disc.
const BIOS_PATH: &str = "boot/grub/i386-pc/eltorito.img";
/// The FAT with GRUB for UEFI on the disc.
const EFI_PATH: &str = "boot/grub/efi.img";
/// Most characters of a volume identifier.
const MAX_LABEL: usize = 32;
/// The volume identifier unless another one is named.
const DEFAULT_LABEL: &str = "GENPACK";
/// The whole is a multiple of this, so that a stick's partition table ends with it.
const PADDING: u64 = 1 << 20;
/// Largest FAT for UEFI: what an entry of the catalog can count.
const MAX_EFI_BYTES: u64 = 0xFFFF * 512;
/// Room in that FAT besides the files.
const EFI_ROOM: u64 = 1 << 20;
/// LBA of the first partition: behind the part of a disc that standards leave to systems.
const FIRST_PARTITION: u32 = 64;

/// What the user asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The disc to write.
    pub output: PathBuf,
    /// The system image.
    pub image: PathBuf,
    /// Volume identifier.
    pub label: Option<String>,
    /// More files: path there, file here.
    pub additions: Vec<(String, PathBuf)>,
}

/// A disc, decided.
#[derive(Debug)]
pub struct Plan {
    /// What is written, in order of places, without gaps between them being named.
    pub writes: Vec<(u64, Source)>,
    /// Bytes of the whole.
    pub bytes: u64,
    /// Paths and sizes of what is on it.
    pub files: Vec<(String, u64)>,
    /// What boots it.
    pub firmware: Vec<&'static str>,
}

/// Writes a disc.
///
/// # Errors
/// When the image cannot boot from one, or the file cannot be written; then there is no file, or the old one.
pub fn iso(ctx: &Ctx, request: &Request) -> Result<()> {
    let _interrupt = Interrupt::watch()?;
    let label = label(request.label.as_deref())?;
    let output = ctx.path(&request.output);
    let image = placed::open_image(&ctx.path(&request.image))?;
    check_boots_by_grub(&image)?;
    let time = placed::time(&image)?;
    let mut extra = placed::additions(ctx, &request.additions, &[CATALOG_PATH])?;
    let loaders = loaders::read(&image)?;
    let mut files = vec![Placed::bytes(CATALOG_PATH, vec![0; 2048])];
    files.extend(loader_files(ctx, &loaders, time)?);
    files.push(placed::image_file(&image, SYSTEM_IMG)?);
    // The FAT for UEFI comes last: on a stick it is a partition of its own behind the others.
    files.sort_by_key(|file| file.path == EFI_PATH);
    placed::replace(ctx, &mut files, &mut extra);
    let at = files.iter().position(|file| file.path == SYSTEM_IMG).unwrap_or(files.len());
    files.splice(at..at, extra);
    placed::check_output(&output, &ctx.path(&request.image), &request.additions, ctx)?;
    let hybrid = loaders.files.get(HYBRID_IMG).map(Vec::as_slice);
    let plan = plan(&files, &label, time, hybrid)?;
    if hybrid.is_none() && plan.firmware.contains(&"BIOS disc") {
        ctx.ui.warning(
            format!("{} have no {HYBRID_IMG}: as a stick the disc boots on UEFI only", loaders.from),
            Some("build the image anew"),
        );
    }
    if ctx.dry_run || ctx.ui.is_json() {
        show(ctx, &plan);
    }
    if ctx.dry_run {
        return Ok(());
    }
    run::run(ctx, &plan, &output)?;
    ctx.ui.event("done", json!({"file": output, "bytes": plan.bytes}));
    ctx.ui.step(format!(
        "{} is written: {}, boots on {}",
        output.display(),
        Size(plan.bytes),
        plan.firmware.join(", ")
    ));
    Ok(())
}

fn show(ctx: &Ctx, plan: &Plan) {
    if ctx.ui.is_json() {
        let files: Vec<_> =
            plan.files.iter().map(|(path, bytes)| json!({"path": path, "bytes": bytes})).collect();
        let document = json!({"bytes": plan.bytes, "firmware": plan.firmware, "files": files});
        if ctx.dry_run {
            ctx.ui.document(&document)
        } else {
            ctx.ui.event("plan", document)
        }
        return;
    }
    plan.files.iter().for_each(|(path, bytes)| ctx.ui.answer(format_args!("{path} ({bytes} bytes)")));
    ctx.ui.answer(format_args!("{} in all, boots on {}", Size(plan.bytes), plan.firmware.join(", ")));
}

fn label(text: Option<&str>) -> Result<String> {
    let text = text.unwrap_or(DEFAULT_LABEL);
    let is_legal = |c: char| c.is_ascii_alphanumeric() || "_-. ".contains(c);
    if text.is_empty() || text.len() > MAX_LABEL || !text.chars().all(is_legal) {
        return Err(CommandError::usage(format!("{text:?} is no label for a disc"))
            .hint("1 to 32 of letters, digits, _, -, . and blank"));
    }
    Ok(text.to_owned())
}

/// Returns the loaders as files of the disc.
fn loader_files(ctx: &Ctx, loaders: &Loaders, time: u64) -> Result<Vec<Placed>> {
    let mut files = Vec::new();
    if let Some(bytes) = loaders.files.get(BIOS_IMG) {
        files.push(Placed::bytes(BIOS_PATH, bytes.clone()));
    }
    let programs: Vec<(&String, &Vec<u8>)> =
        loaders.files.iter().filter(|(name, _)| name.starts_with("boot") && name.ends_with(".efi")).collect();
    if !programs.is_empty() {
        files.push(Placed::bytes(EFI_PATH, efi_volume(&programs, time)?));
    }
    if files.is_empty() {
        return Err(CommandError::failed(format!("{} have no boot loader for a disc", loaders.from))
            .hint("build the image with genpack-host build, which puts GRUB into it"));
    }
    for (path, firmware) in [(BIOS_PATH, "a BIOS"), (EFI_PATH, "UEFI")] {
        if !files.iter().any(|file| file.path == path) {
            ctx.ui.warning(
                format!("the disc will not boot on {firmware}: {} have no loader for it", loaders.from),
                None,
            );
        }
    }
    let script = loaders.files.get(GRUB_CFG).cloned();
    let script = script.unwrap_or_else(|| genpack_boot::grub_cfg::SCRIPT.as_bytes().to_vec());
    files.push(Placed::bytes(GRUB_CFG_PATH, script));
    Ok(files)
}

/// Returns a FAT with the EFI programs.
fn efi_volume(programs: &[(&String, &Vec<u8>)], time: u64) -> Result<Vec<u8>> {
    let what = "making the FAT for UEFI";
    let modified = DosTime::from_unix(time);
    let paths: Vec<String> = programs.iter().map(|(name, _)| format!("EFI/BOOT/{name}")).collect();
    let entries: Vec<Entry<'_>> = paths
        .iter()
        .zip(programs)
        .map(|(path, (_, bytes))| Entry { path, kind: EntryKind::File(bytes.len() as u64), modified })
        .collect();
    let content: u64 = programs.iter().map(|(_, bytes)| bytes.len() as u64).sum();
    let total = content.saturating_add(EFI_ROOM).next_multiple_of(1 << 20);
    if total > MAX_EFI_BYTES {
        return Err(CommandError::failed(format!(
            "the programs for UEFI have {}, a disc can boot {}",
            Size(content),
            Size(MAX_EFI_BYTES)
        ))
        .context(what));
    }
    let options = Options {
        sector_bytes: 512,
        cluster_bytes: None,
        label: None,
        serial: 0x4745_4E50,
        hidden_sectors: 0,
        modified,
    };
    let volume = emit::plan(total, &options, &entries)
        .map_err(|e| CommandError::failed(e.to_string()).context(what))?;
    let mut bytes = vec![0; usize::try_from(total).unwrap_or(0)];
    let mut put = |offset: u64, content: &[u8]| {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        if let Some(to) = bytes.get_mut(start..start.saturating_add(content.len())) {
            to.copy_from_slice(content);
        }
    };
    volume.metadata().iter().for_each(|extent| put(extent.offset, &extent.bytes));
    for (index, (_, content)) in programs.iter().enumerate() {
        if let Some(offset) = volume.file_offset(index) {
            put(offset, content);
        }
    }
    Ok(bytes)
}

/// Decides where everything goes.
///
/// # Errors
/// When a path cannot be on a disc, or a loader is not what GRUB makes.
pub fn plan(files: &[Placed], label: &str, time: u64, hybrid: Option<&[u8]>) -> Result<Plan> {
    let what = "laying the disc out";
    let failed = |e: &dyn std::fmt::Display| CommandError::failed(e.to_string()).context(what);
    let listed: Vec<File> =
        files.iter().map(|file| File { path: file.path.clone(), bytes: file.source.len() }).collect();
    // Primary, boot record, Joliet, terminator.
    let layout = layout::plan(&listed, 4, time)
        .map_err(|e| CommandError::new(Kind::Refused, e.to_string()).context(what))?;
    let at = |path: &str| {
        let index = files.iter().position(|file| file.path == path)?;
        Some((*layout.files.get(index)?, files.get(index)?.source.len()))
    };
    let (bios, efi, catalog) = (at(BIOS_PATH), at(EFI_PATH), at(CATALOG_PATH));
    let bytes = (u64::from(layout.blocks).saturating_mul(BLOCK)).next_multiple_of(PADDING);
    let mut writes = Vec::new();
    let block = |block: u32| u64::from(block).saturating_mul(BLOCK);
    let own = |content: Vec<u8>| Source::Bytes(Arc::from(content));
    for (index, file) in files.iter().enumerate() {
        let Some(place) = layout.files.get(index).copied() else { continue };
        let source = match (file.path.as_str(), &file.source) {
            (CATALOG_PATH, _) => own(eltorito::catalog(&Boots { bios, efi }).to_vec()),
            (BIOS_PATH, Source::Bytes(image)) => {
                let mut image = image.to_vec();
                eltorito::place_bios_image(&mut image, place, FIRST_DESCRIPTOR).map_err(|e| failed(&e))?;
                own(image)
            }
            (_, source) => source.clone(),
        };
        writes.push((block(place), source));
    }
    let volume = Volume { label: label.to_owned(), time, hundredths: hundredths(&listed, label) };
    let descriptors = [
        volume::descriptor(&volume, &layout, false),
        eltorito::boot_record(catalog.map_or(0, |(place, _)| place)).to_vec(),
        volume::descriptor(&volume, &layout, true),
        volume::terminator(),
    ];
    for (number, descriptor) in (FIRST_DESCRIPTOR..).zip(descriptors) {
        writes.push((block(number), own(descriptor)));
    }
    writes.extend(layout.tables.iter().map(|(place, content)| (block(*place), own(content.clone()))));
    let sector =
        boot_sector(&layout, bytes, bios, efi, hybrid, signature(&listed, label)).map_err(|e| failed(&e))?;
    writes.push((0, own(sector.to_vec())));
    writes.retain(|(_, source)| !source.is_empty());
    writes.sort_by_key(|(offset, _)| *offset);
    let firmware = [
        (bios.is_some(), "BIOS disc"),
        (bios.is_some() && hybrid.is_some(), "BIOS stick"),
        (efi.is_some(), "UEFI disc"),
        (efi.is_some(), "UEFI stick"),
    ];
    let firmware = firmware.into_iter().filter(|(is, _)| *is).map(|(_, name)| name).collect();
    let files = listed.into_iter().map(|file| (file.path, file.bytes)).collect();
    Ok(Plan { writes, bytes, files, firmware })
}

/// Returns LBA 0 of a stick: code for a BIOS, a partition with the disc, one with GRUB for UEFI.
fn boot_sector(
    layout: &Layout,
    bytes: u64,
    bios: Option<(u32, u64)>,
    efi: Option<(u32, u64)>,
    hybrid: Option<&[u8]>,
    disk_signature: u32,
) -> std::result::Result<[u8; 512], eltorito::Error> {
    let mut sector = match (bios, hybrid) {
        (Some((place, _)), Some(code)) => eltorito::hybrid_sector(code, place)?,
        _ => [0; 512],
    };
    let end = efi.map_or(bytes / BLOCK, |(place, _)| u64::from(place)).saturating_mul(4);
    let sectors = u32::try_from(end).unwrap_or(u32::MAX).saturating_sub(FIRST_PARTITION);
    let disc = Partition { active: true, os_type: TYPE_LINUX, start_lba: FIRST_PARTITION, sectors };
    let esp = efi.filter(|_| layout.blocks < u32::MAX / 4).map(|(place, bytes)| Partition {
        active: false,
        os_type: TYPE_EFI_SYSTEM,
        start_lba: place.saturating_mul(4),
        sectors: u32::try_from(bytes / 512).unwrap_or(u32::MAX),
    });
    Mbr { disk_signature, partitions: [Some(disc), esp, None, None] }.emit(&mut sector);
    Ok(sector)
}

/// Returns what tells two discs apart that were made from images of one second.
fn digest(files: &[File], label: &str) -> [u8; 8] {
    let listed: String = files.iter().map(|file| format!("{} {}\n", file.path, file.bytes)).collect();
    let hex = hash::hex(format!("{label}\n{listed}").as_bytes());
    u64::from_str_radix(hex.get(..16).unwrap_or("0"), 16).unwrap_or(0).to_le_bytes()
}

fn hundredths(files: &[File], label: &str) -> u8 {
    digest(files, label).first().copied().unwrap_or(0) % 100
}

fn signature(files: &[File], label: &str) -> u32 {
    let [_, a, b, c, d, ..] = digest(files, label);
    // Zero stands for "none".
    u32::from_le_bytes([a, b, c, d]).max(1)
}
