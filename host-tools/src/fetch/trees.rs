//! Ebuild repositories as directories: a tarball is unpacked once, under its SHA-256, for all artifacts.
//!
//! Containers see them read-only, so that nothing is copied into lower images and nobody changes what others use.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::command_error::{CommandError, Context, Result};
use crate::fetch::cache::{self, Fetched};
use crate::io::atomic_file::sync_directory;
use crate::io::hash::Hasher;
use crate::model::work_dir::remove_tree;
use crate::runner::{Run, Runner};
use crate::upper::artifact_files::{ArtifactFiles, Kind};

/// Returns the directory of a tarball's content, unpacked now when it was not before.
///
/// # Errors
/// When it cannot be unpacked; nothing is left then.
pub fn unpacked(runner: &Runner, cache: &Path, tarball: &Fetched) -> Result<PathBuf> {
    let dir = cache.join("trees");
    std::fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
    let tree = dir.join(&tarball.sha256);
    let what = || format!("unpacking {}", tarball.path.display());
    let lock = File::create(dir.join(".lock")).with_context(what)?;
    flock(&lock, FlockOperation::LockExclusive).with_context(what)?;
    if tree.is_dir() {
        return Ok(tree);
    }
    let partial = dir.join(format!(".{}.partial", tarball.sha256));
    remove_tree(&partial)?;
    std::fs::create_dir(&partial).with_context(what)?;
    let run = repository_command(&tarball.path, &partial);
    if let Err(error) = runner.run(&run) {
        remove_tree(&partial)?;
        return Err(error.context(what()));
    }
    if !partial.join("profiles").is_dir() {
        remove_tree(&partial)?;
        return Err(CommandError::failed("there is no ebuild repository in it").context(what()));
    }
    std::fs::rename(&partial, &tree).with_context(what)?;
    sync_directory(&dir)?;
    Ok(tree)
}

/// Returns the command that unpacks an ebuild repository. Why not the owners of the archive: they are somebody's.
#[must_use]
pub fn repository_command(tarball: &Path, target: &Path) -> Run {
    let run = Run::new("tar").package("tar").args(["--extract", "--no-same-owner", "--strip-components=1"]);
    run.arg("--file").arg(tarball).arg("--directory").arg(target)
}

/// Returns the command that unpacks a stage3: owners by number, attributes as they are.
#[must_use]
pub fn stage3_command(tarball: &Path, target: &Path) -> Run {
    let run = Run::new("tar").package("tar").args([
        "--extract",
        "--numeric-owner",
        "--same-owner",
        "--preserve-permissions",
        "--xattrs",
        "--xattrs-include=*",
        "--acls",
    ]);
    run.arg("--file").arg(tarball).arg("--directory").arg(target)
}

/// Returns the digest of an ebuild repository that is a directory.
///
/// # Errors
/// When it is none, or cannot be read.
pub fn directory_digest(dir: &Path) -> Result<String> {
    if !dir.join("profiles/repo_name").is_file() {
        return Err(CommandError::failed("there is no ebuild repository")
            .context(format!("reading {}", dir.display())));
    }
    let files = ArtifactFiles::of(dir)?;
    let mut hasher = Hasher::default();
    // Why: what git keeps beside a checkout is no part of it.
    for entry in files.entries.iter().filter(|e| !e.path.starts_with("/.git")) {
        hasher.field(&entry.path);
        match &entry.kind {
            Kind::Directory(_) => hasher.field("d"),
            Kind::Link(target) => hasher.field(target.as_os_str().as_encoded_bytes()),
            Kind::File { mode, .. } => {
                hasher.field(format!("{mode:o}"));
                let path = dir.join(entry.path.trim_start_matches('/'));
                hasher.field(std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?);
            }
        }
    }
    Ok(hasher.hex())
}

/// Returns when an ebuild repository was made, as it says itself.
#[must_use]
pub fn timestamp(tree: &Path) -> Option<String> {
    let text = std::fs::read_to_string(tree.join("metadata/timestamp.commit"))
        .or_else(|_| std::fs::read_to_string(tree.join("metadata/timestamp.chk")))
        .ok()?;
    Some(text.trim().to_owned()).filter(|t| !t.is_empty() && t.len() <= 200 && !t.contains(char::is_control))
}

