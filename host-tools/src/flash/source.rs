//! What a flash is made from: a system image or a raw disk, plain or compressed by gzip, xz or zstd.
//!
//! A compressed one is unpacked into a nameless place first, sparse: it is whole and its checksums are right before the
//! target is touched. Not handled: archives, reading a compressed source twice to save the room.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use genpack_core::disk::gpt::Gpt;
use genpack_core::disk::mbr::{self, Mbr};
use genpack_core::fs::probe::{Kind, probe};
use genpack_core::source::ReadAt;
use tempfile::NamedTempFile;

use crate::bootable::image::open_regular;
use crate::command_error::{CommandError, Context, Result};
use crate::ctx::Ctx;
use crate::disk::size::Size;
use crate::io::hash::Hasher;
use crate::io::interrupt::Interrupt;
use crate::io::read::read_up_to;

/// Bytes that are unpacked at once; whole pieces of zeros become holes.
const PIECE_BYTES: usize = 64 << 10;
/// Memory that xz may ask for: the largest dictionary of its presets is 64 MiB.
const MAX_XZ_MEMORY_BYTES: u64 = 256 << 20;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packed {
    Gzip,
    Xz,
    Zstd,
}

impl Packed {
    /// Tells by the first bytes; names say nothing.
    fn of(head: &[u8]) -> Option<Self> {
        match head {
            [0x1F, 0x8B, 8, ..] => Some(Self::Gzip),
            [0xFD, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::Xz),
            [0x28, 0xB5, 0x2F, 0xFD, ..] => Some(Self::Zstd),
            _ => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
        }
    }

    fn reader<'r>(self, file: impl Read + 'r) -> std::io::Result<Box<dyn Read + 'r>> {
        Ok(match self {
            Self::Gzip => Box::new(flate2::read::MultiGzDecoder::new(file)),
            Self::Xz => {
                let stream = liblzma::stream::Stream::new_stream_decoder(
                    MAX_XZ_MEMORY_BYTES,
                    liblzma::stream::CONCATENATED,
                )?;
                Box::new(liblzma::read::XzDecoder::new_stream(file, stream))
            }
            Self::Zstd => Box::new(zstd::stream::read::Decoder::new(file)?),
        })
    }
}

/// A source, unpacked.
#[derive(Debug)]
pub struct Opened {
    /// Where its bytes can be read.
    pub path: PathBuf,
    /// Goes away with the source.
    pub unpacked: Option<NamedTempFile>,
    /// It is a whole disk and no system image.
    pub is_disk: bool,
}

/// Opens the source and unpacks it beside `near` when it is compressed.
///
/// # Errors
/// When it is neither a system image nor a disk, is damaged, does not have the SHA-256 `wanted`, or cannot be unpacked.
pub fn open(ctx: &Ctx, path: &Path, near: &Path, wanted: Option<&str>) -> Result<Opened> {
    let (mut file, len) = open_regular(path)?;
    let what = || format!("reading {}", path.display());
    if let Some(wanted) = wanted {
        check_sum(&mut file, wanted).with_context(what)?;
    }
    let mut head = [0; 8];
    let n = usize::try_from(len).unwrap_or(head.len()).min(head.len());
    file.seek(SeekFrom::Start(0)).with_context(what)?;
    if let Some(part) = head.get_mut(..n) {
        file.read_exact(part).with_context(what)?;
    }
    let Some(packed) = Packed::of(&head) else {
        let is_disk = is_disk(&file, path)?;
        return Ok(Opened { path: path.to_owned(), unpacked: None, is_disk });
    };
    ctx.ui.step(format!("unpacking {} ({})", path.display(), packed.name()));
    file.seek(SeekFrom::Start(0)).with_context(what)?;
    let unpacked = unpack(packed, file, near).with_context(|| format!("unpacking {}", path.display()))?;
    let is_disk = is_disk(unpacked.as_file(), path)?;
    Ok(Opened { path: unpacked.path().to_owned(), unpacked: Some(unpacked), is_disk })
}

