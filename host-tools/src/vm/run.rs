//! The verb `vm run`: one machine in the foreground, its serial console on our standard input and output.
//!
//! SIGINT, SIGTERM and SIGHUP press the guest's power button; a second one ends QEMU. On a terminal Ctrl-C belongs to
//! the guest, and Ctrl-A X is QEMU's own way out.

use std::fs::File;
use std::io::{IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus, Stdio};

use genpack_core::kernel::arch::Arch;
use genpack_qemu::accel;
use genpack_qemu::argv::argv;
use genpack_qemu::deadline::Deadline;
use genpack_qemu::firmware;
use genpack_qemu::machine::{Accel, Boot, Machine, Medium, Source};
use genpack_qemu::process::{Group, Process, Streams};
use genpack_qemu::qmp::{self, Qmp};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::command_error::{CommandError, Context, Result};
use crate::ctx::Ctx;
use crate::io::system_image::SystemImage;
use crate::runner::quote;
use crate::vm::hostfwd::HostForward;
use crate::vm::identity::Name;
use crate::vm::kernel;
use crate::vm::memory::Memory;
use crate::vm::plan::{Parts, Start, machine};

/// QEMU answers within milliseconds; on an overloaded host it needs seconds.
const QMP_SECONDS: u64 = 60;
/// How many of QEMU's last lines are shown when it fails.
const TAIL_LINES: usize = 15;
/// Firmware variables have 64 KiB to 64 MiB.
const MAX_VARS_BYTES: u64 = 64 << 20;
/// Signals that end the machine.
const SIGNALS: [i32; 3] =
    [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP];

/// What the user asked for.
#[derive(Debug)]
pub struct Options {
    /// A system image or a disk.
    pub image: PathBuf,
    /// The machine's name; default: the image's.
    pub name: Option<String>,
    /// Memory.
    pub memory: Memory,
    /// Number of processors, at least 1.
    pub cpus: u16,
    /// A second disk, for the data of a system image.
    pub data_file: Option<PathBuf>,
    /// Forwarded ports.
    pub hostfwd: Vec<HostForward>,
    /// KVM may be used.
    pub kvm: bool,
    /// Words for the kernel of a system image.
    pub append: Option<String>,
    /// Boot a disk by BIOS although UEFI firmware is there.
    pub bios: bool,
    /// File that receives a copy of the console.
    pub serial_log: Option<PathBuf>,
}

/// Runs a machine to its end and returns QEMU's exit code.
///
/// # Errors
/// When the image cannot be booted, a file is missing or QEMU does not start.
pub fn run(ctx: &Ctx, options: Options) -> Result<ExitCode> {
    if ctx.ui.is_json() && !ctx.dry_run {
        return Err(CommandError::usage(
            "a running machine owns standard output, which leaves no room for JSON",
        )
        .hint("--json works together with --dry-run"));
    }
    let terminal = std::io::stdin().is_terminal();
    let parts = parts(ctx, options, terminal)?;
    let forwards = parts.hostfwd.clone();
    let mut machine = machine(parts);
    if ctx.dry_run {
        print(ctx, &machine);
        return Ok(ExitCode::SUCCESS);
    }
    for forward in &forwards {
        ctx.ui.step(format!("{} leads to port {} of the guest", forward.reachable_at(), forward.guest_port));
    }
    let (ours, theirs) = qmp::channel().map_err(|e| of_qemu(e, machine.arch))?;
    machine.qmp = Some(theirs);
    // Before QEMU exists, so that no signal finds it without its power button.
    let signals = signals()?;
    let _restored = terminal.then(TerminalState::save).flatten();
    let arch = machine.arch;
    let streams = Streams {
        stdin: Stdio::inherit(),
        stdout: Stdio::inherit(),
        group: if terminal { Group::Inherited } else { Group::Own },
    };
    let mut process = Process::start(machine, streams).map_err(|e| of_qemu(e, arch))?;
    let qmp = match Qmp::connect(ours, Deadline::seconds(QMP_SECONDS)) {
        Ok(qmp) => qmp,
        Err(e) => {
            // An emulator that refuses its options ends before it says a word on the channel.
            let status = process.wait(Deadline::seconds(QMP_SECONDS)).ok();
            return status.map_or_else(|| Err(of_qemu(e, arch)), |status| Ok(report(ctx, &process, status)));
        }
    };
    let status = supervise(ctx, &mut process, qmp, signals)?;
    Ok(report(ctx, &process, status))
}

