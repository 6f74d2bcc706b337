//! Kernel modules without udev and without kmod: `modules.alias`, `modules.dep`, `modules.softdep`, `finit_module(2)`.
//!
//! Formats: modules.dep(5), modprobe.d(5). While stage 1 runs the kernel is told to call this very program as its
//! modprobe, so file systems, code pages and checksums it asks for are found too. Not handled: `modprobe.d`,
//! blacklists, module parameters on the kernel command line.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::report::Log;
use crate::tree::Tree;
use genpack_core::kernel::modules::{alias_line, alias_matches, dep_line, module_name, same_module};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// Largest table that is read; Debian's `modules.alias` has 1.4 MB.
const MAX_TABLE: usize = 16 * 1024 * 1024;
/// Depth of soft dependencies.
const MAX_DEPTH: u32 = 8;
/// `MODULE_INIT_COMPRESSED_FILE`: the kernel decompresses.
const COMPRESSED: i32 = 4;

/// The module tables of the running kernel.
#[derive(Debug, Default)]
pub struct Modules {
    directory: String,
    dep: String,
    alias: String,
    softdep: String,
    /// Paths that need no second attempt, loaded or not.
    tried: Vec<String>,
    /// Whether loading waits for the devices that a module finds.
    is_async: bool,
}

impl Modules {
    /// Reads the tables below `/usr/lib/modules/<release>` or `/lib/modules/<release>`; missing ones are empty.
    #[must_use]
    pub fn open(tree: &Tree) -> Self {
        let uname = rustix::system::uname();
        let release = uname.release().to_str().unwrap_or_default();
        let directory = ["/usr/lib/modules/", "/lib/modules/"]
            .iter()
            .map(|base| format!("{base}{release}"))
            .find(|directory| tree.is_dir(directory))
            .unwrap_or_default();
        let table = |name: &str| tree.text(&format!("{directory}/{name}"), MAX_TABLE);
        Self {
            dep: table("modules.dep"),
            alias: table("modules.alias"),
            softdep: table("modules.softdep"),
            directory,
            tried: Vec::new(),
            is_async: false,
        }
    }

    /// Sets whether a module's devices are looked for while the boot goes on; they are announced by events then.
    pub fn set_async(&mut self, is_async: bool) {
        self.is_async = is_async;
    }

    /// Loads modules by name, what they need first; answers how many are new in the kernel.
    pub fn load(&mut self, names: &[&str], log: &mut Log) -> u32 {
        names.iter().map(|name| self.load_one(name, log, 0)).sum()
    }

    /// Loads what the modaliases ask for; answers how many modules are new in the kernel.
    pub fn load_aliases(&mut self, modaliases: &[String], log: &mut Log) -> u32 {
        let names = matching(&self.alias, modaliases);
        names.iter().map(|name| self.load_one(name, log, 0)).sum()
    }

    fn load_one(&mut self, name: &str, log: &mut Log, depth: u32) -> u32 {
        if depth > MAX_DEPTH {
            return 0;
        }
        let Some(paths) = load_order(&self.dep, name) else {
            let names = matching(&self.alias, &[String::from(name)]);
            return names.iter().map(|name| self.load_one(name, log, depth + 1)).sum();
        };
        let mut new = 0;
        for path in paths {
            if self.tried.contains(&path) {
                continue;
            }
            self.tried.push(path.clone());
            for wanted in soft_dependencies(&self.softdep, module_name(&path)) {
                new += self.load_one(&wanted, log, depth + 1);
            }
            new += u32::from(self.insert(&path, log));
        }
        new
    }

