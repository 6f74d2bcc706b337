//! When what happened in a boot, put together from what genpack-init left and from logs.
//!
//! Not handled: firmware and boot loader, which run before the clock that all of this is told by.

use std::collections::{BTreeMap, HashMap};

use genpack_core::contract::boot_status;
use serde_json::{Value, json};

use super::lines::{Line, Speaker, after, of_last_boot};

/// Most steps, targets and units that are kept of each: a log is somebody else's text.
const MAX_KEPT: usize = 2000;

/// Something that took time, in microseconds since the kernel's start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// What it is called.
    pub name: String,
    /// When it began.
    pub start: u64,
    /// When it ended.
    pub end: u64,
}

impl Span {
    fn new(name: impl Into<String>, start: u64, end: u64) -> Self {
        Self { name: name.into(), start, end: end.max(start) }
    }

    /// Returns how long it took.
    #[must_use]
    pub const fn took(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }
}

/// A boot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    /// The image, where boot-status names it.
    pub image: String,
    /// Kernel, stage 1, stage 2, system.
    pub phases: Vec<Span>,
    /// What stage 1 said, each until the next word.
    pub steps: Vec<Span>,
    /// Modules of stage 2.
    pub modules: Vec<Span>,
    /// systemd's targets; they begin and end when they are reached.
    pub targets: Vec<Span>,
    /// systemd's units, the slowest first.
    pub units: Vec<Span>,
    /// Processor time of PID 1 by phase, in milliseconds.
    pub cpu_ms: Vec<(&'static str, u64)>,
    /// What is not known, and why.
    pub unknown: Vec<&'static str>,
}

impl Timeline {
    /// Returns the time of the last thing that is known.
    #[must_use]
    pub fn end(&self) -> u64 {
        let all = [&self.phases, &self.steps, &self.modules, &self.targets, &self.units];
        all.into_iter().flatten().map(|span| span.end).max().unwrap_or(0)
    }

    /// Tells whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.phases.is_empty() && self.modules.is_empty() && self.targets.is_empty() && self.units.is_empty()
    }

    /// Returns it as one JSON document; times are milliseconds.
    #[must_use]
    pub fn json(&self) -> Value {
        let ms = |us: u64| us as f64 / 1000.0;
        let spans = |spans: &[Span]| -> Vec<Value> {
            let span = |s: &Span| json!({"name": s.name, "start_ms": ms(s.start), "end_ms": ms(s.end), "ms": ms(s.took())});
            spans.iter().map(span).collect()
        };
        let marks = self.targets.iter().map(|t| json!({"name": t.name, "at_ms": ms(t.end)}));
        json!({
            "image": self.image,
            "phases": spans(&self.phases),
            "stage1": spans(&self.steps),
            "stage2": spans(&self.modules),
            "targets": marks.collect::<Vec<_>>(),
            "units": spans(&self.units),
            "cpu_ms": self.cpu_ms.iter().map(|(name, ms)| ((*name).to_owned(), (*ms).into())).collect::<serde_json::Map<_, _>>(),
            "unknown": self.unknown,
        })
    }
}

/// Puts together what boot-status and logs tell.
#[must_use]
pub fn of(status: &str, logs: &[String]) -> Timeline {
    let status: BTreeMap<&str, &str> = status.lines().filter_map(|line| line.split_once('=')).collect();
    let number = |key: &str| status.get(key).and_then(|value| value.trim().parse::<u64>().ok());
    let us = |key: &str| number(key).and_then(|ms| ms.checked_mul(1000));
    let mut lines: Vec<Line<'_>> = logs.iter().flat_map(|log| of_last_boot(log)).collect();
    lines.sort_by_key(|line| line.at);

    let image = status.get(boot_status::IMAGE).map_or_else(String::new, |image| (*image).to_owned());
    let mut timeline = Timeline { image, ..Timeline::default() };
    for (name, key) in [
        ("kernel", boot_status::START_CPU_MS),
        ("stage 1", boot_status::STAGE1_CPU_MS),
        ("stage 2", boot_status::STAGE2_CPU_MS),
    ] {
        timeline.cpu_ms.extend(number(key).map(|ms| (name, ms)));
    }

    let told = Told::of(&lines);
    // boot-status counts most: it is measured, where a line only says when it was written.
    let start = us(boot_status::START_MS).or(told.stage1.map(|(start, _)| start)).or(told.run_init);
    let status_stage1 =
        start.zip(us(boot_status::STAGE1_MS)).map(|(start, took)| (start, start.saturating_add(took)));
    let stage1 = status_stage1.or(told.stage1);
    let status_end = start.zip(us(boot_status::INIT_MS)).map(|(start, took)| start.saturating_add(took));
    let status_stage2 =
        status_end.zip(us(boot_status::STAGE2_MS)).map(|(end, took)| (end.saturating_sub(took), end));
    let stage2 = status_stage2.or(told.stage2);
    let mut phase = |name: &str, span: Option<(u64, u64)>| {
        timeline.phases.extend(span.map(|(start, end)| Span::new(name, start, end)));
    };
    phase("kernel", start.or(stage2.map(|(start, _)| start)).map(|end| (0, end)));
    phase("stage 1", stage1);
    phase("stage 2", stage2);
    let system = stage2.map(|(_, end)| end).or(told.systemd.first().map(|line| line.at));
    timeline.targets = targets(&told.systemd);
    timeline.units = units(&told.systemd);
    let finished = told.systemd.iter().find(|l| l.text.starts_with("Startup finished in ")).map(|l| l.at);
    let last_target = timeline.targets.iter().map(|t| t.end).max();
    if let Some((start, end)) = system.zip(finished.or(last_target)) {
        timeline.phases.push(Span::new("systemd", start, end));
    }
    let within =
        stage1.map_or((0, 0), |(start, end)| (start.saturating_sub(SLACK), end.saturating_add(SLACK)));
    timeline.steps = steps(&told.init, within, stage1.map_or(0, |(_, end)| end));
    timeline.modules = told.init.iter().filter_map(module).take(MAX_KEPT).collect();
    timeline.unknown = unknown(&timeline);
    timeline
}

