//! One scene: a directory of its own, a disk, machines that boot one after another, the disk looked at afterwards.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Output, Stdio};

use genpack_core::kernel::arch::Arch;
use genpack_qemu::console::{Console, LOST_GUEST_MARKERS};
use genpack_qemu::deadline::Deadline;
use genpack_qemu::error::Error;
use genpack_qemu::process::{Group, Process, Streams};
use genpack_qemu::qmp::Qmp;

use crate::assets::{are_here, genpack_host, root};
use crate::foreign;
use crate::guest_image;
use crate::machine::{Bus, Kernel};
use crate::verdict::{MARKER, Verdict};

/// What Linux says last on a machine without a switch (kernel/reboot.c).
const HALTED: &str = "System halted";
/// An emulated boot takes about a minute; on a machine shared with other work many.
const BOOT_SECONDS: u64 = 1800;

/// Where the boot partition begins: the offset that mtools takes behind an image's name.
const BOOT_PARTITION: &str = "@@1M";

/// What a short boot is told: systemd's place is taken by the verdict, everything before it is as ever. Linux tries its
/// timer by counting loops, which fails where the emulator waits for a processor: an emulated machine is told not to.
pub const SHORT: &str = "console=ttyS0,115200n8 loglevel=8 panic=-1 no_timer_check genpack.debug init=/usr/lib/genpack-tests/pid1";

/// Compression and time of `/usr` of the small image that short scenes boot.
const SMALL: (&str, u32) = ("gzip", 1_700_000_000);

/// A running scene. Its directory goes with it, unless the test panics.
#[derive(Debug)]
pub struct Scene {
    dir: PathBuf,
    image: PathBuf,
    arch: Arch,
    kernel: Option<Kernel>,
    boots: u32,
}

/// A machine; the emulator, or the program that runs it, ends when this is dropped, and with the test when that is killed.
struct Running {
    process: Process,
    console: Console<ChildStdout>,
    log: PathBuf,
}

impl Running {
    /// Waits for a line with this word; one with a marker, the end of the machine or of the time ends the scene.
    fn wait_for(&mut self, word: &str, markers: &[&str]) -> String {
        let found = self.console.wait_for(word, markers, Deadline::seconds(BOOT_SECONDS));
        found.unwrap_or_else(|e| panic!("{e}; see {}", self.log.display()))
    }
}

impl Scene {
    /// Returns a scene with the guest image built, or `None` when this machine cannot run it.
    ///
    /// # Panics
    /// When the guest image cannot be built, or on a machine with `CI=true` that lacks something.
    #[must_use]
    pub fn open(name: &str, programs: &[&str]) -> Option<Self> {
        are_here(programs).then(|| Self::of_image(name, Arch::X86_64, guest_image::build()))
    }

    /// Returns a scene whose machines are of another architecture, or `None` when this machine cannot run it.
    ///
    /// # Panics
    /// As [`Scene::open`].
    #[must_use]
    pub fn open_foreign(name: &str, arch: Arch) -> Option<Self> {
        Some(Self::of_image(name, arch, foreign::image(arch)?))
    }

    fn of_image(name: &str, arch: Arch, image: PathBuf) -> Self {
        let dir = root().join("target/e2e").join(name);
        if dir.exists() {
            fs::remove_dir_all(&dir).unwrap();
        }
        fs::create_dir_all(&dir).unwrap();
        Self { dir, image, arch, kernel: None, boots: 0 }
    }

    /// Returns a scene of short boots: a small image, whose kernel [`Scene::boot_kernel`] starts directly.
    ///
    /// # Panics
    /// As [`Scene::open`].
    #[must_use]
    pub fn open_short(name: &str, programs: &[&str]) -> Option<Self> {
        let mut scene = Self::open(name, programs)?;
        if !are_here(&["unsquashfs"]) {
            return None;
        }
        let guest = scene.image.clone();
        let (compression, usr_time) = SMALL;
        scene.image = guest_image::small(&guest, compression, usr_time);
        let unpack = |member: &str| {
            let path = scene.dir.join(member);
            let mut cat = Command::new(genpack_host());
            let content = output(cat.arg("cat").arg(&scene.image).arg(format!("/boot/{member}"))).stdout;
            fs::write(&path, content).unwrap();
            path
        };
        scene.kernel = Some(Kernel { kernel: unpack("kernel"), initramfs: unpack("initramfs") });
        Some(scene)
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
        self.flash_image(&self.image, "disk", arguments)
    }

