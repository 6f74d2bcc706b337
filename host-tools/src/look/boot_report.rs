//! The verb `boot-report`: where the time of a boot went, from what genpack-init leaves and from logs.
//!
//! On the machine itself `/run/genpack` and the journal are read; elsewhere files that were copied from it. Nothing is
//! measured here.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use genpack_core::contract::paths;

use crate::command_error::{CommandError, Context, Result};
use crate::ctx::Ctx;
use crate::io::atomic_file;
use crate::runner::Run;

pub mod lines;
pub mod svg;
pub mod text;
pub mod timeline;

/// Largest file that is read; the journal of a boot has some megabytes.
const MAX_BYTES: u64 = 64 << 20;

/// Files that are looked for in a directory: a machine's root, or what was copied from one.
const FILES: [&str; 10] = [
    paths::BOOT_STATUS,
    paths::INIT_LOG_RUN,
    paths::INIT_LOG,
    "/boot-status",
    "/init.log",
    "/genpack-init.log",
    "/journal.txt",
    "/dmesg.txt",
    "/console.log",
    "/serial.log",
];
/// The kept log repeats what the log of this boot says, in another file.
const KEPT: [&str; 2] = [paths::INIT_LOG, "/genpack-init.log"];

/// What was read.
#[derive(Debug, Default)]
struct Sources {
    status: String,
    logs: Vec<String>,
}

/// Prints the timeline, as text or as one JSON document, and draws it into `svg`.
///
/// # Errors
/// When a file cannot be read or written, and when nothing about a boot is found.
pub fn run(ctx: &Ctx, files: &[PathBuf], svg: Option<&Path>) -> Result<()> {
    let mut sources = Sources::default();
    if files.is_empty() {
        sources.add_directory(&ctx.path(Path::new("/")))?;
        sources.logs.extend(journal(ctx));
    }
    for file in files {
        let path = ctx.path(file);
        if path.is_dir() {
            sources.add_directory(&path)?;
        } else {
            sources.add_file(&path)?;
        }
    }
    let timeline = timeline::of(&sources.status, &sources.logs);
    if timeline.is_empty() {
        let places: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
        let places = if places.is_empty() { "this machine".to_owned() } else { places.join(", ") };
        return Err(CommandError::failed(format!("{places}: nothing about a boot of genpack-init")).hint(
            "copy /run/genpack from the machine, and the output of journalctl -b -o short-monotonic as journal.txt",
        ));
    }
    if let Some(svg) = svg {
        if !ctx.dry_run {
            atomic_file::write(svg, svg::picture(&timeline).as_bytes())?;
        }
        ctx.ui.note(format!("the picture is {}", svg.display()));
    }
    if ctx.ui.is_json() {
        ctx.ui.document(&timeline.json());
    } else {
        text::lines(&timeline).iter().for_each(|line| ctx.ui.answer(line));
    }
    Ok(())
}

impl Sources {
    fn add_directory(&mut self, directory: &Path) -> Result<()> {
        let mut has_log = false;
        for file in FILES {
            let path = directory.join(file.trim_start_matches('/'));
            if !path.is_file() || (has_log && KEPT.contains(&file)) {
                continue;
            }
            has_log |= file.ends_with("init.log");
            self.add_file(&path)?;
        }
        Ok(())
    }

    /// Reads a file; what is in it tells whether it is boot-status.
    fn add_file(&mut self, path: &Path) -> Result<()> {
        let reading = || format!("reading {}", path.display());
        let mut bytes = Vec::new();
        File::open(path)
            .with_context(reading)?
            .take(MAX_BYTES + 1)
            .read_to_end(&mut bytes)
            .with_context(reading)?;
        if bytes.len() as u64 > MAX_BYTES {
            let what = format!("{} is larger than the {} MiB that are read", path.display(), MAX_BYTES >> 20);
            return Err(CommandError::failed(what).hint("keep its end, where the last boot is: tail -c 10M"));
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let is_status = |line: &str| line.split_once('=').is_some_and(|(key, _)| key.ends_with("_ms"));
        if text.lines().any(is_status) && !text.trim_start().starts_with('[') {
            self.status = text;
        } else {
            self.logs.push(text);
        }
        Ok(())
    }
}

/// Returns what the kernel and PID 1 have said, `None` where there is no journal.
fn journal(ctx: &Ctx) -> Option<String> {
    let arguments = ["-b", "-q", "--no-pager", "-o", "short-monotonic", "_PID=1", "+", "_TRANSPORT=kernel"];
    let output = ctx.runner.run(&Run::new("journalctl").args(arguments));
    match output {
        Ok(output) => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
        Err(e) => {
            // Why: without systemd there is none, and the report says what is not known.
            ctx.ui.detail(format!("no journal: {e}"));
            None
        }
    }
}
