//! A plan and its outcome in words and in JSON.

use genpack_core::contract::paths::SYSTEM_ON_DATA;
use serde_json::{Value, json};

use super::plan::Plan;
use super::run::Outcome;
use crate::ctx::Ctx;
use crate::disk::layout::{Partition, Table};
use crate::disk::list;
use crate::disk::size::Size;
use crate::disk::target::{Facts, Kind};

/// Prints the plan: what `--dry-run` answers.
pub fn show(ctx: &Ctx, plan: &Plan) {
    if ctx.ui.is_json() {
        ctx.ui.document(&json(plan));
        return;
    }
    for line in lines(plan) {
        ctx.ui.answer(line);
    }
}

fn lines(plan: &Plan) -> Vec<String> {
    let sector = u64::from(plan.layout.sector_bytes.max(1));
    let mut lines = vec![format!(
        "{}: {}, {}{}",
        plan.target.path.display(),
        Size(plan.layout.disk_bytes),
        plan.layout.table.name(),
        match (&plan.loaders_from, plan.bios) {
            (Some(_), true) => ", boots by UEFI and BIOS",
            (Some(_), false) => ", boots by UEFI",
            (None, _) if plan.boards.is_empty() => ", boots by U-Boot",
            (None, _) => ", boots by the firmware of a Raspberry Pi",
        },
    )];
    let partition = |number: u32, part: Partition, what: String| {
        let (start, end) = (part.start / sector, part.start.saturating_add(part.len) / sector);
        format!(
            "  {number}  {start:>10} - {:>10}  {:>9}  {what}",
            end.saturating_sub(1),
            Size(part.len).to_string()
        )
    };
    let label = plan.label.map_or_else(String::new, |label| format!(", label {label}"));
    let geometry = plan.volume.geometry();
    lines.push(partition(
        1,
        plan.layout.boot,
        format!(
            "{} {}{label}, clusters of {}",
            fat_name(plan),
            plan.boot_uuid,
            Size(geometry.cluster_bytes().into())
        ),
    ));
    if let Some(data) = &plan.data {
        lines.push(partition(
            2,
            data.partition,
            format!("{} {}, label {}", data.kind.name(), data.uuid, data.label),
        ));
        if data.image.is_some() {
            lines.push(format!("  {:>12}  {SYSTEM_ON_DATA} on the data partition", plan.image_bytes));
        }
    }
    lines.extend(plan.loaders_from.iter().map(|from| format!("  loaders from {from}")));
    let (boots, lacks): (Vec<_>, Vec<_>) = plan.boards.iter().partition(|board| board.missing.is_empty());
    if !boots.is_empty() {
        let names: Vec<&str> = boots.iter().map(|board| board.name).collect();
        lines.push(format!("  boots Raspberry Pi {}", names.join(", ")));
    }
    for board in lacks {
        lines.push(format!("  not Raspberry Pi {}: without {}", board.name, board.missing.join(", ")));
    }
    lines.extend(plan.files.iter().map(|file| format!("  {:>12}  {}", file.bytes, file.path)));
    lines
}

fn fat_name(plan: &Plan) -> String {
    format!("FAT{}", plan.volume.geometry().fat_type().bits())
}

/// Returns the plan as JSON.
#[must_use]
pub fn json(plan: &Plan) -> Value {
    let boot_type = match plan.layout.table {
        Table::Mbr if plan.layout.esp => json!("ef"),
        Table::Mbr => json!("c"),
        Table::Gpt => json!("C12A7328-F81F-11D2-BA4B-00A0C93EC93B"),
        Table::Superfloppy => Value::Null,
    };
    let geometry = plan.volume.geometry();
    let mut partitions = vec![json!({
        "number": 1,
        "start": plan.layout.boot.start,
        "size": plan.layout.boot.len,
        "type": boot_type,
        "active": plan.layout.table == Table::Mbr,
        "filesystem": {
            "kind": "vfat",
            "version": fat_name(plan),
            "uuid": plan.boot_uuid,
            "label": plan.label.map(|label| label.to_string()),
            "cluster_size": geometry.cluster_bytes(),
            "free": plan.volume.free_bytes(),
        },
    })];
    if let Some(data) = &plan.data {
        partitions.push(json!({
            "number": 2,
            "start": data.partition.start,
            "size": data.partition.len,
            "type": if plan.layout.table == Table::Mbr { "83" } else { "0FC63DAF-8483-4772-8E79-3D69D8477DE4" },
            "active": false,
            "filesystem": {"kind": data.kind.name(), "uuid": data.uuid, "label": data.label},
            "system_image": data.image.is_some(),
        }));
    }
    let files: Vec<Value> = plan
        .files
        .iter()
        .map(|file| json!({"path": file.path, "size": file.bytes, "offset": file.offset}))
        .collect();
    let boards: Vec<Value> =
        plan.boards.iter().map(|board| json!({"name": board.name, "missing": board.missing})).collect();
    json!({
        "target": plan.target.path,
        "device": plan.target.kind == Kind::Device,
        "size": plan.layout.disk_bytes,
        "sector_size": plan.layout.sector_bytes,
        "table": plan.layout.table.name(),
        "bios": plan.bios,
        "loaders": plan.loaders_from,
        "boards": boards,
        "partitions": partitions,
        "files": files,
    })
}

/// Returns what the user is told before something that exists is overwritten: which disk it is, and what is lost.
#[must_use]
pub fn question(target: &Facts) -> String {
    let mut words: Vec<String> = target.model.iter().cloned().collect();
    words.extend(target.serial.as_ref().map(|serial| format!("serial {serial}")));
    words.push(Size(target.bytes).to_string());
    words.extend(target.transport.map(str::to_owned));
    let mut lines = vec![format!("{} ({}) will be overwritten.", target.path.display(), words.join(", "))];
    if target.kind == Kind::Device {
        let content = list::content(target);
        lines.extend(content.iter().map(|found| format!("  {found}")));
        if content.is_empty() {
            lines.push("  nothing known is on it".to_owned());
        }
    }
    lines.push("What is on it is lost.".to_owned());
    lines.join("\n")
}

/// Tells what was written.
pub fn done(ctx: &Ctx, plan: &Plan, outcome: &Outcome) {
    for line in lines(plan) {
        ctx.ui.answer(line);
    }
    written(ctx, &plan.target, outcome, json!({"boot_uuid": plan.boot_uuid}));
}

/// Tells how much was written and how fast; `more` are fields of the event.
pub fn written(ctx: &Ctx, target: &Facts, outcome: &Outcome, more: Value) {
    let seconds = outcome.writing.as_secs_f64();
    let rate = outcome.written as f64 / 1e6 / seconds.max(0.001);
    if ctx.ui.is_json() {
        let mut fields = json!({
            "target": target.path,
            "written": outcome.written,
            "write_seconds": seconds,
            "verify_seconds": outcome.verifying.map(|time| time.as_secs_f64()),
        });
        if let (Some(fields), Value::Object(more)) = (fields.as_object_mut(), more) {
            fields.extend(more);
        }
        ctx.ui.event("done", fields);
        return;
    }
    let verified = outcome.verifying.map_or_else(
        || "not read back".to_owned(),
        |time| format!("read back and compared in {:.1} s", time.as_secs_f64()),
    );
    ctx.ui
        .answer(format!("{} written in {seconds:.1} s ({rate:.0} MB/s), {verified}", Size(outcome.written)));
}
