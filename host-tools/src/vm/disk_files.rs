//! Verbs about files that hold disks: `vm disk`, `vm allocate`, `vm expand`, `vm snapshot`.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use genpack_qemu::deadline::Deadline;
use genpack_qemu::machine::ImageFormat;
use genpack_qemu::qcow2;
use genpack_qemu::qga::Qga;
use genpack_qemu::qmp::Qmp;
use rustix::fs::{FallocateFlags, fallocate};
use serde_json::{Value, json};

use super::identity::Name;
use super::media::{self, disk_bytes};
use super::rundir::RunDir;
use super::stop::control;
use super::sys;
use crate::command_error::{CommandError, Context, Result};
use crate::ctx::Ctx;

/// One question to QEMU.
const ANSWER: Duration = Duration::from_secs(30);
/// A disk is copied within this time.
const COPY: Duration = Duration::from_secs(24 * 3600);
/// Disks smaller than this are placeholders.
const MIN_DISK_BYTES: u64 = 1 << 20;
/// QEMU's name of a copy that is being made.
const COPY_NODE: &str = "snapshot";

/// Whether a file is to be there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// It must not be there.
    New,
    /// It must be there.
    There,
    /// Either will do.
    Either,
}

/// When a file takes its space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// Now: the guest never finds the file system full.
    AtOnce,
    /// When the guest writes.
    WhenWritten,
}

