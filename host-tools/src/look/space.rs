//! What takes the space of an image: every file with the bytes that it has and the bytes that it takes, by directory,
//! package and kind.
//!
//! A block that several files share counts for the first; of a fragment block each file takes its part. Metadata,
//! some percent of an image, is nobody's.

use std::collections::{BTreeMap, HashMap, HashSet};

use genpack_core::fs::squashfs::FileType;

use crate::command_error::Result;
use crate::io::printable::printable;
use crate::io::system_image::{Stored, SystemImage};

pub mod packages;

/// Directories so deep below the root have a sum of their own: `/usr/lib/modules/VERSION/kernel/drivers` has.
pub const DEPTH: usize = 6;

/// Files, and the bytes that they have and take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Regular files, each once.
    pub files: u64,
    /// Bytes of content.
    pub size: u64,
    /// Bytes in the image.
    pub stored: u64,
}

impl Sum {
    fn add(&mut self, size: u64, stored: u64) {
        self.files += 1;
        self.size = self.size.saturating_add(size);
        self.stored = self.stored.saturating_add(stored);
    }
}

/// One regular file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its absolute path, printable.
    pub path: String,
    /// Bytes of content.
    pub size: u64,
    /// Bytes in the image.
    pub stored: u64,
}

/// What takes the space.
#[derive(Debug, Default)]
pub struct Space {
    /// All files.
    pub total: Sum,
    /// By directory, absolute, everything below it counted; [`DEPTH`] deep.
    pub directories: BTreeMap<String, Sum>,
    /// By package; what belongs to none has an empty name. Empty when the image has no list of packages.
    pub packages: BTreeMap<String, Sum>,
    /// By kind of file.
    pub kinds: BTreeMap<&'static str, Sum>,
    /// The files that take most, the first the largest.
    pub largest: Vec<File>,
    /// What boot loaders read, and what an installer makes them from.
    pub boot: Vec<File>,
    /// Files that are stored once and have several inodes: their paths, and the size of each. The first saves most.
    pub duplicates: Vec<(u64, Vec<String>)>,
}

/// Where boot files are.
const BOOT: [&str; 2] = ["/boot/", "/usr/lib/genpack-install/"];

/// How many of the largest files, of boot files and of the duplicates, are told.
const MOST: usize = 50;

/// Returns what takes the space of the image.
///
/// # Errors
/// When the image is corrupt.
pub fn measure(image: &SystemImage) -> Result<Space> {
    let owners = packages::read(image)?;
    let mut files = Vec::new();
    let mut seen = HashSet::new();
    image.walk(&mut |path, entry| {
        if entry.file_type == FileType::RegularFile && seen.insert(entry.inode) {
            let is_executable = entry.mode & 0o111 != 0;
            files.push((path.to_vec(), entry.size, is_executable, image.stored(entry.inode)?));
        }
        Ok(())
    })?;
    let tails = tails(image, files.iter().map(|(.., stored)| stored))?;
    let mut space = Space::default();
    let mut places: HashMap<Stored, (u64, Vec<String>)> = HashMap::new();
    for (path, size, is_executable, stored) in &files {
        let same = places.entry(*stored).or_insert((*size, Vec::new()));
        let is_first = same.1.is_empty();
        let taken = if is_first { stored.bytes.saturating_add(part(&tails, stored)) } else { 0 };
        let shown = format!("/{}", printable(path));
        same.1.push(shown.clone());
        space.total.add(*size, taken);
        for directory in above(&shown) {
            space.directories.entry(directory.to_owned()).or_default().add(*size, taken);
        }
        if !owners.is_empty() {
            let owner = owners.of(path).unwrap_or_default();
            space.packages.entry(owner.to_owned()).or_default().add(*size, taken);
        }
        space.kinds.entry(kind(&shown, *is_executable)).or_default().add(*size, taken);
        let file = File { path: shown, size: *size, stored: taken };
        if BOOT.iter().any(|directory| file.path.starts_with(directory)) {
            space.boot.push(file.clone());
        }
        space.largest.push(file);
    }
    for files in [&mut space.largest, &mut space.boot] {
        files.sort_by(|a, b| b.stored.cmp(&a.stored).then_with(|| a.path.cmp(&b.path)));
        files.truncate(MOST);
    }
    space.duplicates = places.into_values().filter(|(size, paths)| *size > 0 && paths.len() > 1).collect();
    let saved = |(size, paths): &(u64, Vec<String>)| size.saturating_mul(paths.len() as u64 - 1);
    space.duplicates.sort_by(|a, b| saved(b).cmp(&saved(a)).then_with(|| a.1.cmp(&b.1)));
    space.duplicates.truncate(MOST);
    Ok(space)
}

