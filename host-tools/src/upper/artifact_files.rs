//! The directory `files/` of an artifact: what is in it, its digest, the build scripts among it.
//!
//! Build scripts are `files/build` and what is in `files/build.d/`: files there run as root, files in a directory
//! there run as the user of that name. All of them are gone from the image afterwards.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::command_error::{CommandError, Context, Result};
use crate::io::hash::Hasher;

/// One thing in `files/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Path in the image, with a leading slash.
    pub path: String,
    /// What it is.
    pub kind: Kind,
}

/// What an [`Entry`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory and its permission bits.
    Directory(u32),
    /// A file and its permission bits.
    File {
        /// Permission bits.
        mode: u32,
        /// Device and inode, when the file has more than one name.
        shared: Option<(u64, u64)>,
    },
    /// A symbolic link and its target.
    Link(PathBuf),
}

/// A build script and how it is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// User; root when absent.
    pub user: Option<String>,
}

/// The content of `files/`, sorted by path, a directory before what is in it.
#[derive(Clone, Debug, Default)]
pub struct ArtifactFiles {
    /// The directory itself.
    pub root: PathBuf,
    /// What is in it.
    pub entries: Vec<Entry>,
    digest: String,
}

impl ArtifactFiles {
    /// Lists `files/` of an artifact's directory; there need not be one.
    ///
    /// # Errors
    /// When something cannot be read, or is neither file, directory nor link.
    pub fn read(artifact: &Path) -> Result<Self> {
        Self::of(&artifact.join("files"))
    }

    /// Lists a directory of an artifact; it need not be there.
    ///
    /// # Errors
    /// As [`ArtifactFiles::read`].
    pub fn of(root: &Path) -> Result<Self> {
        let mut files = Self { root: root.to_owned(), ..Self::default() };
        let mut hasher = Hasher::default();
        if root.is_dir() {
            files.walk(root, "", &mut hasher)?;
        }
        files.digest = hasher.hex();
        Ok(files)
    }

    /// Returns a digest of names, kinds, permission bits and contents.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    fn walk(&mut self, dir: &Path, prefix: &str, hasher: &mut Hasher) -> Result<()> {
        let reading = || format!("reading {}", dir.display());
        let mut names = Vec::new();
        for entry in std::fs::read_dir(dir).with_context(reading)? {
            names.push(entry.with_context(reading)?.file_name());
        }
        names.sort();
        for name in names {
            let full = dir.join(&name);
            let reading = || format!("reading {}", full.display());
            let Some(name) = name.to_str() else {
                return Err(CommandError::failed("the name is not UTF-8").context(reading()));
            };
            let path = format!("{prefix}/{name}");
            let meta = std::fs::symlink_metadata(&full).with_context(reading)?;
            // Why: as cp under umask 022 would; write permission of a checkout's group is nobody's intention.
            let mode = meta.permissions().mode() & 0o755;
            let kind = if meta.is_dir() {
                Kind::Directory(mode)
            } else if meta.is_file() {
                let shared = (meta.nlink() > 1).then(|| (meta.dev(), meta.ino()));
                Kind::File { mode, shared }
            } else if meta.is_symlink() {
                Kind::Link(std::fs::read_link(&full).with_context(reading)?)
            } else {
                return Err(CommandError::failed("it is neither a file, a directory nor a symbolic link")
                    .context(reading()));
            };
            hasher.field(&path);
            match &kind {
                Kind::Directory(mode) => hasher.field(format!("d{mode:o}")),
                Kind::File { mode, .. } => {
                    hasher.field(format!("f{mode:o}"));
                    hasher.field(std::fs::read(&full).with_context(reading)?);
                }
                Kind::Link(target) => {
                    hasher.field("l");
                    hasher.field(target.as_os_str().as_bytes());
                }
            }
            let is_dir = matches!(kind, Kind::Directory(_));
            self.entries.push(Entry { path: path.clone(), kind });
            if is_dir {
                self.walk(&full, &path, hasher)?;
            }
        }
        Ok(())
    }

    /// Tells whether a file matching the predicate is there.
    pub fn any(&self, predicate: impl Fn(&str) -> bool) -> bool {
        self.entries.iter().any(|e| !matches!(e.kind, Kind::Directory(_)) && predicate(&e.path))
    }

    /// Returns the build scripts in the order in which they run.
    ///
    /// # Errors
    /// When nothing says how a script is to be run.
    pub fn scripts(&self) -> Result<Vec<Script>> {
        let (mut root, mut users) = (Vec::new(), Vec::new());
        for entry in &self.entries {
            let executable = match &entry.kind {
                Kind::Directory(_) => continue,
                Kind::File { mode, .. } => mode & 0o111 != 0,
                Kind::Link(_) => std::fs::metadata(self.root.join(entry.path.trim_start_matches('/')))
                    .is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0),
            };
            let inside = entry.path.strip_prefix("/build.d/").map(|p| p.split('/').collect::<Vec<_>>());
            match inside.as_deref() {
                None if entry.path == "/build" => {
                    if !executable {
                        return Err(CommandError::failed("files/build is not executable")
                            .hint("chmod +x files/build"));
                    }
                    root.insert(0, Script { argv: vec![entry.path.clone()], user: None });
                }
                Some([_]) => root.push(Script { argv: interpreter(&entry.path, executable)?, user: None }),
                Some([user, _]) => users.push(Script {
                    argv: interpreter(&entry.path, executable)?,
                    user: Some((*user).to_owned()),
                }),
                _ => {}
            }
        }
        root.extend(users);
        Ok(root)
    }
}

