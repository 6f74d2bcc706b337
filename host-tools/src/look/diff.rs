//! The verb `diff`: which paths two images do not share, and what is different about those that they do.
//!
//! Content is compared by its hash, read on all processors; files of different sizes need not be read. Not handled:
//! times, because a build that changes nothing may still change them, and renames: they are one path less and one more.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use genpack_core::fs::squashfs::{FileType, InodeRef};
use serde_json::{Map, Value, json};

use crate::command_error::{Context, Result};
use crate::ctx::Ctx;
use crate::io::atomic_file;
use crate::io::interrupt::Interrupt;
use crate::io::printable::printable;
use crate::io::system_image::{Content, Entry, Piece, SystemImage, UnitSize, default_jobs};
use crate::look::image::type_name;
use crate::look::sbom::packages::Package;
use crate::look::{inspect, sbom, space};

pub mod page;

/// One path of an image, absolute.
struct Named {
    path: Vec<u8>,
    entry: Entry,
}

/// What is different about one path.
enum Change<'n> {
    Added(&'n Named),
    Removed(&'n Named),
    Changed { old: &'n Named, new: &'n Named, what: Vec<&'static str> },
}

/// Prints what was added, removed and changed, as text or as one JSON document, and writes the page `html`.
///
/// # Errors
/// When an image cannot be read, or the page cannot be written.
pub fn run(ctx: &Ctx, old: &Path, new: &Path, html: Option<&Path>) -> Result<()> {
    let images = [SystemImage::open(old)?, SystemImage::open(new)?];
    let [old, new] = &images;
    let (names_old, names_new) = (names(old)?, names(new)?);
    let pairs = pairs(&names_old, &names_new);
    let doubtful: Vec<_> = pairs.iter().filter_map(same_size).collect();
    let bytes: u64 = doubtful.iter().map(|(a, b)| a.size.saturating_add(b.size)).sum();
    let mut progress = ctx.ui.progress("comparing", bytes);
    let hashes_old = hashes(old, doubtful.iter().map(|(a, _)| *a), &mut |n| progress.add(n))?;
    let hashes_new = hashes(new, doubtful.iter().map(|(_, b)| *b), &mut |n| progress.add(n))?;
    drop(progress);
    let mut is_same = hashes_old.iter().zip(&hashes_new).map(|(a, b)| a == b);
    let mut changes = Vec::new();
    for pair in &pairs {
        // In the order of `doubtful`; a pair that is not in it has told by its sizes.
        let same_content = same_size(pair).is_none() || is_same.next().unwrap_or(false);
        match *pair {
            (Some(a), Some(b)) => {
                let what = differences((old, &a.entry), (new, &b.entry), same_content)?;
                if !what.is_empty() {
                    changes.push(Change::Changed { old: a, new: b, what });
                }
            }
            (Some(a), None) => changes.push(Change::Removed(a)),
            (None, Some(b)) => changes.push(Change::Added(b)),
            (None, None) => {}
        }
    }
    if let Some(html) = html {
        let rows: Vec<_> = changes.iter().map(row).collect();
        let page = page::page(&side(old)?, &side(new)?, &rows);
        if !ctx.dry_run {
            atomic_file::write(html, page.as_bytes())?;
        }
        ctx.ui.note(format!("the page is {}", html.display()));
    }
    if ctx.ui.is_json() {
        ctx.ui.document(&as_json(old, new, &changes));
    } else {
        changes.iter().for_each(|change| ctx.ui.answer(line(change)));
        ctx.ui.answer(summary(old, new, &changes));
    }
    Ok(())
}

/// Returns every path of the image, in the order of their bytes, the root first.
fn names(image: &SystemImage) -> Result<Vec<Named>> {
    let mut names: Vec<_> =
        image.stat("/")?.into_iter().map(|entry| Named { path: b"/".to_vec(), entry }).collect();
    image.walk(&mut |path, entry| {
        let path = [b"/", path].concat();
        names.push(Named { path, entry: entry.clone() });
        Ok(())
    })?;
    names.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(names)
}

type Pair<'n> = (Option<&'n Named>, Option<&'n Named>);

/// Returns every path of either list once, with what each has there. Both are in order.
fn pairs<'n>(old: &'n [Named], new: &'n [Named]) -> Vec<Pair<'n>> {
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    let mut pairs = Vec::new();
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return pairs,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => a.path.cmp(&b.path),
        };
        let a = if order.is_le() { old.next() } else { None };
        let b = if order.is_ge() { new.next() } else { None };
        pairs.push((a, b));
    }
}