/// Returns the commit that git wrote into a tarball, or that a checkout is at.
#[must_use]
pub fn commit(runner: &Runner, source: &Path) -> Option<String> {
    if !source.is_dir() {
        return File::open(source).ok().and_then(tar_commit);
    }
    let run = Run::new("git").arg("-C").arg(source).args(["rev-parse", "HEAD"]);
    let output = runner.try_run(&run).ok().filter(|o| o.status.success())?;
    hexadecimal(String::from_utf8_lossy(&output.stdout).trim())
}

/// Reads the comment of a pax global header, as git-archive(1) writes it at the begin of a tarball.
fn tar_commit(file: impl Read) -> Option<String> {
    let mut file = BufReader::new(file);
    let packed: Box<dyn Read + '_> = match file.fill_buf().ok()? {
        [0x1f, 0x8b, ..] => Box::new(flate2::read::GzDecoder::new(file)),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => Box::new(liblzma::read::XzDecoder::new(file)),
        _ => Box::new(file),
    };
    // The header, and the block behind it with the records.
    let mut bytes = Vec::new();
    packed.take(1024).read_to_end(&mut bytes).ok()?;
    if bytes.get(156) != Some(&b'g') {
        return None;
    }
    let records = String::from_utf8_lossy(bytes.get(512..)?).into_owned();
    hexadecimal(records.split_once(" comment=")?.1.lines().next()?)
}

fn hexadecimal(commit: &str) -> Option<String> {
    let good = commit.len() >= 40 && commit.bytes().all(|b| b.is_ascii_hexdigit());
    good.then(|| commit.to_owned())
}

/// Returns a local file or directory as a source.
///
/// # Errors
/// When it cannot be read.
pub fn local_source(path: &Path) -> Result<Fetched> {
    if path.is_dir() {
        return Ok(Fetched { path: path.to_owned(), size: 0, sha256: directory_digest(path)? });
    }
    cache::local(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stage3_keeps_numbers_and_attributes() {
        let run = stage3_command(Path::new("/s"), Path::new("/t"));
        assert_eq!(
            run.shell(),
            "tar --extract --numeric-owner --same-owner --preserve-permissions --xattrs '--xattrs-include=*' --acls --file /s --directory /t"
        );
    }

    #[test]
    fn commit_of_a_tarball_is_what_git_wrote_at_its_begin() {
        use std::io::Write;
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let tar = |kind: u8, records: &str| {
            let mut bytes = vec![0; 512];
            bytes[156] = kind;
            bytes.extend(records.as_bytes());
            bytes.resize(2048, 0);
            bytes
        };
        let good = tar(b'g', &format!("52 comment={commit}\n"));
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&good).unwrap();
        for (bytes, found) in [
            (gzip.finish().unwrap(), true),
            (good, true),
            (tar(b'0', &format!("52 comment={commit}\n")), false),
            (tar(b'g', "20 comment=0123\n"), false),
            (vec![0x1f, 0x8b, 0], false),
            (Vec::new(), false),
        ] {
            assert_eq!(tar_commit(&*bytes).as_deref(), found.then_some(commit));
        }
    }

    #[test]
    fn tarball_is_unpacked_once_and_only_when_it_is_a_repository() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("repo-1");
        std::fs::create_dir_all(source.join("profiles")).unwrap();
        std::fs::write(source.join("profiles/repo_name"), "r\n").unwrap();
        let tarball = |name: &str, what: &str| {
            let path = dir.path().join(name);
            let run =
                Run::new("tar").arg("--create").arg("--file").arg(&path).arg("--directory").arg(dir.path());
            Runner::default().run(&run.arg(what)).unwrap();
            cache::local(&path).unwrap()
        };
        let good = tarball("good.tar", "repo-1");
        let cache = dir.path().join("cache");
        let tree = unpacked(&Runner::default(), &cache, &good).unwrap();
        assert!(tree.join("profiles/repo_name").is_file());
        std::fs::remove_file(&good.path).unwrap();
        assert_eq!(unpacked(&Runner::default(), &cache, &good).unwrap(), tree);
        std::fs::create_dir_all(dir.path().join("else/where")).unwrap();
        let bad = tarball("bad.tar", "else/where");
        let error = unpacked(&Runner::default(), &cache, &bad).unwrap_err().to_string();
        assert!(error.ends_with("there is no ebuild repository in it"), "{error}");
        assert!(!cache.join("trees").join(&bad.sha256).exists());
    }
}
