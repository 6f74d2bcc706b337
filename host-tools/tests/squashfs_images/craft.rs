//! Images written byte by byte, to say what no honest writer says. Everything is stored uncompressed.

/// Types of inodes that have a name here.
pub(super) const DIRECTORY: u16 = 1;
pub(super) const FILE: u16 = 2;
pub(super) const SYMLINK: u16 = 3;
const LARGE_FILE: u16 = 9;
const LARGE_DIRECTORY: u16 = 8;

const METADATA_SIZE: usize = 8192;

/// An image in the making.
#[derive(Default)]
pub(super) struct Craft {
    pub(super) inodes: Vec<u8>,
    pub(super) listings: Vec<u8>,
    /// Extended attributes: the lists, and per index where its list begins and how many it has.
    pub(super) xattrs: Vec<u8>,
    pub(super) xattr_ids: Vec<(usize, u32)>,
    numbers: u32,
}

/// Returns the reference to a byte of a table whose blocks are all full.
pub(super) fn reference(offset: usize) -> u64 {
    let (block, within) = (offset / METADATA_SIZE * (METADATA_SIZE + 2), offset % METADATA_SIZE);
    (block as u64) << 16 | within as u64
}

/// Returns the bytes as metadata blocks.
fn blocks(bytes: &[u8]) -> Vec<u8> {
    let block = |b: &[u8]| [&(0x8000 | u16::try_from(b.len()).unwrap()).to_le_bytes(), b].concat();
    bytes.chunks(METADATA_SIZE).flat_map(block).collect()
}

impl Craft {
    /// Adds an inode with these words behind its base and returns where it is.
    pub(super) fn inode(&mut self, kind: u16, mode: u16, words: &[u32]) -> usize {
        let at = self.inodes.len();
        self.numbers += 1;
        for half in [kind, mode, 0, 0] {
            self.inodes.extend(half.to_le_bytes());
        }
        for word in [1_700_000_000, self.numbers].iter().chain(words) {
            self.inodes.extend(word.to_le_bytes());
        }
        at
    }

    /// Adds an empty file.
    pub(super) fn file(&mut self) -> usize {
        self.inode(FILE, 0o644, &[0, u32::MAX, 0, 0])
    }

    /// Adds a file of so many bytes, none of them stored.
    pub(super) fn hole(&mut self, size: u64, blocks: usize) -> usize {
        let [low, high] = [size as u32, (size >> 32) as u32];
        let mut words = vec![96, 0, low, high, 0, 0, 1, u32::MAX, 0, u32::MAX];
        words.extend(vec![0; blocks]);
        self.inode(LARGE_FILE, 0o644, &words)
    }

    /// Adds an empty file with the extended attributes of this index.
    pub(super) fn labelled(&mut self, xattr: u32) -> usize {
        self.inode(LARGE_FILE, 0o644, &[96, 0, 0, 0, 0, 0, 1, u32::MAX, 0, xattr])
    }

    /// Adds a symbolic link.
    pub(super) fn link(&mut self, target: &str) -> usize {
        let at = self.inode(SYMLINK, 0o777, &[1, u32::try_from(target.len()).unwrap()]);
        self.inodes.extend(target.as_bytes());
        at
    }

    /// Adds a listing of names, where their inodes are and their types, and returns where it is and its length.
    pub(super) fn listing(&mut self, entries: &[(&[u8], usize, u16)]) -> (usize, usize) {
        let at = self.listings.len();
        for (name, inode, kind) in entries {
            let reference = reference(*inode);
            let (block, offset) = ((reference >> 16) as u32, reference as u16);
            for word in [0, block, 1] {
                self.listings.extend(word.to_le_bytes());
            }
            let len = u16::try_from(name.len()).unwrap().wrapping_sub(1);
            for half in [offset, 0, *kind, len] {
                self.listings.extend(half.to_le_bytes());
            }
            self.listings.extend(*name);
        }
        (at, self.listings.len() - at)
    }

    /// Adds a directory of a listing.
    pub(super) fn directory(&mut self, (at, len): (usize, usize)) -> usize {
        let reference = reference(at);
        let words = [
            2,
            u32::try_from(len).unwrap() + 3,
            (reference >> 16) as u32,
            1,
            (reference as u16 as u32) << 16,
            u32::MAX,
        ];
        self.inode(LARGE_DIRECTORY, 0o755, &words)
    }

    /// Returns the image with this root.
    pub(super) fn image(&self, root: usize) -> Vec<u8> {
        let mut image = vec![0; 96];
        let mut starts = Vec::new();
        for table in [&self.inodes, &self.listings] {
            starts.push(image.len() as u64);
            image.extend(blocks(table));
        }
        let ids = image.len() as u64;
        image.extend(blocks(&[0; 4]));
        starts.push(image.len() as u64);
        image.extend(ids.to_le_bytes());
        starts.push(u64::MAX);
        if !self.xattr_ids.is_empty() {
            let lists = image.len() as u64;
            image.extend(blocks(&self.xattrs));
            let ids = image.len() as u64;
            let entry = |(at, count): &(usize, u32)| {
                [&reference(*at).to_le_bytes()[..], &count.to_le_bytes(), &[0; 4]].concat()
            };
            image.extend(blocks(&self.xattr_ids.iter().flat_map(entry).collect::<Vec<_>>()));
            starts[3] = image.len() as u64;
            image.extend(lists.to_le_bytes());
            image.extend(u64::try_from(self.xattr_ids.len()).unwrap().to_le_bytes());
            image.extend(ids.to_le_bytes());
        }
        let used = image.len() as u64;
        let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, b"hsqs");
        put(4, &self.numbers.to_le_bytes());
        put(12, &(1_u32 << 20).to_le_bytes());
        put(20, &[1, 0, 20, 0, 0, 0, 1, 0, 4, 0, 0, 0]);
        for (at, value) in [
            (32, reference(root)),
            (40, used),
            (48, starts[2]),
            (56, starts[3]),
            (64, starts[0]),
            (72, starts[1]),
            (80, u64::MAX),
            (88, u64::MAX),
        ] {
            put(at, &value.to_le_bytes());
        }
        image
    }
}
