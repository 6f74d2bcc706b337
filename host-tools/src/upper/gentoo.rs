//! What the upper phase and the packer must know of a lower image of Gentoo: the runtime set and its files.

use std::collections::{BTreeSet, HashMap, HashSet};

use genpack_core::gentoo::atom::Atom;
use genpack_core::gentoo::contents;

use crate::command_error::{CommandError, Result};
use crate::container::root_dir::RootDir;
use crate::lower::gentoo::names::by_package;
use crate::lower::gentoo::portage_files::RUNTIME_SET;
use crate::lower::gentoo::run::PROFILE_SET;
use crate::lower::machine::Machine;
use crate::portage::runtime::{Missing, RuntimeSet};
use crate::portage::vdb::{VDB, Vdb};
use crate::upper::file_list::{Entry, EntryKind};
use crate::upper::plan::{BootKernel, LowerFacts, PACKAGE_SCRIPTS};

/// The set of packages that a development image has beside the others.
const DEVEL_SET: &str = "genpack-devel";
/// The program whose presence makes an image one for development.
const DEVEL_MARK: &str = "/usr/bin/genpack-devel";
/// Sets in sets; users nest none or one.
const MAX_SET_DEPTH: usize = 8;
/// Links on the way to a directory, as the kernel counts them.
const MAX_LINKS: usize = 40;

/// What a package recorded of itself: kinds and paths, which have no leading slash.
pub type Contents = Vec<(EntryKind, String)>;

/// The installed packages of a tree and those of them that run in the image.
#[derive(Clone, Debug)]
pub struct Runtime {
    /// What is installed.
    pub vdb: Vdb,
    /// What belongs into the image.
    pub set: RuntimeSet,
    /// The image is one for development.
    pub devel: bool,
}

impl Runtime {
    /// Reads a lower image.
    ///
    /// # Errors
    /// When something that the image asks for is not installed.
    pub fn read(root: &RootDir) -> Result<Self> {
        let vdb = Vdb::read(root)?;
        let devel = root.exists(DEVEL_MARK);
        let profile = if root.exists(PROFILE_SET) { text(root, PROFILE_SET)? } else { String::new() };
        // Why: the profile's atoms carry versions and flags that the resolver has seen to.
        let profile = profile.lines().filter_map(package).collect();
        let mut roots = vec![("profile", profile), (RUNTIME_SET, set(root, RUNTIME_SET, 0)?)];
        if devel {
            roots.push((DEVEL_SET, set(root, DEVEL_SET, 0)?));
        }
        let set = RuntimeSet::new(&vdb, &roots).map_err(|Missing { atom, needed_by }| {
            CommandError::failed(format!("the lower image has no {atom}, which {needed_by} needs"))
                .hint("genpack-host lower makes it anew")
        })?;
        Ok(Self { vdb, set, devel })
    }

    /// Returns what the upper plan must know.
    ///
    /// # Errors
    /// When the tree cannot be read.
    pub fn facts(&self, root: &RootDir, machine: Option<Machine>) -> Result<LowerFacts> {
        let packages = self.set.packages(&self.vdb);
        let mut package_scripts = Vec::new();
        for cpv in &self.set.order {
            let Some(package) = self.vdb.packages.get(cpv) else { continue };
            let directory = format!("{PACKAGE_SCRIPTS}/{}", package.package());
            for name in root.list(&directory)? {
                let path = format!("{directory}/{name}");
                if root.mode(&path).is_some_and(|m| m & 0o111 != 0) && !package_scripts.contains(&path) {
                    package_scripts.push(path);
                }
            }
        }
        let machine = machine.or_else(|| packages.iter().find_map(|p| by_package(p)));
        let kernels = kernels(root)?;
        if machine.is_some() && kernels.is_empty() {
            return Err(CommandError::failed("the lower image has no kernel").hint(
                "virtual/dist-kernel comes with sys-kernel/gentoo-kernel-bin; genpack/base brings it",
            ));
        }
        Ok(LowerFacts { packages, package_scripts, kernel: None, machine, kernels, gentoo: true })
    }

