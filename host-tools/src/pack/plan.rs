//! Decides what of a built tree goes into the image, and how it is stored there.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::io::Read;
use std::path::Path;

use genpack_core::kernel::image::{Format, HEAD_LEN, detect};

use crate::command_error::{CommandError, Context, Result};
use crate::container::root_dir::RootDir;
use crate::lower::debian::plan::Plan as LowerPlan;
use crate::model::Effective;
use crate::model::compression::Compression;
use crate::pack::compress::{Method, Settings};
use crate::pack::entry::Kind;
use crate::pack::package_files;
use crate::pack::tree::glob::Glob;
use crate::pack::tree::{Tree, open};
use crate::upper::closure::Database;
use crate::upper::file_list::{self, EntryKind, Owners};
use crate::upper::gentoo::{self, Runtime};
use crate::upper::runtime_set;

/// Where dpkg keeps what it knows, in a tree.
const STATUS: &str = "var/lib/dpkg/status";
/// Where dpkg keeps the lists of files.
const INFO: &str = "var/lib/dpkg/info";

/// What no image has, whatever its packages come from: build scripts, logs and leftovers of the build.
const NEVER_IN: [&str; 4] = ["/build", "/build.d", "/var/log/*.log", "/var/tmp/*"];

/// Begins of names in `/boot` of what boot loaders read.
const BOOT_FILES: [&[u8]; 5] = [b"vmlinu", b"kernel", b"Image", b"initramfs", b"initrd"];

/// Begins of compressed data: gzip, xz, zstd, lz4 (legacy and frame), bzip2, lzma.
const COMPRESSED: [&[u8]; 7] = [
    &[0x1f, 0x8b],
    &[0xfd, b'7', b'z', b'X', b'Z', 0],
    &[0x28, 0xb5, 0x2f, 0xfd],
    &[0x02, 0x21, 0x4c, 0x18],
    &[0x04, 0x22, 0x4d, 0x18],
    b"BZh",
    &[0x5d, 0, 0],
];

/// How an image is packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Compressor and block size.
    pub compression: Compression,
    /// The image's own time, and the newest one in it: SOURCE_DATE_EPOCH.
    pub mtime_limit: Option<u32>,
}

impl Plan {
    /// Returns the plan of a configuration; `epoch` is SOURCE_DATE_EPOCH.
    ///
    /// # Errors
    /// When the compression or the epoch is none.
    pub fn new(effective: &Effective, epoch: Option<&str>) -> Result<Self> {
        let compression = Compression::parse(&effective.compression, Some(effective.arch))
            .map_err(|e| CommandError::failed(e.to_string()))?;
        Ok(Self { compression, mtime_limit: epoch.map(parse_epoch).transpose()? })
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = &self.compression.settings;
        write!(f, "{}, blocks of {} KiB", words(settings), self.compression.block_size >> 10)?;
        match self.mtime_limit {
            Some(limit) => write!(f, ", no time after {limit} s"),
            None => Ok(()),
        }
    }
}

/// Returns the compressor and its level in words.
#[must_use]
pub fn words(settings: &Settings) -> String {
    match settings.method() {
        Method::None => "uncompressed".to_owned(),
        Method::Gzip { level } | Method::Xz { level, .. } | Method::Zstd { level } => {
            format!("{} level {level}", settings.name())
        }
        Method::Lzo | Method::Lz4 { .. } => settings.name().to_owned(),
    }
}

/// Parses SOURCE_DATE_EPOCH: seconds since 1970, as far as SquashFS can count.
pub(crate) fn parse_epoch(text: &str) -> Result<u32> {
    text.parse().map_err(|_| {
        CommandError::failed(format!("{text:?} is no time in seconds since 1970, 0 to {}", u32::MAX))
            .context("reading SOURCE_DATE_EPOCH")
            .hint("it takes what `date +%s` prints")
    })
}

/// Takes out of a merged tree what no image has.
#[must_use]
pub fn without_leftovers(tree: Tree) -> Tree {
    let globs: Vec<Glob> = NEVER_IN.iter().filter_map(|text| Glob::parse(text).ok()).collect();
    tree.without(|_, e| globs.iter().any(|g| g.matches(&e.path, matches!(e.kind, Kind::Directory))))
}

