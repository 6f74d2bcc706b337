//! Programs that a machine needs beside QEMU: the daemon of virtiofs, passt, a TPM.
//!
//! They get a socket that is open already, so nobody waits for a file to appear, and they end with QEMU, whose
//! connection they live on. Not handled: a daemon that dies early is told, not started anew.

use std::fs::File;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use genpack_qemu::machine::{Share, Transport};
use genpack_qemu::process::{Group, Lifetime, Process, Streams};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::host::{Host, OLD_VIRTIOFS_DAEMON, VIRTIOFS_DAEMONS};
use super::hostfwd::{HostForward, Protocol};
use super::options::VirtiofsOptions;
use super::rundir::RunDir;
use super::words::{ShareTransport, ShareWords};
use crate::command_error::{CommandError, Context, Result};
use crate::ctx::Ctx;

/// Where our descriptor stands in a command line; no path has this character.
const FD: &str = "\0";

/// How long after a program beside it QEMU may be seen to end.
const TOGETHER: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// Tells that a program beside QEMU has ended, unless QEMU ends with it: that is how they all end.
pub(super) fn ended(ctx: &Ctx, name: &str, dir: &RunDir, qemu: BorrowedFd<'_>) {
    let mut fds = [PollFd::from_borrowed_fd(qemu, PollFlags::IN)];
    if !matches!(poll(&mut fds, Some(&TOGETHER)), Ok(1..)) {
        ctx.ui.warning(format!("{name} ended; see {}", dir.file("companions.log").display()), None);
    }
}

/// A program to start before QEMU.
#[derive(Debug)]
pub struct Companion {
    /// Its name for people.
    pub name: &'static str,
    /// Its command line; [`FD`] inside a word stands for the descriptor's number.
    argv: Vec<String>,
    socket: OwnedFd,
}

impl Companion {
    /// Starts it; its messages go to `log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(self, log: &Path) -> Result<Process> {
        let number = self.socket.as_raw_fd().to_string();
        let argv: Vec<String> = self.argv.iter().map(|word| word.replace(FD, &number)).collect();
        let log =
            File::options().create(true).append(true).open(log).with_context(|| log.display().to_string())?;
        let mut streams = Streams::new(Stdio::null(), Stdio::null(), Group::Own);
        streams.stderr = Some(log);
        streams.lifetime = Lifetime::Own;
        let what = || format!("starting {}", self.name);
        Process::spawn(&argv, &[std::os::fd::AsFd::as_fd(&self.socket)], streams)
            .map_err(|e| CommandError::failed(e.to_string()).context(what()))
    }
}

/// Returns the share and the daemon that it needs.
///
/// # Errors
/// When the directory is not there, or virtiofs is asked for and its daemon is not installed.
pub fn share(
    words: &ShareWords,
    options: &VirtiofsOptions,
    dir: &RunDir,
    host: &Host,
    first: bool,
    dry: bool,
) -> Result<(Share, Option<Companion>)> {
    let what = || format!("sharing {}", words.path.display());
    // A service makes its directory when it is started.
    let found = if dry { std::path::absolute(&words.path) } else { std::fs::canonicalize(&words.path) };
    let path = found.with_context(what)?;
    let daemon = host.first_of(&VIRTIOFS_DAEMONS);
    let transport = words.transport.unwrap_or(match daemon {
        Some(_) => ShareTransport::Virtiofs,
        None => ShareTransport::NineP,
    });
    let share = |transport| Share { tag: words.tag.clone(), transport, read_only: words.read_only };
    if transport == ShareTransport::NineP {
        return Ok((share(Transport::NineP(path)), None));
    }
    let Some(daemon) = daemon else {
        return Err(CommandError::failed("virtiofsd is not installed")
            .hint("apt-get install virtiofsd (Debian 12: qemu-system-common), or share by 9p: PATH:TAG:9p"));
    };
    let name = if first { "virtiofs.sock".to_owned() } else { format!("virtiofs-{}.sock", words.tag) };
    let socket = dir.file(&name);
    if dry {
        return Ok((share(Transport::Virtiofs(socket)), None));
    }
    let _ = std::fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).with_context(|| format!("making {}", socket.display()))?;
    let is_root = rustix::process::getuid().is_root();
    // Without the file nothing is known to be missing.
    let status = std::fs::read_to_string(host.proc.join("self/status")).unwrap_or_default();
    let argv = virtiofsd(&daemon, &path, words.read_only, options, &capabilities(&status), is_root);
    Ok((
        share(Transport::Virtiofs(socket)),
        Some(Companion { name: "virtiofsd", argv, socket: listener.into() }),
    ))
}

