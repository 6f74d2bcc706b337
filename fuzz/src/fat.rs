//! FAT volumes of ours against the crate `fatfs`.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Read, Result, Seek, SeekFrom, Write};

use genpack_core::fs::fat::emit::{EntryKind, plan};
use genpack_core::replay::fat::{Planned, Wish, content_byte};
use genpack_core::source::ReadAt;

/// A volume that we planned, as the stream that the crate wants.
struct Stream {
    volume: Planned,
    at: u64,
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        let left = self.volume.size().unwrap_or(0).saturating_sub(self.at);
        let len = usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()));
        self.volume.read_exact_at(self.at, &mut buf[..len]).map_err(|e| Error::other(e.to_string()))?;
        self.at += len as u64;
        Ok(len)
    }
}

impl Write for Stream {
    fn write(&mut self, _: &[u8]) -> Result<usize> {
        Err(ErrorKind::ReadOnlyFilesystem.into())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Seek for Stream {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        let (base, by) = match to {
            SeekFrom::Start(at) => (at, 0),
            SeekFrom::Current(by) => (self.at, by),
            SeekFrom::End(by) => (self.volume.size().unwrap_or(0), by),
        };
        self.at = base.checked_add_signed(by).ok_or(ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// A volume and a tree out of any bytes: the crate `fatfs` finds every file with its length and first bytes.
pub fn fat_peer(input: &[u8]) {
    let wish = Wish::parse(input);
    let entries = wish.entries();
    // Why: the crate takes no sectors of other sizes without a check that fails.
    if wish.options.sector_bytes != 512 {
        return;
    }
    let Ok(volume) = plan(wish.bytes, &wish.options, &entries) else { return };
    let stream = Stream { volume: Planned::new(&volume, wish.bytes, &entries), at: 0 };
    let theirs = match fatfs::FileSystem::new(stream, fatfs::FsOptions::new()) {
        Ok(theirs) => theirs,
        Err(e) => panic!("only the crate refuses the volume: {e}"),
    };
    assert_eq!(theirs.volume_id(), wish.options.serial);
    let mut found = BTreeMap::new();
    collect(&theirs.root_dir(), "", &mut found);
    let expected: BTreeMap<_, _> = entries
        .iter()
        .enumerate()
        .filter_map(|(index, entry)| match entry.kind {
            EntryKind::Directory => None,
            EntryKind::File(len) => {
                let head: Vec<u8> = (0..len.min(HEAD)).map(|at| content_byte(index, at)).collect();
                Some((entry.path.to_owned(), (len, head)))
            }
        })
        .collect();
    assert_eq!(found, expected);
}

/// How much of each file is compared, bytes.
const HEAD: u64 = 600;

fn collect(directory: &fatfs::Dir<'_, Stream>, prefix: &str, found: &mut BTreeMap<String, (u64, Vec<u8>)>) {
    for entry in directory.iter() {
        let entry = entry.unwrap_or_else(|e| panic!("the crate cannot read {prefix:?}: {e}"));
        let path = format!("{prefix}{}", entry.file_name());
        if entry.is_file() {
            let mut head = Vec::new();
            entry.to_file().take(HEAD).read_to_end(&mut head).unwrap_or_else(|e| panic!("{path:?}: {e}"));
            found.insert(path, (entry.len(), head));
        } else if entry.file_name() != "." && entry.file_name() != ".." {
            collect(&entry.to_dir(), &format!("{path}/"), found);
        }
    }
}
