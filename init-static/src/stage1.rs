//! Stage 1: PID 1 of the initramfs finds the boot partition, assembles the root and switches to it.
//!
//! [`run`] reads as the story of a boot; every decision in it is a function of [`plan`]. The layout it leaves behind
//! (`/run/initramfs/{boot,ro,rw}`) is the contract with everything that runs later. Not handled: fsck, LVM, LUKS.

pub mod devices;
pub mod inputs;
pub mod modules;
pub mod plan;
pub mod record;
pub mod uevent;

use alloc::ffi::CString;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use self::devices::Devices;
use self::modules::Modules;
use self::plan::{Candidate, Choice, Device, Request, Root};
use self::record::Record;
use crate::fault::{self, Fault, Policy};
use crate::op::{Op, Step};
use crate::report::{BootStatus, Log};
use crate::run::{Executor, Failure};
use crate::sys::{clock, exec, stdio};
use crate::tree::Tree;
use genpack_core::contract::boot_state::{BootState, IMAGES, Image};
use genpack_core::contract::{boot_status, paths};

/// Longest kernel command line; the kernel's own limit is 4 KiB or less.
const MAX_CMDLINE: usize = 64 * 1024;

/// What stage 1 knows at a time.
struct Boot {
    exec: Executor,
    devices: Devices,
    request: Request,
    status: BootStatus,
    /// The boot state, when the loader knows it.
    record: Option<Record>,
    start_ms: u64,
    /// The kernel's own modprobe, to be given back.
    modprobe: String,
}

/// Boots. The only ways out are the new root and a reboot.
pub fn run() -> ! {
    let start_ms = clock::boot_ms();
    let Ok(tree) = Tree::open("/") else { fault::reboot_after_delay() };
    let mut exec = Executor { tree, log: Log::new(), modules: None };
    // Why: every step of it is housekeeping, whose failures are logged and end nothing.
    let _ = exec.run(&plan::early());
    exec.log.open_kmsg();
    if let Err(e) = stdio::open_console() {
        exec.log.warning(format_args!("no console: errno {}", e.raw_os_error()));
    }
    let cmdline = exec.tree.read_text("/proc/cmdline", MAX_CMDLINE).unwrap_or_default();
    let request = inputs::request(cmdline.trim_end());
    exec.log.set_debug(request.debug);
    exec.log.info(format_args!("stage 1, version {}, root is {}", env!("CARGO_PKG_VERSION"), request.root));
    let devices = Devices::open(&mut exec.log);
    let mut status = BootStatus::default();
    status.set(boot_status::DEGRADED, "");
    let mut boot = Boot { exec, devices, request, status, record: None, start_ms, modprobe: String::new() };
    boot.prepare_modules();
    let Err(failure) = boot.assemble().and_then(|()| boot.switch());
    boot.exec.log.error(format_args!("cannot boot: {}", failure.reason));
    if boot.request.shell && boot.exec.tree.is_executable("/bin/sh") {
        let errno = exec::exec(c"/bin/sh", &[c"sh"]);
        boot.exec.log.error(format_args!("cannot start a shell: errno {}", errno.raw_os_error()));
    }
    fault::reboot_after_delay()
}

impl Boot {
    /// Reads the module tables and makes this program the kernel's modprobe.
    fn prepare_modules(&mut self) {
        self.modprobe = self
            .exec
            .tree
            .read_text("/proc/sys/kernel/modprobe", 4096)
            .map(|path| path.trim_end().to_string())
            .unwrap_or_default();
        let mut modules = Modules::open(&self.exec.tree);
        let helper = Op::Sysctl { name: "kernel/modprobe", value: "/init".into() };
        // Why: housekeeping; explicit loads still work without it.
        let _ = self.exec.run(&[Step::new(Fault::Housekeeping, helper)]);
        self.devices.coldplug(&self.exec.tree, &mut modules, &mut self.exec.log);
        self.exec.modules = Some(modules);
    }

