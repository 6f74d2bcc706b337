//! Which packages are in an image, and what the image says about them.
//!
//! `/.genpack/packages` is the list where there is one: the image holds these and no others. Without it, Portage's and
//! dpkg's databases are. Where a database is in the image, it tells what the list does not.

use std::collections::BTreeMap;

use genpack_core::contract::{image_meta, paths};
use genpack_core::debian::status::paragraphs;
use genpack_core::gentoo::version::split_name;

use super::license::{self, Expression};
use crate::command_error::Result;
use crate::io::system_image::SystemImage;
use crate::portage::vdb::VDB;
use crate::upper::closure::FROM_PHRASES;
use crate::upper::copyright;

/// Largest list of packages that is read, in bytes; dpkg's of a desktop has 5 MB.
const MAX_LIST_BYTES: u64 = 64 << 20;
/// Largest file about one package, in bytes; Chromium's copyright has 2 MB.
const MAX_FILE_BYTES: u64 = 16 << 20;
/// Most packages of an image; all of Debian are 70,000.
const MAX_PACKAGES: usize = 1 << 17;

const DPKG_STATUS: &str = "/var/lib/dpkg/status";

/// Whose packages they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Debian's, or those of a distribution made from it.
    Debian,
    /// Gentoo's.
    Gentoo,
}

/// A package of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Whose it is.
    pub kind: Kind,
    /// Name; of Gentoo with the category.
    pub name: String,
    /// The distribution's version.
    pub version: String,
    /// Architecture as Debian calls it, empty for Gentoo's.
    pub architecture: String,
    /// Debian's source package and its version, when it has another name or version.
    pub source: Option<(String, String)>,
    /// One line.
    pub description: String,
    /// Address.
    pub homepage: String,
    /// Licence.
    pub license: Option<Expression>,
    /// The licence was found in a copyright file of free text: others may be in it.
    pub is_from_phrases: bool,
    /// What asked for it: keys of packages, and words of the list that are none.
    pub needed_by: Vec<String>,
}

/// The distribution, as `os-release` names it (os-release(5)).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Release {
    /// `ID`.
    pub id: String,
    /// `VERSION_ID`.
    pub version_id: String,
    /// `NAME`.
    pub name: String,
}

impl Package {
    /// Returns a package without a name.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            name: String::new(),
            version: String::new(),
            architecture: String::new(),
            source: None,
            description: String::new(),
            homepage: String::new(),
            license: None,
            is_from_phrases: false,
            needed_by: Vec::new(),
        }
    }

    /// Returns the words by which others of the list name it: Debian's name, Gentoo's with the version.
    #[must_use]
    pub fn key(&self) -> String {
        match self.kind {
            Kind::Debian => self.name.clone(),
            Kind::Gentoo => format!("{}-{}", self.name, self.version),
        }
    }

    /// Takes over what the other knows and this one does not.
    fn complete(&mut self, other: Self) {
        for (own, others) in [
            (&mut self.architecture, other.architecture),
            (&mut self.description, other.description),
            (&mut self.homepage, other.homepage),
        ] {
            if own.is_empty() {
                *own = others;
            }
        }
        self.source = self.source.take().or(other.source);
        if self.license.is_none() {
            (self.license, self.is_from_phrases) = (other.license, other.is_from_phrases);
        }
    }
}

/// Reads the packages of an image with their licences, by their keys.
///
/// # Errors
/// When the image is corrupt.
pub fn read(image: &SystemImage) -> Result<BTreeMap<String, Package>> {
    let mut packages = found(image)?;
    for package in packages.values_mut().filter(|p| p.kind == Kind::Debian && p.license.is_none()) {
        let file = format!("/usr/share/doc/{}/copyright", package.name);
        // Why names are looked at: they are the image's, and may be anything.
        let is_name = !package.name.contains('/');
        let file = if is_name { text(image, &file, MAX_FILE_BYTES)? } else { None };
        if let Some(licenses) = file.and_then(|text| copyright::licenses(&text)) {
            package.license = license::debian(&licenses.names);
            package.is_from_phrases = licenses.is_from_phrases;
        }
    }
    Ok(packages)
}

/// Reads the packages of an image as its lists tell of them, by their keys.
///
/// # Errors
/// When the image is corrupt.
pub fn found(image: &SystemImage) -> Result<BTreeMap<String, Package>> {
    let listed = text(image, &format!("{}/{}", paths::IMAGE_META, image_meta::PACKAGES), MAX_LIST_BYTES)?;
    let mut databases = gentoo(image)?;
    databases.extend(debian(&text(image, DPKG_STATUS, MAX_LIST_BYTES)?.unwrap_or_default()));
    let Some(listed) = listed else { return Ok(databases) };
    let mut packages = list(&listed);
    for (key, package) in &mut packages {
        if let Some(known) = databases.remove(key) {
            package.complete(known);
        }
    }
    Ok(packages)
}

