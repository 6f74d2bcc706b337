//! Decides which files of the built tree stay out of the image.
//!
//! Out are files that belong to packages outside the runtime set only, documentation, caches, package management,
//! logs, backups. What no package owns stays: maintainer scripts and the artifact made it. Directories stay unless
//! nothing in them does and only outside packages own them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// A file system object of the tree, relative to its root, without a leading slash.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Path.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
}

/// What an [`Entry`] is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryKind {
    /// A directory.
    Directory,
    /// A symbolic link and its target.
    Link(String),
    /// Anything else.
    Other,
}

/// Trees that stay out whole, with the package that brings them back when the image has it.
const TREES: &[(&str, Option<&str>)] = &[
    ("usr/share/doc", None),
    ("usr/share/doc-base", None),
    ("usr/share/man", Some("man-db")),
    ("usr/share/info", None),
    ("usr/share/lintian", None),
    ("usr/share/bug", None),
    ("usr/share/gtk-doc", None),
    ("var/lib/dpkg", Some("dpkg")),
    ("var/lib/apt", Some("apt")),
    ("var/cache/apt", Some("apt")),
    ("etc/apt", Some("apt")),
    ("var/cache/debconf", Some("dpkg")),
    ("var/lib/ucf", Some("dpkg")),
    ("var/lib/initramfs-tools", Some("initramfs-tools")),
    ("etc/initramfs-tools", Some("initramfs-tools")),
    ("var/lib/systemd/random-seed", None),
    ("etc/.pwd.lock", None),
    ("build", None),
    ("build.d", None),
    // Says how to install packages into the tree; mmdebstrap's words.
    ("etc/dpkg/dpkg.cfg.d", Some("dpkg")),
];

/// Translated messages; gettext looks at them only where there is a locale other than C.
const TRANSLATIONS: &str = "usr/share/locale";

/// Where locales are, and the one that the C library brings by itself.
const LOCALES: (&str, &str) = ("usr/lib/locale/", "C.utf8");

/// Directories that stay, empty of files; what runs expects to find them.
const EMPTIED: &[&str] = &["var/log", "var/cache", "var/tmp", "tmp", "run", "proc", "sys", "dev"];

/// Directories that stay with nothing in them.
const MOUNT_POINTS: &[&str] = &["tmp", "run", "proc", "sys", "dev", "var/tmp"];

/// Beginnings of names in `/boot` and `/`: other initramfs images and symbol tables.
const BOOT_PREFIXES: &[&str] = &["boot/initrd.img", "boot/System.map", "initrd.img", "vmlinuz"];

/// Endings of backup copies that dpkg, ucf and the shadow tools make in `/etc`.
const BACKUP_ENDINGS: &[&str] =
    &["-", "~", ".dpkg-old", ".dpkg-new", ".dpkg-dist", ".ucf-old", ".ucf-dist", ".ucf-new"];

/// Who owns what: dpkg's `info/*.list` files.
#[derive(Clone, Debug, Default)]
pub struct Owners {
    /// Path to "a package of the runtime set owns it".
    inside: HashMap<String, bool>,
    /// Top-level links such as `lib` → `usr/lib`.
    links: BTreeMap<String, String>,
}

impl Owners {
    /// Returns owners of a tree with these entries; its top-level links tell where `/lib/x` really is.
    #[must_use]
    pub fn new(entries: &[Entry]) -> Self {
        let top = |e: &Entry| match &e.kind {
            EntryKind::Link(target) if !e.path.contains('/') => {
                Some((e.path.clone(), target.trim_start_matches('/').to_owned()))
            }
            _ => None,
        };
        Self { inside: HashMap::new(), links: entries.iter().filter_map(top).collect() }
    }

    /// Adds the paths of one package.
    pub fn add(&mut self, list: &str, inside: bool) {
        for line in list.lines() {
            let path = line.trim_start_matches('/');
            if path.is_empty() || path == "." {
                continue;
            }
            let path = self.real(path);
            let owned = self.inside.entry(path).or_insert(false);
            *owned = *owned || inside;
        }
    }

    /// Returns where a path of a list really is: `usr/lib/x` for `lib/x`.
    #[must_use]
    pub fn real(&self, path: &str) -> String {
        match path.split_once('/').and_then(|(top, rest)| Some((self.links.get(top)?, rest))) {
            Some((target, rest)) => format!("{target}/{rest}"),
            None => path.to_owned(),
        }
    }

    fn outside_only(&self, path: &str) -> bool {
        self.inside.get(path) == Some(&false)
    }
}

