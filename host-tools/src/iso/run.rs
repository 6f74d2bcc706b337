//! Writes a planned disc in one pass: no seeking, so a pipe of bytes in the order of their places; gaps are zeros.

use std::io::Write;
use std::path::Path;

use super::Plan;
use crate::command_error::{CommandError, Context, Result};
use crate::ctx::Ctx;
use crate::io::atomic_file::AtomicFile;
use crate::io::interrupt::Interrupt;

/// Bytes of one write.
const CHUNK: usize = 1 << 20;

/// Writes the disc beside its name and gives it the name when it is complete.
///
/// # Errors
/// When a source cannot be read or the file cannot be written.
pub fn run(ctx: &Ctx, plan: &Plan, output: &Path) -> Result<()> {
    let what = || format!("writing {}", output.display());
    let file = AtomicFile::create(output)?;
    let mut to = file.file();
    let mut progress = ctx.ui.progress("writing", plan.bytes);
    let mut at = 0_u64;
    let mut buffer = vec![0; CHUNK];
    for (offset, source) in &plan.writes {
        let gap = offset.checked_sub(at).ok_or_else(|| {
            CommandError::failed(format!("two parts of the disc overlap at byte {offset}")).context(what())
        })?;
        zeros(&mut to, gap).with_context(what)?;
        let mut done = 0_u64;
        while done < source.len() {
            if let Some(interrupt) = Interrupt::watched() {
                interrupt.check()?;
            }
            let n = usize::try_from(source.len().saturating_sub(done)).unwrap_or(CHUNK).min(CHUNK);
            let part = buffer.get_mut(..n).unwrap_or_default();
            source
                .read(done, part)
                .with_context(|| format!("reading what goes to byte {offset} of the disc"))?;
            to.write_all(part).with_context(what)?;
            done = done.saturating_add(n as u64);
            progress.add(n as u64);
        }
        at = offset.saturating_add(source.len());
    }
    zeros(&mut to, plan.bytes.saturating_sub(at)).with_context(what)?;
    file.commit(0o644)
}

fn zeros(to: &mut impl Write, mut count: u64) -> std::io::Result<()> {
    const ZEROS: [u8; 4096] = [0; 4096];
    while count > 0 {
        let n = usize::try_from(count).unwrap_or(ZEROS.len()).min(ZEROS.len());
        to.write_all(ZEROS.get(..n).unwrap_or_default())?;
        count = count.saturating_sub(n as u64);
    }
    Ok(())
}