fn text(image: &SystemImage, path: &str, limit: u64) -> Result<Option<String>> {
    Ok(image.read(path, limit)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// Reads `os-release`.
///
/// # Errors
/// When the image is corrupt.
pub fn release(image: &SystemImage) -> Result<Release> {
    let etc = image.read("/etc/os-release", MAX_FILE_BYTES)?;
    let text = if etc.is_some() { etc } else { image.read("/usr/lib/os-release", MAX_FILE_BYTES)? };
    Ok(of_os_release(&String::from_utf8_lossy(&text.unwrap_or_default())))
}

fn of_os_release(text: &str) -> Release {
    let mut release = Release::default();
    for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
        let value = value.trim().trim_matches(['"', '\'']).to_owned();
        match key.trim() {
            "ID" => release.id = value,
            "VERSION_ID" => release.version_id = value,
            "NAME" => release.name = value,
            _ => {}
        }
    }
    release
}

/// Reads `/.genpack/packages`: a paragraph each, `name-version[slot or architecture]` and lines `# FIELD: value`.
fn list(text: &str) -> BTreeMap<String, Package> {
    let mut packages = BTreeMap::new();
    for paragraph in text.split("\n\n").take(MAX_PACKAGES) {
        let mut lines = paragraph.lines().skip_while(|line| line.trim().is_empty());
        let Some((full, brackets)) = lines.next().and_then(|head| head.strip_suffix(']')?.rsplit_once('['))
        else {
            continue;
        };
        let fields: BTreeMap<&str, &str> =
            lines.filter_map(|line| line.strip_prefix("# ")?.split_once(": ")).collect();
        let field = |name: &str| fields.get(name).map_or("", |value| value.trim());
        let mut package;
        if full.contains('/') {
            package = Package::new(Kind::Gentoo);
            let Some((name, version)) = of_portage(full) else { continue };
            (package.name, package.version) = (name, version);
            package.license = license::gentoo(field("LICENSE"), field("USE"));
        } else {
            package = Package::new(Kind::Debian);
            let Some((name, version)) = of_debian(full, field("VERSION")) else { continue };
            (package.name, package.version) = (name.to_owned(), version.to_owned());
            package.architecture = brackets.to_owned();
            package.source = source(field("SOURCE"), version);
            package.license = license::debian(field("LICENSE"));
            package.is_from_phrases = field("LICENSE_FROM") == FROM_PHRASES;
        }
        package.description = field("DESCRIPTION").to_owned();
        package.homepage = field("HOMEPAGE").to_owned();
        package.needed_by = field("NEEDED_BY").split_whitespace().map(str::to_owned).collect();
        packages.insert(package.key(), package);
    }
    packages
}

/// Splits `category/name-version`.
pub(in crate::look) fn of_portage(full: &str) -> Option<(String, String)> {
    let (category, rest) = full.split_once('/')?;
    let (name, version) = split_name(rest)?;
    Some((format!("{category}/{name}"), version.as_str().to_owned()))
}

/// Splits `name-version`; both may have hyphens, so a list tells the version by itself. One of before it did is split
/// before the first digit behind a hyphen from which on every part begins with a digit.
fn of_debian<'t>(full: &'t str, version: &'t str) -> Option<(&'t str, &'t str)> {
    if !version.is_empty() {
        return Some((full.strip_suffix(version)?.strip_suffix('-')?, version));
    }
    let is_version = |text: &str| text.split('-').all(|part| part.starts_with(|c: char| c.is_ascii_digit()));
    full.match_indices('-').find_map(|(at, _)| {
        let (name, rest) = (full.get(..at)?, full.get(at + 1..)?);
        is_version(rest).then_some((name, rest))
    })
}

/// Reads `name` or `name (version)`.
fn source(text: &str, version: &str) -> Option<(String, String)> {
    let (name, of_source) = match text.split_once(" (") {
        Some((name, rest)) => (name, rest.trim_end_matches(')')),
        None => (text, version),
    };
    (!name.is_empty()).then(|| (name.to_owned(), of_source.to_owned()))
}

