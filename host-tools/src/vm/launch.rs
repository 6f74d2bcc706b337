//! Starts a prepared machine and waits until QEMU really runs.

use std::fs::File;
use std::os::unix::net::UnixStream;
use std::process::{ExitCode, ExitStatus};

use genpack_core::kernel::arch::Arch;
use genpack_qemu::argv::argv;
use genpack_qemu::deadline::Deadline;
use genpack_qemu::machine::Machine;
use genpack_qemu::process::{Process, Streams};
use genpack_qemu::qmp::{self, Qmp};
use genpack_qemu::running;
use serde_json::{Value, json};

use super::guest_notify::Listening;
use super::pci::{self, Handover};
use super::plan::disk_nodes;
use super::prepare::Prepared;
use super::rundir::{Locked, Record, RunDir};
use crate::command_error::{CommandError, Context, Result};
use crate::ctx::Ctx;
use crate::runner::Run;

/// QEMU answers within milliseconds; on an overloaded host it needs seconds.
pub const QMP_SECONDS: u64 = 60;
/// How long a program that closed its socket may take to end.
const ENDING: std::time::Duration = std::time::Duration::from_millis(100);
/// How many of QEMU's last lines are shown when it fails.
const TAIL_LINES: usize = 15;

/// A machine that runs.
#[derive(Debug)]
pub struct Started {
    /// QEMU.
    pub process: Process,
    /// Its control channel.
    pub qmp: Qmp,
    /// Its run directory.
    pub dir: RunDir,
    /// What was recorded.
    pub record: Record,
    /// Programs beside QEMU.
    pub companions: Vec<(&'static str, Process)>,
    /// Where the guest says how it is.
    pub notify: Option<Listening>,
    /// Held until the machine is gone.
    pub locked: Option<Locked>,
}

/// How a start ended.
#[derive(Debug)]
pub enum Launch {
    /// QEMU runs and answers.
    Runs(Box<Started>),
    /// QEMU ended at once; its own words were shown.
    Ended(ExitCode),
}

/// Starts the machine; `about` is what only the caller knows of it.
///
/// # Errors
/// When something before QEMU fails, or QEMU does not answer.
pub fn launch(ctx: &Ctx, prepared: Prepared, streams: Streams, about: Record) -> Result<Launch> {
    let Prepared {
        mut machine,
        dir,
        locked,
        notify,
        companions,
        handovers,
        chooses_ssh_port,
        environment,
        ..
    } = prepared;
    let arch = machine.arch;
    let notify_port = notify.as_ref().map(|notify| notify.port);
    let about = Record { notify_port, ..about };
    hand_over(ctx, &handovers)?;
    let given_back = GiveBack(&handovers);
    let log = dir.file("companions.log");
    // That of an earlier machine; most had none.
    let _ = std::fs::remove_file(&log);
    let mut beside = Beside(Vec::new());
    for companion in companions {
        beside.0.push((companion.name, companion.start(&log)?));
    }
    let (ours, theirs) = qmp::channel().map_err(|e| of_qemu(e, arch))?;
    machine.qmp = Some(theirs);
    let mut record = record(&machine, about, &handovers);
    let path = dir.file("qemu.log");
    // Why appended to after it was emptied: our reading must not move the place where QEMU writes.
    let messages = File::create(&path)
        .and_then(|_| File::options().read(true).append(true).open(&path))
        .with_context(|| format!("making {}", path.display()))?;
    let streams = Streams { stderr: Some(messages), environment, ..streams };
    let mut process = Process::start(machine, streams).map_err(|e| of_qemu(e, arch))?;
    let mut qmp = match connect(ours) {
        Ok(qmp) => qmp,
        // An emulator that refuses its options ends before it says a word on the channel.
        Err(e) => {
            let status = process.wait(Deadline::seconds(if is_timeout(&e) { 0 } else { QMP_SECONDS })).ok();
            beside.tell(ctx, &log);
            return match status {
                Some(status) => Ok(Launch::Ended(report(ctx, &process, status))),
                None => {
                    process.kill_now();
                    Err(of_qemu(e, arch))
                }
            };
        }
    };
    record.pid = process.id();
    record.started = running::times(record.pid).map_or(0, |times| times.started);
    if chooses_ssh_port {
        record.ssh_port = ssh_port(&mut qmp);
    }
    dir.write_record(&record)?;
    // From here on the record says what is to be given back; see `clear`.
    std::mem::forget(given_back);
    let companions = std::mem::take(&mut beside.0);
    Ok(Launch::Runs(Box::new(Started { process, qmp, dir, record, companions, notify, locked })))
}

/// Programs beside a QEMU that does not run yet: they wait for it and end with it, so without it they are ended here.
struct Beside(Vec<(&'static str, Process)>);

impl Beside {
    /// Tells which of them have failed, with their last words: QEMU only says that nobody is there.
    fn tell(&mut self, ctx: &Ctx, log: &std::path::Path) {
        for (name, process) in &mut self.0 {
            // One that ended well ended after QEMU.
            let failed = process.wait(Deadline::after(ENDING)).ok().filter(|status| !status.success());
            let Some(status) = failed else { continue };
            let log = std::fs::read(log).unwrap_or_default();
            let text = String::from_utf8_lossy(&log);
            let words = text.lines().next_back().unwrap_or("it said nothing");
            ctx.ui.warning(format!("{name} ended ({}): {words}", crate::runner::describe(status)), None);
        }
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        for (_, process) in &mut self.0 {
            if process.wait(Deadline::after(std::time::Duration::ZERO)).is_err() {
                process.kill_now();
            }
        }
    }
}

/// Waits until QEMU has made all devices and its guest may run.
fn connect(stream: UnixStream) -> genpack_qemu::Result<Qmp> {
    let deadline = Deadline::seconds(QMP_SECONDS);
    let mut qmp = Qmp::connect(stream, deadline)?;
    qmp.query_status(deadline)?;
    Ok(qmp)
}

const fn is_timeout(e: &genpack_qemu::Error) -> bool {
    matches!(e, genpack_qemu::Error::Timeout { .. })
}

fn record(machine: &Machine, about: Record, handovers: &[Handover]) -> Record {
    let absolute = |path: std::path::PathBuf| std::fs::canonicalize(&path).unwrap_or(path);
    let give_back = handovers.iter().flat_map(|handover| &handover.give_back);
    Record {
        arch: machine.arch.name().to_owned(),
        image: about.image.map(absolute),
        memory_mib: machine.memory_mib,
        cpus: machine.cpus,
        uuid: machine.uuid.clone(),
        cid: machine.vsock.as_ref().map(|vsock| vsock.cid),
        ssh_port: None,
        disks: disk_nodes(machine),
        argv: argv(machine),
        give_back: give_back.map(|write| (write.path.clone(), write.value.clone())).collect(),
        ..about
    }
}

fn hand_over(ctx: &Ctx, handovers: &[Handover]) -> Result<()> {
    if handovers.iter().any(|handover| !handover.bind.is_empty()) {
        ctx.runner.run(&Run::new("modprobe").package("kmod").arg("vfio-pci"))?;
    }
    for (index, handover) in handovers.iter().enumerate() {
        let done = pci::run(&handover.bind).and_then(|()| {
            if pci::is_bound(&handover.id, "/sys".as_ref()) {
                Ok(())
            } else {
                Err(CommandError::failed(format!("vfio-pci did not take the PCI device {}", handover.id)))
            }
        });
        if done.is_err() {
            drop(GiveBack(&handovers[..=index]));
        }
        done?;
    }
    Ok(())
}

/// Gives PCI devices back to the drivers they had, unless the machine took over.
struct GiveBack<'a>(&'a [Handover]);

impl Drop for GiveBack<'_> {
    fn drop(&mut self) {
        for handover in self.0 {
            // A device that cannot be given back stays with vfio-pci, where the next machine finds it.
            let _ = pci::run(&handover.give_back);
        }
    }
}

/// Gives back what a record names, and removes what means nothing without the machine.
pub fn clear(dir: &RunDir, record: &Record) {
    let write = |(path, value): &(std::path::PathBuf, String)| pci::Write1 {
        path: path.clone(),
        value: value.clone(),
    };
    let writes: Vec<_> = record.give_back.iter().map(write).collect();
    for write in &writes {
        // As above: one device more or less with vfio-pci.
        let _ = pci::run(std::slice::from_ref(write));
    }
    dir.clean();
}

/// Asks QEMU which port it chose for the guest's ssh.
fn ssh_port(qmp: &mut Qmp) -> Option<u16> {
    let line = json!({"command-line": "info usernet"});
    let answer = qmp.execute("human-monitor-command", line, Deadline::seconds(QMP_SECONDS)).ok()?;
    parse_ssh_port(answer.as_str().unwrap_or_default())
}

/// Parses `TCP[HOST_FORWARD]  12  127.0.0.1 34567  10.0.2.15    22 …`.
fn parse_ssh_port(text: &str) -> Option<u16> {
    text.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        match fields[..] {
            ["TCP[HOST_FORWARD]", _, "127.0.0.1", port, _, "22", ..] => port.parse().ok(),
            _ => None,
        }
    })
}