    /// Makes the new root at its place.
    fn assemble(&mut self) -> Result<(), Failure> {
        let root = self.request.root.clone();
        let choice = match self.find(&root) {
            Some(choice) => choice,
            None if root == Root::Auto => return Err(Failure::new(Fault::BootFs, "no boot partition found")),
            None => {
                let what = format!("{root} did not appear in {} seconds", self.request.timeout_s);
                self.exec.log.error(format_args!("{what}; looking for any boot partition with an image"));
                self.degraded(&what);
                self.find_now(&Root::Auto).ok_or_else(|| Failure::new(Fault::BootFs, &what))?
            }
        };
        match choice {
            Choice::Boot(device, ambiguous) => {
                if ambiguous {
                    self.exec.log.warning(format_args!(
                        "more than one partition could be the boot partition, taking {}",
                        device.name
                    ));
                }
                self.boot_from_partition(&device)
            }
            Choice::Image(device) => self.boot_from_image(&device),
            Choice::Tree(tag) => {
                self.status.set(boot_status::IMAGE, &tag);
                self.status.set(boot_status::PERSISTENT, "yes");
                self.exec.run(&plan::mount_tree(&tag))
            }
            Choice::Wait | Choice::Look(_) => Err(Failure::new(Fault::BootFs, "no boot partition found")),
        }
    }

    /// Waits for the root to appear, until the deadline.
    fn find(&mut self, root: &Root) -> Option<Choice> {
        // Why: counted from here, because loading modules on a slow machine must not eat up the time to wait.
        let deadline = clock::boot_ms() + u64::from(self.request.timeout_s) * 1000;
        loop {
            if let Some(choice) = self.find_now(root) {
                return Some(choice);
            }
            let now = clock::boot_ms();
            if now >= deadline {
                return None;
            }
            self.wait(deadline - now);
        }
    }

    /// Chooses among the devices that are there now, looking into them where the choice asks for it.
    fn find_now(&mut self, root: &Root) -> Option<Choice> {
        loop {
            match plan::choose(root, self.devices.seen()) {
                Choice::Wait => return None,
                Choice::Look(names) => {
                    for name in names {
                        let has_image = self.look(&name);
                        self.devices.set_has_image(&name, has_image);
                    }
                }
                choice => return Some(choice),
            }
        }
    }

    fn wait(&mut self, timeout_ms: u64) {
        let Executor { tree, log, modules } = &mut self.exec;
        if let Some(modules) = modules {
            self.devices.wait(timeout_ms, tree, modules, log);
        }
    }

    fn settle(&mut self, done: impl Fn(&[Device]) -> bool) {
        let Executor { tree, log, modules } = &mut self.exec;
        if let Some(modules) = modules {
            self.devices.settle(tree, modules, log, done);
        }
    }

    /// Tells whether there is an image on a FAT.
    fn look(&mut self, name: &str) -> bool {
        let Some(device) = self.devices.seen().iter().find(|d| d.name == name).cloned() else { return false };
        if self.exec.run(&plan::look(&device)).is_err() {
            return false;
        }
        let is_there =
            |image: &Image| self.exec.tree.is_file(&format!("{}/{}", paths::LOOK, image.on_boot()));
        let has_image = IMAGES.iter().any(is_there);
        // Why: a mount that stays is in nobody's way.
        let _ = self.exec.run(&[Step::new(Fault::Housekeeping, Op::Unmount { target: paths::LOOK.into() })]);
        has_image
    }

    fn boot_from_partition(&mut self, device: &Device) -> Result<(), Failure> {
        self.exec.log.info(format_args!("boot partition {}", device.name));
        self.mount_boot(device)?;
        self.status.set(boot_status::BOOT_DEVICE, &device.path());
        self.enter_image();
        self.settle(|seen| plan::data_device(device, seen).is_some());
        let data = plan::data_device(device, self.devices.seen()).cloned();
        let boot_files = self.names(paths::BOOT);
        let data_place = self.mount_data(data.as_ref(), &boot_files)?;
        let data_files = data_place.map(|place| self.names(place));
        let list = plan::candidates(
            self.request.image.as_deref(),
            self.record.as_ref().map(|record| record.state).unwrap_or_default().choose(),
            Some((paths::BOOT, &boot_files)),
            data_place.zip(data_files.as_deref()),
        );
        let booted = self.mount_first(&list)?;
        let files = if booted.directory == paths::BOOT { boot_files } else { data_files.unwrap_or_default() };
        // Why: where images are linked, no name is taken from one.
        if self.record.as_ref().is_none_or(|record| record.state == BootState::default()) {
            self.exec.run(&plan::promote(&booted, &files))?;
        }
        self.overlay()
    }