/// Makes or enlarges a file that holds a raw disk.
///
/// # Errors
/// When it is larger already, is or is not there against what is wanted, or the file system is full.
pub fn allocate(ctx: &Ctx, path: &Path, bytes: u64, wanted: Wanted, space: Space) -> Result<()> {
    let path = ctx.path(path);
    if bytes == 0 {
        return Err(CommandError::usage("a disk of no size is none"));
    }
    let what = || format!("allocating {}", path.display());
    let found = match (std::fs::metadata(&path), wanted) {
        (Ok(_), Wanted::New) => return Err(there_already(&path)),
        (Ok(m), _) if !m.is_file() => {
            return Err(CommandError::refused(format!("{} is no file", path.display())));
        }
        (Ok(m), _) => m.len(),
        (Err(e), Wanted::There) => return Err(e).with_context(what),
        (Err(_), _) => 0,
    };
    if found > 0 && media::is_qcow2(&path) {
        return Err(CommandError::refused(format!(
            "{} is a qcow2, whose size is not its file's",
            path.display()
        ))
        .hint(format!("qemu-img resize {} {bytes}", path.display())));
    }
    if found > bytes {
        return Err(CommandError::refused(format!(
            "{} has {found} bytes, more than {bytes}",
            path.display()
        ))
        .hint("a disk is never made smaller: what the guest has on it would be lost"));
    }
    if ctx.dry_run {
        ctx.ui.answer(format!("would allocate {bytes} bytes for {}", path.display()));
        return Ok(());
    }
    let file = File::options()
        .create(wanted == Wanted::Either)
        .create_new(wanted == Wanted::New)
        .write(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .with_context(what)?;
    if found == 0 {
        // Only some file systems know the difference, and all work without.
        let _ = sys::set_no_copy_on_write(&file);
    }
    match space {
        Space::AtOnce => fallocate(&file, FallocateFlags::empty(), 0, bytes).with_context(what)?,
        Space::WhenWritten => file.set_len(bytes).with_context(what)?,
    }
    file.sync_all().with_context(what)
}

/// Makes an empty qcow2.
///
/// # Errors
/// When the file is there already or cannot be written.
pub fn create_qcow2(ctx: &Ctx, path: &Path, bytes: u64) -> Result<()> {
    let path = ctx.path(path);
    let what = || format!("making {}", path.display());
    if bytes == 0 {
        return Err(CommandError::usage("a disk of no size is none"));
    }
    if path.exists() {
        return Err(there_already(&path));
    }
    if ctx.dry_run {
        ctx.ui.answer(format!("would make a qcow2 of {bytes} bytes at {}", path.display()));
        return Ok(());
    }
    let mut file = File::options().create_new(true).write(true).mode(0o600).open(&path).with_context(what)?;
    qcow2::write_empty(&mut file, bytes).with_context(what)?;
    file.sync_all().with_context(what)
}

fn there_already(path: &Path) -> CommandError {
    CommandError::refused(format!("{} is there already", path.display()))
}

/// Tells a machine that the files of its disks have grown.
///
/// # Errors
/// When it does not run or QEMU refuses.
pub fn expand(ctx: &Ctx, name: &Name) -> Result<()> {
    let (_, _, mut qmp) = control(name)?;
    let mut answer = Vec::new();
    for disk in disks(&mut qmp)?.iter().filter(|disk| disk.writable && disk.bytes >= MIN_DISK_BYTES) {
        let now = disk_bytes(Path::new(&disk.file), ImageFormat::Raw)?;
        if now > disk.bytes {
            let size = json!({"node-name": disk.node, "size": now});
            execute(&mut qmp, "block_resize", size).with_context(|| format!("resizing {}", disk.file))?;
            ctx.ui.answer(format!("{}: {} -> {now} bytes", disk.file, disk.bytes));
        } else {
            ctx.ui.answer(format!("{}: {} bytes", disk.file, disk.bytes));
        }
        answer.push(json!({"file": disk.file, "before": disk.bytes, "now": now.max(disk.bytes)}));
    }
    if ctx.ui.is_json() {
        ctx.ui.document(&answer.into());
    }
    Ok(())
}

/// Copies a disk as it is at one moment, while the guest goes on.
///
/// # Errors
/// When there is no such disk, the file is there already or cannot be written.
pub fn snapshot(ctx: &Ctx, name: &Name, to: &Path, serial: &str) -> Result<()> {
    let (dir, record, mut qmp) = control(name)?;
    let to = ctx.path(to);
    let node = record.disks.iter().find(|(s, _)| s == serial).map(|(_, node)| node.clone());
    let node = node.ok_or_else(|| {
        let known: Vec<&str> = record.disks.iter().map(|(serial, _)| serial.as_str()).collect();
        CommandError::failed(format!("{name} has no disk {serial}"))
            .hint(format!("it has {}", known.join(", ")))
    })?;
    if to.exists() {
        return Err(there_already(&to));
    }
    let bytes = size_of(&mut qmp, &node)?;
    let file = crate::io::atomic_file::AtomicFile::create(&to)?;
    file.file().set_len(bytes).with_context(|| format!("making {}", to.display()))?;
    let target = std::fs::canonicalize(file.path()).with_context(|| format!("making {}", to.display()))?;
    let target = json!({"driver": "raw", "node-name": COPY_NODE, "discard": "unmap", "detect-zeroes": "unmap",
        "file": {"driver": "file", "filename": target.to_string_lossy(), "discard": "unmap"}});
    execute(&mut qmp, "blockdev-add", target)?;
    let copied = copy(ctx, &dir, &mut qmp, &node);
    let removed = execute(&mut qmp, "blockdev-del", json!({"node-name": COPY_NODE}));
    copied?;
    removed?;
    file.commit(0o600)?;
    ctx.ui.step(format!("{serial} of {name} is in {}", to.display()));
    Ok(())
}

/// Copies what the node holds when the job begins; the guest's file systems are frozen for that moment.
fn copy(ctx: &Ctx, dir: &RunDir, qmp: &mut Qmp, node: &str) -> Result<()> {
    let mut agent = Qga::open(&dir.file("qga.sock"), Deadline::seconds(2)).ok();
    let frozen = agent.as_mut().is_some_and(|agent| {
        agent.execute("guest-fsfreeze-freeze", Value::Null, Deadline::after(ANSWER)).is_ok()
    });
    if !frozen {
        ctx.ui.note("no guest agent freezes the file systems: the copy is as after a power cut");
    }
    let job = json!({"job-id": COPY_NODE, "device": node, "target": COPY_NODE, "sync": "full"});
    let begun = execute(qmp, "blockdev-backup", job);
    if let Some(agent) = agent.as_mut().filter(|_| frozen) {
        agent
            .execute("guest-fsfreeze-thaw", Value::Null, Deadline::after(ANSWER))
            .map_err(|e| CommandError::failed(e.to_string()).context("thawing the guest's file systems"))?;
    }
    begun?;
    let ours = |data: &Value| data["device"] == COPY_NODE;
    let done = qmp
        .wait_event("BLOCK_JOB_COMPLETED", ours, Deadline::after(COPY))
        .map_err(|e| CommandError::failed(e.to_string()))?;
    match done["data"]["error"].as_str() {
        None => Ok(()),
        Some(error) => Err(CommandError::failed(error).context("copying the disk")),
    }
}

/// One disk of a running machine.
struct Disk {
    node: String,
    file: String,
    bytes: u64,
    writable: bool,
}

fn disks(qmp: &mut Qmp) -> Result<Vec<Disk>> {
    let answer = execute(qmp, "query-block", Value::Null)?;
    let disk = |device: &Value| {
        let inserted = &device["inserted"];
        let raw = inserted["drv"] == "raw" && device["removable"] != true;
        let node = inserted["node-name"].as_str().filter(|_| raw)?;
        Some(Disk {
            node: node.to_owned(),
            file: inserted["image"]["filename"].as_str()?.to_owned(),
            bytes: inserted["image"]["virtual-size"].as_u64()?,
            writable: inserted["ro"] == false,
        })
    };
    Ok(answer.as_array().into_iter().flatten().filter_map(disk).collect())
}

fn size_of(qmp: &mut Qmp, node: &str) -> Result<u64> {
    let nodes = execute(qmp, "query-named-block-nodes", json!({"flat": true}))?;
    let found = nodes.as_array().into_iter().flatten().find(|n| n["node-name"] == node);
    let bytes = found.and_then(|n| n["image"]["virtual-size"].as_u64());
    bytes.ok_or_else(|| CommandError::failed(format!("QEMU does not tell the size of {node}")))
}

fn execute(qmp: &mut Qmp, command: &str, arguments: Value) -> Result<Value> {
    qmp.execute(command, arguments, Deadline::after(ANSWER)).map_err(|e| CommandError::failed(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use genpack_core::kernel::arch::Arch;

    #[test]
    fn file_is_made_and_enlarged_but_nothing_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let ctx = Ctx::quiet(dir.path(), Arch::X86_64);
        let path = dir.path().join("d");
        let make = |bytes, wanted| {
            let done = allocate(&ctx, Path::new("d"), bytes, wanted, Space::WhenWritten);
            (done.is_ok(), std::fs::metadata(&path).map_or(0, |m| m.len()))
        };
        assert_eq!(make(4096, Wanted::There), (false, 0));
        assert_eq!(make(0, Wanted::Either), (false, 0));
        assert_eq!(make(4096, Wanted::New), (true, 4096));
        assert_eq!(make(8192, Wanted::New), (false, 4096));
        assert_eq!(make(8192, Wanted::There), (true, 8192));
        assert_eq!(make(4096, Wanted::Either), (false, 8192));
        assert!(create_qcow2(&ctx, Path::new("d"), 4096).is_err());
        create_qcow2(&ctx, Path::new("q"), 1 << 30).unwrap();
        assert_eq!(disk_bytes(&dir.path().join("q"), ImageFormat::Qcow2).unwrap(), 1 << 30);
        let grown = allocate(&ctx, Path::new("q"), 2 << 30, Wanted::There, Space::WhenWritten);
        assert!(grown.unwrap_err().to_string().contains("is a qcow2"));
    }
}
