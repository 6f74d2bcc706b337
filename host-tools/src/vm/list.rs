//! The verbs `vm list` and `vm show`.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use genpack_qemu::deadline::Deadline;
use genpack_qemu::qga::Qga;
use genpack_qemu::qmp::Qmp;
use genpack_qemu::running::{Times, times};
use serde_json::{Map, Value, json};

use super::identity::Name;
use super::rundir::{Record, RunDir, RunRoot};
use crate::command_error::Result;
use crate::ctx::Ctx;

/// Clock ticks of a second in `/proc`: `USER_HZ`, 100 on every architecture of ours.
const TICKS: u64 = 100;
/// Where services have their directories.
pub const SERVICES: &str = "/var/vm";
/// A question to QEMU or the guest agent; a machine that is busy is listed all the same.
const ANSWER: Duration = Duration::from_millis(500);

/// What is known of one machine.
#[derive(Debug)]
struct Row {
    dir: RunDir,
    record: Record,
    state: String,
    address: Option<String>,
    times: Option<Times>,
}

/// Prints the machines of this user, with `all` also the services that do not run.
///
/// # Errors
/// When run directories cannot be read.
pub fn list(ctx: &Ctx, all: bool) -> Result<ExitCode> {
    let rows = rows(RunRoot::of_user().running()?);
    let stopped = if all { stopped(&rows, Path::new(SERVICES)) } else { Vec::new() };
    let uptime = system_uptime_ticks();
    if ctx.ui.is_json() {
        let mut machines: Vec<Value> = rows.iter().map(|row| facts(row, uptime)).collect();
        machines.extend(stopped.iter().map(|name| json!({"name": name, "state": "stopped"})));
        ctx.ui.document(&machines.into());
        return Ok(ExitCode::SUCCESS);
    }
    if rows.is_empty() && stopped.is_empty() {
        ctx.ui.answer("no machines are running");
        return Ok(ExitCode::SUCCESS);
    }
    let dash = || "-".to_owned();
    let mut table = vec![HEADER.map(str::to_owned)];
    for row in &rows {
        table.push([
            row.dir.name().to_string(),
            row.record.memory_mib.to_string(),
            row.record.cpus.to_string(),
            seconds(row, uptime).map_or_else(dash, duration),
            row.state.clone(),
            row.record.cid.map_or_else(dash, |cid| cid.to_string()),
            row.address.clone().unwrap_or_else(dash),
            row.record
                .image
                .as_deref()
                .and_then(Path::file_name)
                .map_or_else(dash, |n| n.to_string_lossy().into()),
        ]);
    }
    for name in &stopped {
        let mut row = HEADER.map(|_| dash());
        (row[0], row[4]) = (name.to_string(), "stopped".to_owned());
        table.push(row);
    }
    for line in layout(&table) {
        ctx.ui.answer(line);
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints what is known of machines as one line of JSON, as earlier tools did; no such machine is an empty array.
///
/// # Errors
/// When run directories cannot be read.
pub fn show(ctx: &Ctx, name: Option<&Name>) -> Result<ExitCode> {
    let root = RunRoot::of_user();
    let dirs = match name {
        None => root.running()?,
        Some(name) => {
            let dir = root.of(name);
            if dir.is_running()? { vec![dir] } else { Vec::new() }
        }
    };
    let uptime = system_uptime_ticks();
    let all: Vec<Value> = rows(dirs).iter().map(|row| facts(row, uptime)).collect();
    ctx.ui.text(&format!("{}\n", Value::from(all)));
    Ok(ExitCode::SUCCESS)
}

/// Asks all machines at the same time.
fn rows(dirs: Vec<RunDir>) -> Vec<Row> {
    std::thread::scope(|scope| {
        let asked: Vec<_> = dirs.into_iter().map(|dir| scope.spawn(|| row(dir))).collect();
        // A thread that panicked has said so.
        asked.into_iter().filter_map(|thread| thread.join().ok()).collect()
    })
}

fn row(dir: RunDir) -> Row {
    let record = dir.record().unwrap_or_default();
    let status = Qmp::open(&dir.file("qmp.sock"), Deadline::after(ANSWER))
        .and_then(|mut qmp| qmp.query_status(Deadline::after(ANSWER)));
    let state = match status {
        Ok(state) => state,
        Err(genpack_qemu::Error::Busy { .. }) => "busy".to_owned(),
        Err(_) => "?".to_owned(),
    };
    let address = address(&dir);
    let times = times(record.pid);
    Row { dir, record, state, address, times }
}

/// Returns the guest's first address that is not its own loopback, told by its agent.
fn address(dir: &RunDir) -> Option<String> {
    let mut agent = Qga::open(&dir.file("qga.sock"), Deadline::after(ANSWER)).ok()?;
    let found = agent.execute("guest-network-get-interfaces", Value::Null, Deadline::after(ANSWER)).ok()?;
    first_address(&found)
}

fn first_address(interfaces: &Value) -> Option<String> {
    let not_loopback = |i: &&Value| i["name"] != "lo";
    let addresses = |i: &Value| i["ip-addresses"].as_array().cloned().unwrap_or_default();
    let all: Vec<Value> = interfaces.as_array()?.iter().filter(not_loopback).flat_map(addresses).collect();
    let of = |kind: &str| {
        let found = all.iter().find(|a| a["ip-address-type"] == kind)?;
        Some(found["ip-address"].as_str()?.to_owned())
    };
    of("ipv4").or_else(|| of("ipv6"))
}

fn stopped(running: &[Row], services: &Path) -> Vec<Name> {
    // No directory, no services.
    let entries = std::fs::read_dir(services).into_iter().flatten().flatten();
    let mut names: Vec<Name> = entries
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| Name::parse(entry.file_name().to_str()?).ok())
        .filter(|name| !running.iter().any(|row| row.dir.name() == name))
        .collect();
    names.sort();
    names
}

fn facts(row: &Row, uptime: u64) -> Value {
    let path = |name: &str| {
        let path = row.dir.file(name);
        path.exists().then(|| Value::from(path.to_string_lossy()))
    };
    let record = &row.record;
    let ticks = |ticks: Option<u64>| ticks.map(|ticks| Value::from(ticks * 1000 / TICKS));
    let mut facts = Map::new();
    // In the order of the alphabet: earlier tools printed so.
    for (key, value) in [
        ("address", row.address.clone().map(Value::from)),
        ("arch", Some(Value::from(record.arch.as_str()))),
        ("cid", record.cid.map(Value::from)),
        ("console", path("console.sock")),
        ("cpus", Some(record.cpus.into())),
        ("image", record.image.as_ref().map(|image| Value::from(image.to_string_lossy()))),
        ("log", path("console.log")),
        ("memory", Some((u64::from(record.memory_mib) << 20).into())),
        ("monitor", path("monitor.sock")),
        ("name", Some(row.dir.name().as_str().into())),
        ("pid", Some(record.pid.into())),
        ("qemu-pid", path("qemu.pid")),
        ("qga", path("qga.sock")),
        ("qga_lock", path("qga.lock")),
        ("qmp", path("qmp.sock")),
        ("ssh_port", record.ssh_port.map(Value::from)),
        ("state", Some(row.state.as_str().into())),
        ("uptime_ms", ticks(row.times.map(|t| uptime.saturating_sub(t.started)))),
        ("utime_ms", ticks(row.times.map(|t| t.user))),
        ("uuid", record.uuid.as_deref().map(Value::from)),
    ] {
        if let Some(value) = value {
            facts.insert(key.to_owned(), value);
        }
    }
    Value::Object(facts)
}

fn seconds(row: &Row, uptime: u64) -> Option<u64> {
    Some(uptime.saturating_sub(row.times?.started) / TICKS)
}

fn system_uptime_ticks() -> u64 {
    let text = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    parse_uptime(&text).unwrap_or(0)
}

/// Parses the first number of `/proc/uptime`, which has two decimals.
fn parse_uptime(text: &str) -> Option<u64> {
    let (seconds, hundredths) = text.split_ascii_whitespace().next()?.split_once('.')?;
    Some(seconds.parse::<u64>().ok()? * TICKS + hundredths.parse::<u64>().ok()?)
}

/// Returns a time as `1d5m`: seconds only when there is no day.
fn duration(seconds: u64) -> String {
    let parts = [(seconds / 86_400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "m")];
    let mut text: String =
        parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit}")).collect();
    if parts[0].0 == 0 && (!seconds.is_multiple_of(60) || text.is_empty()) {
        text.push_str(&format!("{}s", seconds % 60));
    }
    text
}