    /// Mounts the boot partition; one that cannot be written to (a locked card, errors) still boots.
    fn mount_boot(&mut self, device: &Device) -> Result<(), Failure> {
        if plan::boot_is_writable(device) {
            match self.exec.run(&plan::mount_boot(device, true)) {
                Ok(()) => {
                    let marker = format!("{}/{}", paths::BOOT, paths::BOOTTIME);
                    let last = if self.exec.tree.is_file(&marker) { "unclean" } else { "clean" };
                    self.status.set(boot_status::LAST_SHUTDOWN, last);
                    return self.exec.run(&plan::mark_running(clock::unix_seconds()));
                }
                Err(failure) => self.degraded(&failure.reason),
            }
        }
        self.exec.run(&plan::mount_boot(device, false))
    }

    fn boot_from_image(&mut self, device: &Device) -> Result<(), Failure> {
        self.exec.log.info(format_args!("image on {}", device.name));
        self.status.set(boot_status::BOOT_DEVICE, "");
        self.settle(|seen| plan::data_device_of_image(device, seen).is_some());
        let data = plan::data_device_of_image(device, self.devices.seen()).cloned();
        self.mount_data(data.as_ref(), &[])?;
        self.mount_first(&[Candidate { name: device.name.clone(), directory: "/dev".into() }])?;
        self.overlay()
    }

