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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::entry::{Content, Entry, FileEntry};

    fn program(mode: u16, head: &[u8]) -> Entry {
        let content = Content::Bytes(head.into());
        Entry {
            path: b"bin/x".to_vec(),
            mode,
            uid: 0,
            gid: 0,
            mtime: 0,
            xattrs: Vec::new(),
            identity: None,
            kind: Kind::File(FileEntry { size: head.len() as u64, content, stored: false }),
        }
    }

    /// Returns the header of a 64-bit little-endian program.
    fn elf(machine: u16) -> Vec<u8> {
        let mut head = vec![0; 64];
        head[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        head[16] = 2;
        head[18..20].copy_from_slice(&machine.to_le_bytes());
        head[20] = 1;
        head[52] = 64;
        head
    }

    #[test]
    fn first_program_of_a_known_machine_decides() {
        let script = program(0o755, &[b'#'; 64]);
        let cases = [
            (vec![], None),
            (vec![script.clone()], None),
            (vec![program(0o644, &elf(62))], None),
            (vec![program(0o755, &elf(62)[..63])], None),
            (vec![script, program(0o755, &elf(183)), program(0o755, &elf(62))], Some(Arch::Aarch64)),
            (vec![program(0o755, &elf(22)), program(0o755, &elf(62))], Some(Arch::X86_64)),
        ];
        for (entries, arch) in cases {
            assert_eq!(of_programs(&Tree { entries }), arch);
        }
    }
}
