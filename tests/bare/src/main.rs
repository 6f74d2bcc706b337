//! Every parser of `genpack-core` without std, libc and allocator.
//!
//! That it links proves that nothing of them is needed; that no symbol of `core::panicking` is left in it proves that
//! no parser can panic. `tools/bare.sh` builds it and looks. It is never run.
#![no_std]
#![no_main]

mod sys;

use core::hint::black_box;

use genpack_core::archive::cpio_newc;
use genpack_core::disk::gpt::Gpt;
use genpack_core::disk::mbr::{self, Mbr, logical::Logical};
use genpack_core::fs::fat::bpb::{self, Bpb};
use genpack_core::fs::probe::probe;
use genpack_core::fs::squashfs::{
    BlockBuffers, Compressor, Decompress, DecompressError, FileSystem, MAX_SYMLINK, MetadataBlock, Node, OpenFile,
};
use genpack_core::guid::Guid;
use genpack_core::kernel::{arch::Arch, image, modules};
use genpack_core::text::json5::{Event, Mode, Reader, number};
use genpack_core::text::{diagnostic::Position, ini, kernel_cmdline};

fn parse_everything(bytes: &[u8]) {
    disk(bytes);
    squashfs(bytes);
    kernel(bytes);
    black_box(cpio_newc::entries(bytes).filter(Result::is_ok).count());
    if let Ok(text) = core::str::from_utf8(bytes) {
        json5(text);
        lines(text);
    }
}

fn disk(bytes: &[u8]) {
    if let Some(sector) = bytes.first_chunk::<{ mbr::LEN }>()
        && let Ok(table) = Mbr::parse(mbr::Raw::new(sector))
    {
        let mut out = [0; mbr::LEN];
        table.emit(&mut out);
        black_box((out, table.role(), Logical::new(bytes, &table).count()));
    }
    if let Ok(Some(table)) = Gpt::open(bytes) {
        black_box(table.partitions().filter_map(Result::ok).map(|p| p.sectors()).max());
    }
    if let Some(sector) = bytes.first_chunk::<{ bpb::LEN }>()
        && let Ok(block) = Bpb::parse(bpb::Raw::new(sector))
    {
        black_box((block.cluster_offset(7), bpb::volume_label::read(bytes, &block).is_ok()));
    }
    black_box(probe(bytes).is_ok());
}

/// Stands for a program's own compressors.
struct Stored;

impl Decompress for Stored {
    fn decompress(&mut self, _: Compressor, _: &[u8], _: &mut [u8]) -> Result<usize, DecompressError> {
        Err(DecompressError::Unsupported)
    }
}

fn squashfs(bytes: &[u8]) {
    let cache = [const { MetadataBlock::EMPTY }; 3];
    let Ok(mut fs) = FileSystem::open(bytes, Stored, cache) else { return };
    let Ok(Some(inode)) = fs.lookup(b"/a/../b") else { return };
    black_box((fs.owner(&inode).is_ok(), fs.export(inode.number).is_ok()));
    match inode.node {
        Node::Directory(directory) => {
            let mut entries = directory.entries();
            while let Ok(Some(entry)) = entries.next(&mut fs) {
                black_box(entry.inode);
            }
        }
        Node::RegularFile(file) => {
            let mut buffers = BlockBuffers::new([0; 4096], [0; 4096]);
            let mut content = [0; 512];
            black_box(OpenFile::new(file).read_at(&mut fs, &mut buffers, 100, &mut content).is_ok());
        }
        Node::Symlink(link) => {
            let mut target = [0; 4096];
            const { assert!(MAX_SYMLINK as usize <= 4096) };
            black_box(fs.read_link(&link, &mut target).is_ok());
        }
        Node::BlockDevice(_) | Node::CharDevice(_) | Node::Fifo | Node::Socket => {}
    }
}

fn kernel(bytes: &[u8]) {
    black_box(image::detect(bytes));
    if let Some(header) = image::pe::Header::parse(bytes) {
        black_box(header.sections(bytes).count());
    }
}

fn json5(text: &str) {
    for mode in [Mode::Json5, Mode::Json] {
        for item in Reader::new(text, mode) {
            match item {
                Ok((_, Event::Key(raw) | Event::String(raw))) => {
                    black_box((raw.chars().count(), raw.is("name")));
                }
                Ok((_, Event::Number(text))) => {
                    black_box((number::to_i64(text), number::to_u64(text)));
                }
                Ok(event) => {
                    black_box(event);
                }
                Err(error) => {
                    black_box(Position::of(text.as_bytes(), error.offset()));
                }
            }
        }
    }
}

fn lines(text: &str) {
    for item in ini::Reader::new(text) {
        if let ini::Item::Entry(entry) = item {
            black_box((entry.lines().count(), ini::parse_bool(text)));
        }
    }
    black_box(kernel_cmdline::last(text, "genpack.root"));
    for line in text.lines() {
        if let Some((path, needs)) = modules::dep_line(line) {
            black_box((modules::module_name(path), needs.rev().count()));
        }
        if let Some((pattern, module)) = modules::alias_line(line) {
            black_box(modules::alias_matches(pattern, module));
        }
    }
    black_box((Guid::parse(text), Arch::from_name(text)));
}
