//! The files of a ZIP as files for the boot partition.
//!
//! The archive is anybody's: names that leave the partition, links, passwords and more bytes than a boot partition has
//! for such things are refused before anything is written. Not handled: methods but stored and deflated.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::inputs::normalize;
use super::plan::BootFile;
use crate::command_error::{CommandError, Context, Result};
use crate::disk::size::Size;
use crate::disk::write::Source;

/// Most bytes of all files together: they are kept in memory, and a boot partition has no room for more beside images.
const MAX_BYTES: u64 = 512 << 20;
/// Most files.
const MAX_FILES: usize = 10_000;

/// Reads all files of the archive.
///
/// # Errors
/// When it is no ZIP, is damaged, or holds something that has no place on a boot partition.
pub fn read(path: &Path) -> Result<Vec<BootFile>> {
    let (file, _) = crate::bootable::image::open_regular(path)?;
    let mut archive = zip::ZipArchive::new(&file).map_err(|e| {
        CommandError::failed(format!("it is no ZIP that can be read here: {e}")).hint("make it with zip -r")
    })?;
    if archive.len() > MAX_FILES {
        return Err(CommandError::refused(format!("it has more than {MAX_FILES} files")));
    }
    let mut left = MAX_BYTES;
    let mut files: Vec<BootFile> = Vec::new();
    for index in 0..archive.len() {
        if let Some(file) = entry(&mut archive, index, &mut left)? {
            files.retain(|earlier| !earlier.path.eq_ignore_ascii_case(&file.path));
            files.push(file);
        }
    }
    Ok(files)
}

/// Returns one file; nothing for a directory.
fn entry(archive: &mut zip::ZipArchive<&File>, index: usize, left: &mut u64) -> Result<Option<BootFile>> {
    let mut entry =
        archive.by_index(index).map_err(|e| CommandError::failed(format!("entry {index}: {e}")))?;
    let name = entry.name().map_err(|e| CommandError::failed(format!("entry {index}: {e}")))?.into_owned();
    let refused = |why: &str| Err(CommandError::refused(format!("{name:?}: {why}")));
    if entry.is_dir() {
        return Ok(None);
    }
    if entry.is_symlink() {
        return refused("a link has no place on FAT");
    }
    let path = match normalize(&name) {
        Ok(path) => path,
        Err(why) => return refused(why),
    };
    let mut bytes = Vec::new();
    // Why one more than there may be: the length that an entry claims is only a claim.
    (&mut entry).take(*left + 1).read_to_end(&mut bytes).with_context(|| format!("unpacking {name:?}"))?;
    match left.checked_sub(bytes.len() as u64) {
        Some(rest) => *left = rest,
        None => return refused(&format!("with it there are more than {}", Size(MAX_BYTES))),
    }
    Ok(Some(BootFile { path, source: Source::Bytes(bytes.into()) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// Returns a ZIP with stored entries.
    fn archive(entries: &[(&str, &[u8])]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let (mut body, mut directory) = (Vec::new(), Vec::new());
        let le16 = |n: usize| (n as u16).to_le_bytes();
        let le32 = |n: usize| (n as u32).to_le_bytes();
        for (name, content) in entries {
            let mut crc = flate2::Crc::new();
            crc.update(content);
            let mut common = vec![20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
            common.extend(crc.sum().to_le_bytes());
            common.extend(le32(content.len()).iter().chain(&le32(content.len())));
            common.extend(le16(name.len()).iter().chain(&[0, 0]));
            directory.extend(b"PK\x01\x02\x14\x00".iter().chain(&common).chain(&[0; 10]));
            directory.extend(le32(body.len()).iter().chain(name.as_bytes()));
            body.extend(b"PK\x03\x04".iter().chain(&common).chain(name.as_bytes()).chain(*content));
        }
        let count = le16(entries.len());
        let mut end = b"PK\x05\x06\0\0\0\0".to_vec();
        end.extend(
            count.iter().chain(&count).chain(&le32(directory.len())).chain(&le32(body.len())).chain(&[0, 0]),
        );
        file.write_all(&[body, directory, end].concat()).unwrap();
        file
    }

    #[test]
    fn files_keep_their_paths_and_the_last_of_a_name_counts() {
        let zip = archive(&[("a/b.txt", b"one"), ("a/", b""), ("/C", b"two"), ("c", b"three")]);
        let files = read(zip.path()).unwrap();
        let got: Vec<_> = files.iter().map(|f| (f.path.as_str(), f.source.to_vec(100).unwrap())).collect();
        assert_eq!(got, [("a/b.txt", b"one".to_vec()), ("c", b"three".to_vec())]);
    }

    #[test]
    fn hostile_archives_are_refused() {
        for (name, why) in
            [("../etc/passwd", "leaves the boot partition"), ("a/../../b", "leaves the boot partition")]
        {
            let error = read(archive(&[(name, b"x")]).path()).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        let cut = archive(&[("a", b"hello")]);
        let len = cut.as_file().metadata().unwrap().len();
        cut.as_file().set_len(len - 10).unwrap();
        assert!(read(cut.path()).unwrap_err().to_string().contains("no ZIP"));
    }
}
