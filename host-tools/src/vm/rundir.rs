//! Run directories: one per machine, with its sockets, logs and a record of what runs.
//!
//! The directory's lock (flock(2)) is held by the emulator itself, through a descriptor that it inherits: it tells
//! that a machine runs whoever else was killed, and it vanishes with the emulator. Names of files are those of earlier
//! tools. Not handled: machines of other users.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use genpack_qemu::running::Running;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::identity::Name;
use super::supervise::Order;
use crate::command_error::{CommandError, Context, Result};

/// Names another place for run directories.
pub const RUN_ROOT_VARIABLE: &str = "GENPACK_VM_RUN";
/// Longest path of a Unix socket, its NUL included.
const MAX_SOCKET_PATH: usize = 108;
/// Longest name of a file of ours in a run directory.
const LONGEST_FILE: &str = "supervisor.sock";
/// How often a lock is tried, and how long between: two seconds in all.
const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: std::time::Duration = std::time::Duration::from_millis(20);
/// A record is a page of JSON.
const MAX_RECORD_BYTES: u64 = 4 << 20;
/// There when the guest has said that it is ready.
pub const GUEST_READY: &str = "guest-ready";
/// Files that mean nothing without the machine.
const TRANSIENT: [&str; 15] = [
    "qemu.pid",
    "qmp.sock",
    "supervisor.sock",
    "monitor.sock",
    "serial.sock",
    "console.sock",
    "qga.sock",
    "virtiofs.sock",
    "passt.sock",
    "tpm.sock",
    "iommu-mem",
    "cid",
    "ssh-port",
    "known_hosts",
    GUEST_READY,
];

/// The directory of all run directories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRoot(PathBuf);

/// One machine's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDir {
    name: Name,
    path: PathBuf,
}

/// What runs, written once it does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// QEMU's process id.
    pub pid: u32,
    /// When it was started, in clock ticks since the system's start: with the id it names one process.
    pub started: u64,
    /// Architecture of the guest.
    pub arch: String,
    /// What it boots.
    pub image: Option<PathBuf>,
    /// Memory, MiB.
    pub memory_mib: u32,
    /// Processors.
    pub cpus: u16,
    /// System UUID.
    pub uuid: Option<String>,
    /// vsock address.
    pub cid: Option<u32>,
    /// vsock port of this host where the guest says how it is.
    pub notify_port: Option<u32>,
    /// Port of this host that leads to the guest's ssh.
    pub ssh_port: Option<u16>,
    /// Nodes of the disks by serial number.
    pub disks: Vec<(String, String)>,
    /// QEMU's command line.
    pub argv: Vec<String>,
    /// Writes that give PCI devices back, file and value.
    pub give_back: Vec<(PathBuf, String)>,
    /// Sockets of the host that the guest reaches by vsock.
    pub sock_forward: Vec<PathBuf>,
    /// What starts it again; of a machine in the foreground nothing does.
    pub order: Option<Order>,
    /// The unit of systemd that keeps it.
    pub unit: Option<Unit>,
}

/// A unit of systemd.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// Its name.
    pub name: String,
    /// It is of the user's manager, not the system's.
    pub of_user: bool,
}

impl Unit {
    /// Returns the unit that started this very process.
    #[must_use]
    pub fn of_us() -> Option<Self> {
        // Why: a unit whose program called us is somebody else's.
        let started = std::env::var("SYSTEMD_EXEC_PID").ok()?;
        if started != std::process::id().to_string() {
            return None;
        }
        Self::of_control_group(&std::fs::read_to_string("/proc/self/cgroup").ok()?)
    }

    fn of_control_group(text: &str) -> Option<Self> {
        let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
        let mut parts = path.split('/');
        let name = parts.next_back().filter(|name| name.ends_with(".service"))?;
        Some(Self { name: name.to_owned(), of_user: parts.any(|part| part.starts_with("user@")) })
    }
}

impl RunRoot {
    /// Returns this user's directory; it need not exist.
    #[must_use]
    pub fn of_user() -> Self {
        let uid = rustix::process::getuid();
        let variable =
            |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(path) = variable(RUN_ROOT_VARIABLE) {
            return Self(path);
        }
        if uid.is_root() {
            return Self("/run/vm".into());
        }
        let user = uid.as_raw();
        let of_session = variable("XDG_RUNTIME_DIR").unwrap_or_else(|| format!("/run/user/{user}").into());
        if of_session.is_dir() {
            return Self(of_session.join("vm"));
        }
        // Without a session there is no directory of the user's; others cannot enter this one.
        Self(std::env::temp_dir().join(format!("genpack-vm-{user}")))
    }

    /// Returns a root at this path.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Returns its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Returns a machine's directory; it need not exist.
    #[must_use]
    pub fn of(&self, name: &Name) -> RunDir {
        RunDir { name: name.clone(), path: self.0.join(name.as_str()) }
    }