/// Tells for each entry whether it stays out; all that is in a directory which does stays out with it.
///
/// In `entries` a directory comes before what is in it; `packages` are the names of the runtime set.
#[must_use]
pub fn left_out(entries: &[Entry], owners: &Owners, packages: &BTreeSet<&str>) -> Vec<bool> {
    let mut out: HashSet<&str> = HashSet::new();
    let translated = entries.iter().any(|e| {
        let locale = e.path.strip_prefix(LOCALES.0).and_then(|rest| rest.split('/').next());
        locale.is_some_and(|name| name != LOCALES.1)
    });
    for entry in entries {
        let dir = entry.kind == EntryKind::Directory;
        if in_tree(&entry.path, packages)
            || (!translated && is_under(&entry.path, TRANSLATIONS))
            || (!dir && leaf_is_out(&entry.path, owners))
            || under_mount(&entry.path)
        {
            out.insert(&entry.path);
        }
    }
    // Why: a link that maintainer scripts made (alternatives) may lead over other links into what is out.
    for _ in 0..3 {
        let dangling: Vec<&str> = entries
            .iter()
            .filter(|e| !out.contains(e.path.as_str()) && !owners.inside.contains_key(&e.path))
            .filter(|e| match &e.kind {
                EntryKind::Link(target) => points_into(&e.path, target, owners, &out),
                _ => false,
            })
            .map(|e| e.path.as_str())
            .collect();
        if dangling.is_empty() {
            break;
        }
        out.extend(dangling);
    }
    // Directories from the leaves up: out when only outside packages own them and nothing in them stays.
    let mut kept_children: HashMap<&str, usize> = HashMap::new();
    for entry in entries.iter().rev() {
        let path = entry.path.as_str();
        if entry.kind == EntryKind::Directory
            && !out.contains(path)
            && owners.outside_only(path)
            && kept_children.get(path).copied().unwrap_or(0) == 0
        {
            out.insert(path);
        }
        if !out.contains(path)
            && let Some((parent, _)) = path.rsplit_once('/')
        {
            *kept_children.entry(parent).or_default() += 1;
        }
    }
    entries.iter().map(|e| out.contains(e.path.as_str())).collect()
}

fn is_under(path: &str, dir: &str) -> bool {
    path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'))
}

fn in_tree(path: &str, packages: &BTreeSet<&str>) -> bool {
    TREES.iter().any(|(tree, unless)| {
        unless.is_none_or(|package| !packages.contains(package)) && (path == *tree || is_under(path, tree))
    })
}

fn under_mount(path: &str) -> bool {
    MOUNT_POINTS.iter().any(|dir| is_under(path, dir))
}

fn leaf_is_out(path: &str, owners: &Owners) -> bool {
    owners.outside_only(path)
        || EMPTIED.iter().any(|dir| is_under(path, dir))
        || BOOT_PREFIXES.iter().any(|prefix| path.starts_with(prefix))
        || (path.starts_with("etc/")
            && !owners.inside.contains_key(path)
            && BACKUP_ENDINGS.iter().any(|ending| path.ends_with(ending)))
}