    /// Returns the files of the runtime set, as their packages recorded them, by `category/name-version`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn contents(&self, root: &RootDir) -> Result<Vec<(String, Contents)>> {
        let mut all = Vec::new();
        for cpv in self.set.members.keys() {
            let file = format!("{VDB}/{cpv}/CONTENTS");
            if root.file_type(&file).is_none() {
                continue;
            }
            let text = text(root, &file)?;
            let mut of_package = Contents::new();
            for entry in contents::entries(&text) {
                let entry =
                    entry.map_err(|e| CommandError::failed(format!("{file} of the lower image: {e}")))?;
                let kind = match entry {
                    contents::Entry::Dir { .. } => EntryKind::Directory,
                    contents::Entry::Sym { target, .. } => EntryKind::Link(target.to_owned()),
                    _ => EntryKind::Other,
                };
                of_package.push((kind, entry.path().trim_start_matches('/').to_owned()));
            }
            all.push((cpv.clone(), of_package));
        }
        Ok(all)
    }
}

/// Returns the kernels that boot the image: the newest, or on a Raspberry Pi one for each kind of page.
fn kernels(root: &RootDir) -> Result<Vec<BootKernel>> {
    let mut versions: BTreeSet<String> = BTreeSet::new();
    for version in root.list("/usr/lib/modules")? {
        if root.exists(&format!("/usr/lib/modules/{version}/modules.dep")) {
            versions.insert(version);
        }
    }
    let firmware = |suffix: &str, initramfs: &str| {
        let newest = versions.iter().filter(|v| v.ends_with(suffix)).max_by_key(|v| version_parts(v));
        newest.map(|v| BootKernel { version: v.clone(), image: None, initramfs: initramfs.to_owned() })
    };
    if root.exists("/boot/bootcode.bin") || root.exists("/boot/kernel8.img") {
        let pages = [("-v8+", "/boot/initramfs8"), ("-v8-16k+", "/boot/initramfs_2712")];
        return Ok(pages.into_iter().filter_map(|(suffix, initramfs)| firmware(suffix, initramfs)).collect());
    }
    let image = |version: &str| {
        let candidates = [
            format!("/usr/lib/modules/{version}/vmlinuz"),
            format!("/boot/kernel-{version}"),
            format!("/boot/vmlinuz-{version}"),
        ];
        candidates.into_iter().find(|path| root.exists(path) && !root.is_dir(path))
    };
    let bootable = versions.iter().filter_map(|v| image(v).map(|image| (v, image)));
    let newest = bootable.max_by_key(|(v, _)| version_parts(v));
    Ok(newest
        .map(|(version, image)| BootKernel {
            version: version.clone(),
            image: Some(image),
            initramfs: genpack_core::contract::paths::IMAGE_INITRAMFS.to_owned(),
        })
        .into_iter()
        .collect())
}

/// Numbers compare as numbers, everything else as text.
pub(super) fn version_parts(version: &str) -> Vec<(u64, String)> {
    version.split(['.', '-', '+', '~']).map(|part| (part.parse().unwrap_or(0), part.to_owned())).collect()
}

/// Returns `category/name` of an atom.
fn package(line: &str) -> Option<String> {
    let atom = Atom::parse(line.trim_start_matches('!')).ok()?;
    Some(format!("{}/{}", atom.category, atom.name))
}

/// Returns the atoms of a set of `/etc/portage/sets`; a set that is not there is empty.
fn set(root: &RootDir, name: &str, depth: usize) -> Result<Vec<String>> {
    let path = format!("/etc/portage/sets/{name}");
    if depth > MAX_SET_DEPTH {
        return Err(CommandError::failed(format!("the set @{name} never ends")));
    }
    if name.contains('/') || root.file_type(&path).is_none() {
        return Ok(Vec::new());
    }
    let mut atoms = Vec::new();
    for line in text(root, &path)?.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        match line.strip_prefix('@') {
            Some(inner) => atoms.extend(set(root, inner, depth + 1)?),
            None if line.is_empty() => {}
            None => atoms.push(line.to_owned()),
        }
    }
    Ok(atoms)
}

fn text(root: &RootDir, path: &str) -> Result<String> {
    Ok(String::from_utf8_lossy(&root.read(path)?).into_owned())
}

/// Beginnings of paths that no image has, whatever package owns them; a directory stays out with what is in it.
const NEVER: &[&str] =
    &["run/", "var/run/", "var/lock/", "var/cache/", "usr/src/linux", "usr/lib/dracut/", "usr/lib/genpack/"];