/// Looks at everything that the machine needs.
fn parts(ctx: &Ctx, options: Options, terminal: bool) -> Result<Parts> {
    let path = ctx.path(&options.image);
    let given_name = options.name.as_deref().map(Name::parse).transpose()?;
    let medium = medium(&path)?;
    let (arch, artifact, start) = match kind(&path)? {
        Kind::SystemImage if options.bios => {
            return Err(CommandError::usage("--bios is for disks; a system image boots by its own kernel"));
        }
        Kind::SystemImage => system_image(&path, medium, options.append)?,
        Kind::Disk if options.append.is_some() => {
            return Err(CommandError::usage(
                "--append is for system images; a disk's boot loader has its own words",
            ));
        }
        Kind::Disk => {
            let firmware = firmware_of(ctx, options.bios)?;
            (ctx.arch, None, Start::Disk { disk: medium, firmware })
        }
    };
    let data = options.data_file.map(|data| self::medium(&ctx.path(&data))).transpose()?;
    let hostfwd = options.hostfwd.into_iter().map(HostForward::with_free_port).collect::<Result<Vec<_>>>()?;
    Ok(Parts {
        name: given_name.unwrap_or_else(|| Name::of_image(artifact.as_deref(), &path)),
        arch,
        cpus: options.cpus,
        memory_mib: options.memory.mib(),
        accel: accelerator(ctx, arch, options.kvm),
        start,
        data,
        hostfwd,
        terminal,
        serial_log: options.serial_log.map(|log| ctx.path(&log)),
    })
}

fn system_image(
    path: &Path,
    medium: Medium,
    append: Option<String>,
) -> Result<(Arch, Option<String>, Start)> {
    let image = SystemImage::open(path).with_context(|| format!("opening {}", path.display()))?;
    let boot = kernel::read(&image).with_context(|| format!("booting {}", path.display()))?;
    // An image of another making has no metadata, and needs none to boot.
    let artifact = image.meta().ok().and_then(|meta| meta.artifact);
    let start = Start::SystemImage {
        image: medium,
        kernel: Source::Fd(boot.kernel),
        initramfs: boot.initramfs.map(Source::Fd),
        append,
    };
    Ok((boot.arch, artifact, start))
}

fn accelerator(ctx: &Ctx, arch: Arch, kvm: bool) -> Accel {
    if !kvm {
        return Accel::Tcg;
    }
    let choice = accel::choose(arch);
    match choice.accel {
        Accel::Kvm => ctx.ui.note(format!("KVM: {}", choice.reason)),
        Accel::Tcg => ctx.ui.note(format!("no KVM, the machine is emulated and slow: {}", choice.reason)),
    }
    choice.accel
}

fn firmware_of(ctx: &Ctx, bios: bool) -> Result<Boot> {
    if bios {
        return match ctx.arch {
            Arch::X86_64 | Arch::I686 => Ok(Boot::Bios),
            Arch::Aarch64 | Arch::Riscv64 => {
                Err(CommandError::usage(format!("--bios: machines of {} have no BIOS", ctx.arch)))
            }
        };
    }
    let Some(firmware) = firmware::find(ctx.arch) else {
        return Err(CommandError::failed(format!("no UEFI firmware for {} is installed", ctx.arch)).hint(
            "apt-get install ovmf (x86_64), qemu-efi-aarch64 or qemu-efi-riscv64; or boot with --bios",
        ));
    };
    let template = &firmware.vars_template;
    let mut vars = kernel::memory("firmware-vars")?;
    let from = File::open(template).with_context(|| format!("opening {}", template.display()))?;
    std::io::copy(&mut from.take(MAX_VARS_BYTES), &mut vars)
        .and_then(|_| vars.flush())
        .with_context(|| format!("copying {}", template.display()))?;
    let code = Source::path(&firmware.code).map_err(|e| of_qemu(e, ctx.arch))?;
    Ok(Boot::Uefi {
        code,
        code_format: firmware.code_format,
        vars: Source::Fd(vars.into()),
        vars_format: firmware.vars_format,
    })
}

/// What an image file is.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    SystemImage,
    Disk,
}

fn kind(path: &Path) -> Result<Kind> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let mut head = Vec::new();
    file.take(512).read_to_end(&mut head).with_context(|| format!("reading {}", path.display()))?;
    kind_of(&head).ok_or_else(|| {
        CommandError::failed(format!(
            "{} is neither a SquashFS nor a disk with a boot sector",
            path.display()
        ))
        .hint("make an image with `genpack-host build`, a disk with `genpack-host flash`")
    })
}

