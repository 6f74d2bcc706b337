//! The disks of this machine, for a person who must name one of them.
//!
//! Everything that could be a target is shown, with the reason when it cannot be overwritten now. Not shown: parts of
//! disks, memory, drives without a medium, what stands on other disks.

use std::path::Path;

use serde_json::{Value, json};

use super::content::Found;
use super::size::Size;
use super::target::{self, Facts};
use crate::command_error::{CommandError, Result};
use crate::ctx::Ctx;

/// Kernel names of block devices that are no disks: memory, optical drives, stacks.
const NO_DISKS: [&str; 6] = ["ram", "zram", "sr", "fd", "dm-", "md"];

/// Prints the disks.
///
/// # Errors
/// When the kernel does not tell which there are.
pub fn show(ctx: &Ctx) -> Result<()> {
    let disks = find(Path::new("/sys/block"))?;
    if ctx.ui.is_json() {
        ctx.ui.document(&Value::Array(disks.iter().map(json).collect()));
        return Ok(());
    }
    if disks.is_empty() {
        ctx.ui.answer("no disks");
    }
    for disk in &disks {
        for line in lines(disk) {
            ctx.ui.answer(line);
        }
    }
    Ok(())
}

/// Returns the disks below a directory of the kernel's.
fn find(directory: &Path) -> Result<Vec<Facts>> {
    let entries = std::fs::read_dir(directory).map_err(|e| {
        CommandError::failed(e.to_string()).context(format!("reading {}", directory.display()))
    })?;
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| is_disk(name));
    names.sort();
    // A disk that goes away while it is looked at is none.
    let disks =
        names.iter().filter_map(|name| target::gather(&Path::new("/dev").join(name.replace('!', "/"))).ok());
    Ok(disks.filter(|disk| disk.bytes > 0).collect())
}

fn is_disk(name: &str) -> bool {
    !NO_DISKS
        .iter()
        .any(|no| name.strip_prefix(no).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())))
}

fn lines(disk: &Facts) -> Vec<String> {
    let mut words = vec![Size(disk.bytes).to_string()];
    words.extend(disk.model.clone());
    words.extend(disk.serial.as_ref().map(|serial| format!("serial {serial}")));
    words.extend(disk.transport.map(str::to_owned));
    if disk.sector_bytes != 512 {
        words.push(format!("sectors of {}", disk.sector_bytes));
    }
    let mut lines = vec![format!("{}\t{}", disk.path.display(), words.join(", "))];
    lines.extend(content(disk).into_iter().map(|found| format!("\t{found}")));
    lines.extend(target::check(disk).err().map(|error| format!("\tnot now: {error}")));
    lines
}

/// Returns what is on a disk, in lines.
#[must_use]
pub fn content(disk: &Facts) -> Vec<String> {
    let line = |found: &Found| format!("{found}, {}", Size(found.bytes));
    disk.content.iter().map(line).collect()
}

fn json(disk: &Facts) -> Value {
    let content: Vec<Value> = disk
        .content
        .iter()
        .map(|found| {
            json!({
                "partition": found.partition,
                "kind": found.kind,
                "label": found.label,
                "size": found.bytes,
            })
        })
        .collect();
    json!({
        "path": disk.path,
        "size": disk.bytes,
        "sector_size": disk.sector_bytes,
        "model": disk.model,
        "serial": disk.serial,
        "transport": disk.transport,
        "removable": disk.removable,
        "content": content,
        "refused": target::check(disk).err().map(|error| error.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_are_told_from_what_only_looks_like_one() {
        for (name, is) in [
            ("sda", true),
            ("nvme0n1", true),
            ("mmcblk0", true),
            ("loop0", true),
            ("fda", true),
            ("sr0", false),
            ("zram1", false),
            ("ram0", false),
            ("dm-0", false),
            ("md127", false),
        ] {
            assert_eq!(is_disk(name), is, "{name}");
        }
    }
}
