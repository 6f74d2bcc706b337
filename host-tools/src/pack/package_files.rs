//! `/.genpack/files`: which package each file of an image comes from.
//!
//! docs/contract.md is the document. Why a list of our own: dpkg's lists and Portage's database stay out of most images,
//! and they name what stays out as well. Of a package the list has its name, then every directory with the names in it,
//! so a path costs little more than its last part. Not handled: directories, which many packages share.

use std::collections::{BTreeMap, HashMap};

use genpack_core::contract::{image_meta, paths};

use crate::pack::entry::{Content, Entry, FileEntry, Kind};
use crate::pack::tree::{Tree, walk_order};

/// Longest path that is read, in bytes (Linux, `PATH_MAX`): of a list that lies, a directory is repeated for each name.
const MAX_PATH_BYTES: usize = 4096;

/// Packages by the files that they own: paths without a leading slash, where the links of the root really lead.
pub type Owners = HashMap<String, String>;

/// Adds the list to a tree, beside that of the packages; a tree without that one stays what it is.
pub fn add(tree: &mut Tree, owners: &Owners) {
    let directory = paths::IMAGE_META.trim_start_matches('/');
    let path = format!("{directory}/{}", image_meta::FILES).into_bytes();
    let Some(beside) = tree.find(format!("{directory}/{}", image_meta::PACKAGES).as_bytes()) else { return };
    let mut entry = Entry { identity: None, xattrs: Vec::new(), path, ..beside.clone() };
    let bytes = emit(tree, owners);
    entry.kind = Kind::File(FileEntry {
        size: bytes.len() as u64,
        content: Content::Bytes(bytes.into()),
        stored: false,
    });
    match tree.entries.binary_search_by(|e| walk_order(&e.path, &entry.path)) {
        Ok(at) => tree.entries.splice(at..=at, [entry]).for_each(drop),
        Err(at) => tree.entries.insert(at, entry),
    }
}

/// Returns the list of what is in the tree, packages in order, paths in the order of a walk.
fn emit(tree: &Tree, owners: &Owners) -> Vec<u8> {
    let mut packages: BTreeMap<&str, Vec<&[u8]>> = BTreeMap::new();
    for entry in tree.entries.iter().filter(|e| !e.is_directory()) {
        let owner = std::str::from_utf8(&entry.path).ok().and_then(|path| owners.get(path));
        if let Some(owner) = owner {
            packages.entry(owner).or_default().push(&entry.path);
        }
    }
    let mut list = Vec::new();
    for (package, files) in packages {
        push_line(&mut list, b"", package.as_bytes());
        let mut last: Option<&[u8]> = None;
        for file in files {
            let (directory, name) = parted(file);
            if last != Some(directory) {
                push_line(&mut list, b"/", directory);
                last = Some(directory);
            }
            push_line(&mut list, b"\t", name);
        }
    }
    list
}

/// Splits a path at its last slash.
fn parted(path: &[u8]) -> (&[u8], &[u8]) {
    let slash = path.iter().rposition(|b| *b == b'/');
    slash.and_then(|at| Some((path.get(..at)?, path.get(at + 1..)?))).unwrap_or((b"", path))
}

/// Adds a line; what would end it early, and the sign that says so, is written as `\ooo`.
fn push_line(list: &mut Vec<u8>, begin: &[u8], bytes: &[u8]) {
    list.extend(begin);
    for byte in bytes {
        if byte.is_ascii_control() || *byte == b'\\' {
            list.extend(format!("\\{byte:03o}").as_bytes());
        } else {
            list.push(*byte);
        }
    }
    list.push(b'\n');
}

/// Calls `visit` with each package and each of its paths, which have no leading slash, in the order of the list.
///
/// Paths of more than [`MAX_PATH_BYTES`] are passed over: no image has such files.
pub fn read(list: &[u8], visit: &mut dyn FnMut(&[u8], Vec<u8>)) {
    let (mut package, mut directory) = (&b""[..], Vec::new());
    for line in list.split(|b| *b == b'\n') {
        match line.split_first() {
            None => {}
            Some((b'/', rest)) => directory = plain(rest),
            Some((b'\t', name)) if directory.len().saturating_add(name.len()) >= MAX_PATH_BYTES => {}
            Some((b'\t', name)) => {
                let mut path = directory.clone();
                if !path.is_empty() {
                    path.push(b'/');
                }
                path.extend(plain(name));
                visit(package, path);
            }
            Some(_) => {
                package = line;
                directory.clear();
            }
        }
    }
}

