//! Stage 1: PID 1 of the initramfs finds the boot partition, assembles the root and switches to it.
//!
//! [`run`] reads as the story of a boot; every decision in it is a function of [`plan`]. The layout it leaves behind
//! (`/run/initramfs/{boot,ro,rw}`) is the contract with everything that runs later. Not handled: LVM, LUKS.

pub mod data;
pub mod devices;
pub mod inputs;
mod layer;
pub mod modules;
pub mod plan;
pub mod record;
pub mod uevent;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use self::data::Wishes;
use self::devices::{BlockDevice, Devices};
use self::modules::Modules;
use self::plan::{Candidate, Choice, Device, Request, Root};
use self::record::Record;
use crate::fault::{self, Fault, Policy};
use crate::op::{Op, Step};
use crate::report::{BootStatus, Log};
use crate::run::{Executor, Failure};
use crate::sys::device::Watchdog;
use crate::sys::{clock, exec, stdio};
use crate::tree::{Tree, c_string};
use genpack_core::contract::boot_state::{BootState, IMAGES, Image};
use genpack_core::contract::{boot_status, cmdline_keys, paths};
use genpack_core::fs::fat::bpb::{self, Bpb};
use genpack_core::source::ReadAt as _;

/// Longest kernel command line; the kernel's own limit is 4 KiB or less.
const MAX_CMDLINE: usize = 64 * 1024;
/// Rounds in which what has announced itself is looked at: buses below buses, and an end to a device that never stops.
const MAX_ROUNDS: usize = 64;
/// The service manager that takes over the watchdog.
const SYSTEMD: &str = "/usr/lib/systemd/systemd";
/// Boot partitions that are tried in the place of one that cannot be booted.
const MAX_ALTERNATIVES: usize = 4;

/// What stage 1 knows at a time.
struct Boot {
    exec: Executor,
    devices: Devices,
    request: Request,
    status: BootStatus,
    /// The boot state, when the loader knows it.
    record: Option<Record>,
    start_ms: u64,
    start_cpu_ms: u64,
    /// The kernel's own modprobe, to be given back.
    modprobe: String,
    watchdog: Option<Watchdog>,
    /// The boot partition that is being tried.
    boot_device: String,
    wishes: Wishes,
}

