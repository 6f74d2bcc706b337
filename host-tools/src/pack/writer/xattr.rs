//! Extended attributes: lists of keys and values, one list per set that some inode has, and a table of the lists.
//!
//! An entry is `type`, `size`, the name without its prefix, `vsize` and the value. A value that was stored before is
//! not stored again: the entry says `SQUASHFS_XATTR_VALUE_OOL` and names the place of the first one's `vsize`.
//!
//! Not handled: prefixes other than those of `fs/squashfs/xattr_id.c`. The format has none for `system.`, so POSIX
//! access control lists cannot be in an image.

use std::collections::HashMap;

use genpack_core::fs::squashfs::{MAX_XATTR_NAME, MAX_XATTR_VALUE, MAX_XATTRS};

use super::inode::NONE;
use super::metadata::MetadataWriter;
use super::tree::{Tree, shown};
use crate::command_error::{CommandError, Result};
use crate::pack::entry::Xattr;

/// `SQUASHFS_XATTR_USER`, `_TRUSTED`, `_SECURITY`.
const PREFIXES: [&[u8]; 3] = [b"user.", b"trusted.", b"security."];
/// `SQUASHFS_XATTR_VALUE_OOL`.
const VALUE_OUT_OF_LINE: u16 = 1 << 8;
/// Length of the reference to a value; a value that is not longer is stored again.
const REFERENCE_LEN: usize = 8;

/// All sets of attributes of an image.
#[derive(Debug, Default)]
pub(super) struct XattrLists {
    lists: Vec<Vec<Xattr>>,
    /// The list of each inode, or [`NONE`]; empty when none has any.
    of_inode: Vec<u32>,
}

impl XattrLists {
    /// Collects the attributes of all inodes.
    ///
    /// # Errors
    /// When one cannot be stored.
    pub(super) fn new(tree: &Tree) -> Result<Self> {
        if tree.entries().iter().all(|e| e.xattrs.is_empty()) {
            return Ok(Self::default());
        }
        let mut lists = Vec::new();
        let mut known: HashMap<Vec<Xattr>, u32> = HashMap::new();
        let mut of_inode = Vec::with_capacity(tree.inodes().len());
        for inode in tree.inodes() {
            let entry = tree.entry(inode.entry);
            if entry.xattrs.is_empty() {
                of_inode.push(NONE);
                continue;
            }
            let mut list = entry.xattrs.clone();
            list.sort();
            check(&list).map_err(|e| e.context(format!("packing {}", shown(&entry.path))))?;
            of_inode.push(*known.entry(list).or_insert_with_key(|list| {
                lists.push(list.clone());
                lists.len() as u32 - 1
            }));
        }
        Ok(Self { lists, of_inode })
    }

    /// Returns the index of an inode's list, or [`NONE`].
    pub(super) fn index(&self, inode: u32) -> u32 {
        self.of_inode.get(inode as usize).copied().unwrap_or(NONE)
    }

    /// Returns how many lists there are.
    pub(super) fn count(&self) -> u32 {
        self.lists.len() as u32
    }

    /// Appends the lists to a table and returns what `struct squashfs_xattr_id` says of each.
    pub(super) fn write(&self, table: &mut MetadataWriter<'_>) -> Result<Vec<u8>> {
        let mut ids = Vec::new();
        let mut values: HashMap<&[u8], u64> = HashMap::new();
        for list in &self.lists {
            ids.extend(table.position()?.reference().to_le_bytes());
            let mut size = 0;
            for Xattr { name, value } in list {
                let (kind, own) = split(name).unwrap_or((0, name));
                let seen = values.get(value.as_slice()).copied();
                let flag = if seen.is_some() { VALUE_OUT_OF_LINE } else { 0 };
                table.push(&(kind | flag).to_le_bytes())?;
                table.push(&(own.len() as u16).to_le_bytes())?;
                table.push(own)?;
                if let Some(reference) = seen {
                    table.push(&(REFERENCE_LEN as u32).to_le_bytes())?;
                    table.push(&reference.to_le_bytes())?;
                } else {
                    if value.len() > REFERENCE_LEN {
                        values.insert(value, table.position()?.reference());
                    }
                    table.push(&(value.len() as u32).to_le_bytes())?;
                    table.push(value)?;
                }
                // Why: `size` is what listxattr(2) and the values take, not what is stored here.
                size += name.len() + 1 + value.len();
            }
            ids.extend((list.len() as u32).to_le_bytes());
            ids.extend((size as u32).to_le_bytes());
        }
        Ok(ids)
    }
}

/// Returns the type of an attribute and its name without the prefix.
fn split(name: &[u8]) -> Option<(u16, &[u8])> {
    (0..).zip(PREFIXES).find_map(|(kind, prefix)| Some((kind, name.strip_prefix(prefix)?)))
}

