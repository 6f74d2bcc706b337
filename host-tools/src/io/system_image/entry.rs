//! What `stat` says about one name in an image, and the listing of one directory.

use genpack_core::fs::squashfs::{
    Device, Directory, Error, FileType, Inode, InodeRef, MAX_SYMLINK, Name, Node,
};

use super::Fs;

/// What `stat` says about one name in the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name; the root's is empty.
    pub name: Vec<u8>,
    /// What it is.
    pub file_type: FileType,
    /// Permission bits with set-uid, set-gid and sticky.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Size in bytes: of the content, the link's target, the directory's listing; 0 for the rest.
    pub size: u64,
    /// Modification time, seconds since 1970.
    pub mtime: u32,
    /// Number of names.
    pub nlink: u32,
    /// Inode number; hard links share it.
    pub inode_number: u32,
    /// Where its inode is, for [`super::SystemImage::copy_entry`].
    pub inode: InodeRef,
    /// Device number of a device.
    pub device: Option<Device>,
    /// Target of a symbolic link.
    pub target: Option<Vec<u8>>,
    /// Index of its extended attributes, for [`super::SystemImage::xattrs`].
    pub xattr: Option<u32>,
    /// Index of the fragment block that holds the tail of a regular file.
    pub fragment: Option<u32>,
}

impl Entry {
    /// Tells whether it is a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.file_type == FileType::Directory
    }
}

pub(super) fn entry(fs: &mut Fs, name: Vec<u8>, inode: &Inode) -> Result<Entry, Error> {
    let (uid, gid) = fs.owner(inode)?;
    let (mut size, mut device, mut target, mut fragment) = (0, None, None, None);
    match inode.node {
        Node::Directory(d) => size = u64::from(d.size),
        Node::RegularFile(f) => {
            size = f.size;
            fragment = f.fragment.map(|f| f.index);
        }
        Node::Symlink(link) => {
            let mut buffer = [0; MAX_SYMLINK as usize];
            target = Some(fs.read_link(&link, &mut buffer)?.to_vec());
            size = u64::from(link.len);
        }
        Node::BlockDevice(d) | Node::CharDevice(d) => device = Some(d),
        Node::Fifo | Node::Socket => {}
    }
    Ok(Entry {
        name,
        file_type: inode.node.file_type(),
        mode: inode.mode,
        uid,
        gid,
        size,
        mtime: inode.mtime,
        nlink: inode.nlink,
        inode_number: inode.number,
        inode: inode.at,
        device,
        target,
        xattr: inode.xattr,
        fragment,
    })
}

/// The names of one directory in their order, all in one piece of memory: about 30 bytes each and no allocation.
#[derive(Debug, Default)]
pub(super) struct Listing {
    bytes: Vec<u8>,
    names: Vec<Listed>,
}

#[derive(Clone, Copy, Debug)]
struct Listed {
    start: u32,
    len: u16,
    inode: InodeRef,
    file_type: FileType,
}

impl Listing {
    /// Reads a directory. At most 2^20 names of 256 bytes: `core` bounds both.
    pub(super) fn read(fs: &mut Fs, directory: &Directory) -> Result<Self, Error> {
        let mut reader = directory.entries();
        let mut listing = Self::default();
        let mut buffer = Name::new();
        while let Some(found) = reader.next_into(fs, &mut buffer)? {
            listing.push(&buffer, found.inode, found.file_type);
        }
        let Self { bytes, names } = &mut listing;
        let name = |l: &Listed| name(bytes, l);
        // Why: mksquashfs sorts, but the format does not make it so; our answers are in one order always.
        if !names.is_sorted_by_key(name) {
            names.sort_by(|a, b| name(a).cmp(name(b)));
        }
        Ok(listing)
    }

    fn push(&mut self, name: &[u8], inode: InodeRef, file_type: FileType) {
        let listed = u32::try_from(self.bytes.len()).ok().zip(u16::try_from(name.len()).ok());
        // A listing has less than 4 GiB and a name at most 256 bytes: there is always room.
        if let Some((start, len)) = listed {
            self.bytes.extend_from_slice(name);
            self.names.push(Listed { start, len, inode, file_type });
        }
    }

    /// Returns the name at `index`, its inode, and the type of it that the directory tells.
    pub(super) fn get(&self, index: usize) -> Option<(&[u8], InodeRef, FileType)> {
        self.names.get(index).map(|listed| (name(&self.bytes, listed), listed.inode, listed.file_type))
    }

    /// Returns how many names there are.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// Returns how many bytes the names have.
    pub(super) fn name_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Returns a name that is there twice: no file system has that, and the second would replace the first.
    pub(super) fn twice(&self) -> Option<&[u8]> {
        let name = |l: &Listed| name(&self.bytes, l);
        self.names.windows(2).find_map(|pair| match pair {
            [a, b] if name(a) == name(b) => Some(name(a)),
            _ => None,
        })
    }
}

fn name<'b>(bytes: &'b [u8], listed: &Listed) -> &'b [u8] {
    let start = listed.start as usize;
    bytes.get(start..start + usize::from(listed.len)).unwrap_or_default()
}
