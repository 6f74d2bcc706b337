//! Inodes as they are stored: the basic form, or the extended one where the basic has no room.
//!
//! `squashfs_fs.h` names the fields. The extended form costs 4 to 24 bytes more, so it is used only for what needs
//! it: extended attributes; a file with several names, with holes, or with a size or place of more than 32 bits; a
//! directory with an index.

use super::metadata::Position;
use crate::pack::entry::Device;

/// `SQUASHFS_INVALID_FRAG` and `SQUASHFS_INVALID_XATTR`: there is none.
pub(super) const NONE: u32 = u32::MAX;
/// From a basic type to its extended one.
const EXTENDED: u16 = 7;

/// Types of inodes, as in listings.
pub(super) mod kind {
    pub(in super::super) const DIRECTORY: u16 = 1;
    pub(in super::super) const FILE: u16 = 2;
    pub(in super::super) const SYMLINK: u16 = 3;
    pub(in super::super) const BLOCK_DEVICE: u16 = 4;
    pub(in super::super) const CHAR_DEVICE: u16 = 5;
    pub(in super::super) const FIFO: u16 = 6;
    pub(in super::super) const SOCKET: u16 = 7;
}

/// What every inode has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inode {
    pub(super) mode: u16,
    /// Index into the id table.
    pub(super) uid: u16,
    /// Index into the id table.
    pub(super) gid: u16,
    pub(super) mtime: u32,
    pub(super) number: u32,
    pub(super) nlink: u32,
    /// Index into the xattr table, or [`NONE`].
    pub(super) xattr: u32,
}

/// Where a directory's listing is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    pub(super) at: Position,
    /// Its length in bytes.
    pub(super) len: u32,
    /// Shortcuts into a long one.
    pub(super) index: Vec<IndexEntry>,
}

/// `struct squashfs_dir_index`: a header of a long listing and the first name behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IndexEntry {
    /// The offset of the header into the listing.
    pub(super) index: u32,
    /// The metadata block that the header is in.
    pub(super) start_block: u32,
    pub(super) name: Vec<u8>,
}

/// Where a file's content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileData<'a> {
    pub(super) size: u64,
    /// Where its first block is.
    pub(super) start: u64,
    /// One length word per block.
    pub(super) words: &'a [u32],
    /// Bytes that are holes.
    pub(super) sparse: u64,
    /// Index into the fragment table, or [`NONE`].
    pub(super) fragment: u32,
    /// The offset into the fragment block.
    pub(super) offset: u32,
}

impl Inode {
    fn is_plain(&self) -> bool {
        self.xattr == NONE
    }

    /// `struct squashfs_base_inode`.
    fn base(&self, inode_type: u16, out: &mut Vec<u8>) {
        for half in [inode_type, self.mode, self.uid, self.gid] {
            out.extend(half.to_le_bytes());
        }
        words(out, &[self.mtime, self.number]);
    }

    /// Appends a directory; the root's parent is a number that no inode has.
    pub(super) fn directory(&self, listing: &Listing, parent: u32, out: &mut Vec<u8>) {
        // Why: 3 bytes stand for `.` and `..`, which are not stored.
        let size = listing.len + 3;
        let Position { block, offset } = listing.at;
        match u16::try_from(size) {
            Ok(size) if self.is_plain() && listing.index.is_empty() => {
                self.base(kind::DIRECTORY, out);
                words(out, &[block, self.nlink]);
                out.extend(size.to_le_bytes());
                out.extend(offset.to_le_bytes());
                words(out, &[parent]);
            }
            _ => {
                self.base(kind::DIRECTORY + EXTENDED, out);
                words(out, &[self.nlink, size, block, parent]);
                out.extend((listing.index.len() as u16).to_le_bytes());
                out.extend(offset.to_le_bytes());
                words(out, &[self.xattr]);
                for entry in &listing.index {
                    words(out, &[entry.index, entry.start_block, entry.name.len() as u32 - 1]);
                    out.extend_from_slice(&entry.name);
                }
            }
        }
    }

    /// Appends a regular file.
    pub(super) fn file(&self, data: &FileData<'_>, out: &mut Vec<u8>) {
        match (u32::try_from(data.start), u32::try_from(data.size)) {
            (Ok(start), Ok(size)) if self.is_plain() && self.nlink == 1 && data.sparse == 0 => {
                self.base(kind::FILE, out);
                words(out, &[start, data.fragment, data.offset, size]);
            }
            _ => {
                self.base(kind::FILE + EXTENDED, out);
                for long in [data.start, data.size, data.sparse] {
                    out.extend(long.to_le_bytes());
                }
                words(out, &[self.nlink, data.fragment, data.offset, self.xattr]);
            }
        }
        words(out, data.words);
    }

    /// Appends a symbolic link.
    pub(super) fn symlink(&self, target: &[u8], out: &mut Vec<u8>) {
        self.base(kind::SYMLINK + if self.is_plain() { 0 } else { EXTENDED }, out);
        words(out, &[self.nlink, target.len() as u32]);
        out.extend_from_slice(target);
        self.xattr(out);
    }

    /// Appends a device of this basic type.
    pub(super) fn device(&self, basic: u16, device: Device, out: &mut Vec<u8>) {
        self.base(basic + if self.is_plain() { 0 } else { EXTENDED }, out);
        words(out, &[self.nlink, encode(device)]);
        self.xattr(out);
    }

    /// Appends a FIFO or a socket.
    pub(super) fn ipc(&self, basic: u16, out: &mut Vec<u8>) {
        self.base(basic + if self.is_plain() { 0 } else { EXTENDED }, out);
        words(out, &[self.nlink]);
        self.xattr(out);
    }

