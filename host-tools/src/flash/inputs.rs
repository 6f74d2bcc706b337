//! Looks at everything that a flash needs, before anything is written.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use genpack_core::contract::boot_slots::{CMDLINE, CONFIG};
use genpack_core::contract::paths::{SYSTEM_IMG, SYSTEM_INI};
use genpack_core::contract::system_ini;
use genpack_core::fs::fat::emit::Label;
use genpack_core::guid::Guid;
use genpack_core::text::diagnostic::Severity;
use sha2::{Digest, Sha256};

use super::plan::{Boot, BootFile, Identity, Inputs, Plan};
use super::source::Opened;
use super::{Request, archive, config, run};
use crate::bootable::boards::Texts;
use crate::bootable::image::{EXTLINUX_CONF, in_boot, open_regular};
use crate::bootable::{Bootable, Scheme, loaders};
use crate::command_error::{CommandError, Context, Result, Snippet};
use crate::ctx::Ctx;
use crate::disk::layout::{MIB, Table};
use crate::disk::size::Size;
use crate::disk::table::Guids;
use crate::disk::target::{self, Facts, Kind};
use crate::disk::write::Source;
use crate::io::system_image::SystemImage;

/// GRUB script of the owner, on the boot partition.
const SYSTEM_CFG: &str = "system.cfg";
/// Longest text file that is taken from the user.
const MAX_TEXT_BYTES: u64 = 1 << 20;

/// Looks at the target and decides whether it may be overwritten.
///
/// # Errors
/// When it must not be, or the options do not suit it.
pub fn target(ctx: &Ctx, request: &Request) -> Result<Facts> {
    let mut target = target::gather(&resolve(ctx, &request.target))?;
    target::check(&target)?;
    if !request.force {
        target::check_is_portable(&target)?;
    }
    let is_device = target.kind == Kind::Device;
    if is_device && request.size.is_some() {
        return Err(CommandError::usage("--size is for disk files; a disk has its size"));
    }
    match request.sector_bytes {
        Some(_) if is_device => {
            return Err(CommandError::usage("--sector-size is for disk files; a disk has its sectors"));
        }
        Some(bytes) => target.sector_bytes = bytes,
        None => {}
    }
    not_the_target(&target, &resolve(ctx, &request.image))?;
    Ok(target)
}

/// Collects what the plan is made from.
///
/// # Errors
/// When something is missing, wrong or unsafe; nothing was written then.
pub fn gather(ctx: &Ctx, request: &Request, target: Facts, source: &Opened) -> Result<Inputs> {
    let label = request.label.as_deref().map(parse_label).transpose()?;
    if request.table == Some(Table::Gpt) && !request.esp {
        return Err(CommandError::usage("--no-esp has no meaning with --gpt"));
    }
    let image_path = source.path.clone();
    let bootable = Bootable::open(&image_path).map_err(|e| match source.unpacked {
        Some(_) => e.context(format!("looking into {}", request.image.display())),
        None => e,
    })?;
    if request.require_clean_commit {
        bootable.require_clean_commit()?;
    }
    let mut warnings = Vec::new();
    let mut additions = additions(ctx, request, &target, &mut warnings)?;
    if let Some(archive) = &request.archive {
        let path = resolve(ctx, archive);
        not_the_target(&target, &path)?;
        let files = archive::read(&path).with_context(|| format!("reading {}", path.display()))?;
        // What was named one by one wins.
        additions.splice(
            0..0,
            files.into_iter().filter(|file| {
                !request.additions.iter().any(|(named, _)| named.eq_ignore_ascii_case(&file.path))
            }),
        );
    }
    let boot = boot(&bootable, request, &mut additions)?;
    check_board_options(&boot, request, &target, &mut warnings)?;
    let editor = Source::Bytes(crate::ini_editor::page().into_bytes().into());
    let mut config = vec![
        system_ini_file(ctx, request)?,
        BootFile { path: crate::ini_editor::FILE_NAME.to_owned(), source: editor },
    ];
    if let Some(path) = &request.system_cfg {
        let bytes = read_text(&resolve(ctx, path))?;
        config.push(BootFile { path: SYSTEM_CFG.to_owned(), source: Source::Bytes(bytes.into()) });
    }
    Ok(Inputs {
        // A disk is made of whole sectors, of whichever size.
        size: request.size.map(|size| size.0.checked_next_multiple_of(MIB).unwrap_or(size.0)),
        table: request.table,
        esp: request.esp,
        data: request.data,
        data_fs: request.data_fs,
        boot_bytes: request.boot_size.map(|size| size.0),
        label,
        identity: identity(&bootable.image, &image_path)?,
        arch: bootable.meta.arch,
        image: Source::File { file: bootable.file, offset: 0, len: bootable.bytes },
        image_path,
        boot,
        config,
        additions,
        target,
        warnings,
    })
}