    /// Writes an image to the disk file `name`.
    ///
    /// # Panics
    /// When that fails.
    #[must_use]
    pub fn flash_image(&self, image: &Path, name: &str, arguments: &[&str]) -> PathBuf {
        let disk = self.path(name);
        let mut command = Command::new(genpack_host());
        command
            .args(["--arch", self.arch.name(), "flash"])
            .arg(image)
            .arg(&disk)
            .arg("--yes")
            .args(arguments);
        output(&mut command);
        disk
    }

    /// Boots an image or a disk, waits until the guest powered itself off, and returns its verdict.
    ///
    /// # Panics
    /// When there is not exactly one verdict, the guest is lost, or it does not end in time.
    #[must_use]
    pub fn boot(&mut self, image: &Path, arguments: &[&str]) -> Verdict {
        let command = self.run_command(image, arguments);
        let argv = output(Command::new(genpack_host()).args(command.get_args()).args(["--dry-run"]));
        let running = self.start(&argv_of(&command), &argv.stdout);
        self.verdict_of(running)
    }

    /// Boots the scene's kernel with these disks, waits for the guest's end, and returns its verdict.
    ///
    /// # Panics
    /// As [`Scene::boot`]; when the scene is not one of short boots.
    #[must_use]
    pub fn boot_kernel(&mut self, root: &str, disks: &[(Bus, &Path)]) -> Verdict {
        let running = self.start_kernel(root, disks);
        self.verdict_of(running)
    }

    /// Boots as [`Scene::boot_kernel`] and kills the machine when `marker` is on its console: a power cut.
    ///
    /// # Panics
    /// When the marker does not come.
    pub fn cut_power(&mut self, root: &str, disks: &[(Bus, &Path)], marker: &str) {
        self.start_kernel(root, disks).wait_for(marker, &LOST_GUEST_MARKERS);
    }

    /// Boots as [`Scene::boot_kernel`] and kills the machine at the first line of its console that `is_now` names.
    ///
    /// # Panics
    /// When there is no such line.
    pub fn cut_power_when(
        &mut self,
        root: &str,
        disks: &[(Bus, &Path)],
        mut is_now: impl FnMut(&str) -> bool,
    ) {
        let mut running = self.start_kernel(root, disks);
        let deadline = Deadline::seconds(BOOT_SECONDS);
        loop {
            let line = running.console.next_line(deadline);
            let line = line.unwrap_or_else(|e| panic!("{e}; see {}", running.log.display()));
            let line = line.unwrap_or_else(|| panic!("the machine ended; see {}", running.log.display()));
            let is_lost = LOST_GUEST_MARKERS.iter().any(|marker| line.contains(marker));
            assert!(!is_lost, "{line}; see {}", running.log.display());
            if is_now(&line) {
                return;
            }
        }
    }

    /// Boots as [`Scene::boot_kernel`] a machine that ends by itself without a verdict, and returns its console's lines.
    ///
    /// # Panics
    /// When it does not end in time.
    #[must_use]
    pub fn boot_kernel_in_vain(&mut self, root: &str, disks: &[(Bus, &Path)]) -> Vec<String> {
        let argv = self.kernel_argv(&format!("root={root} {SHORT}"), disks);
        self.boot_argv_in_vain(&argv)
    }

    /// Boots a machine by its emulator's command line that ends by itself without a verdict, and returns its console's
    /// lines.
    ///
    /// # Panics
    /// When it does not end in time.
    #[must_use]
    pub fn boot_argv_in_vain(&mut self, argv: &[String]) -> Vec<String> {
        let mut running = self.start_argv(argv);
        let deadline = Deadline::seconds(BOOT_SECONDS);
        let next = || {
            running
                .console
                .next_line(deadline)
                .unwrap_or_else(|e| panic!("{e}; see {}", running.log.display()))
        };
        let lines: Vec<String> = std::iter::from_fn(next).collect();
        assert!(
            running.process.wait(deadline).unwrap().success(),
            "the machine failed; see {}",
            self.dir.display()
        );
        lines
    }

