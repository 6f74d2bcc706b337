//! Commands inside a root file system: a private mount namespace, an overlayfs root, systemd-nspawn.
//!
//! Nothing here outlives the process: mounts live in a namespace of our own and vanish with it, however we end.
//! Containers run as root of the host with nspawn's default capabilities; user namespaces are not used.

pub mod namespaces;
pub mod nspawn;
pub mod overlayfs;
pub mod root_dir;
mod sys;

use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use crate::command_error::{CommandError, Context, Result};
use crate::container::nspawn::Payload;
use crate::container::overlayfs::{Mount, Overlay};
use crate::container::root_dir::RootDir;
use crate::runner::{Output, Run, Runner};

/// What nspawn and we ourselves may leave in a writable layer without being asked: mount points and host settings.
/// Removed, when the lower layer has no such path, before the layer is called complete.
pub const LEFTOVERS: [&str; 5] =
    ["/mnt/host", "/var/log/journal", "/var/cache/download", "/etc/.pwd.lock", "/root/.bash_history"];

/// How a host finds names. It is shown to containers read-only, where their own file of this name leads to.
pub const RESOLVER: &str = "/etc/resolv.conf";

/// Where nspawn keeps a directory per container. On a tmpfs of ours it can clean up also where `/run` is none.
const NSPAWN_STATE: &str = "/run/systemd/nspawn";

/// A root file system that commands can be run in.
#[derive(Debug)]
pub struct Container {
    root: Mount,
    tmp: Mount,
    _state: Mount,
    artifact: PathBuf,
    environment: Vec<(String, String)>,
    binds: Vec<Bind>,
    capabilities: Vec<&'static str>,
    personality: Option<&'static str>,
}

/// A directory or file of the host that commands see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// On the host.
    pub from: PathBuf,
    /// In the container.
    pub to: String,
    /// Commands cannot write to it.
    pub read_only: bool,
}

impl Container {
    /// Mounts the overlay and makes it ready for commands; `scratch` is an empty directory for mount points.
    ///
    /// Commands see the directory `artifact` as `/mnt/host` and the variables of `environment`. They share one
    /// `/tmp`, which is gone with the container.
    ///
    /// # Errors
    /// When we are not root or the kernel refuses a mount.
    pub fn open(
        overlay: &Overlay,
        scratch: &Path,
        artifact: &Path,
        environment: Vec<(String, String)>,
    ) -> Result<Self> {
        Self::open_with(|root| overlay.mount(root), scratch, artifact, environment)
    }

    /// As [`Container::open`], on a directory: what commands write, they write there.
    ///
    /// # Errors
    /// As [`Container::open`].
    pub fn open_directory(
        directory: &Path,
        scratch: &Path,
        artifact: &Path,
        environment: Vec<(String, String)>,
    ) -> Result<Self> {
        Self::open_with(|root| Mount::bind(directory, root), scratch, artifact, environment)
    }

    fn open_with(
        mount: impl FnOnce(&Path) -> Result<Mount>,
        scratch: &Path,
        artifact: &Path,
        environment: Vec<(String, String)>,
    ) -> Result<Self> {
        namespaces::enter_private()?;
        let (root, tmp) = (scratch.join("root"), scratch.join("tmp"));
        for dir in [&root, &tmp, &PathBuf::from(NSPAWN_STATE)] {
            std::fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
        }
        let root = mount(&root)?;
        let tmp = Mount::tmpfs(&tmp)?;
        let state = Mount::tmpfs(Path::new(NSPAWN_STATE))?;
        let artifact =
            std::fs::canonicalize(artifact).with_context(|| format!("opening {}", artifact.display()))?;
        Ok(Self {
            root,
            tmp,
            _state: state,
            artifact,
            environment,
            binds: Vec::new(),
            capabilities: Vec::new(),
            personality: None,
        })
    }

    /// Shows commands more of the host.
    #[must_use]
    pub fn with_binds(mut self, binds: Vec<Bind>) -> Self {
        self.binds.extend(binds);
        self
    }