/// How far the kernel log's clock may be from the one that genpack-init reads, in microseconds.
const SLACK: u64 = 500_000;

/// What the lines themselves tell of the phases.
struct Told<'t> {
    run_init: Option<u64>,
    stage1: Option<(u64, u64)>,
    stage2: Option<(u64, u64)>,
    init: Vec<Line<'t>>,
    systemd: Vec<Line<'t>>,
}

impl<'t> Told<'t> {
    fn of(lines: &[Line<'t>]) -> Self {
        let is_run =
            |line: &&Line<'_>| line.speaker == Speaker::Kernel && line.text.starts_with("Run /init as init");
        let run_init = lines.iter().find(is_run).map(|line| line.at);
        let of = |speaker: Speaker| {
            let (mut said, mut last) = (Vec::new(), HashMap::new());
            for line in lines.iter().filter(|line| line.speaker == speaker) {
                // The same boot in two logs is one boot.
                let before: Option<u64> = last.insert(line.text, line.at);
                if before.is_none_or(|before| line.at.saturating_sub(before) > SLACK) {
                    said.push(*line);
                }
            }
            said
        };
        let (init, systemd) = (of(Speaker::Init), of(Speaker::Systemd));
        let end_after = |head: &str| {
            init.iter().find_map(|line| {
                let (ms, _) = line.text.strip_prefix(head)?.split_once(" ms")?;
                let took = ms.parse::<u64>().ok()?.checked_mul(1000)?;
                Some((line.at.saturating_sub(took), line.at))
            })
        };
        Self {
            run_init,
            stage1: end_after("switching to the new root after "),
            stage2: end_after("stage 2 done in "),
            init,
            systemd,
        }
    }
}

/// Returns what stage 1 said between two moments, each until the next word; the last until `end`.
fn steps(init: &[Line<'_>], (from, to): (u64, u64), end: u64) -> Vec<Span> {
    let is_end = |line: &&Line<'_>| line.text.starts_with("switching to the new root");
    let of_stage1: Vec<_> = init
        .iter()
        .take_while(|line| !is_end(line) && line.at <= to)
        .filter(|line| line.at >= from && module(line).is_none())
        .take(MAX_KEPT)
        .collect();
    let ends = of_stage1.iter().skip(1).map(|line| line.at).chain([end]);
    of_stage1.iter().zip(ends).map(|(line, end)| Span::new(line.text, line.at, end)).collect()
}

/// Reads `NAME: N steps, M ms`.
fn module(line: &Line<'_>) -> Option<Span> {
    let (name, rest) = line.text.split_once(": ")?;
    let (steps, ms) = rest.strip_suffix(" ms")?.split_once(" steps, ")?;
    steps.parse::<u64>().ok()?;
    let took = ms.parse::<u64>().ok()?.checked_mul(1000)?;
    Some(Span::new(name, line.at.saturating_sub(took), line.at))
}

/// Returns the name of what systemd speaks of: the unit where it names it, else its description.
fn unit(text: &str) -> &str {
    text.split_once(" - ").map_or(text.trim_end_matches('.'), |(unit, _)| unit)
}

fn targets(systemd: &[Line<'_>]) -> Vec<Span> {
    let reached =
        |line: &Line<'_>| Some((unit(line.text.strip_prefix("Reached target ")?).to_owned(), line.at));
    systemd.iter().filter_map(reached).take(MAX_KEPT).map(|(name, at)| Span::new(name, at, at)).collect()
}

/// Returns the units that began and ended, the slowest first.
fn units(systemd: &[Line<'_>]) -> Vec<Span> {
    const BEGIN: [&str; 3] = ["Starting ", "Mounting ", "Activating swap "];
    const END: [&str; 5] = ["Started ", "Finished ", "Mounted ", "Activated swap ", "Failed to start "];
    let mut open: BTreeMap<&str, u64> = BTreeMap::new();
    let mut units = Vec::new();
    for line in systemd {
        if let Some(name) = after(line.text, &BEGIN) {
            if open.len() < MAX_KEPT {
                open.insert(unit(name), line.at);
            }
        } else if let Some(name) = after(line.text, &END) {
            let name = unit(name);
            if let (Some(start), true) = (open.remove(name), units.len() < MAX_KEPT) {
                units.push(Span::new(name, start, line.at));
            }
        }
    }
    units.sort_by(|a, b| b.took().cmp(&a.took()).then_with(|| a.start.cmp(&b.start)));
    units
}

fn unknown(timeline: &Timeline) -> Vec<&'static str> {
    let has = |name: &str| timeline.phases.iter().any(|phase| phase.name == name);
    let mut unknown = vec!["firmware and boot loader: the clock starts with the kernel"];
    for (is_known, what) in [
        (
            has("stage 1"),
            "stage 1: no boot-status, and no line of it in a log (without an initramfs of ours there is none)",
        ),
        (has("stage 2"), "stage 2: no boot-status, and no line of it in a log"),
        (!timeline.steps.is_empty(), "steps of stage 1: no init.log, kernel log or journal with them"),
        (!timeline.modules.is_empty(), "modules of stage 2: no init.log, kernel log or journal with them"),
        (
            !timeline.targets.is_empty(),
            "systemd: no line of it in a log; journalctl -b -o short-monotonic has them",
        ),
    ] {
        if !is_known {
            unknown.push(what);
        }
    }
    unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    const INIT_LOG: &str = "[    8.720] info: stage 1, version 0.1.0, root is /dev/vda\n\
        [   10.488] info: 35 kinds of devices, 7 modules loaded for them\n\
        [   14.776] info: switching to the new root after 6077 ms, 488 KiB\n\
        [   15.832] info: record: 2 steps, 47 ms\n\
        [   15.867] info: stage 2 done in 631 ms, 7172 ms since /init started\n";

    fn told(spans: &[Span]) -> Vec<(&str, u64, u64)> {
        spans.iter().map(|s| (s.name.as_str(), s.start / 1000, s.end / 1000)).collect()
    }

    #[test]
    fn log_alone_tells_the_phases() {
        let timeline = of("", &[INIT_LOG.into()]);
        let expected = [("kernel", 0, 8699), ("stage 1", 8699, 14776), ("stage 2", 15236, 15867)];
        assert_eq!(told(&timeline.phases), expected);
        assert_eq!(told(&timeline.modules), [("record", 15785, 15832)]);
        let steps = [
            ("stage 1, version 0.1.0, root is /dev/vda", 8720, 10488),
            ("35 kinds of devices, 7 modules loaded for them", 10488, 14776),
        ];
        assert_eq!(told(&timeline.steps), steps);
        assert_eq!(timeline.unknown.len(), 2, "{:?}", timeline.unknown);
    }

    #[test]
    fn boot_status_counts_more_than_a_log() {
        let status = "image=system.img\nstart_ms=8000\nstage1_ms=6000\nstage2_ms=500\ninit_ms=7000\nstage1_cpu_ms=12\n";
        let timeline = of(status, &[INIT_LOG.into()]);
        let expected = [("kernel", 0, 8000), ("stage 1", 8000, 14000), ("stage 2", 14500, 15000)];
        assert_eq!(told(&timeline.phases), expected);
        assert_eq!((timeline.image.as_str(), timeline.cpu_ms), ("system.img", vec![("stage 1", 12)]));
    }

    #[test]
    fn units_are_those_that_began_and_ended() {
        let log = "[    1.000000] systemd[1]: Starting a.service - The A...\n\
            [    1.100000] systemd[1]: Starting The B...\n\
            [    1.200000] systemd[1]: Finished a.service - The A.\n\
            [    1.900000] systemd[1]: Failed to start The B.\n\
            [    2.000000] systemd[1]: Started c.timer - C.\n\
            [    2.100000] systemd[1]: Reached target multi-user.target - Multi-User System.\n\
            [    2.200000] systemd[1]: Reached target Timers.\n\
            [    2.500000] systemd[1]: Startup finished in 1s (kernel) + 1s (userspace) = 2s.\n";
        let timeline = of("", &[log.into(), log.replace("] systemd", "] box systemd")]);
        assert_eq!(told(&timeline.units), [("The B", 1100, 1900), ("a.service", 1000, 1200)]);
        assert_eq!(told(&timeline.targets), [("multi-user.target", 2100, 2100), ("Timers", 2200, 2200)]);
        assert_eq!(told(&timeline.phases), [("systemd", 1000, 2500)]);
    }

    #[test]
    fn numbers_beyond_all_measure_do_no_harm() {
        let huge = u64::MAX;
        let status = format!("start_ms={huge}\nstage1_ms={huge}\ninit_ms=18446744073709551\nstage2_ms=1\n");
        let log = format!(
            "[    1.000] info: x: 1 steps, {huge} ms\n[    1.000] info: stage 2 done in 99999999 ms, 1 ms\n"
        );
        let timeline = of(&status, &[log]);
        assert_eq!(told(&timeline.phases), [("kernel", 0, 0), ("stage 2", 0, 1000)]);
    }
}