/// Takes out of a merged tree of Debian packages what stays behind: see [`file_list`], and lists whose the rest is.
///
/// # Errors
/// When dpkg's database cannot be read.
pub fn leave_out(tree: Tree, lower_plan: &LowerPlan, lower: &Database) -> Result<Tree> {
    let database = |bytes: Vec<u8>| Database::parse(&String::from_utf8_lossy(&bytes));
    let now = database(tree.read(STATUS)?);
    let closure = runtime_set::closure(lower_plan, lower, &now);
    let packages: BTreeSet<&str> = closure.members.keys().map(String::as_str).collect();
    let entries = listed(&tree);
    let mut owners = Owners::new(&entries);
    let mut names = package_files::Owners::new();
    for entry in tree.below(INFO.as_bytes()) {
        let Ok(path) = std::str::from_utf8(&entry.path) else { continue };
        let name = path.rsplit('/').next().unwrap_or(path);
        if let Some(stem) = name.strip_suffix(".list") {
            let package = stem.split(':').next().unwrap_or(stem);
            let inside = packages.contains(package);
            let list = String::from_utf8_lossy(&tree.read(path)?).into_owned();
            owners.add(&list, inside);
            // Why: a directory of the package may be a link in the tree, as /bin is; what is above another path is one.
            let above: HashSet<&str> = list.lines().filter_map(|l| Some(l.rsplit_once('/')?.0)).collect();
            // Why of the set only: a file that another package owns too is there for this one.
            for path in list.lines().filter(|path| inside && !above.contains(path)) {
                names.insert(owners.real(path.trim_start_matches('/')), package.to_owned());
            }
        }
    }
    let out = file_list::left_out(&entries, &owners, &packages);
    let mut tree = tree.without(|at, _| out.get(at) == Some(&true));
    package_files::add(&mut tree, &names);
    Ok(tree)
}

/// Takes out of a merged tree of Gentoo what does not belong to its runtime set: see [`crate::upper::gentoo`], and
/// lists whose the rest is.
///
/// # Errors
/// When the database of installed packages cannot be read.
pub fn take_runtime(tree: Tree, lower: &Path, upper: &HashSet<String>) -> Result<Tree> {
    let root = RootDir::open(lower)?;
    let runtime = Runtime::read(&root)?;
    let entries = listed(&tree);
    let (mut contents, mut names) = (Vec::new(), package_files::Owners::new());
    let links = gentoo::links(&entries);
    for (cpv, of_package) in runtime.contents(&root)? {
        let files = of_package.iter().filter(|(kind, _)| *kind != EntryKind::Directory);
        names.extend(files.map(|(_, path)| (gentoo::canonical(path, &links), cpv.clone())));
        contents.extend(of_package);
    }
    let out = gentoo::left_out(&entries, upper, &contents, runtime.devel);
    let mut tree = tree.without(|at, _| out.get(at) == Some(&true));
    package_files::add(&mut tree, &names);
    Ok(tree)
}

fn listed(tree: &Tree) -> Vec<file_list::Entry> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let kind = |kind: &Kind| match kind {
        Kind::Directory => EntryKind::Directory,
        Kind::Symlink(target) => EntryKind::Link(text(target)),
        _ => EntryKind::Other,
    };
    tree.entries.iter().map(|e| file_list::Entry { path: text(&e.path), kind: kind(&e.kind) }).collect()
}

/// Reads dpkg's database of a tree that is not merged with another.
///
/// # Errors
/// When it cannot be read.
pub fn database(tree: &Tree) -> Result<Database> {
    Ok(Database::parse(&String::from_utf8_lossy(&tree.read(STATUS)?)))
}

/// Marks the kernel and the initramfs to be stored as they are, when they are compressed already.
///
/// Why: another compressor gains one percent on them, and GRUB, whose inflate is plain C on one core without caches
/// in some firmware, would spend more time on that percent than a disk does. A kernel that is not compressed, as the
/// flat `Image` of arm64, is: a third of the bytes is read.
///
/// # Errors
/// When one of them cannot be read.
pub fn store_boot_files(tree: &mut Tree) -> Result<()> {
    for entry in &mut tree.entries {
        let Some(name) = entry.path.strip_prefix(b"boot/") else { continue };
        let Kind::File(file) = &mut entry.kind else { continue };
        if BOOT_FILES.iter().any(|begin| name.starts_with(begin)) {
            let mut head = Vec::new();
            let reading = || format!("reading /{}", String::from_utf8_lossy(&entry.path));
            open(&file.content)
                .and_then(|f| f.take(HEAD_LEN as u64).read_to_end(&mut head))
                .with_context(reading)?;
            file.stored = is_compressed(&head);
        }
    }
    Ok(())
}