/// What the daemon needs so that the share can be the upper directory of the guest's overlayfs, by the number of the
/// capability (`linux/capability.h`).
const CAPABILITIES: [(u32, &str); 4] =
    [(21, "+sys_admin"), (24, "+sys_resource"), (3, "+fowner"), (31, "+setfcap")];

/// Returns those of them that this process may pass on: a daemon that asks for others does not start.
fn capabilities(status: &str) -> String {
    let line = status.lines().find_map(|line| line.strip_prefix("CapBnd:"));
    let bounding = line.and_then(|line| u64::from_str_radix(line.trim(), 16).ok()).unwrap_or(u64::MAX);
    let allowed = CAPABILITIES.iter().filter(|(number, _)| bounding >> number & 1 == 1);
    allowed.map(|(_, name)| *name).collect::<Vec<_>>().join(":")
}

/// Returns the command line of the daemon.
fn virtiofsd(
    daemon: &Path,
    directory: &Path,
    read_only: bool,
    options: &VirtiofsOptions,
    capabilities: &str,
    is_root: bool,
) -> Vec<String> {
    let cache = options.cache.as_deref().unwrap_or("auto");
    let directory = directory.to_string_lossy();
    let mut argv = Vec::new();
    if !is_root {
        argv.extend(["unshare", "-r", "--map-auto", "--"].map(str::to_owned));
    }
    argv.push(daemon.to_string_lossy().into_owned());
    argv.push(format!("--fd={FD}"));
    if daemon.ends_with(OLD_VIRTIOFS_DAEMON.trim_start_matches('/')) {
        argv.extend(["-o".into(), format!("source={directory}"), "-o".into(), format!("cache={cache}")]);
        argv.extend(["-o".into(), "xattr".into(), "-o".into(), format!("modcaps={capabilities}")]);
        if !is_root {
            argv.extend(["-o".into(), "sandbox=chroot".into()]);
        }
    } else {
        argv.push(format!("--shared-dir={directory}"));
        argv.push(format!("--cache={cache}"));
        argv.extend(["--xattr", "--allow-direct-io"].map(str::to_owned));
        argv.push(format!("--modcaps={capabilities}"));
        let handles = options.inode_file_handles.as_deref().unwrap_or("prefer");
        argv.push(format!("--inode-file-handles={}", if is_root { handles } else { "never" }));
        if !is_root {
            argv.push("--sandbox=chroot".into());
        }
        if read_only {
            argv.push("--readonly".into());
        }
    }
    if let (Some(limit), true) = (options.rlimit_nofile, is_root) {
        argv.push(format!("--rlimit-nofile={limit}"));
    }
    argv
}

/// Returns the socket of a TPM 2.0 and the program that is one. Its state is in the directory, else in the run
/// directory, where it begins anew each time.
///
/// # Errors
/// When swtpm is not installed, or there is no place for the state.
pub fn tpm(
    program: Option<PathBuf>,
    state: Option<PathBuf>,
    dir: &RunDir,
    dry: bool,
) -> Result<(PathBuf, Option<Companion>)> {
    let Some(program) = program else {
        return Err(
            CommandError::failed("swtpm is not installed, so there is no TPM").hint("apt-get install swtpm")
        );
    };
    let socket = dir.file("tpm.sock");
    if dry {
        return Ok((socket, None));
    }
    let own = dir.file("tpm");
    if state.is_none() && own.exists() {
        std::fs::remove_dir_all(&own).with_context(|| format!("emptying {}", own.display()))?;
    }
    let state = state.unwrap_or(own);
    let what = || format!("keeping the TPM's state in {}", state.display());
    std::fs::create_dir_all(&state).with_context(what)?;
    let state = std::fs::canonicalize(&state).with_context(what)?;
    let argv = swtpm_argv(&program, &state)?;
    let _ = std::fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).with_context(|| format!("making {}", socket.display()))?;
    Ok((socket, Some(Companion { name: "swtpm", argv, socket: listener.into() })))
}

