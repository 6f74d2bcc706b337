//! Stage 2: PID 1 of the image applies `system.ini` and becomes the system's init.
//!
//! Whatever happens in configuration, `/sbin/init` runs: every failure here is logged, reported beside `system.ini`
//! and skipped. Order and decisions are in [`plan`] and [`provision`]. Not handled: a second look at the configuration; what
//! changes in it counts at the next start.

pub mod desired;
pub mod inputs;
pub mod manifest;
pub mod mounts;
pub mod plan;
pub mod provision;

use alloc::format;
use alloc::string::String;

use self::desired::Group;
use self::inputs::Configuration;
use crate::fault::{self, Fault};
use crate::op::{Op, Step};
use crate::report::{BootStatus, Level, Log};
use crate::run::Executor;
use crate::stage1::modules::Modules;
use crate::sys::clock;
use crate::tree::Tree;
use genpack_core::contract::{boot_status, cmdline_keys, paths, system_ini};
use genpack_core::text::diagnostic::{Position, Severity};
use rustix::io::Errno;
use rustix::rand::GetRandomFlags;

/// Size at which the log of earlier boots is put aside, bytes.
const MAX_LOG: u64 = 256 * 1024;
/// Longest file of our own that is read back, bytes.
const MAX_OWN_FILE: usize = 256 * 1024;

/// Configures the system and becomes its init.
pub fn run() -> ! {
    let start_ms = clock::boot_ms();
    fault::entered_stage2();
    let mut log = Log::new();
    log.open_kmsg();
    match Tree::open("/") {
        Ok(tree) => boot(Executor { tree, log, modules: None }, start_ms),
        Err(e) => log.error(format_args!("cannot open the root: errno {}", e.raw_os_error())),
    }
    fault::exec_init();
    fault::reboot_after_delay()
}

fn boot(mut exec: Executor, start_ms: u64) {
    let cmdline = exec.tree.text("/proc/cmdline", MAX_OWN_FILE);
    exec.log.set_debug(crate::stage1::inputs::request(cmdline.trim_end()).debug);
    exec.log.debug(format_args!("stage 2, version {}, {}", env!("CARGO_PKG_VERSION"), cmdline_keys::DEBUG));
    let directory = if exec.tree.is_dir(paths::BOOT) { paths::BOOT } else { paths::RW };
    let mut configuration = match inputs::find_configuration(&exec.tree, directory) {
        Ok(configuration) => configuration,
        Err(e) => unreadable(e),
    };
    if configuration.settings.debug == Some(true) {
        exec.log.set_debug(true);
    }
    load_driver(&mut exec);
    let failed = configure(&mut exec, &mut configuration);
    say_findings(&mut exec.log, &configuration);
    write_report(&mut exec, directory, &configuration);
    finish(&mut exec, &configuration, &failed, start_ms);
}

/// Stands for a file that exists but cannot be read: nothing is configured, and that is a finding.
fn unreadable(e: Errno) -> Configuration {
    let mut configuration = Configuration::default();
    configuration.find_fault("", "", format!("the file cannot be read: errno {}", e.raw_os_error()));
    configuration
}

/// Shows QEMU's firmware data where the driver is a module; without them nothing is filled in.
fn load_driver(exec: &mut Executor) {
    if provision::fw_cfg::needs_driver(&exec.tree) {
        let mut modules = Modules::open(&exec.tree);
        modules.load(&["qemu_fw_cfg"], &mut exec.log);
    }
}

/// Brings the tree to the settings; answers which modules failed, separated by blanks.
fn configure(exec: &mut Executor, configuration: &mut Configuration) -> String {
    let plan = plan::provision(&exec.tree, configuration, random());
    for note in &plan.notes {
        exec.log.info(format_args!("{note}"));
    }
    let mut failed = String::new();
    for Group { module, steps } in &plan.groups {
        let start_ms = clock::boot_ms();
        if exec.run_all(steps) > 0 && !failed.split(' ').any(|name| name == *module) {
            failed.push_str(if failed.is_empty() { "" } else { " " });
            failed.push_str(module);
        }
        let ms = clock::boot_ms().saturating_sub(start_ms);
        exec.log.info(format_args!("{module}: {} steps, {ms} ms", steps.len()));
    }
    failed
}

/// Returns random bytes; before the kernel has gathered any there are none, and systemd makes the machine id a moment
/// later.
#[must_use]
pub fn random() -> Option<[u8; 16]> {
    let mut random = [0; 16];
    let got = rustix::rand::getrandom(&mut random[..], GetRandomFlags::NONBLOCK);
    (got == Ok(random.len())).then_some(random)
}

/// Returns a finding as one line, with its place.
#[must_use]
pub fn finding_line(configuration: &Configuration, index: usize) -> String {
    let Some(finding) = configuration.findings.get(index) else { return String::new() };
    let place = Position::of(configuration.text.as_bytes(), finding.span.start);
    let hint = finding.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
    format!("{}:{}: {}: {}{hint}", place.line, place.column, finding.severity.word(), finding.message)
}