    fn xattr(&self, out: &mut Vec<u8>) {
        if !self.is_plain() {
            words(out, &[self.xattr]);
        }
    }
}

/// The kernel's `new_encode_dev`.
const fn encode(device: Device) -> u32 {
    device.minor & 0xFF | device.major << 8 | (device.minor & !0xFF) << 12
}

fn words(out: &mut Vec<u8>, words: &[u32]) {
    out.extend(words.iter().flat_map(|word| word.to_le_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Inode =
        Inode { mode: 0o755, uid: 1, gid: 2, mtime: 0x0403_0201, number: 0x0807_0605, nlink: 1, xattr: NONE };
    const XATTR: Inode = Inode { xattr: 9, ..PLAIN };
    const DATA: FileData<'_> =
        FileData { size: 70_000, start: 96, words: &[], sparse: 0, fragment: NONE, offset: 0 };

    fn emitted(emit: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        emit(&mut out);
        out
    }

    fn with_base(inode_type: u8, rest: &[&[u8]]) -> Vec<u8> {
        let base = [inode_type, 0, 0xED, 1, 1, 0, 2, 0, 1, 2, 3, 4, 5, 6, 7, 8];
        [&base[..], &rest.concat()].concat()
    }

    #[test]
    fn basic_inodes_have_the_bytes_of_the_format() {
        let listing = Listing { at: Position { block: 5, offset: 6 }, len: 7, index: Vec::new() };
        let cases = [
            (
                emitted(|o| PLAIN.directory(&listing, 3, o)),
                with_base(1, &[&[5, 0, 0, 0], &[1, 0, 0, 0], &[10, 0], &[6, 0], &[3, 0, 0, 0]]),
            ),
            (
                emitted(|o| PLAIN.file(&FileData { words: &[0x0100_0007], ..DATA }, o)),
                with_base(2, &[&[96, 0, 0, 0], &[255; 4], &[0; 4], &[0x70, 0x11, 1, 0], &[7, 0, 0, 1]]),
            ),
            (emitted(|o| PLAIN.symlink(b"ab", o)), with_base(3, &[&[1, 0, 0, 0], &[2, 0, 0, 0], b"ab"])),
            (
                emitted(|o| PLAIN.device(4, Device { major: 0x234, minor: 0x156 }, o)),
                with_base(4, &[&[1, 0, 0, 0], &[0x56, 0x34, 0x12, 0]]),
            ),
            (emitted(|o| PLAIN.ipc(6, o)), with_base(6, &[&[1, 0, 0, 0]])),
        ];
        for (found, wanted) in cases {
            assert_eq!(found, wanted);
        }
    }

    #[test]
    fn extended_inodes_have_the_bytes_of_the_format() {
        let index = vec![IndexEntry { index: 0x2000, start_block: 0x30, name: b"xy".to_vec() }];
        let listing = Listing { at: Position { block: 5, offset: 6 }, len: 70_000, index };
        let cases = [
            (
                emitted(|o| PLAIN.directory(&listing, 3, o)),
                with_base(
                    8,
                    &[
                        &[1, 0, 0, 0, 0x73, 0x11, 1, 0, 5, 0, 0, 0, 3, 0, 0, 0, 1, 0, 6, 0],
                        &[255; 4],
                        &[0, 0x20, 0, 0, 0x30, 0, 0, 0, 1, 0, 0, 0],
                        b"xy",
                    ],
                ),
            ),
            (
                emitted(|o| XATTR.file(&FileData { sparse: 8, fragment: 4, offset: 5, ..DATA }, o)),
                with_base(
                    9,
                    &[
                        &[96, 0, 0, 0, 0, 0, 0, 0, 0x70, 0x11, 1, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0],
                        &[1, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 9, 0, 0, 0],
                    ],
                ),
            ),
            (
                emitted(|o| XATTR.symlink(b"ab", o)),
                with_base(10, &[&[1, 0, 0, 0, 2, 0, 0, 0], b"ab", &[9, 0, 0, 0]]),
            ),
            (
                emitted(|o| XATTR.device(5, Device { major: 1, minor: 3 }, o)),
                with_base(12, &[&[1, 0, 0, 0, 3, 1, 0, 0, 9, 0, 0, 0]]),
            ),
            (emitted(|o| XATTR.ipc(7, o)), with_base(14, &[&[1, 0, 0, 0, 9, 0, 0, 0]])),
        ];
        for (found, wanted) in cases {
            assert_eq!(found, wanted);
        }
    }

    #[test]
    fn file_is_extended_only_when_it_must_be() {
        let (plain, two) = (PLAIN, Inode { nlink: 2, ..PLAIN });
        let cases = [
            (plain, DATA, 2),
            (plain, FileData { start: u64::from(u32::MAX), size: u64::from(u32::MAX), ..DATA }, 2),
            (two, DATA, 9),
            (XATTR, DATA, 9),
            (plain, FileData { sparse: 1, ..DATA }, 9),
            (plain, FileData { start: 1 << 32, ..DATA }, 9),
            (plain, FileData { size: 1 << 32, ..DATA }, 9),
        ];
        for (inode, data, inode_type) in cases {
            assert_eq!(emitted(|o| inode.file(&data, o))[0], inode_type, "{inode:?} {data:?}");
        }
    }

    #[test]
    fn directory_is_extended_only_when_it_must_be() {
        let listing = |len| Listing { len, ..Listing::default() };
        for (inode, len, inode_type) in [(PLAIN, 0, 1), (PLAIN, 65_532, 1), (PLAIN, 65_533, 8), (XATTR, 0, 8)]
        {
            assert_eq!(emitted(|o| inode.directory(&listing(len), 1, o))[0], inode_type, "{len}");
        }
    }
}