/// Collects what stands beside the image. The owner's own `config.txt`, `cmdline.txt` or menu is taken out of the
/// additions: ours is made from it.
fn boot(bootable: &Bootable, request: &Request, additions: &mut Vec<BootFile>) -> Result<Boot> {
    let mut text = |name: &str| -> Result<String> {
        let Some(at) = additions.iter().position(|file| file.path.eq_ignore_ascii_case(name)) else {
            return bootable.boot_text(name);
        };
        let file = additions.remove(at);
        let bytes = file.source.to_vec(MAX_TEXT_BYTES).with_context(|| format!("reading {name}"))?;
        String::from_utf8(bytes).map_err(|_| CommandError::failed(format!("--add {name}: it is no text")))
    };
    let texts = match bootable.scheme {
        // Without its firmware, a device tree or a kernel an image is not known for what it is; then the list of
        // what every board lacks is the answer.
        Scheme::Grub if request.rpi => {
            let names: Vec<String> = bootable.image.list("/boot")?.unwrap_or_default();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            crate::bootable::boards::raspberry_pi(&names, &Texts::default(), "0000-0000")
                .with_context(|| format!("{} is not for a Raspberry Pi", bootable.path.display()))?;
            Texts::default()
        }
        Scheme::Grub => return Ok(Boot::Grub(loaders::read(&bootable.image)?)),
        Scheme::RaspberryPi => Texts { config: text(CONFIG)?, cmdline: text(CMDLINE)? },
        Scheme::Extlinux if request.rpi => {
            return Err(CommandError::refused(format!(
                "{} is for a board with U-Boot",
                bootable.path.display()
            ))
            .hint("leave --rpi out"));
        }
        Scheme::Extlinux => Texts { config: text(EXTLINUX_CONF)?, cmdline: String::new() },
    };
    let files = bootable.boot_files.iter().map(|file| {
        let source =
            Source::Inside { image: Arc::clone(&bootable.image), path: in_boot(&file.path), len: file.bytes };
        (file.path.clone(), source)
    });
    let files = files.collect();
    Ok(match bootable.scheme {
        Scheme::Extlinux => Boot::Extlinux { files, menu: texts.config },
        _ => Boot::RaspberryPi { files, texts },
    })
}

/// Boards without GRUB know one kind of table and none of GRUB's files.
fn check_board_options(
    boot: &Boot,
    request: &Request,
    target: &Facts,
    warnings: &mut Vec<(String, Option<String>)>,
) -> Result<()> {
    if matches!(boot, Boot::Grub(_)) {
        return Ok(());
    }
    let refuse = |what: &str, hint: &str| Err(CommandError::refused(what).hint(hint));
    if request.table == Some(Table::Gpt) {
        return refuse("the boards of this image do not read a GPT", "leave --gpt out");
    }
    if request.table == Some(Table::Superfloppy) && !request.force {
        return refuse(
            "not all boards of this image start from a disk without partition table",
            "leave --superfloppy out, or add --force for a board that does (firmware of May 2020 or newer)",
        );
    }
    if target.sector_bytes != 512 {
        return refuse("the boards of this image need sectors of 512 bytes", "use another disk");
    }
    if request.system_cfg.is_some() {
        warnings.push((
            "--system-cfg has no effect: this image boots without GRUB".to_owned(),
            Some("kernel words go into cmdline.txt: --add cmdline.txt=FILE".to_owned()),
        ));
    }
    Ok(())
}

/// Checks what the plan needs of this machine: the programs, and room for a disk file.
///
/// # Errors
/// When a program is missing or the file system is too full.
pub fn check_tools_and_room(plan: &Plan) -> Result<()> {
    if let Some(data) = &plan.data
        && run::find_program(data.kind.program()).is_none()
    {
        return Err(run::missing_mkfs(data.kind));
    }
    if plan.target.kind == Kind::Device {
        return Ok(());
    }
    let parent = match plan.target.path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let stat = rustix::fs::statvfs(parent).with_context(|| format!("looking at {}", parent.display()))?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    // The data file system is made beside the disk file and then copied into it.
    let data = plan.data.as_ref().map_or(0, |data| data.kind.empty_bytes(data.partition.len));
    let data = data.saturating_add(plan.image_on_data_bytes()).saturating_mul(2);
    let needed = plan.written_bytes().saturating_add(data);
    if free < needed {
        return Err(CommandError::refused(format!(
            "the file system of {} has {} free and {} will be written",
            plan.target.path.display(),
            Size(free),
            Size(needed)
        ))
        .hint("make room, or write the file somewhere else"));
    }
    Ok(())
}