fn points_into(path: &str, target: &str, owners: &Owners, out: &HashSet<&str>) -> bool {
    let mut at: Vec<&str> = if target.starts_with('/') {
        Vec::new()
    } else {
        path.rsplit_once('/').map_or_else(Vec::new, |(dir, _)| dir.split('/').collect())
    };
    for word in target.split('/') {
        match word {
            "" | "." => {}
            ".." => {
                at.pop();
            }
            word => at.push(word),
        }
    }
    let mut full = owners.real(&at.join("/"));
    // Why: an image has nothing there and a running system has: a unit is masked by a link to /dev/null.
    if under_mount(&full) {
        return false;
    }
    loop {
        if out.contains(full.as_str()) {
            return true;
        }
        match full.rfind('/') {
            Some(slash) => full.truncate(slash),
            None => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(paths: &[&str]) -> Vec<Entry> {
        let mut entries: Vec<_> = paths
            .iter()
            .map(|p| match (p.strip_suffix('/'), p.split_once(" -> ")) {
                (Some(dir), _) => Entry { path: dir.into(), kind: EntryKind::Directory },
                (_, Some((link, target))) => {
                    Entry { path: link.into(), kind: EntryKind::Link(target.into()) }
                }
                _ => Entry { path: (*p).into(), kind: EntryKind::Other },
            })
            .collect();
        entries.sort();
        entries
    }

    /// Returns the paths that stay out, but for what is in a directory that does.
    fn out_of(entries: &[Entry], packages: &BTreeSet<&str>) -> Vec<String> {
        let out = left_out(entries, &owners(), packages);
        let mut paths: Vec<String> = Vec::new();
        for (entry, _) in entries.iter().zip(out).filter(|(_, out)| *out) {
            if !paths.iter().any(|dir| is_under(&entry.path, dir)) {
                paths.push(entry.path.clone());
            }
        }
        paths
    }

    fn owners() -> Owners {
        let mut owners = Owners::new(&entries(&["lib -> usr/lib"]));
        owners.add("/.\n/usr\n/usr/bin\n/usr/bin/ls\n/lib\n/lib/in.so\n/var/log\n/etc\n/etc/-odd-", true);
        owners.add(
            "/.\n/usr\n/usr/bin\n/usr/bin/gcc\n/lib/gcc\n/lib/gcc/x.o\n/lib/shared\n/lib/shared/o",
            false,
        );
        owners
    }

    #[test]
    fn files_of_outside_packages_stay_out_with_their_own_directories() {
        let tree = entries(&[
            "usr/",
            "usr/bin/",
            "usr/bin/ls",
            "usr/bin/gcc",
            "usr/lib/",
            "usr/lib/in.so",
            "usr/lib/gcc/",
            "usr/lib/gcc/x.o",
            "usr/lib/shared/",
            "usr/lib/shared/o",
            "usr/lib/shared/made-by-postinst",
        ]);
        assert_eq!(out_of(&tree, &BTreeSet::new()), ["usr/bin/gcc", "usr/lib/gcc", "usr/lib/shared/o",]);
    }

    #[test]
    fn documentation_package_management_and_logs_stay_out() {
        let tree = entries(&[
            "usr/",
            "usr/share/",
            "usr/share/doc/",
            "usr/share/doc/x",
            "var/",
            "var/lib/",
            "var/lib/dpkg/",
            "var/lib/dpkg/status",
            "var/log/",
            "var/log/dpkg.log",
            "var/log/nginx/",
            "boot/",
            "boot/initrd.img-6",
            "boot/vmlinuz-6",
            "boot/kernel -> vmlinuz-6",
            "vmlinuz -> boot/vmlinuz-6",
            "etc/",
            "etc/passwd",
            "etc/passwd-",
            "etc/-odd-",
            "tmp/",
            "tmp/x/",
            "tmp/x/y",
            "dev/",
            "dev/null",
        ]);
        assert_eq!(
            out_of(&tree, &BTreeSet::new()),
            [
                "boot/initrd.img-6",
                "dev/null",
                "etc/passwd-",
                "tmp/x",
                "usr/share/doc",
                "var/lib/dpkg",
                "var/log/dpkg.log",
                "vmlinuz",
            ]
        );
        let with_dpkg = out_of(&tree, &BTreeSet::from(["dpkg"]));
        assert!(!with_dpkg.contains(&"var/lib/dpkg".to_owned()));
    }

    #[test]
    fn translations_stay_only_where_a_locale_can_use_them() {
        let mut paths =
            vec!["usr/lib/locale/", "usr/lib/locale/C.utf8/", "usr/share/locale/", "usr/share/locale/de/"];
        assert_eq!(out_of(&entries(&paths), &BTreeSet::new()), ["usr/share/locale/de"]);
        paths.push("usr/lib/locale/locale-archive");
        assert_eq!(out_of(&entries(&paths), &BTreeSet::new()), Vec::<String>::new());
    }

    #[test]
    fn links_of_nobody_into_what_is_out_go_too() {
        let tree = entries(&[
            "etc/",
            "etc/alternatives/",
            "etc/alternatives/cc -> /usr/bin/gcc",
            "usr/",
            "usr/bin/",
            "usr/bin/gcc",
            "usr/bin/cc -> ../../etc/alternatives/cc",
            "usr/bin/l -> ls",
            "etc/unit -> /lib/gcc/x.o",
            "etc/masked -> /dev/null",
            "dev/",
            "dev/null",
            "usr/lib/",
            "usr/lib/gcc/",
            "usr/lib/gcc/x.o",
            "usr/bin/ls",
        ]);
        assert_eq!(
            out_of(&tree, &BTreeSet::new()),
            ["dev/null", "etc/alternatives/cc", "etc/unit", "usr/bin/cc", "usr/bin/gcc", "usr/lib/gcc"]
        );
    }
}