/// Reads dpkg's database; packages that are not installed are left out.
fn debian(status: &str) -> BTreeMap<String, Package> {
    let mut packages = BTreeMap::new();
    for paragraph in paragraphs(status).take(MAX_PACKAGES) {
        let field = |name: &str| paragraph.get(name).map_or("", |field| field.first_line()).to_owned();
        let name = field("Package");
        if name.is_empty() || !field("Status").ends_with(" installed") {
            continue;
        }
        let version = field("Version");
        let package = Package {
            source: source(&field("Source"), &version),
            architecture: field("Architecture"),
            description: field("Description"),
            homepage: field("Homepage"),
            name,
            version,
            ..Package::new(Kind::Debian)
        };
        packages.entry(package.key()).or_insert(package);
    }
    packages
}

/// Reads Portage's database.
fn gentoo(image: &SystemImage) -> Result<BTreeMap<String, Package>> {
    let mut packages = BTreeMap::new();
    for category in image.list(VDB)?.unwrap_or_default() {
        for directory in image.list(&format!("{VDB}/{category}"))?.unwrap_or_default() {
            if directory.starts_with('-') || packages.len() >= MAX_PACKAGES {
                continue;
            }
            let Some((name, version)) = of_portage(&format!("{category}/{directory}")) else { continue };
            let value = |key: &str| -> Result<String> {
                let bytes = image.read(&format!("{VDB}/{category}/{directory}/{key}"), MAX_FILE_BYTES)?;
                let words = String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned();
                Ok(words.split_whitespace().collect::<Vec<_>>().join(" "))
            };
            let package = Package {
                license: license::gentoo(&value("LICENSE")?, &value("USE")?),
                description: value("DESCRIPTION")?,
                homepage: value("HOMEPAGE")?,
                name,
                version,
                ..Package::new(Kind::Gentoo)
            };
            packages.insert(package.key(), package);
        }
    }
    Ok(packages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_of_either_distribution_is_read() {
        let packages = list(
            "libstdc++6-12.2.0-14[amd64]\n# VERSION: 12.2.0-14\n# SOURCE: gcc-12 (12.2.0-13)\n# NEEDED_BY: bash dpkg\n\
             # DESCRIPTION: C++: library\n# LICENSE: GPL-3+\n\ngcc-12-base-12.2.0-14[amd64]\n\n\
             sys-libs/glibc-2.41-r4[2.2]\n# NEEDED_BY: @profile app-shells/bash-5\n# USE: x\n# LICENSE: LGPL-2.1+\n\n\
             no brackets\n\nx/y[0]\n\n",
        );
        let names: Vec<_> = packages.values().map(|p| (p.name.as_str(), p.version.as_str())).collect();
        let expected =
            [("gcc-12-base", "12.2.0-14"), ("libstdc++6", "12.2.0-14"), ("sys-libs/glibc", "2.41-r4")];
        assert_eq!(names, expected);
        let library = &packages["libstdc++6"];
        assert_eq!(library.source, Some(("gcc-12".into(), "12.2.0-13".into())));
        assert_eq!((library.description.as_str(), library.needed_by.len()), ("C++: library", 2));
        assert_eq!(library.license, Some(Expression::Listed("GPL-3.0-or-later".into())));
        assert_eq!(packages["sys-libs/glibc-2.41-r4"].needed_by, ["@profile", "app-shells/bash-5"]);
    }

    #[test]
    fn debian_name_and_version_are_parted_where_the_list_says_so() {
        for (full, version, expected) in [
            ("gcc-12-12.2.0-14", "12.2.0-14", Some(("gcc-12", "12.2.0-14"))),
            ("linux-image-6.1.0-44-amd64-6.1.1-3", "", Some(("linux-image-6.1.0-44-amd64", "6.1.1-3"))),
            ("mawk-1.3", "", Some(("mawk", "1.3"))),
            ("mawk-1.3", "1.4", None),
            ("mawk", "", None),
        ] {
            assert_eq!(of_debian(full, version), expected, "{full}");
        }
    }

    #[test]
    fn database_of_dpkg_gives_what_is_installed() {
        let packages = debian(
            "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nSource: glibc\nVersion: 2.36-9\n\
             Description: GNU C Library\n more\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n",
        );
        assert_eq!(packages.len(), 1);
        let libc = &packages["libc6"];
        assert_eq!(libc.source, Some(("glibc".into(), "2.36-9".into())));
        assert_eq!(libc.description, "GNU C Library");
    }

    #[test]
    fn release_is_what_os_release_says() {
        let release = of_os_release("NAME=\"Debian GNU/Linux\"\nID=debian\nVERSION_ID='12'\n#ID=x\n");
        assert_eq!((release.id.as_str(), release.version_id.as_str()), ("debian", "12"));
        assert_eq!(release.name, "Debian GNU/Linux");
    }
}