/// Returns the path from the working directory of the command, without a `./` that nobody typed.
#[must_use]
pub fn resolve(ctx: &Ctx, path: &Path) -> PathBuf {
    let path = ctx.path(path);
    match path.strip_prefix(".") {
        Ok(rest) if rest.as_os_str().is_empty() => PathBuf::from("."),
        Ok(rest) => rest.to_owned(),
        Err(_) => path,
    }
}

fn parse_label(text: &str) -> Result<Label> {
    Label::new(text).ok_or_else(|| {
        CommandError::usage(format!("{text:?} is no label for a FAT"))
            .hint("1 to 11 characters of A-Z, 0-9, _, - and blank")
    })
}

/// Writing over what is being read would destroy both.
fn not_the_target(target: &Facts, source: &Path) -> Result<()> {
    let identity = |path: &Path| std::fs::metadata(path).map(|m| (m.dev(), m.ino())).ok();
    let same = identity(&target.path).is_some_and(|target| identity(source) == Some(target));
    if same {
        return Err(CommandError::refused(format!("{} is read for it", source.display()))
            .context(format!("writing {}", target.path.display()))
            .hint("name another target"));
    }
    Ok(())
}

fn read_text(path: &Path) -> Result<Vec<u8>> {
    let (_, len) = open_regular(path)?;
    if len > MAX_TEXT_BYTES {
        return Err(CommandError::failed(format!(
            "{} has {} and should be a text",
            path.display(),
            Size(len)
        )));
    }
    std::fs::read(path).with_context(|| format!("reading {}", path.display()))
}

fn system_ini_file(ctx: &Ctx, request: &Request) -> Result<BootFile> {
    let mut keys = Vec::new();
    for path in &request.ssh_keys {
        let path = resolve(ctx, path);
        let text = read_text(&path)?;
        let found = config::public_keys(&String::from_utf8_lossy(&text));
        keys.extend(found.with_context(|| format!("reading the public key {}", path.display()))?);
    }
    let given = request.system_ini.as_ref().map(|path| resolve(ctx, path));
    let bytes = given.as_ref().map(|path| read_text(path)).transpose()?;
    let system_ini::File { text, findings, .. } = match &bytes {
        Some(bytes) => system_ini::read(bytes),
        None => system_ini::read(crate::keys::template().as_bytes()),
    };
    if let Some(path) = &given {
        for finding in &findings {
            if finding.severity == Severity::Note {
                ctx.ui.detail(format!("{}: {}", path.display(), finding.message));
            } else {
                let snippet = Snippet::of(path, &text, finding);
                ctx.ui.warning_at(&finding.message, &snippet, finding.hint.as_deref());
            }
        }
    }
    let bytes = match bytes {
        // What the owner wrote and nobody changes stays as it is, byte for byte.
        Some(bytes) if request.settings.is_empty() && keys.is_empty() => bytes,
        _ => config::merge(&text, &request.settings, &keys)?.into_bytes(),
    };
    Ok(BootFile { path: SYSTEM_INI.to_owned(), source: Source::Bytes(bytes.into()) })
}

fn additions(
    ctx: &Ctx,
    request: &Request,
    target: &Facts,
    warnings: &mut Vec<(String, Option<String>)>,
) -> Result<Vec<BootFile>> {
    let mut files: Vec<BootFile> = Vec::new();
    for (destination, source) in &request.additions {
        let path = resolve(ctx, source);
        let (file, len) = open_regular(&path).with_context(|| format!("adding {destination}"))?;
        not_the_target(target, &path)?;
        let source = Source::File { file: Arc::new(file), offset: 0, len };
        let added = BootFile { path: destination.clone(), source };
        match files.iter_mut().find(|file| file.path.eq_ignore_ascii_case(destination)) {
            Some(earlier) => {
                warnings.push((format!("--add names {destination} twice; the last one counts"), None));
                *earlier = added;
            }
            None => files.push(added),
        }
    }
    Ok(files)
}

/// Splits `DEST=SRC` of an `--add` and brings DEST into the form that FAT has: no leading `/`, no `.` and `..`.
///
/// # Errors
/// A usage error when a side is missing or DEST leaves the partition.
pub fn parse_addition(text: &str) -> Result<(String, PathBuf)> {
    let wrong = |why: &str| {
        Err(CommandError::usage(format!("--add {text}: {why}")).hint("write --add path/on/the/disk=file"))
    };
    let Some((destination, source)) = text.split_once('=') else { return wrong("there is no '='") };
    if destination.is_empty() || source.is_empty() {
        return wrong("a side of the '=' is empty");
    }
    let path = match normalize(destination) {
        Ok(path) => path,
        Err(why) => return wrong(why),
    };
    if path.eq_ignore_ascii_case(SYSTEM_IMG) {
        return Err(CommandError::usage(format!("--add {text}: the disk would have no system"))
            .hint("the first argument of flash is the system image"));
    }
    Ok((path, source.into()))
}

