//! The verb `sbom`: the packages of an image as a bill of materials, in SPDX or in CycloneDX.
//!
//! The same image gives the same bytes: the time is the image's own or SOURCE_DATE_EPOCH, and numbers that must be unique
//! follow from the image's hash. Not handled: files that belong to no package, which no list of packages knows.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::{Value, json};

use crate::command_error::{self, CommandError, Context, Result};
use crate::ctx::Ctx;
use crate::io::atomic_file;
use crate::io::hash::Hasher;
use crate::io::interrupt::Interrupt;
use crate::io::printable::printable;
use crate::io::system_image::{Meta, SystemImage};
use crate::look::image::iso8601;
use crate::pack::{epoch, plan};

pub mod cyclonedx;
pub mod license;
pub mod names;
pub mod packages;
pub mod spdx;

use packages::{Package, Release};

/// Bytes that are hashed at once.
const PIECE: usize = 1 << 16;
/// Longest version that an image tells of itself, in bytes.
const MAX_VERSION: u64 = 4096;

/// How the bill is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// SPDX 2.3, JSON
    #[default]
    Spdx,
    /// CycloneDX 1.6, JSON
    Cyclonedx,
}

/// Everything that a bill says, whatever its format.
#[derive(Clone, Debug)]
pub struct Bill {
    /// Name of the artifact, or of the file.
    pub name: String,
    /// The artifact's version, where the image tells one.
    pub version: Option<String>,
    /// `arch`, `profile` and `variant` of the image, where it tells them.
    pub properties: Vec<(&'static str, String)>,
    /// SHA-256 of the image file.
    pub sha256: String,
    /// When the image was made, `2026-01-31T00:00:00Z`.
    pub created: String,
    /// A number of the bill's own, in the spelling of a UUID.
    pub uuid: String,
    /// The distribution.
    pub release: Release,
    /// The packages, in the order of their keys.
    pub packages: Vec<Item>,
}

/// A package as a bill tells it.
#[derive(Clone, Debug)]
pub struct Item {
    /// What the image says.
    pub package: Package,
    /// Package URL.
    pub purl: String,
    /// CPE.
    pub cpe: Option<String>,
    /// Whether the artifact asked for it itself.
    pub is_root: bool,
    /// The packages that it needs, by their place in the bill.
    pub needs: Vec<usize>,
}

/// Writes the bill to `out`, or to stdout.
///
/// # Errors
/// When the image cannot be read, holds no list of packages, or the file cannot be written.
pub fn run(ctx: &Ctx, image: &Path, format: Format, out: Option<&Path>) -> Result<()> {
    let image = SystemImage::open(image)?;
    let packages = packages::read(&image)?;
    if packages.is_empty() {
        let what = format!("{} tells of no package", image.path().display());
        return Err(CommandError::failed(what)
            .hint("an image of genpack-host build has /.genpack/packages, others /var/lib/dpkg/status or /var/db/pkg"));
    }
    let bill = bill(ctx, &image, packages, format)?;
    let document = match format {
        Format::Spdx => spdx::document(&bill),
        Format::Cyclonedx => cyclonedx::document(&bill),
    };
    let Some(out) = out else {
        ctx.ui.document(&document);
        return Ok(());
    };
    if !ctx.dry_run {
        atomic_file::write(out, format!("{document:#}\n").as_bytes())?;
    }
    let licensed = bill.packages.iter().filter(|item| item.package.license.is_some()).count();
    ctx.ui.note(format!("{}: {} packages, {licensed} with a licence", out.display(), bill.packages.len()));
    if ctx.ui.is_json() {
        let (packages, path) = (bill.packages.len(), out.display().to_string());
        ctx.ui.document(
            &json!({"path": path, "packages": packages, "with_license": licensed, "uuid": bill.uuid}),
        );
    }
    Ok(())
}

fn bill(ctx: &Ctx, image: &SystemImage, packages: BTreeMap<String, Package>, format: Format) -> Result<Bill> {
    let release = packages::release(image)?;
    let is_genpack = image.stat("/.genpack")?.is_some_and(|e| e.is_directory());
    let meta = if is_genpack { image.meta()? } else { Meta::default() };
    let version = image.read("/.genpack/version", MAX_VERSION)?;
    let version =
        version.and_then(|v| String::from_utf8_lossy(&v).split_whitespace().next().map(str::to_owned));
    let file = image.path().file_name().unwrap_or_default().to_string_lossy();
    let properties = [
        ("arch", meta.arch.map(|arch| arch.name().to_owned())),
        ("profile", meta.profile),
        ("variant", meta.variant),
    ];
    let created = iso8601(time(image.superblock().mkfs_time)?);
    let sha256 = hash(ctx, image.path())?;
    Ok(Bill {
        name: meta.artifact.unwrap_or_else(|| printable(file.as_bytes())),
        version,
        properties: properties.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(),
        uuid: uuid(&[&format!("{format:?}"), env!("CARGO_PKG_VERSION"), &sha256, &created]),
        sha256,
        created,
        packages: items(packages, &release),
        release,
    })
}

/// Returns SOURCE_DATE_EPOCH, or else when the image was made.
fn time(made: u32) -> Result<u32> {
    let Some(epoch) = epoch() else { return Ok(made) };
    plan::parse_epoch(&epoch).map_err(|e| CommandError { kind: command_error::Kind::Usage, ..e })
}

/// Returns what the bill tells of each package; the map's keys are the words that needs are told in.
fn items(packages: BTreeMap<String, Package>, release: &Release) -> Vec<Item> {
    let places: BTreeMap<String, usize> = packages.keys().cloned().zip(0..).collect();
    let mut needs: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); packages.len()];
    let mut items: Vec<Item> = packages
        .into_values()
        .enumerate()
        .map(|(at, package)| {
            let by: Vec<_> = package.needed_by.iter().map(|word| places.get(word).copied()).collect();
            for needer in by.iter().flatten() {
                if let Some(needs) = needs.get_mut(*needer) {
                    needs.insert(at);
                }
            }
            let is_root = by.is_empty() || by.iter().any(Option::is_none);
            let (purl, cpe) = (names::purl(&package, release), names::cpe(&package));
            Item { package, purl, cpe, is_root, needs: Vec::new() }
        })
        .collect();
    for (at, (item, needs)) in items.iter_mut().zip(needs).enumerate() {
        item.needs = needs.into_iter().filter(|needed| *needed != at).collect();
    }
    items
}

