//! What this host offers to machines: programs, devices, where they are. Injected, so that tests have hosts of theirs.

use std::fs::File;
use std::path::{Path, PathBuf};

/// QEMU's helper that joins bridges, where distributions put it.
pub const BRIDGE_HELPERS: [&str; 2] = ["/usr/libexec/qemu-bridge-helper", "/usr/lib/qemu/qemu-bridge-helper"];
/// The daemon of virtiofs, where distributions put it; the last is QEMU's older one, in C.
pub const VIRTIOFS_DAEMONS: [&str; 4] =
    ["/usr/libexec/virtiofsd", "/usr/lib/virtiofsd", "/usr/bin/virtiofsd", OLD_VIRTIOFS_DAEMON];
/// QEMU's own daemon until 7.2, whose options are others.
pub const OLD_VIRTIOFS_DAEMON: &str = "/usr/lib/qemu/virtiofsd";

/// A host.
#[derive(Clone, Debug)]
pub struct Host {
    /// sysfs.
    pub sys: PathBuf,
    /// Devices.
    pub dev: PathBuf,
    /// procfs.
    pub proc: PathBuf,
    /// What stands before absolute paths of programs; empty but in tests.
    pub root: PathBuf,
}

impl Default for Host {
    fn default() -> Self {
        Self { sys: "/sys".into(), dev: "/dev".into(), proc: "/proc".into(), root: PathBuf::new() }
    }
}

impl Host {
    /// Returns the first of these files that is there.
    #[must_use]
    pub fn first_of(&self, paths: &[&str]) -> Option<PathBuf> {
        let at = |path: &&str| {
            if self.root.as_os_str().is_empty() {
                path.into()
            } else {
                self.root.join(path.trim_start_matches('/'))
            }
        };
        paths.iter().map(at).find(|path: &PathBuf| path.is_file())
    }

    /// Tells whether a device can be opened for reading and writing.
    ///
    /// # Errors
    /// The system's answer.
    pub fn opens(&self, device: &str) -> std::io::Result<()> {
        File::options().read(true).write(true).open(self.dev.join(device)).map(drop)
    }

    /// Returns the memory of the host, MiB; 0 when it cannot be told.
    #[must_use]
    pub fn memory_mib(&self) -> u64 {
        let text = std::fs::read_to_string(self.proc.join("meminfo")).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
        line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()).unwrap_or(0)
            / 1024
    }

    /// Returns the name of the time zone, from the link that everybody reads.
    #[must_use]
    pub fn time_zone(&self, etc: &Path) -> Option<String> {
        let target = std::fs::read_link(etc.join("localtime")).ok()?;
        let target = target.to_str()?;
        Some(target.split_once("zoneinfo/")?.1.to_owned()).filter(|zone| !zone.is_empty())
    }

    /// Returns QEMU's name of the sound system that runs.
    #[must_use]
    pub fn sound_backend(&self, session: Option<&Path>) -> &'static str {
        let there = |name: &str| session.is_some_and(|session| session.join(name).exists());
        if there("pipewire-0") {
            "pipewire"
        } else if there("pulse/native") {
            "pa"
        } else if self.dev.join("snd/controlC0").exists() {
            "alsa"
        } else {
            "none"
        }
    }
}

/// Returns a program's path by `PATH`.
#[must_use]
pub fn in_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|path| path.is_file())
}

/// Returns the public keys of a user's ssh, a line each.
#[must_use]
pub fn ssh_public_keys(home: &Path) -> String {
    const KEYS: [&str; 5] =
        ["id_ecdsa.pub", "id_ed25519.pub", "id_rsa.pub", "id_ecdsa_sk.pub", "id_ed25519_sk.pub"];
    const MAX_KEY_BYTES: u64 = 1 << 20;
    let key = |name: &str| {
        let path = home.join(".ssh").join(name);
        std::fs::metadata(&path).ok().filter(|m| m.is_file() && m.len() <= MAX_KEY_BYTES)?;
        Some(format!("{}\n", std::fs::read_to_string(path).ok()?.trim_end()))
    };
    KEYS.into_iter().filter_map(key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_is_told_by_its_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        for directory in ["proc", "dev/snd", "session/pulse", "etc", "home/.ssh", "usr/lib/qemu"] {
            std::fs::create_dir_all(path.join(directory)).unwrap();
        }
        let host =
            Host { sys: path.join("sys"), dev: path.join("dev"), proc: path.join("proc"), root: path.into() };
        assert_eq!((host.memory_mib(), host.first_of(&BRIDGE_HELPERS)), (0, None));
        std::fs::write(path.join("proc/meminfo"), "MemTotal:       4194304 kB\nMemFree: 1 kB\n").unwrap();
        std::fs::write(path.join("usr/lib/qemu/qemu-bridge-helper"), "").unwrap();
        assert_eq!(host.memory_mib(), 4096);
        assert_eq!(host.first_of(&BRIDGE_HELPERS), Some(path.join("usr/lib/qemu/qemu-bridge-helper")));
        let session = path.join("session");
        assert_eq!(host.sound_backend(Some(&session)), "none");
        for (file, backend) in [
            ("dev/snd/controlC0", "alsa"),
            ("session/pulse/native", "pa"),
            ("session/pipewire-0", "pipewire"),
        ] {
            std::fs::write(path.join(file), "").unwrap();
            assert_eq!(host.sound_backend(Some(&session)), backend);
        }
        assert_eq!(host.time_zone(&path.join("etc")), None);
        std::os::unix::fs::symlink("../usr/share/zoneinfo/Asia/Tokyo", path.join("etc/localtime")).unwrap();
        assert_eq!(host.time_zone(&path.join("etc")).as_deref(), Some("Asia/Tokyo"));
        std::fs::write(path.join("home/.ssh/id_rsa.pub"), "ssh-rsa A").unwrap();
        std::fs::write(path.join("home/.ssh/id_ed25519.pub"), "ssh-ed25519 B\n\n").unwrap();
        assert_eq!(ssh_public_keys(&path.join("home")), "ssh-ed25519 B\nssh-rsa A\n");
    }
}
