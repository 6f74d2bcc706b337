//! For which machine the programs of a tree are: the first ELF header found among them says so.
//!
//! Asked from the tree and not from the machine that packs, so that the same tree gives the same image anywhere.

use std::io::Read;

use genpack_core::kernel::arch::Arch;
use genpack_core::kernel::elf;

use crate::pack::entry::Kind;
use crate::pack::tree::{Tree, open};

/// Files that are opened at most: programs stand close together, and a tree of scripts has none.
const MAX_OPENED: usize = 256;

/// Bytes of a file that hold its ELF header.
const HEAD_LEN: u64 = 64;

/// Returns the architecture of the first executable file that has one that we know.
#[must_use]
pub fn of_programs(tree: &Tree) -> Option<Arch> {
    let executables = tree.entries.iter().filter_map(|e| match &e.kind {
        Kind::File(file) if e.mode & 0o111 != 0 && file.size >= HEAD_LEN => Some(&file.content),
        _ => None,
    });
    executables.take(MAX_OPENED).find_map(|content| {
        let mut head = Vec::new();
        // A file that cannot be read is told by the writer.
        open(content).ok()?.take(HEAD_LEN).read_to_end(&mut head).ok()?;
        elf::Header::parse(&head).ok()?.machine()?.arch()
    })
}
