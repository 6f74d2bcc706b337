//! Where everything of a disc goes, decided before a byte is written: volume descriptors, path tables, directories, files.
//!
//! ECMA-119 (ISO 9660:1988) at interchange level 3, so files of 4 GiB and more are several extents; Rock Ridge
//! (IEEE P1282 1.10) has the real names and modes for Linux and GRUB, Joliet for Windows. Directories come first, both
//! trees point to the same extents. Not handled: more than eight levels of directories, links, sparse files, sessions.

use std::collections::{BTreeMap, BTreeSet};

use super::names;
use super::record::{Node, Record, directory, path_table};

/// Bytes of a block.
pub const BLOCK: u64 = 2048;
/// First block of the volume descriptors.
pub const FIRST_DESCRIPTOR: u32 = 16;
/// Deepest directory, the root counted (ECMA-119, 6.8.2.1).
const MAX_LEVELS: usize = 8;
/// Bytes of one extent: less than 4 GiB, whole blocks.
pub const MAX_EXTENT: u64 = 0xFFFF_F800;

/// Why there is no layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// A path cannot be on a disc.
    Path(String, &'static str),
    /// One path is a directory of another one.
    IsDirectory(String),
    /// Everything together is too large.
    TooLarge,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path(path, why) => write!(f, "{path} cannot be on a disc: {why}"),
            Self::IsDirectory(path) => write!(f, "{path} is both a file and a directory"),
            Self::TooLarge => f.write_str("the disc would have more than 8 TiB"),
        }
    }
}

/// A file: its path and length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Path from the root, `/` between names, none in front.
    pub path: String,
    /// Length in bytes.
    pub bytes: u64,
}

/// Where everything is.
#[derive(Clone, Debug)]
pub struct Layout {
    /// First block of each file, in the order in which they were given.
    pub files: Vec<u32>,
    /// Directories and path tables: first block and content.
    pub tables: Vec<(u32, Vec<u8>)>,
    /// Blocks of the volume.
    pub blocks: u32,
    /// What the descriptors say: of the tree with short names, and of Joliet.
    pub trees: [Tree; 2],
}

/// What a volume descriptor says of its tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// First block and bytes of the root directory.
    pub root: (u32, u32),
    /// Bytes of a path table.
    pub path_table_bytes: u32,
    /// First block of the path table in little-endian numbers.
    pub path_table_le: u32,
    /// First block of the one in big-endian numbers.
    pub path_table_be: u32,
}

/// A directory while it is laid out.
struct Directory {
    parent: usize,
    /// Name, and the index of the directory.
    directories: BTreeMap<String, usize>,
    files: BTreeMap<String, usize>,
    level: usize,
}

/// Lays files out; `descriptors` is the number of volume descriptors with the terminator, `time` that of all entries.
///
/// # Errors
/// When a path cannot be on a disc, or there is too much.
pub fn plan(files: &[File], descriptors: u32, time: u64) -> Result<Layout, Error> {
    let directories = tree(files)?;
    // Breadth first, as path tables want it; children have larger numbers than their parents.
    let mut next = u64::from(FIRST_DESCRIPTOR.saturating_add(descriptors));
    let mut take = |bytes: u64| {
        let first = next;
        next = next.saturating_add(bytes.div_ceil(BLOCK).max(1));
        u32::try_from(first).map_err(|_| Error::TooLarge)
    };
    let ways = [false, true];
    let names: Vec<Vec<(String, Vec<u8>)>> = ways.map(|joliet| spell(&directories, joliet)).concat();
    let (short, joliet) = names.split_at(directories.len());
    let mut trees = [Tree::default(); 2];
    let mut tables = Vec::new();
    // Sizes do not depend on places, so everything is measured with places of zero first.
    let zero = vec![0; directories.len()];
    let nowhere = vec![0; files.len()];
    let context = |names, joliet, places, sizes, files_at| Node {
        directories_at: places,
        sizes,
        files_at,
        names,
        joliet,
        time,
    };
    let mut places = Vec::new();
    let mut sizes = Vec::new();
    for (way, names) in [short, joliet].into_iter().enumerate() {
        let is_joliet = way == 1;
        let node = context(names, is_joliet, &zero[..], &zero[..], &nowhere[..]);
        let bytes: Vec<u32> = (0..directories.len())
            .map(|index| {
                u32::try_from(directory(&records(&directories, files, index, &node)).len())
                    .unwrap_or(u32::MAX)
            })
            .collect();
        let table = path_table(&entries(&directories, names, &zero), false);
        let table_bytes = table.len() as u64;
        if let Some(tree) = trees.get_mut(way) {
            tree.path_table_bytes = u32::try_from(table_bytes).map_err(|_| Error::TooLarge)?;
            tree.path_table_le = take(table_bytes)?;
            tree.path_table_be = take(table_bytes)?;
        }
        sizes.push(bytes);
    }
    for bytes in &sizes {
        places.push(bytes.iter().map(|bytes| take(u64::from(*bytes))).collect::<Result<Vec<u32>, Error>>()?);
    }
    let continuation = take(BLOCK)?;
    let files_at = files.iter().map(|file| take(file.bytes)).collect::<Result<Vec<u32>, Error>>()?;
    let blocks = take(0)?;
    for (way, names) in [short, joliet].into_iter().enumerate() {
        let (Some(places), Some(sizes), Some(tree)) = (places.get(way), sizes.get(way), trees.get_mut(way))
        else {
            continue;
        };
        let node = context(names, way == 1, places, sizes, &files_at);
        let root = |list: &[u32]| list.first().copied().unwrap_or(0);
        tree.root = (root(places), root(sizes));
        for big in [false, true] {
            let at = if big { tree.path_table_be } else { tree.path_table_le };
            tables.push((at, path_table(&entries(&directories, names, places), big)));
        }
        for (index, place) in places.iter().enumerate() {
            let mut records = records(&directories, files, index, &node);
            if way == 0
                && index == 0
                && let Some(own) = records.first_mut()
            {
                own.continuation = Some(continuation);
            }
            tables.push((*place, directory(&records)));
        }
    }
    tables.push((continuation, super::record::extensions_reference()));
    tables.sort_by_key(|(at, _)| *at);
    Ok(Layout { files: files_at, tables, blocks, trees })
}