fn hash(ctx: &Ctx, path: &Path) -> Result<String> {
    let reading = || format!("reading {}", path.display());
    let interrupt = Interrupt::watch()?;
    let mut file = File::open(path).with_context(reading)?;
    let mut progress = ctx.ui.progress("hashing", file.metadata().with_context(reading)?.len());
    let (mut hasher, mut piece) = (Hasher::default(), vec![0; PIECE]);
    loop {
        interrupt.check()?;
        let n = file.read(&mut piece).with_context(reading)?;
        let Some(bytes) = piece.get(..n).filter(|bytes| !bytes.is_empty()) else { return Ok(hasher.hex()) };
        hasher.update(bytes);
        progress.add(bytes.len() as u64);
    }
}

/// Returns a UUID of version 8, which is for numbers of one's own making (RFC 9562, 5.8): SHA-256 of the words.
fn uuid(words: &[&str]) -> String {
    let mut hasher = Hasher::default();
    words.iter().for_each(|word| hasher.field(word));
    let hex = hasher.hex();
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    // Why "8" and "a": version 8, and the variant of RFC 9562, whose two highest bits are 10.
    format!("{}-{}-8{}-a{}-{}", part(0, 8), part(8, 12), part(12, 15), part(15, 18), part(18, 30))
}

/// Returns the homepage when it is an address that readers of bills take.
fn address(homepage: &str) -> Option<&str> {
    // Gentoo's may be several.
    let first = homepage.split_whitespace().next()?;
    let is_plain = first.bytes().all(|b| b.is_ascii_graphic() && !br#"<>"\^`{|}"#.contains(&b));
    let rest = ["https://", "http://", "ftp://"].iter().find_map(|scheme| first.strip_prefix(scheme))?;
    (is_plain && rest.starts_with(|c: char| c.is_ascii_alphanumeric())).then_some(first)
}

/// Returns the object without the members that are null.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            Value::Object(members.into_iter().filter(|(_, value)| !value.is_null()).collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use packages::Kind;

    #[test]
    fn uuid_follows_from_the_words_and_looks_like_one() {
        let id = uuid(&["a", "b"]);
        assert_eq!((id.len(), id.get(14..15), id.get(19..20)), (36, Some("8"), Some("a")));
        assert_eq!(id, uuid(&["a", "b"]));
        assert_ne!(id, uuid(&["ab", ""]));
    }

    #[test]
    fn package_that_no_other_needs_is_a_root() {
        let package = |name: &str, needed_by: &[&str]| Package {
            name: name.into(),
            version: "1".into(),
            needed_by: needed_by.iter().map(|n| (*n).to_owned()).collect(),
            ..Package::new(Kind::Debian)
        };
        let packages =
            [package("a", &[]), package("b", &["a", "b"]), package("c", &["@x", "b"]), package("d", &["c"])];
        let items = items(packages.map(|p| (p.key(), p)).into(), &Release::default());
        let told: Vec<_> = items.iter().map(|item| (item.is_root, item.needs.clone())).collect();
        assert_eq!(told, [(true, vec![1]), (false, vec![2]), (true, vec![3]), (false, vec![])]);
    }

    #[test]
    fn address_is_the_first_that_a_browser_takes() {
        assert_eq!(address("https://a.org/x http://b.org"), Some("https://a.org/x"));
        for other in ["", "a.org", "javascript:x", "https://", "https:///", "https://a{b"] {
            assert_eq!(address(other), None, "{other}");
        }
    }
}
