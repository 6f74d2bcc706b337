//! A program of the tree with its loader and its libraries, for the initramfs.
//!
//! Format: the gABI's program headers and dynamic section. Files keep their paths, so the loader finds them where it
//! looks by itself. Not handled: `DT_RUNPATH`, programs that are not position-independent, libraries opened by name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use genpack_core::bytes::{u64_le_at, until_nul};
use genpack_core::kernel::elf::{ET_DYN, Header, PT_INTERP};

/// `PT_DYNAMIC` of the gABI.
const PT_DYNAMIC: u32 = 2;
const DT_NULL: u64 = 0;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
/// Most files of one program.
const MAX_FILES: usize = 32;
/// Links that are followed from one name.
const MAX_LINKS: usize = 8;
/// Where loaders look for libraries, the multiarch directories of Debian included.
const DIRECTORIES: [&str; 6] = [
    "usr/lib64",
    "usr/lib/x86_64-linux-gnu",
    "usr/lib/aarch64-linux-gnu",
    "usr/lib/riscv64-linux-gnu",
    "usr/lib",
    "lib64",
];

/// What of a program matters here.
#[derive(Debug, PartialEq, Eq)]
struct Needs {
    interpreter: Option<String>,
    libraries: Vec<String>,
}

/// Returns the files of the program at `path` by their paths; `None` when the tree has no such program, or not whole.
pub(super) fn files(root: &Path, path: &str) -> Option<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let mut loader = None;
    let mut pending = vec![path.to_owned()];
    while let Some(path) = pending.pop() {
        if files.contains_key(&path) {
            continue;
        }
        let content = std::fs::read(resolve(root, &path)?).ok()?;
        let Needs { interpreter, libraries } = needs(&content)?;
        if let Some(path) = interpreter {
            loader = path.rsplit('/').next().map(str::to_owned);
            pending.push(in_usr(&path));
        }
        // Why: the C library needs the loader, and the loader, which knows its own DT_SONAME, looks for no file then.
        for library in libraries.into_iter().filter(|name| loader.as_ref() != Some(name)) {
            let mut places = DIRECTORIES.iter().map(|directory| format!("{directory}/{library}"));
            pending.push(places.find(|place| resolve(root, place).is_some())?);
        }
        files.insert(path, content);
        if files.len() > MAX_FILES {
            return None;
        }
    }
    Some(files)
}

/// Returns a path relative to the root as the initramfs has it, where `lib` is a link to `usr/lib`.
fn in_usr(path: &str) -> String {
    let path = path.trim_start_matches('/');
    if path.starts_with("lib/") { format!("usr/{path}") } else { path.to_owned() }
}

/// Returns the file behind a path of the tree; links stay in the tree.
fn resolve(root: &Path, path: &str) -> Option<PathBuf> {
    let real_root = root.canonicalize().ok()?;
    let mut path = root.join(path);
    for _ in 0..MAX_LINKS {
        let real = path.canonicalize();
        if let Ok(real) = real
            && real.starts_with(&real_root)
        {
            return Some(real);
        }
        let target = path.read_link().ok()?;
        path = root.join(target.strip_prefix("/").ok()?);
    }
    None
}

fn needs(file: &[u8]) -> Option<Needs> {
    let header = Header::parse(file).ok()?;
    if !header.is_64_bit || header.is_big_endian || header.e_type != ET_DYN {
        return None;
    }
    let part = |at: u64, len: u64| {
        let at = usize::try_from(at).ok()?;
        file.get(at..at.checked_add(usize::try_from(len).ok()?)?)
    };
    let mut found = Needs { interpreter: None, libraries: Vec::new() };
    for segment in header.program_headers(file) {
        let content = || part(segment.offset, segment.file_bytes);
        match segment.p_type {
            PT_INTERP => {
                found.interpreter = Some(String::from_utf8(until_nul(content()?).to_vec()).ok()?);
            }
            PT_DYNAMIC => found.libraries = libraries(file, content()?)?,
            _ => {}
        }
    }
    Some(found)
}