    /// Returns the machines that run, by name.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn running(&self) -> Result<Vec<RunDir>> {
        let entries = match std::fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(e).with_context(|| format!("reading {}", self.0.display())),
        };
        // What has no machine's name is none of ours, `.pci-lock` among it.
        let names = entries.flatten().filter_map(|e| Name::parse(e.file_name().to_str()?).ok());
        let mut found = Vec::new();
        for name in names {
            let dir = self.of(&name);
            if dir.is_running()? {
                found.push(dir);
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// Takes a lock that lasts as long as the descriptor, `None` when another has it.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn lock_device(&self, id: &str) -> Result<Option<OwnedFd>> {
        let directory = self.0.join(".pci-lock");
        make_private(&self.0)?;
        make_private(&directory)?;
        let path = directory.join(id);
        let file = File::options().create(true).write(true).truncate(false).open(&path);
        let file = file.with_context(|| format!("opening {}", path.display()))?;
        try_lock(&file)
            .with_context(|| format!("locking {}", path.display()))
            .map(|locked| locked.then(|| file.into()))
    }
}

/// The lock of a run directory that is ours: nobody else can start this machine.
#[derive(Debug)]
pub struct Locked {
    /// The directory.
    pub dir: RunDir,
    lock: File,
}

impl Locked {
    /// Returns the lock once more, for the emulator to hold.
    ///
    /// # Errors
    /// When the system has no descriptors left.
    pub fn share(&self) -> Result<OwnedFd> {
        self.lock.try_clone().map(OwnedFd::from).context("sharing the machine's lock")
    }
}

impl RunDir {
    /// Returns the machine's name.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// Returns a path in it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Makes and locks it, and removes what an earlier machine left; `None` when a machine of this name runs.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn lock(&self) -> Result<Option<Locked>> {
        if self.file(LONGEST_FILE).as_os_str().len() >= MAX_SOCKET_PATH {
            return Err(CommandError::failed(format!(
                "the path {} is too long for a socket",
                self.file(LONGEST_FILE).display()
            ))
            .hint(format!("name a shorter directory with {RUN_ROOT_VARIABLE}, or use a shorter name")));
        }
        if let Some(root) = self.path.parent() {
            make_private(root)?;
        }
        make_private(&self.path)?;
        let lock = self.open().with_context(|| format!("opening {}", self.path.display()))?;
        if !self.lock_patiently(&lock)? {
            return Ok(None);
        }
        let locked = Locked { dir: self.clone(), lock };
        self.clean();
        // For programs of others that share the guest agent's socket, which serves one client.
        let _ = File::create(self.file("qga.lock"));
        Ok(Some(locked))
    }

    /// Why patience: whoever asks just now whether the machine runs holds the lock for a moment, and so does the keeper
    /// of a machine that has just ended.
    fn lock_patiently(&self, lock: &File) -> Result<bool> {
        for _ in 0..LOCK_TRIES {
            if try_lock(lock).with_context(|| format!("locking {}", self.path.display()))? {
                return Ok(true);
            }
            if self.process()?.is_some() {
                break;
            }
            std::thread::sleep(LOCK_PAUSE);
        }
        Ok(false)
    }

    /// Removes what means nothing without the machine; its logs stay.
    pub fn clean(&self) {
        for name in TRANSIENT.into_iter().chain([RECORD]) {
            // Most are not there.
            let _ = std::fs::remove_file(self.file(name));
        }
    }

    fn open(&self) -> io::Result<File> {
        File::open(&self.path)
    }

    /// Tells whether the machine runs: its emulator holds the lock.
    ///
    /// # Errors
    /// When the directory cannot be looked at.
    pub fn is_running(&self) -> Result<bool> {
        let what = || format!("looking at {}", self.path.display());
        let directory = match self.open() {
            Ok(directory) if directory.metadata().is_ok_and(|m| m.is_dir()) => directory,
            Ok(_) => return Ok(false),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(e).with_context(what),
        };
        try_lock(&directory).map(|locked| !locked).with_context(what)
    }

    /// Writes the record.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_record(&self, record: &Record) -> Result<()> {
        let text = serde_json::to_string_pretty(record).map_err(|e| CommandError::failed(e.to_string()))?;
        crate::io::atomic_file::write(&self.file(RECORD), text.as_bytes())?;
        let small = [
            ("cid", record.cid.map(|cid| cid.to_string())),
            ("ssh-port", record.ssh_port.map(|port| port.to_string())),
        ];
        for (name, value) in small {
            if let Some(value) = value {
                crate::io::atomic_file::write(&self.file(name), value.as_bytes())?;
            }
        }
        Ok(())
    }

    /// Returns the record; a machine that is just being started has none.
    #[must_use]
    pub fn record(&self) -> Option<Record> {
        let path = self.file(RECORD);
        // A record that cannot be read says as little as none.
        std::fs::metadata(&path).ok().filter(|m| m.len() <= MAX_RECORD_BYTES)?;
        serde_json::from_slice(&std::fs::read(path).ok()?).ok()
    }

    /// Returns the emulator's process, `None` when it is gone or nobody has recorded it yet.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn process(&self) -> Result<Option<Running>> {
        let Some(record) = self.record() else { return Ok(None) };
        Running::open(record.pid, record.started).map_err(|e| CommandError::failed(e.to_string()))
    }
}