    /// Returns the emulator's command line that starts the scene's kernel with these words and disks.
    ///
    /// # Panics
    /// When the scene is not one of short boots.
    #[must_use]
    pub fn kernel_argv(&self, cmdline: &str, disks: &[(Bus, &Path)]) -> Vec<String> {
        self.kernel.as_ref().unwrap().argv(cmdline, disks)
    }

    /// Returns the image that the scene's images are made from.
    ///
    /// # Panics
    /// When it cannot be built.
    #[must_use]
    pub fn guest(&self) -> PathBuf {
        guest_image::build()
    }

    /// Boots a disk by its loader, lets the machine restart by itself, and returns the verdict that it ends in. Before
    /// it these words come over the console, in this order; a kernel that panics is part of the play when it is one of
    /// them.
    ///
    /// # Panics
    /// As [`Scene::boot`], and when a word does not come.
    #[must_use]
    pub fn boot_past(&mut self, disk: &Path, arguments: &[&str], words: &[&str]) -> Verdict {
        let command = self.run_command(disk, arguments);
        self.boot_argv_past(&argv_of(&command), words)
    }

    /// Boots as [`Scene::boot_past`] a machine by its emulator's command line.
    ///
    /// # Panics
    /// As [`Scene::boot_past`].
    #[must_use]
    pub fn boot_argv_past(&mut self, argv: &[String], words: &[&str]) -> Verdict {
        let mut running = self.start_argv(argv);
        for word in words {
            // Each word is a boot of its own, with a deadline of its own.
            running.wait_for(word, &[MARKER]);
        }
        self.verdict_of(running)
    }

    /// Boots a disk by its loader and kills the machine when `marker` is on its console: a power cut.
    ///
    /// # Panics
    /// When the marker does not come.
    pub fn cut_boot(&mut self, disk: &Path, arguments: &[&str], marker: &str) {
        // The program is replaced by the emulator's command line: killing it is killing the machine.
        let argv = output(self.run_command(disk, arguments).args(["--json", "--dry-run"])).stdout;
        let argv: Vec<String> = serde_json::from_slice(&argv).unwrap();
        self.start_argv(&argv).wait_for(marker, &LOST_GUEST_MARKERS);
    }

    fn run_command(&self, image: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(genpack_host());
        command
            .args(["--arch", self.arch.name(), "vm", "run"])
            .arg(image)
            .args(["-c", if self.kernel.is_some() { "1" } else { "2" }, "-m", "1G"])
            .args(arguments);
        command
    }

    /// Boots a machine by its emulator's command line, waits for the guest's end, and returns its verdict.
    ///
    /// # Panics
    /// As [`Scene::boot`].
    #[must_use]
    pub fn boot_argv(&mut self, argv: &[String]) -> Verdict {
        let running = self.start_argv(argv);
        self.verdict_of(running)
    }

    /// Boots a machine that cannot be switched off from inside: it ends where its kernel halts.
    ///
    /// # Panics
    /// As [`Scene::boot_argv`].
    #[must_use]
    pub fn boot_argv_to_halt(&mut self, argv: &[String]) -> Verdict {
        let mut running = self.start_argv(argv);
        let line = running.wait_for(MARKER, &LOST_GUEST_MARKERS);
        running.wait_for(HALTED, &[&LOST_GUEST_MARKERS[..], &[MARKER]].concat());
        Verdict::of_lines([line.as_str()]).unwrap_or_else(|e| panic!("{e}; see {}", running.log.display()))
    }

    /// Boots as [`Scene::boot_kernel`] and plugs the disk in, a stick on USB, when `marker` is on the console.
    ///
    /// # Panics
    /// As [`Scene::boot_kernel`]; when QEMU refuses the stick.
    #[must_use]
    pub fn boot_late_disk(&mut self, root: &str, disk: &Path, marker: &str) -> Verdict {
        let mut argv = self.kernel_argv(&format!("root={root} {SHORT}"), &[(Bus::Usb, disk)]);
        // The disk and its controller stay, the stick comes later: it is the last option and its value.
        argv.truncate(argv.len() - 2);
        let socket = self.path("qmp");
        argv.extend(["-qmp".to_owned(), format!("unix:{},server=on,wait=off", socket.display())]);
        let mut running = self.start_argv(&argv);
        running.wait_for(marker, &LOST_GUEST_MARKERS);
        let deadline = Deadline::seconds(BOOT_SECONDS);
        let mut qmp = Qmp::connect(UnixStream::connect(socket).unwrap(), deadline).unwrap();
        let stick = serde_json::json!({"driver": "usb-storage", "bus": "usb.0", "drive": "disk0"});
        qmp.execute("device_add", stick, deadline).unwrap();
        self.verdict_of(running)
    }