fn libraries(file: &[u8], dynamic: &[u8]) -> Option<Vec<String>> {
    let rows: Vec<(u64, u64)> = dynamic
        .chunks_exact(16)
        .filter_map(|row| Some((u64_le_at(row, 0)?, u64_le_at(row, 8)?)))
        .take_while(|(tag, _)| *tag != DT_NULL)
        .collect();
    // The strings lie in the first segment, whose addresses are the offsets in the file.
    let strings = rows.iter().find(|(tag, _)| *tag == DT_STRTAB)?.1;
    let name = |offset: u64| {
        let rest = file.get(usize::try_from(strings.checked_add(offset)?).ok()?..)?;
        let name = String::from_utf8(until_nul(rest).to_vec()).ok()?;
        (!name.is_empty() && !name.contains('/')).then_some(name)
    };
    rows.iter().filter(|(tag, _)| *tag == DT_NEEDED).map(|(_, offset)| name(*offset)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with an interpreter and these libraries, laid out as linkers do: strings in the first segment.
    fn elf(interpreter: Option<&str>, libraries: &[&str]) -> Vec<u8> {
        let mut file = vec![0; 0x400];
        file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        file[0x10..0x14].copy_from_slice(&[3, 0, 62, 0]);
        file[0x20] = 64;
        file[0x36] = 56;
        let mut count = 0;
        let mut segment = |file: &mut [u8], p_type: u32, offset: u64, len: usize| {
            let at = 64 + 56 * count;
            file[at..at + 4].copy_from_slice(&p_type.to_le_bytes());
            file[at + 8..at + 16].copy_from_slice(&offset.to_le_bytes());
            file[at + 32..at + 40].copy_from_slice(&(len as u64).to_le_bytes());
            count += 1;
            file[0x38] = count as u8;
        };
        if let Some(path) = interpreter {
            file[0x200..0x200 + path.len()].copy_from_slice(path.as_bytes());
            segment(&mut file, PT_INTERP, 0x200, path.len() + 1);
        }
        let (mut rows, mut strings) = (vec![(DT_STRTAB, 0x300)], vec![0]);
        for library in libraries {
            rows.push((DT_NEEDED, strings.len() as u64));
            strings.extend(library.bytes().chain([0]));
        }
        rows.push((DT_NULL, 0));
        file[0x300..0x300 + strings.len()].copy_from_slice(&strings);
        for (i, (tag, value)) in rows.iter().enumerate() {
            file[0x240 + 16 * i..][..8].copy_from_slice(&tag.to_le_bytes());
            file[0x248 + 16 * i..][..8].copy_from_slice(&value.to_le_bytes());
        }
        segment(&mut file, PT_DYNAMIC, 0x240, 16 * rows.len());
        file
    }

    #[test]
    fn program_comes_with_its_loader_and_libraries() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, content: &[u8]| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        };
        put("usr/sbin/fsck.fat", &elf(Some("/lib64/ld.so.2"), &["libc.so.6", "libx.so.1"]));
        put("usr/lib/x86_64-linux-gnu/libc.so.6", &elf(None, &["ld.so.2"]));
        put("usr/lib/libx.so.1", &elf(None, &["libc.so.6"]));
        put("usr/lib64/ld.so.2", &elf(None, &[]));
        std::os::unix::fs::symlink("usr/lib64", root.path().join("lib64")).unwrap();
        let found = files(root.path(), "usr/sbin/fsck.fat").unwrap();
        assert_eq!(
            found.keys().collect::<Vec<_>>(),
            ["lib64/ld.so.2", "usr/lib/libx.so.1", "usr/lib/x86_64-linux-gnu/libc.so.6", "usr/sbin/fsck.fat"]
        );
        assert_eq!(files(root.path(), "usr/sbin/fsck.ext4"), None);
        std::fs::remove_file(root.path().join("usr/lib/libx.so.1")).unwrap();
        assert_eq!(files(root.path(), "usr/sbin/fsck.fat"), None, "a program without its library is none");
        put("usr/sbin/fsck.fat", b"#!/bin/sh\n");
        assert_eq!(files(root.path(), "usr/sbin/fsck.fat"), None);
    }

    #[test]
    fn absolute_link_stays_in_the_tree() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("usr/lib")).unwrap();
        std::fs::write(root.path().join("usr/lib/a"), "").unwrap();
        std::os::unix::fs::symlink("/usr/lib/a", root.path().join("usr/lib/b")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", root.path().join("usr/lib/c")).unwrap();
        assert!(resolve(root.path(), "usr/lib/b").is_some_and(|path| path.ends_with("usr/lib/a")));
        assert_eq!(resolve(root.path(), "usr/lib/c"), None);
    }

    #[test]
    fn any_bytes_need_nothing() {
        assert_eq!(needs(b""), None);
        let good = elf(Some("/lib/ld.so"), &["libc.so.6"]);
        for cut in 0..good.len() {
            let _ = needs(&good[..cut]);
        }
    }
}