/// Returns the bytes that a line stands for; a `\` that no three octal digits of a byte follow is one.
fn plain(mut text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    while let Some((first, rest)) = text.split_first() {
        let digits = rest.get(..3).filter(|_| *first == b'\\').and_then(|d| std::str::from_utf8(d).ok());
        let octal = digits.filter(|d| d.bytes().all(|b| b.is_ascii_digit()));
        match octal.and_then(|d| u8::from_str_radix(d, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                text = rest.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                text = rest;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(paths: &[&str]) -> Tree {
        let entry = |path: &&str| {
            let kind = match path.strip_suffix('/') {
                Some(_) => Kind::Directory,
                None => Kind::Symlink(b"x".to_vec()),
            };
            let path = path.trim_end_matches('/').as_bytes().to_vec();
            Entry { path, mode: 0o644, uid: 7, gid: 8, mtime: 9, xattrs: Vec::new(), identity: None, kind }
        };
        let mut entries: Vec<_> = paths.iter().map(entry).collect();
        entries.sort_by(|a, b| walk_order(&a.path, &b.path));
        Tree { entries }
    }

    fn owners(owners: &[(&str, &str)]) -> Owners {
        owners.iter().map(|(path, package)| ((*path).to_owned(), (*package).to_owned())).collect()
    }

    const PATHS: [&str; 10] = [
        "/",
        ".genpack/",
        ".genpack/packages",
        "init",
        "usr/",
        "usr/bin/",
        "usr/bin/a\\b\n",
        "usr/bin/ls",
        "usr/bin/mine",
        "usr/grün",
    ];

    #[test]
    fn list_names_each_directory_once_and_only_what_is_in_the_tree() {
        let owned = [
            ("usr/bin/ls", "coreutils"),
            ("usr/bin/a\\b\n", "coreutils"),
            ("usr/bin/gone", "coreutils"),
            ("usr/bin", "coreutils"),
            ("usr/grün", "coreutils"),
            ("init", "base"),
        ];
        let mut tree = tree(&PATHS);
        add(&mut tree, &owners(&owned));
        let expected = "base\n/\n\tinit\ncoreutils\n/usr/bin\n\ta\\134b\\012\n\tls\n/usr\n\tgrün\n";
        assert_eq!(tree.read(".genpack/files").unwrap(), expected.as_bytes());
        let entry = tree.find(b".genpack/files").unwrap();
        assert_eq!((entry.mode, entry.uid, entry.mtime), (0o644, 7, 9));
        let mut read_back = Vec::new();
        read(expected.as_bytes(), &mut |package, path| {
            read_back.push((String::from_utf8(path).unwrap(), String::from_utf8_lossy(package).into_owned()));
        });
        let read_back: Vec<_> =
            read_back.iter().map(|(path, package)| (path.as_str(), package.as_str())).collect();
        assert_eq!(read_back, [owned[5], owned[1], owned[0], owned[4]]);
    }

    #[test]
    fn list_is_made_anew_and_only_for_an_image() {
        let mut without = tree(&["/", "usr/"]);
        add(&mut without, &owners(&[]));
        assert!(without.find(b".genpack/files").is_none());
        let mut again = tree(&PATHS);
        add(&mut again, &owners(&[("init", "old")]));
        add(&mut again, &owners(&[("init", "new")]));
        assert_eq!(again.read(".genpack/files").unwrap(), b"new\n/\n\tinit\n");
        assert_eq!(again.entries.len(), PATHS.len() + 1);
    }

    #[test]
    fn anything_is_read_as_a_list() {
        let too_long = [b"p\n/", &[b'd'; MAX_PATH_BYTES][..], b"\n\ta\n/\n\tb\n"].concat();
        for (list, expected) in [
            (&b"\tx\n"[..], &[(&b""[..], &b"x"[..])][..]),
            (b"p\n/d\n\ty\nq\n\tz", &[(b"p", b"d/y"), (b"q", b"z")]),
            (b"p\n/a\\057b\n\t\\9\\777\\1", &[(b"p", b"a/b/\\9\\777\\1")]),
            (b"\n\n/\n", &[]),
            (&too_long, &[(b"p", b"b")]),
        ] {
            let mut found = Vec::new();
            read(list, &mut |package, path| found.push((package.to_vec(), path)));
            let expected: Vec<_> = expected.iter().map(|(p, path)| (p.to_vec(), path.to_vec())).collect();
            assert_eq!(found, expected);
        }
    }
}