const HEADER: [&str; 8] = ["NAME", "MEMORY(MB)", "#CPU", "UPTIME", "STATE", "CID", "ADDR", "IMAGE"];
/// Columns of numbers stand at the right.
const RIGHT: [bool; 8] = [false, true, true, true, false, true, false, false];

fn layout(table: &[[String; 8]]) -> Vec<String> {
    let widths: Vec<usize> = (0..HEADER.len())
        .map(|at| table.iter().map(|row| row[at].chars().count()).max().unwrap_or(0))
        .collect();
    let cell = |(text, (width, right)): (&String, (&usize, bool))| {
        if right { format!("{text:>width$}") } else { format!("{text:<width$}") }
    };
    let line = |row: &[String; 8]| {
        let cells: Vec<String> = row.iter().zip(widths.iter().zip(RIGHT)).map(cell).collect();
        cells.join("  ").trim_end().to_owned()
    };
    table.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_short() {
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (3661, "1h1m1s"),
            (86_400, "1d"),
            (86_700, "1d5m"),
            (90_061, "1d1h1m"),
        ] {
            assert_eq!(duration(seconds), text, "{seconds}");
        }
        assert_eq!(parse_uptime("350735.47 234388.90\n"), Some(35_073_547));
        assert_eq!(parse_uptime(""), None);
    }

    #[test]
    fn address_is_the_guests_first_outside_loopback() {
        let interfaces = json!([
            {"name": "lo", "ip-addresses": [{"ip-address-type": "ipv4", "ip-address": "127.0.0.1"}]},
            {"name": "eth0", "ip-addresses": [
                {"ip-address-type": "ipv6", "ip-address": "fe80::1"},
                {"ip-address-type": "ipv4", "ip-address": "10.0.2.15"}]},
        ]);
        assert_eq!(first_address(&interfaces).as_deref(), Some("10.0.2.15"));
        assert_eq!(first_address(&json!([{"name": "eth0"}])), None);
        assert_eq!(first_address(&json!(null)), None);
    }

    #[test]
    fn columns_are_as_wide_as_their_widest() {
        let mut row = HEADER.map(|_| "-".to_owned());
        (row[0], row[1], row[7]) = ("a-long-name".into(), "512".into(), "x.img".into());
        let lines = layout(&[HEADER.map(str::to_owned), row]);
        assert_eq!(
            lines,
            [
                "NAME         MEMORY(MB)  #CPU  UPTIME  STATE  CID  ADDR  IMAGE",
                "a-long-name         512     -       -  -        -  -     x.img"
            ]
        );
    }
}