    /// Hands one file to the kernel; answers whether it is new there.
    fn insert(&self, path: &str, log: &mut Log) -> bool {
        let file = format!("{}/{path}", self.directory);
        let flags = if path.ends_with(".ko") { 0 } else { COMPRESSED };
        let parameters = if self.is_async { c"async_probe" } else { c"" };
        let inserted = rustix::fs::open(file.as_str(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .and_then(|fd| rustix::system::finit_module(&fd, parameters, flags));
        match inserted {
            Ok(()) => {
                log.debug(format_args!("loaded module {path}"));
                true
            }
            // Why: the tables may name every module of the kernel, the initramfs holds those a boot can need.
            Err(Errno::NOENT | Errno::EXIST) => false,
            // Why: the hardware the module was asked for is not there; modprobe is silent about it as well.
            Err(Errno::NODEV) => {
                log.debug(format_args!("module {path} found no device"));
                false
            }
            Err(e) => {
                log.warning(format_args!("cannot load module {path}: errno {}", e.raw_os_error()));
                false
            }
        }
    }
}

/// Returns the files to load for a module, dependencies first; `None` when the table does not know it.
fn load_order(dep: &str, name: &str) -> Option<Vec<String>> {
    let (path, deps) =
        dep.lines().filter_map(dep_line).find(|(path, _)| same_module(module_name(path), name))?;
    let mut order = Vec::new();
    for path in deps.rev().chain(Some(path)) {
        order.push(String::from(path));
    }
    Some(order)
}

/// Returns the modules whose patterns match, each once, in the table's order.
fn matching(alias: &str, modaliases: &[String]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (pattern, name) in alias.lines().filter_map(alias_line) {
        // Why: most of the 20 000 patterns end their comparison at the first character.
        if modaliases.iter().any(|m| alias_matches(pattern, m)) && !names.iter().any(|n| n == name) {
            names.push(name.into());
        }
    }
    names
}

/// Returns what `softdep NAME pre: A B post: C` wants before the module.
fn soft_dependencies(softdep: &str, name: &str) -> Vec<String> {
    let mut wanted = Vec::new();
    for line in softdep.lines() {
        let mut words = line.split_ascii_whitespace();
        if words.next() != Some("softdep") || !words.next().is_some_and(|n| same_module(n, name)) {
            continue;
        }
        let mut is_pre = false;
        for word in words {
            match word {
                "pre:" => is_pre = true,
                "post:" => is_pre = false,
                _ if is_pre => wanted.push(word.into()),
                _ => {}
            }
        }
    }
    wanted
}

/// Answers the kernel's request for a module; the result is the exit status.
pub fn modprobe(name: &[u8]) -> i32 {
    let (Ok(name), Ok(tree)) = (core::str::from_utf8(name), Tree::open("/")) else { return 1 };
    let mut log = Log::new();
    log.open_kmsg();
    // Why: the kernel only looks whether the file system or algorithm it wanted is there afterwards.
    i32::from(Modules::open(&tree).load(&[name], &mut log) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEP: &str = "kernel/fs/fat/fat.ko:\nkernel/fs/fat/vfat.ko: kernel/fs/fat/fat.ko\n\
        kernel/drivers/block/virtio_blk.ko: kernel/drivers/virtio/virtio.ko kernel/drivers/virtio/virtio_ring.ko\n";
    const ALIAS: &str = "# Aliases extracted from modules themselves.\nalias fs-vfat vfat\n\
        alias virtio:d00000002v* virtio_blk\nalias virtio:d0000001Av* virtiofs\nalias crc32c crc32c_intel\n\
        alias crc32c crc32c_generic\n";

    #[test]
    fn load_order_puts_dependencies_first() {
        for (name, expected) in [
            ("fat", Some(["kernel/fs/fat/fat.ko"].as_slice())),
            ("vfat", Some(&["kernel/fs/fat/fat.ko", "kernel/fs/fat/vfat.ko"])),
            (
                "virtio-blk",
                Some(&[
                    "kernel/drivers/virtio/virtio_ring.ko",
                    "kernel/drivers/virtio/virtio.ko",
                    "kernel/drivers/block/virtio_blk.ko",
                ]),
            ),
            ("ext4", None),
        ] {
            let expected =
                expected.map(|paths: &[&str]| paths.iter().copied().map(String::from).collect::<Vec<_>>());
            assert_eq!(load_order(DEP, name), expected, "{name}");
        }
    }

    #[test]
    fn matching_finds_every_module_of_an_alias_once() {
        let modaliases =
            ["virtio:d00000002v00001AF4", "crc32c", "virtio:d00000002v00001AF4"].map(String::from);
        assert_eq!(matching(ALIAS, &modaliases), ["virtio_blk", "crc32c_intel", "crc32c_generic"]);
        assert_eq!(matching(ALIAS, &[]), [""; 0]);
    }

    #[test]
    fn soft_dependencies_take_only_what_comes_before() {
        let softdep = "softdep btrfs pre: crc32c xxhash64 post: x\nsoftdep btrfs pre: blake2b-256\nsoftdep xfs pre: crc32c\n";
        assert_eq!(soft_dependencies(softdep, "btrfs"), ["crc32c", "xxhash64", "blake2b-256"]);
        assert_eq!(soft_dependencies(softdep, "ext4"), [""; 0]);
    }
}
