//! The verb `inspect`: how an image was made and what is in it.
//!
//! What takes the space is told by the page alone ([`super::report`]). Not handled: kernel versions of other formats than bzImage come from
//! the name of the module directory.

use std::collections::HashSet;
use std::path::Path;

use genpack_core::bytes::{slice_at, u16_le_at, until_nul};
use genpack_core::fs::squashfs::{FileType, Flags, Superblock};
use genpack_core::kernel::image::{Format, detect};
use serde_json::{Map, Value, json};

use crate::command_error::Result;
use crate::ctx::Ctx;
use crate::io::atomic_file;
use crate::io::printable::printable;
use crate::io::system_image::SystemImage;
use crate::look::image::{iso8601, type_name};
use crate::look::{report, space};
use crate::vm::kernel::candidates;

pub(crate) mod verify;

/// How much of a kernel is read: the version of a bzImage is in its first 64 KiB (16-bit offset behind 0x200).
const KERNEL_HEAD: usize = 0x1_0400;
/// Longest kernel version that is shown, in bytes.
const MAX_VERSION: usize = 128;
/// The types in the order in which they are shown.
const TYPES: [FileType; 7] = [
    FileType::Directory,
    FileType::RegularFile,
    FileType::Symlink,
    FileType::BlockDevice,
    FileType::CharDevice,
    FileType::Fifo,
    FileType::Socket,
];
/// Names of the superblock's flags.
const FLAGS: [(u16, &str); 8] = [
    (Flags::UNCOMPRESSED_INODES, "uncompressed-inodes"),
    (Flags::UNCOMPRESSED_DATA, "uncompressed-data"),
    (Flags::UNCOMPRESSED_FRAGMENTS, "uncompressed-fragments"),
    (Flags::NO_FRAGMENTS, "no-fragments"),
    (Flags::ALWAYS_FRAGMENTS, "always-fragments"),
    (Flags::DUPLICATES, "duplicates-removed"),
    (Flags::EXPORTABLE, "exportable"),
    (Flags::COMPRESSOR_OPTIONS, "compressor-options"),
];

/// Prints what is known about the image, as text or as one JSON document, and writes the page `html`.
///
/// # Errors
/// When the image cannot be read, `verify` finds damage, or the page cannot be written.
pub fn run(ctx: &Ctx, image: &Path, verify: bool, html: Option<&Path>) -> Result<()> {
    let image = SystemImage::open(image)?;
    let mut facts = facts(&image)?;
    if verify {
        let bytes = facts.get("content_bytes").and_then(Value::as_u64).unwrap_or(0);
        let mut progress = ctx.ui.progress("reading", bytes);
        let read = verify::run(&image, &mut |bytes| progress.add(bytes))?;
        if let Value::Object(facts) = &mut facts {
            facts.insert("verified_bytes".into(), read.into());
        }
    }
    if let Some(html) = html {
        let name = image.path().file_name().unwrap_or_default().to_string_lossy();
        let page = report::page(&printable(name.as_bytes()), &facts, &space::measure(&image)?);
        if !ctx.dry_run {
            atomic_file::write(html, page.as_bytes())?;
        }
        ctx.ui.note(format!("the page is {}", html.display()));
    }
    if ctx.ui.is_json() {
        ctx.ui.document(&facts);
    } else {
        let mut lines = Vec::new();
        text("", &facts, &mut lines);
        let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        lines.iter().for_each(|(name, value)| ctx.ui.answer(format_args!("{name:width$}  {value}")));
    }
    Ok(())
}

/// Puts one line per leaf, its path as the name.
pub(super) fn text(name: &str, value: &Value, lines: &mut Vec<(String, String)>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                text(&name, value, lines);
            }
        }
        Value::Array(array) => {
            let words: Vec<_> = array.iter().filter_map(Value::as_str).collect();
            lines.push((name.to_owned(), words.join(" ")));
        }
        Value::String(text) => lines.push((name.to_owned(), printable(text.as_bytes()))),
        other => lines.push((name.to_owned(), other.to_string())),
    }
}

