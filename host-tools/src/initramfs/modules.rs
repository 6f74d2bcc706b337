//! A kernel's module tables as depmod wrote them, and the closure of a set of modules.
//!
//! Formats: modules.dep(5), modules.softdep as `depmod` of kmod writes it. Soft dependencies count as hard ones here:
//! they exist because a module asks the running kernel for another one by name (a checksum, say), the kernel asks
//! modprobe, and no modprobe lives in an initramfs. Not handled: `post` soft dependencies, the binary indexes.

use std::collections::{BTreeMap, BTreeSet};

use genpack_core::kernel::modules::{alias_line, alias_matches, builtin_line, dep_line, module_name};

/// The tables of one kernel. Module names are written with `_`, as the kernel's own list does.
#[derive(Debug)]
pub(super) struct Tables<'a> {
    /// Name → path and the paths of its dependencies.
    modules: BTreeMap<String, (&'a str, Vec<&'a str>)>,
    builtin: BTreeSet<String>,
    /// Pattern, module name.
    aliases: Vec<(&'a str, String)>,
    /// Name → what it asks for.
    soft: BTreeMap<String, Vec<&'a str>>,
}

/// What the tables know about a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// It is a file.
    Module,
    /// It is part of the kernel.
    Builtin,
    /// This kernel does not have it.
    Absent,
}

impl<'a> Tables<'a> {
    /// Parses `modules.dep`, `modules.builtin`, `modules.alias` and `modules.softdep`.
    pub(super) fn parse(dep: &'a str, builtin: &'a str, alias: &'a str, softdep: &'a str) -> Self {
        let modules = dep.lines().filter_map(dep_line);
        let modules = modules.map(|(path, deps)| (name(path), (path, deps.collect()))).collect();
        let builtin = builtin.lines().filter_map(builtin_line).map(name).collect();
        let aliases = alias.lines().filter_map(alias_line).map(|(pattern, module)| (pattern, name(module)));
        let mut soft: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (module, wanted) in softdep.lines().filter_map(softdep_line) {
            soft.entry(name(module)).or_default().extend(wanted);
        }
        Self { modules, builtin, aliases: aliases.collect(), soft }
    }

    /// Tells what this kernel knows about a module name, whichever of `-` and `_` it is written with.
    pub(super) fn presence(&self, module: &str) -> Presence {
        let module = name(module);
        if self.modules.contains_key(&module) {
            Presence::Module
        } else if self.builtin.contains(&module) {
            Presence::Builtin
        } else {
            Presence::Absent
        }
    }

    /// Returns the names of all modules whose path begins with `directory`, sorted.
    pub(super) fn in_directory(&self, directory: &str) -> Vec<String> {
        self.modules
            .iter()
            .filter(|(_, (path, _))| path.starts_with(directory))
            .map(|(n, _)| n.clone())
            .collect()
    }

    /// Returns the path of a module.
    pub(super) fn path(&self, module: &str) -> Option<&'a str> {
        self.modules.get(&name(module)).map(|(path, _)| *path)
    }

    /// Returns these modules and all that they depend on, in an order in which they can be loaded.
    pub(super) fn load_order(&self, wanted: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<String> {
        let mut order = Vec::new();
        let mut seen = BTreeSet::new();
        for module in wanted {
            self.visit(&name(module.as_ref()), &mut seen, &mut order);
        }
        order
    }

    /// Depth first, dependencies before the module. `seen` ends cycles, which soft dependencies may have; the depth
    /// is bounded by the number of modules.
    fn visit(&self, module: &str, seen: &mut BTreeSet<String>, order: &mut Vec<String>) {
        let Some((_, deps)) = self.modules.get(module) else { return };
        if !seen.insert(module.to_owned()) {
            return;
        }
        for wanted in self.soft.get(module).into_iter().flatten() {
            if let Some(module) = self.resolve(wanted) {
                self.visit(&module, seen, order);
            }
        }
        // Why: the table lists them in the order of unloading.
        for dep in deps.iter().rev() {
            self.visit(&name(dep), seen, order);
        }
        order.push(module.to_owned());
    }

    /// Returns the module that a name in a soft dependency stands for: the module itself, else the portable one of
    /// those with the alias.
    ///
    /// The others are made for certain processors and refuse to load on the rest; without a portable module it is
    /// built in.
    fn resolve(&self, wanted: &str) -> Option<String> {
        if self.presence(wanted) != Presence::Absent {
            return Some(name(wanted));
        }
        let mut portable = self.aliases.iter().filter(|(_, module)| module.ends_with("_generic"));
        portable.find(|(pattern, _)| alias_matches(pattern, wanted)).map(|(_, module)| module.clone())
    }

    /// Returns the lines of `modules.alias` that lead to one of these modules, in the order of the table.
    pub(super) fn alias_table(&self, modules: &BTreeSet<String>) -> String {
        let lines = self.aliases.iter().filter(|(_, module)| modules.contains(module));
        lines.map(|(pattern, module)| format!("alias {pattern} {module}\n")).collect()
    }
}