/// Builds the tree; the first directory is the root, each level follows the one above it, by names.
fn tree(files: &[File]) -> Result<Vec<Directory>, Error> {
    // Each with its level, which goes first: a directory comes before those below it.
    let mut known: BTreeSet<(usize, String)> = BTreeSet::new();
    for file in files {
        let parts: Vec<&str> = file.path.split('/').collect();
        for part in &parts {
            if let Some(why) = names::fault(part) {
                return Err(Error::Path(file.path.clone(), why));
            }
        }
        if parts.len() > MAX_LEVELS {
            return Err(Error::Path(file.path.clone(), "it is deeper than eight levels"));
        }
        for end in 1..parts.len() {
            known.insert((end, parts.get(..end).unwrap_or_default().join("/")));
        }
    }
    let root = Directory { parent: 0, directories: BTreeMap::new(), files: BTreeMap::new(), level: 0 };
    let mut all = vec![root];
    let mut by_path = BTreeMap::from([(String::new(), 0_usize)]);
    for (level, path) in known {
        let (above, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let parent = by_path.get(above).copied().unwrap_or(0);
        let index = all.len();
        if let Some(parent) = all.get_mut(parent) {
            parent.directories.insert(name.to_owned(), index);
        }
        all.push(Directory { parent, directories: BTreeMap::new(), files: BTreeMap::new(), level });
        by_path.insert(path, index);
    }
    for (index, file) in files.iter().enumerate() {
        let (above, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
        let parent = by_path.get(above).copied().unwrap_or(0);
        let taken = all.get_mut(parent).and_then(|parent| parent.files.insert(name.to_owned(), index));
        if by_path.contains_key(&file.path) || taken.is_some() {
            return Err(Error::IsDirectory(file.path.clone()));
        }
    }
    Ok(all)
}

/// Returns for each directory the names of its entries: the real one, and the bytes of the identifier.
fn spell(directories: &[Directory], joliet: bool) -> Vec<Vec<(String, Vec<u8>)>> {
    let each = |directory: &Directory| {
        let mut taken = BTreeSet::new();
        let names = directory.directories.keys().map(|name| (name, true));
        let names = names.chain(directory.files.keys().map(|name| (name, false)));
        let mut spelled: Vec<(String, Vec<u8>)> = names
            .map(|(name, is_directory)| {
                let identifier = if joliet {
                    names::joliet(name)
                } else {
                    names::identifier(name, is_directory, &mut taken).into_bytes()
                };
                (name.clone(), identifier)
            })
            .collect();
        spelled.sort_by(|(_, a), (_, b)| a.cmp(b));
        spelled
    };
    directories.iter().map(each).collect()
}

/// Returns the entries of a path table: identifier, place, number of the parent.
fn entries(
    directories: &[Directory],
    names: &[Vec<(String, Vec<u8>)>],
    places: &[u32],
) -> Vec<(Vec<u8>, u32, u16)> {
    // Why anew: within a level the table sorts by the identifiers of this tree.
    let mut order: Vec<usize> = vec![0];
    let mut at = 0;
    while let Some(index) = order.get(at).copied() {
        let spelled = names.get(index).map(Vec::as_slice).unwrap_or_default();
        let below = directories.get(index).map(|directory| &directory.directories);
        order.extend(spelled.iter().filter_map(|(name, _)| below.and_then(|below| below.get(name)).copied()));
        at = at.saturating_add(1);
    }
    let number = |index: usize| {
        let place = order.iter().position(|other| *other == index).unwrap_or(0);
        u16::try_from(place.saturating_add(1)).unwrap_or(u16::MAX)
    };
    let entry = |index: &usize| {
        let directory = directories.get(*index)?;
        let name = names.get(directory.parent).and_then(|spelled| {
            let is_it = |(name, _): &&(String, Vec<u8>)| {
                directories.get(directory.parent).and_then(|p| p.directories.get(name)) == Some(index)
            };
            spelled.iter().find(is_it)
        });
        let identifier = match name {
            Some((_, identifier)) if directory.level > 0 => identifier.clone(),
            _ => vec![0],
        };
        Some((identifier, places.get(*index).copied().unwrap_or(0), number(directory.parent)))
    };
    order.iter().filter_map(entry).collect()
}

/// Returns the records of a directory: itself, its parent, its entries.
fn records(directories: &[Directory], files: &[File], index: usize, node: &Node<'_>) -> Vec<Record> {
    let Some(own) = directories.get(index) else { return Vec::new() };
    let below = |index: usize| directories.get(index).map_or(0, |directory| directory.directories.len());
    let links = |index: usize| u32::try_from(below(index).saturating_add(2)).unwrap_or(u32::MAX);
    let mut records = vec![
        Record::directory(node, vec![0], "", index, links(index), index == 0),
        Record::directory(node, vec![1], "", own.parent, links(own.parent), false),
    ];
    for (name, identifier) in node.names.get(index).into_iter().flatten() {
        if let Some(child) = own.directories.get(name) {
            records.push(Record::directory(node, identifier.clone(), name, *child, links(*child), false));
        } else if let Some(file) = own.files.get(name) {
            let bytes = files.get(*file).map_or(0, |file| file.bytes);
            records.extend(Record::file(node, identifier, name, *file, bytes));
        }
    }
    records
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, bytes: u64) -> File {
        File { path: path.into(), bytes }
    }

    #[test]
    fn files_follow_the_directories_in_the_order_they_were_given() {
        let files = [file("boot/grub/grub.cfg", 5000), file("system.img", 10_000), file("empty", 0)];
        let layout = plan(&files, 3, 0).unwrap();
        // 16 to 18 descriptors, 4 path tables, 3 directories twice, the continuation.
        assert_eq!(layout.trees[0].path_table_le, 19);
        assert_eq!(layout.trees[0].root.0, 23);
        assert_eq!(layout.trees[1].root.0, 26);
        assert_eq!(layout.files, [30, 33, 38]);
        assert_eq!(layout.blocks, 39);
        assert_eq!(layout.tables.iter().map(|(at, _)| *at).collect::<Vec<_>>(), (19..30).collect::<Vec<_>>());
        assert!(layout.tables.iter().all(|(_, bytes)| bytes.len() <= 2048));
    }

    #[test]
    fn impossible_paths_are_told() {
        let error = |paths: &[&str]| {
            let files: Vec<File> = paths.iter().map(|path| file(path, 1)).collect();
            plan(&files, 3, 0).unwrap_err().to_string()
        };
        assert!(error(&["a:b"]).contains("a:b cannot be on a disc: it has a character"));
        assert!(error(&["1/2/3/4/5/6/7/8/9"]).contains("deeper than eight levels"));
        assert_eq!(error(&["a", "a/b"]), "a is both a file and a directory");
        assert_eq!(error(&["a", "a"]), "a is both a file and a directory");
        assert!(plan(&[file("a", 9 << 40)], 3, 0).is_err());
    }

    #[test]
    fn large_file_has_several_extents() {
        let layout = plan(&[file("system.img", 9 << 30)], 3, 0).unwrap();
        let (_, root) = layout.tables.iter().find(|(at, _)| *at == layout.trees[0].root.0).unwrap();
        let count = root.windows(12).filter(|w| w == b"SYSTEM.IMG;1").count();
        assert_eq!(count, 3);
        assert_eq!(u64::from(layout.blocks - layout.files[0]), (9 << 30) / 2048);
    }
}