/// Shows how QEMU ended and returns our exit code: QEMU's own, else 1.
pub fn report(ctx: &Ctx, process: &Process, status: ExitStatus) -> ExitCode {
    let tail = process.stderr_tail(TAIL_LINES);
    if status.success() {
        for line in tail {
            ctx.ui.detail(line);
        }
        return ExitCode::SUCCESS;
    }
    let mut error = CommandError::failed(format!("QEMU failed ({})", crate::runner::describe(status)));
    error.tail = tail;
    ctx.ui.error(&error);
    let code = status.code().and_then(|code| u8::try_from(code).ok()).filter(|code| *code != 0);
    ExitCode::from(code.unwrap_or_else(|| error.kind.exit_code()))
}

/// Returns an error of the emulator's, with the next step.
#[must_use]
pub fn of_qemu(e: genpack_qemu::Error, arch: Arch) -> CommandError {
    let error = CommandError::failed(e.to_string());
    match e {
        genpack_qemu::Error::NotInstalled { .. } => error.hint(match arch {
            Arch::X86_64 | Arch::I686 => "apt-get install qemu-system-x86",
            Arch::Aarch64 => "apt-get install qemu-system-arm",
            Arch::Riscv64 => "apt-get install qemu-system-riscv (in Debian 12 qemu-system-misc)",
        }),
        _ => error,
    }
}