fn swtpm_argv(program: &Path, state: &Path) -> Result<Vec<String>> {
    let state = state.to_string_lossy();
    if state.contains(',') {
        return Err(CommandError::usage(format!("swtpm cannot keep its state in {state}: it has a comma"))
            .hint("name another directory with --tpm-state"));
    }
    let mut argv = vec![program.to_string_lossy().into_owned()];
    argv.extend(["socket", "--tpm2", "--terminate", "--tpmstate"].map(str::to_owned));
    argv.extend([format!("dir={state}"), "--ctrl".into(), format!("type=unixio,fd={FD}")]);
    Ok(argv)
}

/// Returns QEMU's end of a passt network and the program.
///
/// # Errors
/// When passt is not installed.
pub fn passt(program: Option<PathBuf>, hostfwd: &[HostForward]) -> Result<(OwnedFd, Companion)> {
    let Some(program) = program else {
        return Err(CommandError::failed("passt is not installed")
            .hint("apt-get install passt, or use QEMU's own network: --net user"));
    };
    let (ours, theirs) = UnixStream::pair().context("making a network")?;
    let argv = passt_argv(&program, hostfwd);
    Ok((ours.into(), Companion { name: "passt", argv, socket: theirs.into() }))
}

fn passt_argv(program: &Path, hostfwd: &[HostForward]) -> Vec<String> {
    let mut argv = vec![program.to_string_lossy().into_owned()];
    argv.extend(["--foreground", "--quiet", "--one-off", "--fd"].map(str::to_owned));
    argv.push(FD.to_owned());
    for rule in hostfwd {
        argv.push(if rule.protocol == Protocol::Tcp { "--tcp-ports" } else { "--udp-ports" }.to_owned());
        let host = rule.host.map_or_else(String::new, |host| format!("{host}/"));
        argv.push(format!("{host}{}:{}", rule.host_port, rule.guest_port));
    }
    argv
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn daemons_are_told_in_their_own_words() {
        let options = VirtiofsOptions { rlimit_nofile: Some(9), ..VirtiofsOptions::default() };
        let line = |daemon: &str, read_only, is_root| {
            virtiofsd(Path::new(daemon), Path::new("/a,b"), read_only, &options, &capabilities(""), is_root)
                .join(" ")
        };
        let capabilities = "+sys_admin:+sys_resource:+fowner:+setfcap";
        assert_eq!(
            line("/usr/libexec/virtiofsd", false, true),
            format!(
                "/usr/libexec/virtiofsd --fd=\0 --shared-dir=/a,b --cache=auto --xattr --allow-direct-io \
                     --modcaps={capabilities} --inode-file-handles=prefer --rlimit-nofile=9"
            )
        );
        assert_eq!(
            line("/usr/libexec/virtiofsd", true, false),
            format!(
                "unshare -r --map-auto -- /usr/libexec/virtiofsd --fd=\0 --shared-dir=/a,b --cache=auto --xattr \
                     --allow-direct-io --modcaps={capabilities} --inode-file-handles=never --sandbox=chroot \
                     --readonly"
            )
        );
        assert_eq!(
            line(OLD_VIRTIOFS_DAEMON, false, true),
            format!(
                "/usr/lib/qemu/virtiofsd --fd=\0 -o source=/a,b -o cache=auto -o xattr -o modcaps={capabilities} \
                     --rlimit-nofile=9"
            )
        );
    }

    #[test]
    fn capabilities_that_a_container_lacks_are_not_asked_for() {
        assert_eq!(capabilities("CapInh:\t0\nCapBnd:\t000001fffeffffff\n"), "+sys_admin:+fowner:+setfcap");
    }

    #[test]
    fn tpm_keeps_its_state_where_it_is_told() {
        let argv = |state: &str| swtpm_argv(Path::new("/usr/bin/swtpm"), Path::new(state));
        assert_eq!(
            argv("/var/vm/web/tpm").unwrap().join(" "),
            "/usr/bin/swtpm socket --tpm2 --terminate --tpmstate dir=/var/vm/web/tpm --ctrl type=unixio,fd=\0"
        );
        assert!(argv("/a,mode=0777").is_err());
    }

    #[test]
    fn passt_leads_ports_into_the_guest() {
        let rules = ["tcp:127.0.0.1:8080-:80", "udp::53-:5353"].map(|rule| rule.parse().unwrap());
        assert_eq!(
            passt_argv(Path::new("/usr/bin/passt"), &rules).join(" "),
            "/usr/bin/passt --foreground --quiet --one-off --fd \0 --tcp-ports 127.0.0.1/8080:80 --udp-ports 53:5353"
        );
        assert!(passt(None, &[]).is_err());
    }
}