fn unpack(packed: Packed, file: File, near: &Path) -> Result<NamedTempFile> {
    let interrupt = Interrupt::watch()?;
    let mut out = tempfile::Builder::new()
        .prefix(".genpack-")
        .suffix(".unpacked")
        .tempfile_in(near)
        .with_context(|| format!("creating a file in {}", near.display()))?;
    let damaged = |e: std::io::Error| {
        CommandError::failed(e.to_string()).hint("the file is damaged or cut: fetch it again")
    };
    let mut reader = packed.reader(BufReader::with_capacity(1 << 20, file)).map_err(damaged)?;
    let mut piece = vec![0; PIECE_BYTES];
    let mut len = 0_u64;
    loop {
        interrupt.check()?;
        let n = read_up_to(&mut reader, &mut piece).map_err(damaged)?;
        let Some(bytes) = piece.get(..n).filter(|bytes| !bytes.is_empty()) else { break };
        len += n as u64;
        let room = "writing what was unpacked";
        if bytes.iter().all(|byte| *byte == 0) {
            out.as_file_mut().seek(SeekFrom::Start(len)).context(room)?;
        } else {
            out.as_file_mut().write_all(bytes).map_err(|e| {
                CommandError::failed(e.to_string())
                    .context(format!("{room} ({} so far) to {}", Size(len), near.display()))
                    .hint("set TMPDIR to a directory with more room, or unpack it yourself")
            })?;
        }
    }
    out.as_file().set_len(len).context("writing what was unpacked")?;
    Ok(out)
}

fn check_sum(file: &mut File, wanted: &str) -> Result<()> {
    let interrupt = Interrupt::watch()?;
    let mut hasher = Hasher::default();
    let mut piece = vec![0; 1 << 20];
    loop {
        interrupt.check()?;
        let n = file.read(&mut piece).context("hashing it")?;
        let Some(bytes) = piece.get(..n).filter(|bytes| !bytes.is_empty()) else { break };
        hasher.update(bytes);
    }
    let found = hasher.hex();
    if found.eq_ignore_ascii_case(wanted.trim()) {
        return Ok(());
    }
    Err(CommandError::refused(format!("its SHA-256 is {found} and should be {wanted}"))
        .hint("the file is damaged or another one: fetch it again"))
}

/// Tells a disk from a system image; what is neither is left to the reader of images, which says so.
fn is_disk(file: &File, path: &Path) -> Result<bool> {
    let failed = |e: genpack_core::source::ReadError| {
        CommandError::failed(e.to_string()).context(format!("reading {}", path.display()))
    };
    let kind = probe(file).map_err(failed)?.map(|found| found.kind);
    if matches!(kind, Some(Kind::Squashfs)) {
        return Ok(false);
    }
    if matches!(kind, Some(Kind::Fat(_) | Kind::Iso9660)) || matches!(Gpt::open(file), Ok(Some(_))) {
        return Ok(true);
    }
    let sector = file.read_array_at::<{ mbr::LEN }>(0).map_err(failed)?;
    let table = sector.and_then(|sector| Mbr::parse(mbr::Raw::new(&sector)).ok());
    Ok(table.is_some_and(|table| table.numbered().next().is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compression_is_told_by_the_first_bytes() {
        for (head, packed) in [
            (&b"\x1F\x8B\x08\0"[..], Some(Packed::Gzip)),
            (b"\xFD7zXZ\0\0\0", Some(Packed::Xz)),
            (b"\x28\xB5\x2F\xFD\0", Some(Packed::Zstd)),
            (b"hsqs\0", None),
            (b"\x1F\x8B", None),
            (b"", None),
        ] {
            assert_eq!(Packed::of(head), packed, "{head:?}");
        }
    }

    #[test]
    fn unpacked_file_has_holes_where_zeros_were_and_damage_is_found() {
        use std::os::unix::fs::{FileExt, MetadataExt};
        let dir = tempfile::tempdir().unwrap();
        let plain = [vec![1; 5000], vec![0; 4 << 20], vec![2; 70_000], vec![0; 300_000]].concat();
        let packed = [
            (Packed::Zstd, zstd::bulk::compress(&plain, 3).unwrap()),
            (Packed::Gzip, {
                let mut e = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                e.write_all(&plain).unwrap();
                e.finish().unwrap()
            }),
            (Packed::Xz, {
                let mut e = liblzma::write::XzEncoder::new(Vec::new(), 1);
                e.write_all(&plain).unwrap();
                e.finish().unwrap()
            }),
        ];
        for (kind, bytes) in packed {
            let file = |bytes: &[u8]| {
                let mut file = tempfile::tempfile().unwrap();
                file.write_all(bytes).unwrap();
                file.seek(SeekFrom::Start(0)).unwrap();
                file
            };
            let out = unpack(kind, file(&bytes), dir.path()).unwrap();
            let metadata = out.as_file().metadata().unwrap();
            assert_eq!(metadata.len(), plain.len() as u64, "{kind:?}");
            assert!(metadata.blocks() * 512 < 1 << 20, "{kind:?}: {} blocks", metadata.blocks());
            let mut found = vec![9; plain.len()];
            FileExt::read_exact_at(out.as_file(), &mut found, 0).unwrap();
            assert!(found == plain, "{kind:?}");
            let cut = unpack(kind, file(&bytes[..bytes.len() - 7]), dir.path()).unwrap_err();
            assert!(cut.hint.unwrap().contains("damaged or cut"), "{kind:?}");
        }
    }
}