/// Returns an event in words, when it means something to people.
#[must_use]
pub fn event_words(event: &Value) -> Option<String> {
    let data = &event["data"];
    let text = |key: &str| data[key].as_str().unwrap_or("?").to_owned();
    match event["event"].as_str()? {
        "SHUTDOWN" if data["guest"] == true => Some("the guest powered off".to_owned()),
        "SHUTDOWN" => Some(format!("QEMU shuts down ({})", text("reason"))),
        "RESET" if data["guest"] == true => Some("the guest restarts".to_owned()),
        "POWERDOWN" => Some("the power button was pressed".to_owned()),
        "GUEST_PANICKED" => Some("the guest's kernel panicked".to_owned()),
        "BLOCK_IO_ERROR" => Some(format!("disk {}: {}", text("node-name"), text("reason"))),
        "WATCHDOG" => Some(format!("the watchdog bit ({})", text("action"))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ssh_port_is_the_one_that_leads_to_22() {
        let text = "Hub -1 (net0):\n  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\n  \
                    TCP[HOST_FORWARD]  12       127.0.0.1 40001       10.0.2.15    80     0     0\n  \
                    TCP[HOST_FORWARD]  13       127.0.0.1 40002       10.0.2.15    22     0     0\n";
        assert_eq!(parse_ssh_port(text), Some(40002));
        assert_eq!(parse_ssh_port("TCP[HOST_FORWARD] 1 127.0.0.1 x 10.0.2.15 22"), None);
        assert_eq!(parse_ssh_port(""), None);
    }

    #[test]
    fn events_are_told_in_words_and_unknown_ones_are_not() {
        let words = |event: Value| event_words(&event);
        assert_eq!(
            words(json!({"event": "SHUTDOWN", "data": {"guest": true}})).as_deref(),
            Some("the guest powered off")
        );
        assert_eq!(
            words(json!({"event": "SHUTDOWN", "data": {"guest": false, "reason": "host-qmp-quit"}}))
                .as_deref(),
            Some("QEMU shuts down (host-qmp-quit)")
        );
        assert_eq!(words(json!({"event": "NEW_IN_QEMU_99"})), None);
        assert_eq!(words(json!({})), None);
    }
}