/// Boots. The only ways out are the new root and the end of the machine.
pub fn run() -> ! {
    let (start_ms, start_cpu_ms) = (clock::boot_ms(), clock::cpu_ms());
    let Ok(tree) = Tree::open("/") else { fault::reboot_after_delay() };
    let mut exec = Executor { tree, log: Log::new(), modules: None };
    // Why: every step of it is housekeeping, whose failures are logged and end nothing.
    let _ = exec.run(&plan::early());
    exec.log.open_kmsg();
    if let Err(e) = stdio::open_console() {
        exec.log.warning(format_args!("no console: errno {}", e.raw_os_error()));
    }
    let mut cmdline = exec.tree.text(cmdline_keys::BUILT_IN, MAX_CMDLINE);
    cmdline.push(' ');
    cmdline.push_str(&exec.tree.text("/proc/cmdline", MAX_CMDLINE));
    let request = inputs::request(cmdline.trim_end());
    exec.log.set_debug(request.debug);
    exec.log.info(format_args!("stage 1, version {}, root is {}", env!("CARGO_PKG_VERSION"), request.root));
    let devices = Devices::open(matches!(request.root, Root::PartUuid(_)), &mut exec.log);
    let mut status = BootStatus::default();
    status.set(boot_status::DEGRADED, "");
    let mut boot = Boot {
        exec,
        devices,
        request,
        status,
        record: None,
        start_ms,
        start_cpu_ms,
        modprobe: String::new(),
        watchdog: None,
        boot_device: String::new(),
        wishes: Wishes::of(&Default::default()),
    };
    boot.prepare_modules();
    let Err(failure) = boot.assemble().and_then(|()| boot.switch());
    boot.end(&failure)
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
        // Why: a watchdog may be a part of a chip, which the chip's driver has announced by now.
        self.wait(0);
        self.arm_watchdog();
    }

    /// Arms the watchdog when the machine has one and it is not armed yet.
    fn arm_watchdog(&mut self) {
        if self.watchdog.is_some() {
            return;
        }
        if let Ok((watchdog, seconds)) = Watchdog::arm(self.request.timeout_s + plan::WATCHDOG_S) {
            self.exec.log.info(format_args!("the watchdog restarts the machine after {seconds} seconds"));
            self.status.set_number(boot_status::WATCHDOG_S, seconds.into());
            self.watchdog = Some(watchdog);
        }
    }

    fn disarm_watchdog(&mut self) {
        if let Some(watchdog) = self.watchdog.take() {
            watchdog.disarm();
            self.status.set_number(boot_status::WATCHDOG_S, 0);
        }
    }

    /// Lets a person in who was allowed to come.
    fn shell(&mut self) {
        let places = ["/", paths::SYSROOT, paths::RO];
        let has_shell = |root: &&str| Tree::open(root).is_ok_and(|tree| tree.is_executable("/bin/sh"));
        let Some(root) = places.into_iter().find(has_shell) else {
            return self.exec.log.warning(format_args!("there is no shell to start"));
        };
        self.disarm_watchdog();
        if let Err(e) = exec::shell(root) {
            self.exec.log.error(format_args!("cannot start a shell: errno {}", e.raw_os_error()));
        }
    }

    /// Ends a boot for which there is no way on.
    fn end(mut self, failure: &Failure) -> ! {
        self.exec.log.error(format_args!("cannot boot: {}", failure.reason));
        if self.request.shell {
            self.shell();
        }
        let stops = failure.fault == Fault::NeededData && self.wishes.on_failure == data::OnFailure::Rescue;
        let seconds = if stops { fault::RESCUE_DELAY_S } else { fault::REBOOT_DELAY_S };
        self.disarm_watchdog();
        fault::end_after_delay(self.request.last, seconds)
    }

    /// Makes the new root at its place, from another boot partition when the right one cannot be booted.
    fn assemble(&mut self) -> Result<(), Failure> {
        let mut result = self.assemble_from_root();
        for _ in 0..MAX_ALTERNATIVES {
            let failure = match result {
                Err(failure) if failure.policy() == Policy::Rescue && !self.boot_device.is_empty() => failure,
                other => return other,
            };
            for op in plan::take_apart() {
                self.exec.try_op(&op);
            }
            self.devices.give_up(&self.boot_device);
            self.boot_device.clear();
            self.record = None;
            result = match self.find_now(&Root::Auto) {
                Some(Choice::Boot(device, _)) => {
                    self.degraded(&format!("booted from {} because {}", device.name, failure.reason));
                    self.boot_from_partition(&device)
                }
                _ => return Err(failure),
            };
        }
        result
    }

    fn assemble_from_root(&mut self) -> Result<(), Failure> {
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
        let mut silent = true;
        loop {
            if let Some(choice) = self.find_now(root) {
                return Some(choice);
            }
            if silent {
                self.exec.log.info(format_args!("waiting for {root}, {} seconds", self.request.timeout_s));
                silent = false;
            }
            let now = clock::boot_ms();
            if now >= deadline {
                return None;
            }
            // Why: what was loaded so far has announced its devices already.
            if !self.wait(0) && !self.load_slow() {
                self.wait(deadline - now);
            }
        }
    }

    /// Loads what only slow devices need, once, and what they need by then is wanted.
    fn load_slow(&mut self) -> bool {
        let Executor { log, modules, .. } = &mut self.exec;
        let loaded = modules.as_mut().is_some_and(|modules| self.devices.load_slow(modules, log));
        self.arm_watchdog();
        loaded
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

    /// Waits for events; answers whether there was one.
    fn wait(&mut self, timeout_ms: u64) -> bool {
        let Executor { tree, log, modules } = &mut self.exec;
        modules.as_mut().is_some_and(|modules| self.devices.wait(timeout_ms, tree, modules, log))
    }

    /// Waits until devices that are on their way have arrived: those that `done` asks for, or all.
    fn settle(&mut self, done: impl Fn(&[Device]) -> bool) {
        for _ in 0..MAX_ROUNDS {
            if done(self.devices.seen()) || !self.wait(0) && !self.load_slow() {
                break;
            }
        }
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
        self.boot_device.clone_from(&device.name);
        self.mount_boot(device)?;
        self.status.set(boot_status::BOOT_DEVICE, &device.path());
        self.enter_image();
        self.read_wishes();
        let boot_files = self.names(paths::BOOT);
        let data = self.find_data(device);
        let data_place = self.mount_data(data, &boot_files)?;
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
        self.note_image(&booted);
        self.overlay()
    }

    /// Mounts the boot partition; one that cannot be written to (a locked card, errors) still boots.
    fn mount_boot(&mut self, device: &Device) -> Result<(), Failure> {
        self.check_boot(device);
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

    /// Repairs a FAT that was not unmounted, where the initramfs has the program for it.
    fn check_boot(&mut self, device: &Device) {
        let is_dirty = || {
            let source = BlockDevice::open(&device.name).ok()?;
            let sector = source.read_array_at::<{ bpb::LEN }>(0).ok()??;
            Bpb::parse(bpb::Raw::new(&sector)).ok().map(|bpb| bpb.dirty)
        };
        let state = match is_dirty() {
            None => "",
            Some(false) => "clean",
            Some(true) => {
                let repaired = self.exec.tree.is_executable(paths::FSCK_FAT)
                    && (self.exec.try_op(&plan::repair_boot(device)) || is_dirty() == Some(false));
                if repaired { "repaired" } else { "dirty" }
            }
        };
        self.status.set(boot_status::BOOT_FS, state);
        if !matches!(state, "" | "clean") {
            self.exec.log.warning(format_args!("{} was not unmounted: {state}", device.name));
        }
    }

    fn boot_from_image(&mut self, device: &Device) -> Result<(), Failure> {
        self.exec.log.info(format_args!("image on {}", device.name));
        self.status.set(boot_status::BOOT_DEVICE, "");
        self.settle(|seen| plan::data_device_of_image(device, seen).is_some());
        let data = plan::data_device_of_image(device, self.devices.seen()).cloned();
        self.mount_data(data.map_or(data::Data::None, data::Data::Labelled), &[])?;
        let booted =
            self.mount_first(&[Candidate { name: device.name.clone(), directory: "/dev".into() }])?;
        self.note_image(&booted);
        self.overlay()
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
                return Err(Failure { fault: Fault::Trial, ..last });
            }
        }
        Err(last)
    }

    fn has_system(&self) -> bool {
        Tree::open(paths::RO)
            .is_ok_and(|image| plan::programs(None).iter().any(|program| image.is_executable(program)))
    }

    /// Notes why this boot has less than was configured.
    fn degraded(&mut self, reason: &str) {
        let before = self.status.get(boot_status::DEGRADED).unwrap_or_default();
        let text = if before.is_empty() { reason.to_string() } else { format!("{before}; {reason}") };
        self.status.set(boot_status::DEGRADED, &text);
        self.exec.log.warning(format_args!("degraded: {reason}"));
    }

    fn names(&self, directory: &str) -> Vec<String> {
        let mut names = Vec::new();
        for entry in self.exec.tree.entries(directory) {
            names.push(entry.name);
        }
        names
    }

    /// Leaves the watchdog armed for a system that looks after it, and stops it for any other.
    fn hand_over_watchdog(&mut self, is_taken: bool) {
        let Some(watchdog) = &self.watchdog else { return };
        watchdog.keep_alive();
        if !is_taken || self.exec.run(&plan::hand_over_watchdog()).is_err() {
            self.disarm_watchdog();
        }
    }

    /// Leaves log and status for stage 2, and becomes it.
    fn switch(&mut self) -> Result<core::convert::Infallible, Failure> {
        let new_root = Tree::open(paths::SYSROOT)
            .map_err(|e| Failure::new(Fault::Switch, &format!("no new root: errno {}", e.raw_os_error())))?;
        let mut programs = Vec::new();
        for program in plan::programs(self.request.init.as_deref()) {
            if new_root.is_executable(&program)
                && let Ok(program) = c_string(&program)
            {
                programs.push(program);
            }
        }
        let takes_watchdog = self.request.init.is_none() && new_root.is_executable(SYSTEMD);
        drop(new_root);
        if self.request.stop && self.request.shell {
            self.shell();
        } else if self.request.stop {
            self.exec.log.warning(format_args!("rd.break is ignored without genpack.shell"));
        }
        self.hand_over_watchdog(takes_watchdog);
        let degraded = self.status.get(boot_status::DEGRADED).unwrap_or_default();
        if !degraded.is_empty() {
            self.exec.run(&plan::motd(degraded))?;
        }
        let stage1_ms = clock::boot_ms().saturating_sub(self.start_ms);
        self.status.set_number(boot_status::START_MS, self.start_ms);
        self.status.set_number(boot_status::STAGE1_MS, stage1_ms);
        let peak_kib = crate::stage2::peak_kib(&self.exec.tree);
        self.status.set_number(boot_status::STAGE1_PEAK_KIB, peak_kib);
        self.status.set_number(boot_status::START_CPU_MS, self.start_cpu_ms);
        let cpu_ms = clock::cpu_ms().saturating_sub(self.start_cpu_ms);
        self.status.set_number(boot_status::STAGE1_CPU_MS, cpu_ms);
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