/// A SquashFS by its magic, a disk by the signature that MBR, GPT and boot sectors share.
fn kind_of(head: &[u8]) -> Option<Kind> {
    if head.starts_with(b"hsqs") {
        Some(Kind::SystemImage)
    } else {
        (head.get(510..512) == Some(&[0x55, 0xaa])).then_some(Kind::Disk)
    }
}

fn medium(path: &Path) -> Result<Medium> {
    let found = std::fs::metadata(path).with_context(|| format!("opening {}", path.display()))?.file_type();
    let source = Source::path(path).map_err(|e| CommandError::usage(e.to_string()))?;
    if found.is_file() {
        Ok(Medium::File(source))
    } else if found.is_block_device() {
        Ok(Medium::BlockDevice(source))
    } else {
        Err(CommandError::failed(format!("{} is neither a file nor a block device", path.display())))
    }
}

fn print(ctx: &Ctx, machine: &Machine) {
    let words = argv(machine);
    if ctx.ui.is_json() {
        ctx.ui.document(&words.into());
    } else {
        ctx.ui.answer(words.iter().map(|w| quote(w)).collect::<Vec<_>>().join(" "));
    }
}

/// Returns a socket that becomes readable, one byte per signal.
fn signals() -> Result<UnixStream> {
    let (ours, theirs) = UnixStream::pair().context("watching signals")?;
    for signal in SIGNALS {
        let sender = theirs.try_clone().context("watching signals")?;
        signal_hook::low_level::pipe::register(signal, sender).context("watching signals")?;
    }
    Ok(ours)
}

/// Waits for QEMU's end; the first signal presses the power button, the second quits.
fn supervise(ctx: &Ctx, process: &mut Process, mut qmp: Qmp, mut signals: UnixStream) -> Result<ExitStatus> {
    let mut pressed = false;
    loop {
        let mut fds =
            [PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN), PollFd::new(&signals, PollFlags::IN)];
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno).context("waiting for QEMU"),
        }
        let [ended, signalled] = fds.map(|fd| !fd.revents().is_empty());
        if ended {
            return process
                .wait(Deadline::seconds(QMP_SECONDS))
                .map_err(|e| CommandError::failed(e.to_string()));
        }
        if signalled {
            signals.read_exact(&mut [0]).context("reading signals")?;
            let deadline = Deadline::seconds(QMP_SECONDS);
            let answer = if pressed {
                ctx.ui.step("ending QEMU");
                qmp.quit(deadline)
            } else {
                ctx.ui.step("pressing the power button; once more ends QEMU");
                qmp.system_powerdown(deadline)
            };
            pressed = true;
            // A machine that ended in this moment cannot answer, and need not.
            if let Err(e) = answer {
                ctx.ui.warning(e, None);
            }
        }
    }
}

fn report(ctx: &Ctx, process: &Process, status: ExitStatus) -> ExitCode {
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

fn of_qemu(e: genpack_qemu::Error, arch: Arch) -> CommandError {
    let error = CommandError::failed(e.to_string());
    match e {
        genpack_qemu::Error::NotInstalled { .. } => error.hint(match arch {
            Arch::X86_64 | Arch::I686 => "apt-get install qemu-system-x86",
            Arch::Aarch64 => "apt-get install qemu-system-arm",
            Arch::Riscv64 => "apt-get install qemu-system-misc",
        }),
        _ => error,
    }
}

/// The terminal as it was: QEMU makes it raw and, when it is killed, leaves it so.
struct TerminalState(Termios);

impl TerminalState {
    fn save() -> Option<Self> {
        tcgetattr(std::io::stdin()).ok().map(Self)
    }
}

impl Drop for TerminalState {
    fn drop(&mut self) {
        // A terminal that went away needs no restoring.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_kind_is_told_by_its_first_sector() {
        let mut sector = [0; 512];
        assert_eq!(kind_of(&sector), None);
        assert_eq!(kind_of(b"hsqs"), Some(Kind::SystemImage));
        sector[510..].copy_from_slice(&[0x55, 0xaa]);
        assert_eq!(kind_of(&sector), Some(Kind::Disk));
        assert_eq!(kind_of(&sector[..511]), None);
    }
}