    /// Starts the image's kernel directly.
    fn start_kernel(&mut self, root: &str, disks: &[(Bus, &Path)]) -> Running {
        let argv = self.kernel_argv(&format!("root={root} {SHORT}"), disks);
        self.start_argv(&argv)
    }

    /// Starts the emulator by its command line.
    fn start_argv(&mut self, argv: &[String]) -> Running {
        self.start(argv, argv.join(" ").as_bytes())
    }

    /// Starts a machine; its console is its standard output. `shown` is what is kept of its command line.
    fn start(&mut self, argv: &[String], shown: &[u8]) -> Running {
        self.boots += 1;
        let log = self.path(&format!("serial.{}.log", self.boots));
        fs::write(self.path(&format!("argv.{}", self.boots)), shown).unwrap();
        let messages = File::create(self.path(&format!("messages.{}", self.boots))).unwrap();
        let mut streams = Streams::new(Stdio::null(), Stdio::piped(), Group::Own);
        streams.stderr = Some(messages);
        let mut process = Process::spawn(argv, &[], streams).unwrap();
        let console = Console::new(process.take_stdout().unwrap(), &log).unwrap();
        Running { process, console, log }
    }

    fn verdict_of(&self, mut running: Running) -> Verdict {
        let deadline = Deadline::seconds(BOOT_SECONDS);
        let log = running.log.clone();
        let lines = verdict_lines(&mut running.console, deadline)
            .unwrap_or_else(|e| panic!("{e}; see {}", log.display()));
        // The console's end is the emulator's end; the program has nothing left to do but to say so.
        let status = running.process.wait(deadline).unwrap();
        assert!(status.success(), "the machine failed ({status}); see {}", self.dir.display());
        Verdict::of_lines(lines.iter().map(String::as_str))
            .unwrap_or_else(|e| panic!("{e}; see {}", log.display()))
    }

    /// Makes the boots of a disk by its loader short ones, with these words for the kernel besides.
    ///
    /// # Panics
    /// When mtools refuses.
    pub fn shorten(&self, disk: &Path, words: &str) {
        let system_cfg = format!("set timeout=0\nset LINUX_ARGS='{SHORT} {words}'\n");
        self.write_boot_file(disk, "system.cfg", system_cfg.as_bytes());
    }

    /// Returns what `genpack-host probe` says of a file.
    ///
    /// # Panics
    /// When it says nothing readable.
    #[must_use]
    pub fn probe(&self, file: &Path) -> serde_json::Value {
        let found = output(Command::new(genpack_host()).args(["--json", "probe"]).arg(file));
        serde_json::from_slice(&found.stdout).unwrap()
    }

    /// Returns first byte and length of a partition, the first is number 1.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn partition(&self, disk: &Path, number: usize) -> (u64, u64) {
        let row = &self.probe(disk)["table"]["partitions"][number - 1];
        (row["start"].as_u64().unwrap(), row["size"].as_u64().unwrap())
    }

    /// Returns the UUID of the boot partition's file system.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn boot_uuid(&self, disk: &Path) -> String {
        let mut head = vec![0; 512];
        File::open(disk).unwrap().read_exact_at(&mut head, self.partition(disk, 1).0).unwrap();
        let serial = u32::from_le_bytes([head[0x43], head[0x44], head[0x45], head[0x46]]);
        format!("{:04X}-{:04X}", serial >> 16, serial & 0xFFFF)
    }

    /// Writes bytes into a disk file, at this place.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write_at(&self, disk: &Path, offset: u64, bytes: &[u8]) {
        File::options().write(true).open(disk).unwrap().write_all_at(bytes, offset).unwrap();
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
        let file = self.path(&name.replace('/', "_"));
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

/// Returns a command's words.
fn argv_of(command: &Command) -> Vec<String> {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_str().unwrap().to_owned())
        .collect()
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