/// Returns the name of a module from its path or name, written with `_`.
fn name(path: &str) -> String {
    module_name(path).replace('-', "_")
}

/// Returns module and wanted names from `softdep MODULE pre: A B post: C`.
fn softdep_line(line: &str) -> Option<(&str, Vec<&str>)> {
    let (module, rest) = line.strip_prefix("softdep ")?.trim().split_once(' ')?;
    let pre = rest.split_once("pre:")?.1;
    let pre = pre.split_once("post:").map_or(pre, |(pre, _)| pre);
    Some((module, pre.split_ascii_whitespace().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEP: &str = "kernel/fs/fat/vfat.ko: kernel/fs/fat/fat.ko\n\
        kernel/fs/fat/fat.ko:\n\
        kernel/fs/btrfs/btrfs.ko.xz: kernel/lib/libcrc32c.ko.xz kernel/crypto/xor.ko.xz\n\
        kernel/lib/libcrc32c.ko.xz:\n\
        kernel/crypto/xor.ko.xz:\n\
        kernel/crypto/crc32c_generic.ko.xz:\n\
        kernel/arch/crc32c-intel.ko.xz:\n";
    const ALIAS: &str = "# Aliases\nalias fs-vfat vfat\nalias crc32c crc32c_intel\nalias crc32c crc32c_generic\nalias sha256 crc32c_intel\n";
    const SOFT: &str = "softdep libcrc32c pre: crc32c sha256\nsoftdep x post: y\n";

    fn tables() -> Tables<'static> {
        Tables::parse(DEP, "kernel/fs/nls/nls_base.ko\n", ALIAS, SOFT)
    }

    #[test]
    fn dependencies_come_before_their_module() {
        assert_eq!(tables().load_order(["vfat"]), ["fat", "vfat"]);
        assert_eq!(tables().load_order(["btrfs"]), ["xor", "crc32c_generic", "libcrc32c", "btrfs"]);
        assert_eq!(tables().load_order(["nls_base", "nothing"]), [""; 0]);
    }

    #[test]
    fn presence_does_not_care_about_dashes() {
        for (module, presence) in [
            ("crc32c-intel", Presence::Module),
            ("crc32c_intel", Presence::Module),
            ("nls_base", Presence::Builtin),
            ("nls-utf8", Presence::Absent),
        ] {
            assert_eq!(tables().presence(module), presence, "{module}");
        }
        assert_eq!(tables().path("crc32c-intel"), Some("kernel/arch/crc32c-intel.ko.xz"));
        assert_eq!(tables().in_directory("kernel/fs/fat/"), ["fat", "vfat"]);
    }

    #[test]
    fn cycles_end() {
        let tables = Tables::parse("a.ko: b.ko\nb.ko: a.ko\n", "", "", "softdep b pre: a\n");
        assert_eq!(tables.load_order(["a"]), ["b", "a"]);
    }

    #[test]
    fn softdep_line_stops_at_post() {
        assert_eq!(softdep_line("softdep a pre: b c post: d"), Some(("a", vec!["b", "c"])));
        assert_eq!(softdep_line("softdep a post: d"), None);
        assert_eq!(softdep_line("# Soft dependencies"), None);
    }
}