fn interpreter(path: &str, executable: bool) -> Result<Vec<String>> {
    let path = path.to_owned();
    if executable {
        return Ok(vec![path]);
    }
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("sh") => Ok(vec!["/bin/sh".to_owned(), path]),
        Some("py") => Ok(vec!["/usr/bin/python3".to_owned(), path]),
        _ => Err(CommandError::failed(format!("files{path} cannot be run"))
            .hint("make it executable, or call it *.sh or *.py")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(paths: &[(&str, u32)]) -> (tempfile::TempDir, Result<ArtifactFiles>) {
        let dir = tempfile::tempdir().unwrap();
        for (path, mode) in paths {
            let full = dir.path().join("files").join(path);
            std::fs::create_dir_all(full.parent().unwrap()).unwrap();
            std::fs::write(&full, path).unwrap();
            std::fs::set_permissions(&full, std::fs::Permissions::from_mode(*mode)).unwrap();
        }
        let files = ArtifactFiles::read(dir.path());
        (dir, files)
    }

    #[test]
    fn scripts_run_build_first_then_files_then_those_of_users() {
        let (_dir, files) = tree(&[
            ("build.d/user/2.sh", 0o644),
            ("build.d/user/deep/no.sh", 0o644),
            ("build.d/10-b.py", 0o644),
            ("build.d/1-a", 0o755),
            ("build", 0o755),
            ("etc/x.sh", 0o644),
        ]);
        let scripts = files.unwrap().scripts().unwrap();
        let shown: Vec<_> = scripts.iter().map(|s| (s.argv.join(" "), s.user.as_deref())).collect();
        assert_eq!(
            shown,
            [
                ("/build".to_owned(), None),
                ("/build.d/1-a".to_owned(), None),
                ("/usr/bin/python3 /build.d/10-b.py".to_owned(), None),
                ("/bin/sh /build.d/user/2.sh".to_owned(), Some("user")),
            ]
        );
    }

    #[test]
    fn script_that_nothing_can_run_is_an_error() {
        let (_dir, files) = tree(&[("build.d/readme", 0o644)]);
        assert_eq!(files.unwrap().scripts().unwrap_err().to_string(), "files/build.d/readme cannot be run");
    }

    #[test]
    fn digest_sees_modes_and_contents_but_no_times() {
        let digest = |paths: &[(&str, u32)]| tree(paths).1.unwrap().digest().to_owned();
        assert_eq!(digest(&[("a", 0o644)]), digest(&[("a", 0o664)]));
        assert_ne!(digest(&[("a", 0o644)]), digest(&[("a", 0o755)]));
        assert_ne!(digest(&[("a", 0o644)]), digest(&[("b", 0o644)]));
    }
}