const RECORD: &str = "machine.json";

fn try_lock(file: &File) -> io::Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// Makes a directory that only we enter, and checks one that is there.
fn make_private(path: &Path) -> Result<()> {
    let what = || format!("making {}", path.display());
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).with_context(what)?;
    let found = std::fs::metadata(path).with_context(what)?;
    let uid = rustix::process::getuid().as_raw();
    if found.uid() != uid {
        return Err(CommandError::failed(format!("{} belongs to another user", path.display()))
            .hint(format!("name another directory with {RUN_ROOT_VARIABLE}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_is_the_last_part_of_the_control_group() {
        for (text, expected) in [
            ("0::/system.slice/system-vm.slice/vm@web.service\n", Some(("vm@web.service", false))),
            (
                "0::/user.slice/user-1000.slice/user@1000.service/app.slice/web.service\n",
                Some(("web.service", true)),
            ),
            ("0::/user.slice/user-0.slice/session-3.scope\n", None),
            ("1:name=systemd:/a.service\n", None),
            ("0::/\n", None),
        ] {
            let found = Unit::of_control_group(text);
            let found = found.as_ref().map(|unit| (unit.name.as_str(), unit.of_user));
            assert_eq!(found, expected, "{text}");
        }
    }

    fn name(name: &str) -> Name {
        Name::parse(name).unwrap()
    }

    #[test]
    fn machine_runs_as_long_as_somebody_holds_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let root = RunRoot::at(dir.path().join("run"));
        assert_eq!(root.running().unwrap(), []);
        let web = root.of(&name("web"));
        assert!(!web.is_running().unwrap());
        let locked = web.lock().unwrap().unwrap();
        assert!(web.lock().unwrap().is_none());
        assert_eq!(root.running().unwrap(), std::slice::from_ref(&web));
        let emulators = locked.share().unwrap();
        drop(locked);
        assert!(web.is_running().unwrap());
        drop(emulators);
        assert!(!web.is_running().unwrap());
        assert!(web.lock().unwrap().is_some());
    }

    #[test]
    fn lock_removes_what_an_earlier_machine_left_but_its_logs() {
        let dir = tempfile::tempdir().unwrap();
        let web = RunRoot::at(dir.path()).of(&name("web"));
        drop(web.lock().unwrap());
        for file in ["qmp.sock", "machine.json", "console.log"] {
            std::fs::write(web.file(file), "x").unwrap();
        }
        let _locked = web.lock().unwrap().unwrap();
        let there =
            ["qmp.sock", "machine.json", "console.log", "qga.lock"].map(|file| web.file(file).exists());
        assert_eq!(there, [false, false, true, true]);
    }

    #[test]
    fn record_names_one_process() {
        let dir = tempfile::tempdir().unwrap();
        let web = RunRoot::at(dir.path()).of(&name("web"));
        let _locked = web.lock().unwrap().unwrap();
        assert!(web.process().unwrap().is_none());
        let pid = std::process::id();
        let started = genpack_qemu::running::times(pid).unwrap().started;
        let record = Record { pid, started, cid: Some(7), ssh_port: Some(2222), ..Record::default() };
        web.write_record(&record).unwrap();
        assert_eq!(web.record(), Some(record.clone()));
        assert_eq!(web.process().unwrap().unwrap().id(), pid);
        assert_eq!(std::fs::read_to_string(web.file("cid")).unwrap(), "7");
        assert_eq!(std::fs::read_to_string(web.file("ssh-port")).unwrap(), "2222");
        web.write_record(&Record { started: started + 1, ..record }).unwrap();
        assert!(web.process().unwrap().is_none());
        std::fs::write(web.file("machine.json"), "{").unwrap();
        assert_eq!(web.record(), None);
    }

    #[test]
    fn other_files_in_the_root_are_no_machines() {
        let dir = tempfile::tempdir().unwrap();
        let root = RunRoot::at(dir.path());
        let _device = root.lock_device("0000:01:00.0").unwrap().unwrap();
        assert!(root.lock_device("0000:01:00.0").unwrap().is_none());
        std::fs::write(dir.path().join("file"), "").unwrap();
        assert_eq!(root.running().unwrap(), []);
    }

    #[test]
    fn path_too_long_for_a_socket_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let root = RunRoot::at(dir.path().join("x".repeat(100)));
        let error = root.of(&name("web")).lock().unwrap_err();
        assert!(error.to_string().contains("too long"), "{error}");
    }
}
