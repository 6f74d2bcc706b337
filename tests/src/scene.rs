//! One scene: a directory of its own, a disk, machines that boot one after another, the disk looked at afterwards.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use genpack_qemu::console::{Console, LOST_GUEST_MARKERS};
use genpack_qemu::deadline::Deadline;
use genpack_qemu::error::Error;

use crate::assets::{are_here, genpack_host, root};
use crate::guest_image;
use crate::verdict::{MARKER, Verdict};

/// An emulated boot takes about a minute; on a machine shared with other work several.
const BOOT_SECONDS: u64 = 900;

/// Where the boot partition begins: the offset that mtools takes behind an image's name.
const BOOT_PARTITION: &str = "@@1M";

/// A running scene. Its directory goes with it, unless the test panics.
#[derive(Debug)]
pub struct Scene {
    dir: PathBuf,
    image: PathBuf,
    boots: u32,
}

/// Ends the program when it is dropped; the machine it runs ends with it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It has usually ended long ago.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Scene {
    /// Returns a scene with the guest image built, or `None` when this machine cannot run it.
    ///
    /// # Panics
    /// When the guest image cannot be built, or on a machine with `CI=true` that lacks something.
    #[must_use]
    pub fn open(name: &str, programs: &[&str]) -> Option<Self> {
        if !are_here(programs) {
            return None;
        }
        let dir = root().join("target/e2e").join(name);
        if dir.exists() {
            fs::remove_dir_all(&dir).unwrap();
        }
        fs::create_dir_all(&dir).unwrap();
        Some(Self { image: guest_image::build(), dir, boots: 0 })
    }

    /// Returns the guest image.
    #[must_use]
    pub fn image(&self) -> &Path {
        &self.image
    }

    /// Returns a path in the scene's directory.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Writes the guest image to the disk file `disk`.
    ///
    /// # Panics
    /// When that fails.
    #[must_use]
    pub fn flash(&self, arguments: &[&str]) -> PathBuf {
        let disk = self.path("disk");
        let mut command = Command::new(genpack_host());
        command.args(["--arch", "x86_64", "flash"]).arg(&self.image).arg(&disk).arg("--yes").args(arguments);
        output(&mut command);
        disk
    }

    /// Boots an image or a disk, waits until the guest powered itself off, and returns its verdict.
    ///
    /// # Panics
    /// When there is not exactly one verdict, the guest is lost, or it does not end in time.
    #[must_use]
    pub fn boot(&mut self, image: &Path, arguments: &[&str]) -> Verdict {
        self.boots += 1;
        let log = self.path(&format!("serial.{}.log", self.boots));
        let mut command = Command::new(genpack_host());
        command
            .args(["--arch", "x86_64", "vm", "run"])
            .arg(image)
            .args(["-c", "2", "-m", "1G"])
            .args(arguments);
        let argv = output(Command::new(genpack_host()).args(command.get_args()).args(["--dry-run"]));
        fs::write(self.path(&format!("argv.{}", self.boots)), argv.stdout).unwrap();
        let messages = File::create(self.path(&format!("messages.{}", self.boots))).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(messages);
        let mut running = Running(command.spawn().unwrap());
        let stdout = running.0.stdout.take().unwrap();
        let deadline = Deadline::seconds(BOOT_SECONDS);
        let mut console = Console::new(stdout, &log).unwrap();
        let lines =
            verdict_lines(&mut console, deadline).unwrap_or_else(|e| panic!("{e}; see {}", log.display()));
        // The console's end is the emulator's end; the program has nothing left to do but to say so.
        let status: ExitStatus = running.0.wait().unwrap();
        assert!(status.success(), "vm run failed ({status}); see {}", self.dir.display());
        Verdict::of_lines(lines.iter().map(String::as_str))
            .unwrap_or_else(|e| panic!("{e}; see {}", log.display()))
    }

    /// Returns a file of the disk's boot partition, `None` when it is not there, read by mtools.
    #[must_use]
    pub fn read_boot_file(&self, disk: &Path, name: &str) -> Option<Vec<u8>> {
        let found = mtools("mcopy", disk).arg(format!("::/{name}")).arg("-").output().unwrap();
        found.status.success().then_some(found.stdout)
    }

    /// Replaces a file of the disk's boot partition, written by mtools.
    ///
    /// # Panics
    /// When mtools refuses.
    pub fn write_boot_file(&self, disk: &Path, name: &str, content: &[u8]) {
        let file = self.path(name);
        fs::write(&file, content).unwrap();
        output(mtools("mcopy", disk).arg("-o").arg(file).arg(format!("::/{name}")));
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // What stays behind is in the way of nobody: the next run begins by removing it.
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

/// Reads to the end of the console and returns the lines that are verdicts.
fn verdict_lines<R: std::io::Read + std::os::fd::AsFd>(
    console: &mut Console<R>,
    deadline: Deadline,
) -> Result<Vec<String>, Error> {
    let mut verdicts = Vec::new();
    loop {
        match console.wait_for(MARKER, &LOST_GUEST_MARKERS, deadline) {
            Ok(line) => verdicts.push(line),
            Err(Error::Ended { .. }) => return Ok(verdicts),
            Err(e) => return Err(e),
        }
    }
}

fn mtools(program: &str, disk: &Path) -> Command {
    let mut command = Command::new(program);
    let mut image = disk.as_os_str().to_owned();
    image.push(BOOT_PARTITION);
    command.arg("-n").arg("-i").arg(image);
    command
}

/// Runs a program that must succeed.
///
/// # Panics
/// With its own words when it does not.
pub fn output(command: &mut Command) -> Output {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(
        output.status.success(),
        "{command:?} failed ({}):\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    output
}