pub(super) fn facts(image: &SystemImage) -> Result<Value> {
    let mut facts = superblock(image.superblock());
    if let Some(options) = image.compressor_options()? {
        facts.insert("compressor_options".into(), options.to_string().into());
    }
    let mut seen = HashSet::from([image.superblock().root_inode]);
    let (mut numbers, mut bytes, mut names, mut xattrs) = ([0_u64; TYPES.len()], 0_u64, 1_u64, 0_u64);
    let mut add = |entry: &crate::io::system_image::Entry| {
        if let Some(n) = TYPES.iter().position(|t| *t == entry.file_type).and_then(|i| numbers.get_mut(i)) {
            *n += 1;
        }
        xattrs += u64::from(entry.xattr.is_some());
        if entry.file_type == FileType::RegularFile {
            bytes = bytes.saturating_add(entry.size);
        }
    };
    image.stat("/")?.iter().for_each(&mut add);
    image.walk(&mut |_, entry| {
        names += 1;
        if seen.insert(entry.inode) {
            add(entry);
        }
        Ok(())
    })?;
    let by_type: Map<String, Value> = TYPES
        .into_iter()
        .zip(numbers)
        .filter(|(_, n)| *n > 0)
        .map(|(t, n)| (type_name(t).to_owned(), n.into()))
        .collect();
    facts.insert("inodes_by_type".into(), by_type.into());
    facts.insert("names".into(), names.into());
    facts.insert("inodes_with_xattrs".into(), xattrs.into());
    facts.insert("content_bytes".into(), bytes.into());
    if bytes > 0 {
        let ratio = image.bytes_used() as f64 / bytes as f64;
        facts.insert("ratio".into(), ((ratio * 1000.0).round() / 1000.0).into());
    }
    if let Some(genpack) = genpack(image)? {
        facts.insert("genpack".into(), genpack);
    }
    if let Some(kernel) = kernel(image)? {
        facts.insert("kernel".into(), kernel);
    }
    Ok(facts.into())
}

fn superblock(s: &Superblock) -> Map<String, Value> {
    let flags: Vec<_> = FLAGS.iter().filter(|(bit, _)| s.flags.has(*bit)).map(|(_, name)| *name).collect();
    let facts = json!({
        "version": "4.0",
        "made": iso8601(s.mkfs_time),
        "bytes_used": s.bytes_used,
        "block_size": s.block_size,
        "compressor": s.compressor.name(),
        "flags": flags,
        "inodes": s.inodes,
        "fragments": s.fragments,
        "ids": s.ids,
        "has_export_table": s.lookup_table_start.is_some(),
        "has_xattr_table": s.xattr_id_table_start.is_some(),
    });
    if let Value::Object(facts) = facts { facts } else { Map::new() }
}

/// Returns what `/.genpack` says, `None` when this is no genpack image.
fn genpack(image: &SystemImage) -> Result<Option<Value>> {
    if !image.stat("/.genpack")?.is_some_and(|e| e.is_directory()) {
        return Ok(None);
    }
    let meta = image.meta()?;
    let words = [
        ("artifact", meta.artifact),
        ("arch", meta.arch.map(|arch| arch.name().to_owned())),
        ("profile", meta.profile),
        ("variant", meta.variant),
    ];
    let object: Map<String, Value> =
        words.into_iter().filter_map(|(key, word)| Some((key.to_owned(), word?.into()))).collect();
    Ok(Some(object.into()))
}

/// Returns path, format, architecture and version of the kernel that a direct boot would take.
fn kernel(image: &SystemImage) -> Result<Option<Value>> {
    let modules = image.list("/usr/lib/modules")?.unwrap_or_default();
    for candidate in candidates(image)? {
        let Some(head) = image.head(&candidate.kernel, KERNEL_HEAD)? else { continue };
        let mut object = Map::new();
        object.insert("path".into(), candidate.kernel.into());
        let found = detect(&head);
        if let Some(found) = &found {
            object.insert("format".into(), found.format.name().into());
            if let Some(arch) = found.arch() {
                object.insert("arch".into(), arch.name().into());
            }
        }
        let of_header = found.filter(|k| k.format == Format::BzImage).and_then(|_| bzimage_version(&head));
        let only_modules = if let [only] = modules.as_slice() { Some(only.clone()) } else { None };
        if let Some(version) = of_header.or(only_modules) {
            object.insert("version".into(), version.into());
        }
        return Ok(Some(object.into()));
    }
    Ok(None)
}

/// Returns the release in a bzImage's `kernel_version` (Documentation/arch/x86/boot.rst), its first word.
fn bzimage_version(head: &[u8]) -> Option<String> {
    let offset = usize::from(u16_le_at(head, 0x20E)?);
    if offset == 0 {
        return None;
    }
    let rest = head.get(offset.checked_add(0x200)?..)?;
    let text = until_nul(slice_at(rest, 0, rest.len().min(MAX_VERSION))?);
    Some(String::from_utf8_lossy(text).split_whitespace().next()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bzimage_version_is_its_first_word() {
        let mut head = vec![0; 0x400];
        assert_eq!(bzimage_version(&head), None);
        head[0x20E..0x210].copy_from_slice(&0x20_u16.to_le_bytes());
        head[0x220..0x22D].copy_from_slice(b"6.1.0-44 (me)");
        assert_eq!(bzimage_version(&head).as_deref(), Some("6.1.0-44"));
        head[0x20E..0x210].copy_from_slice(&u16::MAX.to_le_bytes());
        assert_eq!(bzimage_version(&head), None);
    }

    #[test]
    fn facts_are_one_line_each() {
        let mut lines = Vec::new();
        text("", &json!({"a": 1, "b": {"c": ["x", "y"], "d": true}, "e": "f\u{1b}"}), &mut lines);
        let expected = [("a", "1"), ("b.c", "x y"), ("b.d", "true"), ("e", "f\\033")];
        assert_eq!(lines, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}