    /// Mounts what is to be writable; answers where images on the data file system can be found.
    fn mount_data(
        &mut self,
        data: Option<&Device>,
        boot_files: &[String],
    ) -> Result<Option<&'static str>, Failure> {
        self.status.set(boot_status::PERSISTENT, "no");
        self.status.set(boot_status::DATA_DEVICE, "");
        let mut place = None;
        match data {
            Some(device) if self.request.transient => {
                self.exec.run(&plan::mount_memory())?;
                let needed = !boot_files.iter().any(|f| Image::of_file(f).is_some());
                if needed && self.exec.run(&plan::mount_data(device, true)).is_ok() {
                    place = Some(paths::IMAGE_STORE);
                }
            }
            Some(device) => match self.exec.run(&plan::mount_data(device, false)) {
                Ok(()) => {
                    self.status.set(boot_status::PERSISTENT, "yes");
                    self.status.set(boot_status::DATA_DEVICE, &device.path());
                    place = Some(paths::RW);
                }
                Err(failure) => {
                    self.degraded(&failure.reason);
                    self.exec.run(&plan::mount_memory())?;
                }
            },
            None if !self.request.transient && self.shares_data() => {
                self.status.set(boot_status::PERSISTENT, "yes");
                self.status.set(boot_status::DATA_DEVICE, paths::VIRTIOFS_TAG);
                place = Some(paths::RW);
            }
            None => self.exec.run(&plan::mount_memory())?,
        }
        Ok(place)
    }

    /// Mounts the host's shared directory when the machine has such a device.
    fn shares_data(&mut self) -> bool {
        let has_device = self.exec.tree.list("/sys/bus/virtio/devices").is_ok_and(|devices| {
            devices.iter().any(|d| {
                let modalias = format!("/sys/bus/virtio/devices/{}/modalias", d.name);
                // Why: 26 (0x1A) is the device type of a virtio file system.
                self.exec.tree.read_text(&modalias, 4096).is_some_and(|m| m.starts_with("virtio:d0000001A"))
            })
        });
        has_device && self.exec.run(&plan::mount_shared_data()).is_ok()
    }

    /// Mounts the first image that is whole and has a system in it.
    fn mount_first(&mut self, list: &[Candidate]) -> Result<Candidate, Failure> {
        let mut last = Failure::new(Fault::Image, "no image found");
        for (i, candidate) in list.iter().enumerate() {
            match self.exec.run(&plan::mount_image(candidate)) {
                Ok(()) if self.has_system() => {
                    if i > 0 {
                        self.degraded(&format!("booted {} because {}", candidate.name, last.reason));
                    }
                    self.status.set(boot_status::IMAGE, &candidate.name);
                    self.exec.log.info(format_args!("image {}", candidate.path()));
                    return Ok(candidate.clone());
                }
                Ok(()) => {
                    last = Failure::new(Fault::Image, &format!("{} has no /sbin/init", candidate.name));
                    self.exec.log.error(format_args!("{}", last.reason));
                    let unmount = Op::Unmount { target: paths::RO.into() };
                    self.exec.run(&[Step::new(Fault::Image, unmount)])?;
                }
                Err(failure) if failure.policy() == Policy::Rescue => last = failure,
                Err(failure) => return Err(failure),
            }
            if self.give_up(candidate) {
                return Err(last);
            }
        }
        Err(last)
    }

    fn has_system(&self) -> bool {
        Tree::open(paths::RO)
            .is_ok_and(|image| plan::programs(None).iter().any(|program| image.is_executable(program)))
    }

    /// Mounts the overlay; when the data file system cannot carry it, in memory.
    fn overlay(&mut self) -> Result<(), Failure> {
        let tree = &self.exec.tree;
        let legacy = tree.is_dir(&format!("{}/rw/{}", paths::RW, paths::UPPER));
        let upper = format!("{}/{}", plan::overlay_base(legacy), paths::UPPER);
        let usr_in_upper = tree.is_dir(&format!("{upper}/usr")) && tree.is_dir(&format!("{}/usr", paths::RO));
        let is_memory = self.status.get(boot_status::PERSISTENT) != Some("yes");
        let fault = if is_memory { Fault::MemoryOverlay } else { Fault::Overlay };
        match self.exec.run(&plan::overlay(fault, legacy, usr_in_upper)) {
            Err(failure) if failure.policy() == Policy::Degrade => {
                self.degraded(&failure.reason);
                self.status.set(boot_status::PERSISTENT, "no");
                self.status.set(boot_status::DATA_DEVICE, "");
                self.exec.run(&plan::give_up_data())?;
                self.exec.run(&plan::overlay(Fault::MemoryOverlay, false, false))
            }
            other => other,
        }
    }

    /// Notes why this boot has less than was configured.
    fn degraded(&mut self, reason: &str) {
        let before = self.status.get(boot_status::DEGRADED).unwrap_or_default();
        let text = if before.is_empty() { reason.to_string() } else { format!("{before}; {reason}") };
        self.status.set(boot_status::DEGRADED, &text);
        self.exec.log.warning(format_args!("degraded: {reason}"));
    }

    fn names(&self, directory: &str) -> Vec<String> {
        self.exec.tree.list(directory).unwrap_or_default().into_iter().map(|e| e.name).collect()
    }

    /// Leaves log and status for stage 2, and becomes it.
    fn switch(&mut self) -> Result<core::convert::Infallible, Failure> {
        let new_root = Tree::open(paths::SYSROOT)
            .map_err(|e| Failure::new(Fault::Switch, &format!("no new root: errno {}", e.raw_os_error())))?;
        let programs: Vec<CString> = plan::programs(self.request.init.as_deref())
            .into_iter()
            .filter(|program| new_root.is_executable(program))
            .filter_map(|program| CString::new(program).ok())
            .collect();
        drop(new_root);
        let stage1_ms = clock::boot_ms().saturating_sub(self.start_ms);
        self.status.set_number(boot_status::START_MS, self.start_ms);
        self.status.set_number(boot_status::STAGE1_MS, stage1_ms);
        let peak_kib = crate::stage2::peak_kib(&self.exec.tree);
        self.status.set_number(boot_status::STAGE1_PEAK_KIB, peak_kib);
        self.exec.log.info(format_args!("switching to the new root after {stage1_ms} ms, {peak_kib} KiB"));
        self.note(BootState::handed_over);
        self.exec.modules = None;
        let file = |path: &str, content: &str| {
            let content = content.as_bytes().to_vec();
            Step::new(Fault::Report, Op::Write { path: path.into(), mode: 0o644, owner: None, content })
        };
        let status = file(paths::BOOT_STATUS, &self.status.emit());
        let log = file(paths::INIT_LOG_RUN, self.exec.log.text());
        self.exec.run(&[status, log])?;
        self.exec.run(&plan::switch(&self.modprobe))?;
        for program in &programs {
            let errno = exec::exec(program, &[program]);
            self.exec.log.error(format_args!(
                "cannot execute {}: errno {}",
                program.to_str().unwrap_or_default(),
                errno.raw_os_error()
            ));
        }
        Err(Failure::new(Fault::Switch, "no program in the new root can be executed"))
    }
}