    /// Gives commands capabilities beyond those that nspawn gives.
    #[must_use]
    pub fn with_capabilities(mut self, capabilities: &[&'static str]) -> Self {
        self.capabilities.extend(capabilities);
        self
    }

    /// Lets 32-bit programs see a 32-bit machine (personality(2)).
    #[must_use]
    pub const fn with_personality(mut self, personality: Option<&'static str>) -> Self {
        self.personality = personality;
        self
    }

    /// Returns the path of the mounted root, valid in this process only.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.root.path()
    }

    /// Opens the root for file operations that cannot leave it.
    ///
    /// # Errors
    /// When the mount point cannot be opened.
    pub fn root(&self) -> Result<RootDir> {
        RootDir::open(self.root.path())
    }

    /// Runs a command to its end; all it says goes to the runner's log.
    ///
    /// # Errors
    /// When it does not end with 0.
    pub fn run(&self, runner: &Runner, payload: &Payload) -> Result<()> {
        let run = self.command(payload, true)?;
        runner.run(&run).map(drop).map_err(|mut e| {
            // Why: nspawn passes the status of its payload through; the payload is what failed.
            if let Some(clause) = e.clauses.last_mut()
                && let Some(rest) = clause.strip_prefix("systemd-nspawn failed")
            {
                *clause = format!("{} failed{rest}", payload.name());
            }
            e
        })
    }

    /// Runs a command to its end and returns all that it said on its standard output.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn capture(&self, runner: &Runner, payload: &Payload) -> Result<Output> {
        let mut run = self.command(payload, true)?;
        run.merge_output = false;
        runner.try_run(&run)
    }

    /// Runs a command on the user's terminal and returns how it ended.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn interactive(&self, runner: &Runner, payload: &Payload) -> Result<ExitStatus> {
        runner.interactive(&self.command(payload, false)?)
    }

    fn command(&self, payload: &Payload, piped: bool) -> Result<Run> {
        let resolver = std::fs::canonicalize(RESOLVER).ok();
        let inside = resolver_target(self.root()?.read_link(RESOLVER).as_deref());
        let bound = |read_only: bool| {
            let binds = self.binds.iter().filter(move |b| b.read_only == read_only);
            binds.map(|b| (b.from.as_path(), b.to.as_str()))
        };
        let own = [(self.artifact.as_path(), "/mnt/host"), (self.tmp.path(), "/tmp")];
        let binds: Vec<_> = own.into_iter().chain(bound(false)).collect();
        let read_only: Vec<_> =
            resolver.as_deref().map(|r| (r, inside.as_str())).into_iter().chain(bound(true)).collect();
        let place = nspawn::Place {
            root: self.root.path(),
            binds: &binds,
            read_only: &read_only,
            capabilities: &self.capabilities,
            personality: self.personality,
            environment: &self.environment,
            piped,
            systemd: Path::new("/run/systemd/system").is_dir(),
        };
        Ok(nspawn::command(&place, payload))
    }
}

/// Returns where a root's `/etc/resolv.conf` leads to, one link followed.
///
/// Why: nspawn cannot bind over a link whose target is on the fresh `/run` of the container.
fn resolver_target(link: Option<&str>) -> String {
    match link {
        None => RESOLVER.to_owned(),
        Some(target) if target.starts_with('/') => target.to_owned(),
        Some(target) => {
            let mut at = vec!["etc"];
            for word in target.split('/').filter(|w| !w.is_empty() && *w != ".") {
                if word == ".." {
                    at.pop();
                } else {
                    at.push(word);
                }
            }
            format!("/{}", at.join("/"))
        }
    }
}

/// Refuses to go on without root.
///
/// # Errors
/// When the effective user is not root.
pub fn require_root(what: &str) -> Result<()> {
    if rustix::process::geteuid().is_root() {
        Ok(())
    } else {
        Err(CommandError::failed(format!("{what} needs root")).hint("run it with sudo"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolver_target_is_what_a_link_leads_to() {
        for (link, expected) in [
            (None, "/etc/resolv.conf"),
            (Some("/run/x"), "/run/x"),
            (Some("../run/systemd/resolve/stub-resolv.conf"), "/run/systemd/resolve/stub-resolv.conf"),
            (Some("./resolv.d/../other"), "/etc/other"),
            (Some("../../../x"), "/x"),
        ] {
            assert_eq!(resolver_target(link), expected);
        }
    }
}