/// Beginnings of paths that only an image for development has.
const DEVEL_ONLY: &[&str] =
    &["usr/share/man/", "usr/share/doc/", "usr/share/gtk-doc/", "usr/share/info/", "usr/include/"];
/// What Portage and builds keep; no part of what an image changes.
const OF_THE_BUILD: &[&str] = &[
    "var/db/pkg",
    "var/db/repos",
    "var/cache",
    "var/tmp",
    "var/lib/portage",
    "var/lib/genpack",
    "var/log/portage",
    "etc/portage",
    "tmp",
    "run",
    "dev",
    "proc",
    "sys",
    "root/.cache",
    "build",
    "build.d",
];
/// What the tools of accounts leave beside their files: locks, and copies with the passwords of before.
const OF_ACCOUNTS: &[&str] = &[
    "etc/.pwd.lock",
    "etc/passwd-",
    "etc/group-",
    "etc/shadow-",
    "etc/gshadow-",
    "etc/subuid-",
    "etc/subgid-",
];
/// Directories and links that every root has.
const ROOT: &[&str] = &[
    "bin",
    "sbin",
    "lib",
    "lib64",
    "usr",
    "usr/bin",
    "usr/sbin",
    "usr/lib",
    "etc",
    "var",
    "run",
    "proc",
    "sys",
    "dev",
    "root",
    "home",
    "tmp",
    "mnt",
    "var/tmp",
    "var/log",
    "var/cache",
    "var/lib",
    "var/run",
    "var/lock",
];
/// Files that no package owns and no system runs without: accounts, the loader's paths.
const UNOWNED: &[&str] = &[
    "etc/passwd",
    "etc/group",
    "etc/shadow",
    "etc/gshadow",
    "etc/subuid",
    "etc/subgid",
    "etc/profile.env",
    "etc/environment.d/10-gentoo-env.conf",
    "etc/ld.so.conf",
    "etc/ld.so.cache",
    "etc/locale.conf",
    "etc/localtime",
    "usr/lib/locale/locale-archive",
    "usr/share/glib-2.0/schemas/gschemas.compiled",
    "usr/share/applications/mimeinfo.cache",
    "usr/lib/udev/hwdb.bin",
    "etc/udev/hwdb.bin",
    "usr/lib/gconv/gconv-modules.cache",
    "usr/lib64/gconv/gconv-modules.cache",
    "usr/lib64/gio/modules/giomodule.cache",
    "usr/lib/gio/modules/giomodule.cache",
];
/// Trees of files that packages generate when they are installed and that no package owns.
const GENERATED: &[&str] = &["etc/ssl/certs/", "etc/ld.so.conf.d/", "usr/share/mime/", "etc/env.d/"];
/// Names of caches that packages generate in directories of their own.
const CACHES: &[&str] = &["icon-theme.cache", "loaders.cache", "fonts.dir", "fonts.scale"];
/// Where the compiler's run-time libraries are; the compiler itself is no part of the runtime set.
const COMPILER: &str = "usr/lib/gcc/";
/// Where units are enabled.
const ENABLED: &[&str] = &["etc/systemd/system/", "etc/systemd/user/"];

/// Where the tools that choose among versions put their links (eselect, gcc-config, java-config); no package owns them.
const CHOSEN: &[&str] = &[
    "usr/bin/",
    "usr/sbin/",
    "usr/lib/",
    "usr/lib64/",
    "usr/libexec/",
    "usr/share/",
    "etc/java-config-2/",
    "etc/php/",
];

/// Returns the symbolic links of a tree with their targets.
#[must_use]
pub fn links(entries: &[Entry]) -> HashMap<&str, &str> {
    let mut links = HashMap::new();
    for entry in entries {
        if let EntryKind::Link(target) = &entry.kind {
            links.insert(entry.path.as_str(), target.as_str());
        }
    }
    links
}