/// Brings a path on the boot partition into the form that FAT has; one from `/` cannot leave it.
///
/// # Errors
/// Why it is no such path.
pub fn normalize(path: &str) -> Result<String, &'static str> {
    let mut parts: Vec<&str> = Vec::new();
    let absolute = path.starts_with('/');
    for part in path.split('/').filter(|part| !matches!(*part, "" | ".")) {
        match part {
            ".." if parts.pop().is_none() && !absolute => return Err("the path leaves the boot partition"),
            ".." => {}
            part => parts.push(part),
        }
    }
    if parts.is_empty() { Err("the path names no file") } else { Ok(parts.join("/")) }
}

/// Returns numbers of this disk: random, so that two cards never look alike; with `SOURCE_DATE_EPOCH` they follow from
/// it and the image, so that the same build gives the same disk.
fn identity(image: &SystemImage, path: &Path) -> Result<Identity> {
    let Some(epoch) = std::env::var_os("SOURCE_DATE_EPOCH") else {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        return identity_from(now, |bytes| {
            rustix::rand::getrandom(bytes, rustix::rand::GetRandomFlags::empty())
                .map(|_| ())
                .context("asking the kernel for random numbers")
        });
    };
    let epoch = epoch.to_string_lossy().into_owned();
    let now = epoch.parse().map_err(|_| {
        CommandError::usage(format!("SOURCE_DATE_EPOCH is {epoch:?} and should be seconds since 1970"))
    })?;
    let mut superblock = [0; 96];
    let file = File::open(path).with_context(|| format!("reading {}", path.display()))?;
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut superblock, 0)
        .with_context(|| format!("reading {}", path.display()))?;
    let mut counter = 0u64;
    identity_from(now, |bytes| {
        counter = counter.saturating_add(1);
        let digest = Sha256::new()
            .chain_update(counter.to_le_bytes())
            .chain_update(image.bytes_used().to_le_bytes())
            .chain_update(superblock)
            .chain_update(&epoch)
            .finalize();
        for (byte, from) in bytes.iter_mut().zip(digest) {
            *byte = from;
        }
        Ok(())
    })
}

/// Draws the numbers; `fill` is asked for at most 16 bytes at a time.
fn identity_from(now: u64, mut fill: impl FnMut(&mut [u8]) -> Result<()>) -> Result<Identity> {
    let mut number = || {
        let mut bytes = [0; 4];
        fill(&mut bytes)?;
        // Zero stands for "none" in both places.
        Ok::<u32, CommandError>(u32::from_le_bytes(bytes).max(1))
    };
    let (serial, disk_signature) = (number()?, number()?);
    let mut guid = || {
        let mut bytes = [0; 16];
        fill(&mut bytes)?;
        // Version 4, variant 10: a random one (RFC 9562).
        bytes[6] = bytes[6] & 0x0F | 0x40;
        bytes[8] = bytes[8] & 0x3F | 0x80;
        Ok::<Guid, CommandError>(Guid::from_be_bytes(bytes))
    };
    let data_uuid = guid()?;
    let guids = Guids { disk: guid()?, boot: guid()?, data: guid()? };
    Ok(Identity { serial, disk_signature, data_uuid, guids, now })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command_error::Kind as ErrorKind;

    #[test]
    fn destinations_are_brought_into_one_form() {
        let cases = [
            ("/a/./b/=x", "a/b"),
            ("a/b/../c=x", "a/c"),
            ("/../x=x", "x"),
            ("memtest.efi=y=z", "memtest.efi"),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_addition(text).unwrap().0, expected, "{text}");
        }
        assert_eq!(parse_addition("a=y=z").unwrap().1, Path::new("y=z"));
        for bad in ["a", "=x", "a=", ".=x", "../x=x", "a/../..=x", "/=x", "system.img=x", "a/../SYSTEM.img=x"]
        {
            assert_eq!(parse_addition(bad).unwrap_err().kind, ErrorKind::Usage, "{bad}");
        }
    }

    #[test]
    fn working_directory_keeps_its_name() {
        let ctx = Ctx::quiet(".", genpack_core::kernel::arch::Arch::X86_64);
        for (path, expected) in [(".", "."), ("./x", "x"), ("x", "x"), ("/x", "/x"), ("..", "..")] {
            assert_eq!(resolve(&ctx, Path::new(path)), Path::new(expected), "{path}");
        }
    }

    #[test]
    fn labels_are_checked_before_anything_else() {
        assert_eq!(parse_label("lower").unwrap_err().kind, ErrorKind::Usage);
        assert_eq!(parse_label("GENPACK").unwrap().to_string(), "GENPACK");
    }
}