/// Findings that go to the kernel log; the report has them all.
const MAX_SAID: usize = 20;

fn say_findings(log: &mut Log, configuration: &Configuration) {
    let unsaid = configuration.findings.len().saturating_sub(MAX_SAID);
    if unsaid > 0 {
        log.warning(format_args!("{}: {unsaid} more findings than these {MAX_SAID}", paths::SYSTEM_INI));
    }
    for (i, finding) in configuration.findings.iter().enumerate().take(MAX_SAID) {
        let level = if finding.severity == Severity::Note { Level::Info } else { Level::Warning };
        log.say(level, format_args!("{}:{}", paths::SYSTEM_INI, finding_line(configuration, i)));
    }
}

fn write_report(exec: &mut Executor, directory: &str, configuration: &Configuration) {
    let path = format!("{directory}/{}", paths::SYSTEM_INI_REPORT);
    let report = system_ini::report(&configuration.text, &configuration.findings);
    let exists = exec.tree.is_file(&path);
    // Why: a report is housekeeping; on a read-only medium there is simply none.
    let _ = exec.run(&plan::report(&path, report, exists));
}

/// Returns the largest resident memory of this process, KiB; 0 when the kernel does not tell.
#[must_use]
pub fn peak_kib(tree: &Tree) -> u64 {
    let status = tree.text("/proc/self/status", MAX_OWN_FILE);
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|l| l.split_ascii_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Writes status and logs; the last thing before the system's init.
fn finish(exec: &mut Executor, configuration: &Configuration, failed: &str, start_ms: u64) {
    let file = |path: &str, content: &str| {
        let content = content.as_bytes().to_vec();
        Step::new(Fault::Report, Op::Write { path: path.into(), mode: 0o644, owner: None, content })
    };
    let old_log = exec.tree.text(paths::INIT_LOG_RUN, MAX_OWN_FILE);
    let mut status = BootStatus::parse(&exec.tree.text(paths::BOOT_STATUS, MAX_OWN_FILE));
    let errors = u64::try_from(configuration.errors()).unwrap_or(u64::MAX);
    status.set_number(boot_status::CONFIG_ERRORS, errors);
    status.set(boot_status::FAILED_MODULES, failed);
    let init_start_ms = status.number(boot_status::START_MS).unwrap_or(start_ms);
    status.set_number(boot_status::START_MS, init_start_ms);
    status.set_number(boot_status::STAGE2_PEAK_KIB, peak_kib(&exec.tree));
    if let (Some(start), Some(stage1)) =
        (status.number(boot_status::START_CPU_MS), status.number(boot_status::STAGE1_CPU_MS))
    {
        status.set_number(boot_status::STAGE2_CPU_MS, clock::cpu_ms().saturating_sub(start + stage1));
    }
    let now_ms = clock::boot_ms();
    let (stage2_ms, init_ms) = (now_ms.saturating_sub(start_ms), now_ms.saturating_sub(init_start_ms));
    status.set_number(boot_status::STAGE2_MS, stage2_ms);
    status.set_number(boot_status::INIT_MS, init_ms);
    exec.log.info(format_args!("stage 2 done in {stage2_ms} ms, {init_ms} ms since /init started"));
    if let Err(e) = append_log(&exec.tree, &old_log, exec.log.text()) {
        exec.log.warning(format_args!("no {}: errno {}", paths::INIT_LOG, e.raw_os_error()));
    }
    if configuration.settings.boot_rw != Some(true) {
        // Why: a power cut does not hurt a FAT that nobody writes to; without a boot partition it fails, and that is fine.
        exec.try_op(&Op::Remount { target: paths::BOOT.into(), writable: false });
    }
    let log = format!("{old_log}{}", exec.log.text());
    let run = Op::Mkdir { path: paths::RUN_GENPACK.into(), mode: 0o755, owner: None };
    // Why: reports are housekeeping.
    let _ = exec.run(&[
        Step::new(Fault::Report, run),
        file(paths::INIT_LOG_RUN, &log),
        file(paths::BOOT_STATUS, &status.emit()),
    ]);
}

/// Appends this boot to the log on the persistent layer; a long log is put aside first.
fn append_log(tree: &Tree, stage1: &str, stage2: &str) -> Result<(), Errno> {
    let size = tree.stat(paths::INIT_LOG).and_then(|s| u64::try_from(s.st_size).ok()).unwrap_or(0);
    if size > MAX_LOG {
        tree.rename(paths::INIT_LOG, &format!("{}.1", paths::INIT_LOG))?;
    }
    let mut text = format!("--- boot at {} (seconds since 1970)\n", clock::unix_seconds());
    text.push_str(stage1);
    text.push_str(stage2);
    tree.append(paths::INIT_LOG, 0o640, text.as_bytes())
}

#[cfg(test)]
mod tests;
