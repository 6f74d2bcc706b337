//! Packs a folder with the crate backhand, as far as it goes: no hard links, no extended attributes.
//!
//! Usage: `backhand-pack DIR OUT NAME LEVEL|-`, blocks of 128 KiB.

use std::fs::File;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use backhand::compression::{CompressionOptions, Compressor, Gzip, Zstd};
use backhand::{FilesystemCompressor, FilesystemWriter, NodeHeader};

type Failure = Box<dyn std::error::Error>;

fn push(writer: &mut FilesystemWriter<'_, '_, '_>, root: &Path, dir: &Path) -> Result<(), Failure> {
    let mut entries = std::fs::read_dir(dir)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let (path, metadata) = (entry.path(), entry.metadata()?);
        let name = path.strip_prefix(root)?;
        let mode = u16::try_from(metadata.mode() & 0o7777)?;
        let mtime = u32::try_from(metadata.mtime().clamp(0, i64::from(u32::MAX)))?;
        let header = NodeHeader::new(mode, metadata.uid(), metadata.gid(), mtime);
        let kind = metadata.file_type();
        if kind.is_dir() {
            writer.push_dir(name, header)?;
            push(writer, root, &path)?;
        } else if kind.is_symlink() {
            writer.push_symlink(std::fs::read_link(&path)?, name, header)?;
        } else if kind.is_file() {
            writer.push_file_from_path(&path, name, header)?;
        } else if kind.is_fifo() {
            writer.push_fifo(name, header)?;
        } else if kind.is_socket() {
            writer.push_socket(name, header)?;
        }
    }
    Ok(())
}

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().collect();
    let [_, dir, out, name, level] = args.as_slice() else {
        return Err("usage: backhand-pack DIR OUT NAME LEVEL|-".into());
    };
    let level = || level.parse::<u32>();
    let (id, options) = match name.as_str() {
        "gzip" => {
            let options = Gzip { compression_level: level()?, window_size: 15, strategies: 0 };
            (Compressor::Gzip, Some(CompressionOptions::Gzip(options)))
        }
        "zstd" => (Compressor::Zstd, Some(CompressionOptions::Zstd(Zstd { compression_level: level()? }))),
        "xz" => (Compressor::Xz, None),
        _ => return Err("gzip, zstd or xz".into()),
    };
    let mut writer = FilesystemWriter::default();
    writer.set_compressor(FilesystemCompressor::new(id, options)?);
    writer.set_block_size(128 << 10);
    push(&mut writer, Path::new(dir), Path::new(dir))?;
    writer.write(File::create(out)?)?;
    Ok(())
}