fn check(list: &[Xattr]) -> Result<()> {
    if list.len() > MAX_XATTRS as usize {
        let what = format!("it has {} extended attributes, at most {MAX_XATTRS} are possible", list.len());
        return Err(CommandError::failed(what));
    }
    for Xattr { name, value } in list {
        let bad = |what: String| {
            Err(CommandError::failed(format!("extended attribute {}: {what}", String::from_utf8_lossy(name))))
        };
        match split(name) {
            None => return bad("a SquashFS holds only user., trusted. and security.".to_owned()),
            Some((_, own)) if own.is_empty() || own.contains(&0) || name.len() > MAX_XATTR_NAME => {
                return bad(format!("that is no name of 1 to {MAX_XATTR_NAME} bytes"));
            }
            Some(_) if value.len() > MAX_XATTR_VALUE => {
                return bad(format!("a value of {} bytes is longer than {MAX_XATTR_VALUE}", value.len()));
            }
            Some(_) => {}
        }
    }
    match list.array_windows::<2>().find(|[a, b]| a.name == b.name) {
        Some([twice, _]) => {
            let what = format!("extended attribute {} comes twice", String::from_utf8_lossy(&twice.name));
            Err(CommandError::failed(what))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::block::BlockEncoder;
    use super::*;
    use crate::pack::compress::{Method, Settings};
    use crate::pack::entry::{Entry, Kind};

    fn tree(lists: &[&[(&str, &[u8])]]) -> Tree {
        let new = |path: String, list: &[(&str, &[u8])]| Entry {
            path: path.into_bytes(),
            mode: 0,
            uid: 0,
            gid: 0,
            mtime: 0,
            xattrs: list
                .iter()
                .map(|(n, v)| Xattr { name: n.as_bytes().to_vec(), value: v.to_vec() })
                .collect(),
            identity: None,
            kind: if list.is_empty() { Kind::Directory } else { Kind::Fifo },
        };
        let files = lists.iter().enumerate().map(|(i, list)| new(i.to_string(), list));
        Tree::new(std::iter::once(new(String::new(), &[])).chain(files).collect()).unwrap()
    }

    #[test]
    fn lists_have_the_bytes_that_mksquashfs_writes() {
        let long = b"longvalue-longer-than-8";
        let lists = XattrLists::new(&tree(&[
            &[("user.de", long), ("user.abc", b"hello")],
            &[("user.de", long)],
            &[("user.abc", b"hello"), ("user.de", long)],
        ]))
        .unwrap();
        assert_eq!((lists.count(), [0, 1, 2, 3].map(|i| lists.index(i))), (2, [0, 1, 0, NONE]));
        let mut encoder = BlockEncoder::new(&Settings::new(Method::None).unwrap(), 8192, false).unwrap();
        let mut table = MetadataWriter::new(&mut encoder);
        let ids = lists.write(&mut table).unwrap();
        let inline = b"\0\0\x03\0abc\x05\0\0\0hello\0\0\x02\0de\x17\0\0\0longvalue-longer-than-8";
        let elsewhere = b"\0\x01\x02\0de\x08\0\0\0\x16\0\0\0\0\0\0\0";
        assert_eq!(table.finish().unwrap()[2..], [&inline[..], &elsewhere[..]].concat());
        assert_eq!(
            ids,
            [
                0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 45, 0, 0, 0, 49, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 31, 0,
                0, 0
            ]
        );
    }

    #[test]
    fn tree_without_attributes_has_no_lists() {
        let lists = XattrLists::new(&tree(&[])).unwrap();
        assert_eq!((lists.count(), lists.index(0)), (0, NONE));
    }

    #[test]
    fn attribute_that_the_format_cannot_hold_is_refused() {
        let large = vec![0; 65_537];
        let long = format!("user.{}", "n".repeat(251));
        let many: Vec<String> = (0..=MAX_XATTRS).map(|i| format!("user.{i}")).collect();
        let many: Vec<(&str, &[u8])> = many.iter().map(|n| (n.as_str(), &b""[..])).collect();
        type List<'a> = &'a [(&'a str, &'a [u8])];
        let cases: [(List<'_>, &str); 6] = [
            (
                &[("system.posix_acl_access", b"")],
                "packing 0: extended attribute system.posix_acl_access: a SquashFS holds only user., trusted. and security.",
            ),
            (&[("user.", b"")], "packing 0: extended attribute user.: that is no name of 1 to 255 bytes"),
            (&[(&long, b"")], ": that is no name of 1 to 255 bytes"),
            (&[("user.a", &large)], "extended attribute user.a: a value of 65537 bytes is longer than 65536"),
            (&[("user.a", b"1"), ("user.a", b"2")], "packing 0: extended attribute user.a comes twice"),
            (&many, "packing 0: it has 9363 extended attributes, at most 9362 are possible"),
        ];
        for (list, words) in cases {
            let error = XattrLists::new(&tree(&[list])).unwrap_err().to_string();
            assert!(error.ends_with(words), "{error}");
        }
    }
}