/// Tells whether a kernel or an initramfs that begins so is compressed.
fn is_compressed(head: &[u8]) -> bool {
    let wraps =
        |format| matches!(format, Format::BzImage | Format::EfiZboot | Format::ArmZImage | Format::Gzip);
    COMPRESSED.iter().any(|magic| head.starts_with(magic)) || detect(head).is_some_and(|k| wraps(k.format))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::entry::{Content, Entry, FileEntry};

    fn file(path: &str, bytes: &[u8]) -> Entry {
        let content = Content::Bytes(bytes.into());
        Entry {
            path: path.as_bytes().to_vec(),
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: 0,
            xattrs: Vec::new(),
            identity: None,
            kind: Kind::File(FileEntry { size: bytes.len() as u64, content, stored: false }),
        }
    }

    #[test]
    fn build_scripts_logs_and_leftovers_are_in_no_image() {
        let paths = ["build", "build.d/a/b", "srv/build", "var/log/x.log", "var/log/y/x.log", "var/tmp/t"];
        let mut tree = Tree { entries: paths.iter().map(|p| file(p, b"")).collect() };
        tree.entries.insert(1, Entry { kind: Kind::Directory, ..file("build.d", b"") });
        let kept: Vec<_> = without_leftovers(tree).entries.into_iter().map(|e| e.path).collect();
        assert_eq!(kept, [b"srv/build".to_vec(), b"var/log/y/x.log".to_vec()]);
    }

    #[test]
    fn plan_says_what_it_does_in_words() {
        let shown = |text, mtime_limit| {
            let compression = Compression::parse(text, None).unwrap();
            Plan { compression, mtime_limit }.to_string()
        };
        assert_eq!(shown("gzip:9", None), "gzip level 9, blocks of 128 KiB");
        assert_eq!(shown("none", Some(7)), "uncompressed, blocks of 128 KiB, no time after 7 s");
        assert_eq!(shown("xz", None), "xz level 6, blocks of 1024 KiB");
        assert_eq!(shown("lz4", None), "lz4, blocks of 128 KiB");
    }

    #[test]
    fn epoch_is_a_number_that_the_format_can_hold() {
        assert_eq!(parse_epoch("1700000000").unwrap(), 1_700_000_000);
        for text in ["", "x", "-1", "4294967296", "1.5"] {
            assert_eq!(
                parse_epoch(text).unwrap_err().hint.as_deref(),
                Some("it takes what `date +%s` prints"),
                "{text}"
            );
        }
    }

    #[test]
    fn boot_files_are_stored_when_they_are_compressed() {
        let mut bz_image = vec![0; 0x400];
        bz_image[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
        bz_image[0x202..0x206].copy_from_slice(b"HdrS");
        bz_image[0x206..0x208].copy_from_slice(&[0x0f, 0x02]);
        let mut arm64 = vec![0; 64];
        arm64[56..60].copy_from_slice(b"ARM\x64");
        let files: [(&str, &[u8], bool); 7] = [
            ("boot/vmlinuz-6.1", &bz_image, true),
            ("boot/vmlinuz-arm", &arm64, false),
            ("boot/initramfs", &[0x28, 0xb5, 0x2f, 0xfd, 0], true),
            ("boot/initrd.img", b"070701", false),
            ("boot/config.gz", &[0x1f, 0x8b, 8], false),
            ("usr/kernel", &[0x1f, 0x8b, 8], false),
            ("boot/kernel", b"", false),
        ];
        let mut tree = Tree { entries: files.iter().map(|(path, bytes, _)| file(path, bytes)).collect() };
        store_boot_files(&mut tree).unwrap();
        for (entry, (path, _, expected)) in tree.entries.iter().zip(files) {
            let Kind::File(file) = &entry.kind else { panic!("{path}") };
            assert_eq!(file.stored, expected, "{path}");
        }
    }
}
