//! The block map of a raw disk file: which blocks hold data, with their hashes, for writers that skip the others.
//!
//! Format: bmap 2.0, as bmaptool reads and writes it (its file of documentation, `bmap.xml` comments): blocks of 4096
//! bytes, ranges with a SHA-256 each, and one over the map itself with the field of that sum in zeros. Not handled:
//! reading maps.

use std::fmt::Write as _;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::SeekFrom;

use crate::command_error::{Context, Result};
use crate::io::atomic_file;
use crate::io::hash::{self, Hasher};
use crate::io::interrupt::Interrupt;

/// Bytes of a block.
const BLOCK_BYTES: u64 = 4096;
/// Bytes that are read at once.
const BUFFER_BYTES: usize = 1 << 20;
/// What stands for the sum of the map while the sum is made.
const NO_SUM: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Blocks that hold data: the first, the last, their hash.
type Range = (u64, u64, String);

/// Returns the path of the map beside a disk file.
#[must_use]
pub fn path_of(disk: &Path) -> PathBuf {
    let mut name = disk.as_os_str().to_owned();
    name.push(".bmap");
    name.into()
}

/// Returns the ranges of a file that are not holes, in bytes: start and end.
///
/// # Errors
/// When the file system does not tell.
pub fn data_ranges(file: &File) -> std::io::Result<Vec<(u64, u64)>> {
    let mut ranges = Vec::new();
    let mut position = 0;
    loop {
        let start = match rustix::fs::seek(file, SeekFrom::Data(position)) {
            Ok(start) => start,
            Err(rustix::io::Errno::NXIO) => return Ok(ranges),
            Err(e) => return Err(e.into()),
        };
        position = rustix::fs::seek(file, SeekFrom::Hole(start))?;
        ranges.push((start, position));
    }
}

/// Writes the map of a disk file beside it.
///
/// # Errors
/// When the file cannot be read or the map not be written.
pub fn write(disk: &Path, interrupt: &Interrupt) -> Result<()> {
    let what = || format!("making the block map of {}", disk.display());
    let file = File::open(disk).with_context(what)?;
    let bytes = file.metadata().with_context(what)?.len();
    let mut ranges = Vec::new();
    for (first, last) in blocks(&data_ranges(&file).with_context(what)?) {
        ranges.push((first, last, sum(&file, first, last, bytes, interrupt).with_context(what)?));
    }
    atomic_file::write(&path_of(disk), xml(bytes, &ranges).as_bytes())
}

/// Returns whole blocks: ranges that meet in one become one.
fn blocks(ranges: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut blocks: Vec<(u64, u64)> = Vec::new();
    for (start, end) in ranges.iter().filter(|(start, end)| end > start) {
        let (first, last) = (start / BLOCK_BYTES, (end - 1) / BLOCK_BYTES);
        match blocks.last_mut() {
            Some(before) if first <= before.1.saturating_add(1) => before.1 = last,
            _ => blocks.push((first, last)),
        }
    }
    blocks
}

fn sum(file: &File, first: u64, last: u64, bytes: u64, interrupt: &Interrupt) -> Result<String> {
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut at = first.saturating_mul(BLOCK_BYTES);
    let end = last.saturating_add(1).saturating_mul(BLOCK_BYTES).min(bytes);
    while at < end {
        interrupt.check()?;
        let len = usize::try_from(end - at).unwrap_or(BUFFER_BYTES).min(BUFFER_BYTES);
        let Some(part) = buffer.get_mut(..len) else { break };
        FileExt::read_exact_at(file, part, at).context("reading it")?;
        hasher.update(part);
        at += len as u64;
    }
    Ok(hasher.hex())
}

/// Returns the map as text.
fn xml(bytes: u64, ranges: &[Range]) -> String {
    let mapped: u64 = ranges.iter().map(|(first, last, _)| last - first + 1).sum();
    let mut text = format!(
        "<?xml version=\"1.0\" ?>\n<bmap version=\"2.0\">\n    <ImageSize> {bytes} </ImageSize>\n    \
         <BlockSize> {BLOCK_BYTES} </BlockSize>\n    <BlocksCount> {} </BlocksCount>\n    \
         <MappedBlocksCount> {mapped} </MappedBlocksCount>\n    <ChecksumType> sha256 </ChecksumType>\n    \
         <BmapFileChecksum> {NO_SUM} </BmapFileChecksum>\n    <BlockMap>\n",
        bytes.div_ceil(BLOCK_BYTES)
    );
    for (first, last, sum) in ranges {
        let range = if first == last { first.to_string() } else { format!("{first}-{last}") };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "        <Range chksum=\"{sum}\"> {range} </Range>");
    }
    text.push_str("    </BlockMap>\n</bmap>\n");
    let sum = hash::hex(text.as_bytes());
    text.replacen(NO_SUM, &sum, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_become_whole_blocks_that_do_not_meet() {
        type Pairs<'a> = &'a [(u64, u64)];
        let cases: [(Pairs<'_>, Pairs<'_>); 4] = [
            (&[], &[]),
            (&[(0, 1)], &[(0, 0)]),
            (&[(0, 512), (1024, 4096), (8192, 8193)], &[(0, 0), (2, 2)]),
            (&[(4095, 4097), (8192, 16_384), (40_960, 40_961)], &[(0, 3), (10, 10)]),
        ];
        for (ranges, wanted) in cases {
            assert_eq!(blocks(ranges), wanted, "{ranges:?}");
        }
    }

    #[test]
    fn map_names_its_blocks_and_sums_itself() {
        let dir = tempfile::tempdir().unwrap();
        let disk = dir.path().join("disk.img");
        let file = File::create(&disk).unwrap();
        file.set_len(1 << 20).unwrap();
        file.write_all_at(&[7; 100], 40_960).unwrap();
        write(&disk, &Interrupt::default()).unwrap();
        let text = std::fs::read_to_string(path_of(&disk)).unwrap();
        let sum = hash::hex(&[vec![7; 100], vec![0; 3996]].concat());
        assert!(text.contains(&format!("<Range chksum=\"{sum}\"> 10 </Range>")), "{text}");
        assert!(text.contains("<MappedBlocksCount> 1 </MappedBlocksCount>"), "{text}");
        let (_, rest) = text.split_once("<BmapFileChecksum> ").unwrap();
        assert_eq!(hash::hex(text.replacen(&rest[..64], NO_SUM, 1).as_bytes()), rest[..64]);
    }
}