/// Of each fragment block: bytes in the image, bytes of content that files have in it.
type Tails = HashMap<u32, (u64, u64)>;

fn tails<'s>(image: &SystemImage, files: impl Iterator<Item = &'s Stored>) -> Result<Tails> {
    let mut tails = Tails::new();
    let mut seen = HashSet::new();
    for stored in files {
        let Some(place @ (index, _)) = stored.fragment else { continue };
        if seen.insert(place) {
            let block = tails.entry(index).or_default();
            block.1 = block.1.saturating_add(stored.tail);
        }
    }
    for (index, block) in &mut tails {
        block.0 = image.stored_fragment(*index)?;
    }
    Ok(tails)
}

/// Returns the part of the fragment block that is the file's.
fn part(tails: &Tails, file: &Stored) -> u64 {
    let block = file.fragment.and_then(|(index, _)| tails.get(&index));
    block.map_or(0, |(stored, content)| {
        let part = u128::from(*stored) * u128::from(file.tail) / u128::from((*content).max(1));
        u64::try_from(part).unwrap_or(u64::MAX)
    })
}

/// Returns the directories above a path, the root first, [`DEPTH`] of them below it.
fn above(path: &str) -> impl Iterator<Item = &str> {
    let ends = path.char_indices().filter(|(_, c)| *c == '/').map(|(at, _)| at).take(DEPTH + 1);
    ends.map(|end| path.get(..end.max(1)).unwrap_or("/"))
}

/// Returns what kind of file a path is, by its name.
fn kind(path: &str, is_executable: bool) -> &'static str {
    let name = path.rsplit('/').next().unwrap_or(path);
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    let below = |directories: &[&str]| directories.iter().any(|d| path.starts_with(d));
    if below(&["/boot/"]) {
        "kernel and boot files"
    } else if ends(&[".ko", ".ko.xz", ".ko.zst", ".ko.gz"]) {
        "kernel modules"
    } else if below(&["/usr/lib/firmware/", "/lib/firmware/"]) {
        "firmware"
    } else if below(&["/usr/share/doc/", "/usr/share/man/", "/usr/share/info/", "/usr/share/gtk-doc/"]) {
        "documentation"
    } else if below(&["/usr/share/locale/", "/usr/share/i18n/", "/usr/lib/locale/"]) {
        "translations"
    } else if below(&["/var/lib/dpkg/", "/var/db/pkg/", "/var/lib/apt/", "/var/cache/"]) {
        "package manager"
    } else if ends(&[".so"]) || name.contains(".so.") {
        "libraries"
    } else if ends(&[".py", ".pyc", ".pl", ".pm", ".rb", ".lua", ".js", ".php", ".sh"]) {
        "scripts"
    } else if ends(&[".ttf", ".otf", ".pcf.gz", ".woff", ".woff2"]) {
        "fonts"
    } else if ends(&[".png", ".jpg", ".svg", ".webp", ".gif", ".ogg", ".wav", ".mp4"]) {
        "pictures and sound"
    } else if ends(&[".a", ".o", ".h", ".hpp", ".pc"]) {
        "for compilers"
    } else if is_executable {
        "programs"
    } else {
        "other"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn above_names_the_directories_from_the_root_on() {
        assert_eq!(above("/a").collect::<Vec<_>>(), ["/"]);
        assert_eq!(above("/usr/lib/x").collect::<Vec<_>>(), ["/", "/usr", "/usr/lib"]);
        assert_eq!(above("/a/b/c/d/e/f/g/h").last(), Some("/a/b/c/d/e/f"));
    }

    #[test]
    fn kind_is_told_by_the_name() {
        for (path, is_executable, expected) in [
            ("/boot/vmlinuz", false, "kernel and boot files"),
            ("/usr/lib/modules/6.1/kernel/a.ko.xz", false, "kernel modules"),
            ("/usr/lib/libc.so.6", true, "libraries"),
            ("/usr/bin/ls", true, "programs"),
            ("/etc/passwd", false, "other"),
            ("/usr/share/doc/x/a.py", false, "documentation"),
        ] {
            assert_eq!(kind(path, is_executable), expected, "{path}");
        }
    }

    #[test]
    fn fragment_block_is_shared_out_by_the_bytes_in_it() {
        let tails = Tails::from([(7, (100, 400))]);
        let file = |tail| Stored { start: 0, bytes: 0, fragment: Some((7, 0)), tail };
        assert_eq!((part(&tails, &file(100)), part(&tails, &file(300))), (25, 75));
        assert_eq!(part(&tails, &Stored::default()), 0);
    }
}