/// Tells for each entry of the merged tree whether it stays out.
///
/// In are: what the upper layer has, the files of the runtime set, what packages generate for them, the links that
/// choose among them, and what every root has. In `entries` a directory comes before what is in it.
#[must_use]
pub fn left_out<S: std::hash::BuildHasher>(
    entries: &[Entry],
    upper: &HashSet<String, S>,
    contents: &[(EntryKind, String)],
    devel: bool,
) -> Vec<bool> {
    let links = links(entries);
    let owned: HashSet<String> = contents.iter().map(|(_, path)| canonical(path, &links)).collect();
    let mut kept: HashSet<&str> = HashSet::new();
    for entry in entries {
        let path = entry.path.as_str();
        let of_runtime = owned.contains(path) && !is_excluded(path, devel);
        let directory = entry.kind == EntryKind::Directory;
        // Why: a directory that the upper layer merely passes through is kept for what is in it, or not at all.
        let by_build = under(OF_THE_BUILD, path) || OF_ACCOUNTS.contains(&path);
        let of_upper = upper.contains(path) && !by_build && !directory;
        let made = !directory && (UNOWNED.contains(&path) || is_generated(path) || is_compiler_runtime(path));
        let empty = directory && upper.contains(path) && !by_build;
        if of_runtime || of_upper || made || empty || ROOT.contains(&path) {
            keep(path, &mut kept);
        }
    }
    // Links that enable or choose what is in the image; a chosen one may lead over another.
    for _ in 0..MAX_LINKS {
        let before = kept.len();
        for entry in entries {
            let (path, EntryKind::Link(target)) = (entry.path.as_str(), &entry.kind) else { continue };
            let enables = ENABLED.iter().any(|dir| path.starts_with(dir));
            let chooses = CHOSEN.iter().any(|dir| path.starts_with(dir)) && !is_excluded(path, devel);
            if kept.contains(path) || !(enables || chooses) {
                continue;
            }
            let to = if target.starts_with('/') {
                target.trim_start_matches('/').to_owned()
            } else {
                format!("{}/{target}", parent(path))
            };
            let to = canonical(&plain(&to), &links);
            // A mask leads to /dev/null, which every root has.
            if kept.contains(to.as_str()) || (enables && to == "dev/null") {
                keep(path, &mut kept);
            }
        }
        if kept.len() == before {
            break;
        }
    }
    entries.iter().map(|e| !kept.contains(e.path.as_str())).collect()
}

fn keep<'a>(path: &'a str, kept: &mut HashSet<&'a str>) {
    let mut at = path;
    while kept.insert(at) {
        match at.rsplit_once('/') {
            Some((dir, _)) => at = dir,
            None => break,
        }
    }
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}

fn under(trees: &[&str], path: &str) -> bool {
    trees
        .iter()
        .any(|tree| path.strip_prefix(tree).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

fn is_excluded(path: &str, devel: bool) -> bool {
    let begins = |p: &&str| path.starts_with(*p) || p.strip_suffix('/') == Some(path);
    NEVER.iter().any(begins) || (!devel && (DEVEL_ONLY.iter().any(begins) || is_development(path)))
}

/// Static libraries, and the tests that come with Python.
fn is_development(path: &str) -> bool {
    let python = path.strip_prefix("usr/lib/python").and_then(|rest| rest.split_once('/'));
    path.ends_with(".a")
        || python.is_some_and(|(version, rest)| {
            version.chars().all(|c| c.is_ascii_digit() || c == '.') && rest.starts_with("test/")
        })
}

fn is_generated(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    GENERATED.iter().any(|tree| path.starts_with(tree))
        || (path.starts_with("usr/") && CACHES.contains(&name))
}

fn is_compiler_runtime(path: &str) -> bool {
    path.strip_prefix(COMPILER)
        .and_then(|rest| rest.rsplit('/').next())
        .is_some_and(|name| name.contains(".so."))
}

/// Takes `.` and `..` out.
fn plain(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Resolves the links in the directories of a path; its last component stays what it is.
#[must_use]
pub fn canonical<S: std::hash::BuildHasher>(path: &str, links: &HashMap<&str, &str, S>) -> String {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let ends = path.match_indices('/').map(|(at, _)| at);
        let found = ends.into_iter().find_map(|at| {
            let (dir, rest) = path.split_at(at);
            let target = links.get(dir)?;
            Some(if target.starts_with('/') {
                plain(&format!("{target}{rest}"))
            } else {
                plain(&format!("{}/{target}{rest}", parent(dir)))
            })
        });
        match found {
            Some(next) => path = next,
            None => return path,
        }
    }
    path
}

#[cfg(test)]
mod tests;