/// Returns the two files of a pair whose content may be equal.
fn same_size<'n>(pair: &Pair<'n>) -> Option<(&'n Entry, &'n Entry)> {
    let (a, b) = (&pair.0?.entry, &pair.1?.entry);
    let are_files = a.file_type == FileType::RegularFile && b.file_type == FileType::RegularFile;
    (are_files && a.size == b.size && a.size > 0).then_some((a, b))
}

/// Returns the hash of each file's content, in the order of the files; `step` counts bytes.
fn hashes<'n>(
    image: &SystemImage,
    files: impl Iterator<Item = &'n Entry>,
    step: &mut dyn FnMut(u64),
) -> Result<Vec<Option<blake3::Hash>>> {
    let interrupt = Interrupt::watch()?;
    let files: Vec<_> = files.collect();
    let hashes = Mutex::new(vec![None; files.len()]);
    image.in_parallel(
        default_jobs(),
        |feeder| {
            let (mut unit, mut size, mut bytes) = (Vec::new(), UnitSize::default(), 0_u64);
            for (index, file) in files.iter().enumerate() {
                if size.is_full_before(file.fragment) {
                    interrupt.check()?;
                    feeder.send(std::mem::take(&mut unit))?;
                    size = UnitSize::default();
                    step(std::mem::take(&mut bytes));
                }
                unit.push((index, file.inode));
                size.add(file.size, file.fragment);
                bytes = bytes.saturating_add(file.size);
            }
            feeder.send(unit)
        },
        |content, unit: Vec<(usize, InodeRef)>| {
            for (index, inode) in unit {
                let hash = hash(content, inode, &interrupt)?;
                let mut hashes = hashes.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(place) = hashes.get_mut(index) {
                    *place = Some(hash);
                }
            }
            Ok(())
        },
    )?;
    Ok(hashes.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Why zeros are hashed: one packer may store what another leaves out as a hole.
fn hash(content: &mut Content<'_>, inode: InodeRef, interrupt: &Interrupt) -> Result<blake3::Hash> {
    static ZEROS: [u8; 1 << 16] = [0; 1 << 16];
    let mut hasher = blake3::Hasher::new();
    content.pieces(inode, &mut |piece| {
        interrupt.check()?;
        match piece {
            Piece::Bytes(bytes) => {
                hasher.update(bytes);
            }
            Piece::Hole(mut left) => {
                while left > 0 {
                    interrupt.check()?;
                    let n = usize::try_from(left).unwrap_or(usize::MAX).min(ZEROS.len());
                    hasher.update(ZEROS.get(..n).unwrap_or(&ZEROS));
                    left -= n as u64;
                }
            }
        }
        Ok(())
    })?;
    Ok(hasher.finalize())
}

/// Returns the words for what is different, none when the paths are alike.
fn differences(
    (old, a): (&SystemImage, &Entry),
    (new, b): (&SystemImage, &Entry),
    same_content: bool,
) -> Result<Vec<&'static str>> {
    if a.file_type != b.file_type {
        return Ok(vec!["type"]);
    }
    let is_file = a.file_type == FileType::RegularFile;
    let mut all = vec![
        ("content", is_file && (a.size != b.size || !same_content)),
        ("target", a.target != b.target),
        ("device", a.device != b.device),
        ("mode", a.mode != b.mode),
        ("owner", (a.uid, a.gid) != (b.uid, b.gid)),
    ];
    if a.xattr.is_some() || b.xattr.is_some() {
        let of = |image: &SystemImage, entry| -> Result<_> {
            let mut xattrs = image.xattrs(entry)?;
            xattrs.sort();
            Ok(xattrs)
        };
        let (of_a, of_b) = (of(old, a).context("comparing")?, of(new, b).context("comparing")?);
        all.push(("attributes", of_a != of_b));
    }
    Ok(all.into_iter().filter(|(_, is)| *is).map(|(what, _)| what).collect())
}

/// Returns bytes of content; a directory's listing and a link's target are none.
fn size(entry: &Entry) -> u64 {
    if entry.file_type == FileType::RegularFile { entry.size } else { 0 }
}

fn line(change: &Change<'_>) -> String {
    match change {
        Change::Added(n) => format!("+ {:>10}  {}", size(&n.entry), printable(&n.path)),
        Change::Removed(n) => format!("- {:>10}  {}", size(&n.entry), printable(&n.path)),
        Change::Changed { old, new, what } => {
            let by = i128::from(size(&new.entry)) - i128::from(size(&old.entry));
            let by = if by == 0 { "=".to_owned() } else { format!("{by:+}") };
            format!("~ {by:>10}  {}  ({})", printable(&new.path), what.join(", "))
        }
    }
}

fn row(change: &Change<'_>) -> page::Row {
    let (named, before, after, what) = match change {
        Change::Added(n) => (n, None, Some(size(&n.entry)), Vec::new()),
        Change::Removed(n) => (n, Some(size(&n.entry)), None, Vec::new()),
        Change::Changed { old, new, what } => {
            (new, Some(size(&old.entry)), Some(size(&new.entry)), what.clone())
        }
    };
    page::Row { path: named.path.clone(), shown: printable(&named.path), before, after, what }
}

/// Returns what the page tells of an image beside its paths.
fn side(image: &SystemImage) -> Result<page::Side> {
    let name = image.path().file_name().unwrap_or_default().to_string_lossy();
    let packages = sbom::packages::found(image)?;
    Ok(page::Side {
        name: printable(name.as_bytes()),
        bytes: image.bytes_used(),
        facts: inspect::facts(image)?,
        versions: versions(packages.into_values()),
        owners: space::packages::read(image)?,
    })
}

/// Returns the versions by name; a package may be there in several, as Gentoo's slots are.
fn versions(packages: impl Iterator<Item = Package>) -> BTreeMap<String, String> {
    let mut versions: BTreeMap<String, String> = BTreeMap::new();
    for Package { name, version, .. } in packages {
        let known = versions.entry(name).or_default();
        if !known.is_empty() {
            known.push_str(", ");
        }
        known.push_str(&version);
    }
    versions
}

/// How many paths and bytes of content there are of one kind.
#[derive(Default)]
struct Sum {
    paths: u64,
    bytes: u64,
}

impl Sum {
    fn add(&mut self, entry: &Entry) {
        self.paths += 1;
        self.bytes = self.bytes.saturating_add(size(entry));
    }
}

/// Returns what was added, removed and changed in all.
fn sums(changes: &[Change<'_>]) -> [(&'static str, Sum); 3] {
    let (mut added, mut removed, mut changed) = <(Sum, Sum, Sum)>::default();
    for change in changes {
        match change {
            Change::Added(n) => added.add(&n.entry),
            Change::Removed(n) => removed.add(&n.entry),
            Change::Changed { new, .. } => changed.add(&new.entry),
        }
    }
    [("added", added), ("removed", removed), ("changed", changed)]
}

fn summary(old: &SystemImage, new: &SystemImage, changes: &[Change<'_>]) -> String {
    let sums = sums(changes).map(|(what, sum)| format!("{} {what} ({} bytes)", sum.paths, sum.bytes));
    format!("{}; image {} -> {} bytes", sums.join(", "), old.bytes_used(), new.bytes_used())
}

fn as_json(old: &SystemImage, new: &SystemImage, changes: &[Change<'_>]) -> Value {
    let (mut added, mut removed, mut changed) = <(Vec<Value>, Vec<Value>, Vec<Value>)>::default();
    for change in changes {
        match change {
            Change::Added(n) => added.push(object(n)),
            Change::Removed(n) => removed.push(object(n)),
            Change::Changed { old, new, what } => {
                let mut of_new = object(new);
                of_new["old_size"] = size(&old.entry).into();
                of_new["changed"] = json!(what);
                changed.push(of_new);
            }
        }
    }
    let of =
        |image: &SystemImage| json!({"path": image.path().to_string_lossy(), "bytes": image.bytes_used()});
    let summary: Map<_, _> = sums(changes)
        .into_iter()
        .map(|(what, sum)| (what.to_owned(), json!({"paths": sum.paths, "bytes": sum.bytes})))
        .collect();
    json!({
        "old": of(old),
        "new": of(new),
        "added": added,
        "removed": removed,
        "changed": changed,
        "summary": summary,
    })
}

fn object(named: &Named) -> Value {
    json!({
        "path": String::from_utf8_lossy(&named.path),
        "type": type_name(named.entry.file_type),
        "size": size(&named.entry),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::look::sbom::packages::Kind;

    #[test]
    fn versions_of_one_package_are_all_told() {
        let packages = [("sys-devel/gcc", "13.3.1"), ("sys-devel/gcc", "14.2.0"), ("x/y", "1")];
        let packages = packages.map(|(name, version)| Package {
            name: name.into(),
            version: version.into(),
            ..Package::new(Kind::Gentoo)
        });
        let expected = [("sys-devel/gcc", "13.3.1, 14.2.0"), ("x/y", "1")];
        assert_eq!(versions(packages.into_iter()), expected.map(|(n, v)| (n.into(), v.into())).into());
    }
}
