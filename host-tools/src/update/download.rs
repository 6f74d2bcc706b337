//! Brings an image from a URL: only the pieces that no image of this machine has, when the server has a block list and
//! answers ranges, or makes them from new content where it has a delta from an image of this machine; else the whole
//! file, continued where it broke off (`docs/adr/0011-delta-updates.md`).
//!
//! The file grows under a `.partial` name in a directory of its own; pieces that are right there already are not asked
//! for again. It counts when its SHA-256 is that of the list. Not handled: patches of a piece, several servers.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde_json::json;
use sha2::{Digest, Sha256};

use super::blocks::{self, EXTENSION, Hash, List, MAX_LIST_BYTES, Piece};
use super::delta;
use crate::command_error::{CommandError, Context, Kind, Result};
use crate::ctx::Ctx;
use crate::disk::size::Size;
use crate::fetch::curl;
use crate::io::interrupt::Interrupt;
use crate::runner::Run;

/// Where images are brought to.
pub const DIRECTORY: &str = "/var/cache/genpack/update";
/// Ranges of one run of curl: its configuration stays small, and a broken connection costs little.
const RANGES_AT_ONCE: usize = 256;
/// Ranges that are closer than this are asked for as one: a request costs about as much.
const GAP: u64 = 512;
/// Share of the image, in hundredths, from which on the whole file is simpler.
const MOST_PERCENT: u64 = 80;
/// Signatures that may lie beside an image.
const SIGNATURES: [&str; 3] = ["minisig", "asc", "sig"];

/// What was brought, and what it cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The image.
    pub path: PathBuf,
    /// Bytes that were fetched.
    pub bytes: u64,
    /// Bytes of the image that were here already.
    pub reused: u64,
}

/// Brings an image into a directory; `here` are images that may have pieces of it.
///
/// # Errors
/// When the server has it not, or what came is not what the list says.
pub fn fetch(ctx: &Ctx, url: &str, directory: &Path, here: &[PathBuf]) -> Result<Fetched> {
    fs::create_dir_all(directory).with_context(|| format!("creating {}", directory.display()))?;
    let name = file_name(url)?;
    let (target, partial) = (directory.join(&name), directory.join(format!("{name}.partial")));
    let mut fetched = Fetched { path: target.clone(), bytes: 0, reused: 0 };
    let list = fetch_list(ctx, url, directory, &mut fetched)?;
    let is_done = match &list {
        Some(list) => by_pieces(ctx, url, list, &partial, here, &mut fetched)?,
        None => false,
    };
    if !is_done {
        // Why: a file of the full length has pieces here and there, and holes; only a shorter one is a beginning.
        if list
            .as_ref()
            .is_some_and(|list| fs::metadata(&partial).is_ok_and(|found| found.len() >= list.bytes))
        {
            fs::remove_file(&partial).with_context(|| format!("removing {}", partial.display()))?;
            fetched.reused = 0;
        }
        whole(ctx, url, &partial, &mut fetched)?;
    }
    if let Some(list) = &list {
        check(&partial, list).inspect_err(|_| {
            // What is wrong would be continued for ever.
            let _ = fs::remove_file(&partial);
        })?;
    }
    fs::rename(&partial, &target).with_context(|| format!("writing {}", target.display()))?;
    for extension in SIGNATURES {
        let beside = PathBuf::from(format!("{}.{extension}", target.display()));
        let _ = fs::remove_file(&beside);
        let got = small(ctx, &format!("{url}.{extension}"), &beside)?;
        fetched.bytes = fetched.bytes.saturating_add(got.unwrap_or(0));
    }
    ctx.ui.event("fetched", json!({"bytes": fetched.bytes, "reused_bytes": fetched.reused}));
    ctx.ui.step(format!("{} fetched, {} were here", Size(fetched.bytes), Size(fetched.reused)));
    Ok(fetched)
}

fn file_name(url: &str) -> Result<String> {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    let is_legal = |c: char| c.is_ascii_alphanumeric() || "._-+".contains(c);
    if name.is_empty() || name.starts_with('.') || !name.chars().all(is_legal) {
        return Err(CommandError::usage(format!("{url} does not end in the name of an image")));
    }
    Ok(name.to_owned())
}

/// Brings a small file; none when the server has it not.
fn small(ctx: &Ctx, url: &str, to: &Path) -> Result<Option<u64>> {
    let headers = tempfile::NamedTempFile::new().context("creating a temporary file")?;
    let run = curl::command(url, &curl::Ask::Whole, to, headers.path());
    let output = ctx.runner.try_run(&run)?;
    match output.status.code() {
        Some(0) => Ok(Some(fs::metadata(to).map_or(0, |found| found.len()))),
        Some(curl::HTTP_ERROR) => {
            let _ = fs::remove_file(to);
            Ok(None)
        }
        _ => Err(failed(url, output.tail)),
    }
}

fn failed(url: &str, tail: Vec<String>) -> CommandError {
    let mut error = CommandError::failed("the server or the way to it does not work");
    error.tail = tail;
    error.context(format!("fetching {url}")).hint("try again: what came is kept and continued")
}

fn fetch_list(ctx: &Ctx, url: &str, directory: &Path, fetched: &mut Fetched) -> Result<Option<List>> {
    let file = tempfile::NamedTempFile::new_in(directory).context("creating a temporary file")?;
    let Some(bytes) = small(ctx, &format!("{url}.{EXTENSION}"), file.path())? else { return Ok(None) };
    fetched.bytes = fetched.bytes.saturating_add(bytes);
    if bytes > MAX_LIST_BYTES {
        return Err(CommandError::failed(format!("the block list of {url} has {}", Size(bytes))));
    }
    List::parse(&fs::read(file.path()).context("reading the block list")?).map(Some)
}

/// Brings the whole file, continued when a part of it is there.
fn whole(ctx: &Ctx, url: &str, partial: &Path, fetched: &mut Fetched) -> Result<()> {
    let before = fs::metadata(partial).map_or(0, |found| found.len());
    let headers = tempfile::NamedTempFile::new().context("creating a temporary file")?;
    let known = curl::Validators::default();
    let ask = if before > 0 { curl::Ask::Rest(&known) } else { curl::Ask::Whole };
    let output = ctx.runner.try_run(&curl::command(url, &ask, partial, headers.path()))?;
    match output.status.code() {
        Some(0) => {}
        // The server does not continue, or there is nothing left to continue.
        Some(curl::CANNOT_RESUME | curl::HTTP_ERROR) if before > 0 => {
            fs::remove_file(partial).with_context(|| format!("removing {}", partial.display()))?;
            return whole(ctx, url, partial, fetched);
        }
        _ => return Err(failed(url, output.tail)),
    }
    let after = fs::metadata(partial).map_or(0, |found| found.len());
    fetched.bytes = fetched.bytes.saturating_add(after.saturating_sub(before));
    fetched.reused = before;
    Ok(())
}

/// Puts the image together from pieces; false when fetching it whole is simpler.
fn by_pieces(
    ctx: &Ctx,
    url: &str,
    list: &List,
    partial: &Path,
    here: &[PathBuf],
    fetched: &mut Fetched,
) -> Result<bool> {
    let what = || format!("writing {}", partial.display());
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(partial)
        .with_context(what)?;
    // Why compared first: a file of this length may have pieces of an earlier attempt, a shorter one its beginning.
    let mut missing: Vec<Piece> = list.pieces.iter().copied().filter(|piece| !has(&file, piece)).collect();
    fetched.reused = bytes_of(&list.pieces).saturating_sub(bytes_of(&missing));
    let known = known_pieces(ctx, here, &missing);
    let local = missing.iter().filter(|piece| known.pieces.contains_key(&(piece.hash, piece.length)));
    let local: u64 = local.map(|piece| u64::from(piece.length)).sum();
    if bytes_of(&missing).saturating_sub(local).saturating_mul(100) > list.bytes.saturating_mul(MOST_PERCENT)
    {
        return Ok(false);
    }
    file.set_len(list.bytes).with_context(what)?;
    let mut failed = None;
    missing.retain(|piece| {
        let Some((source, at)) = known.pieces.get(&(piece.hash, piece.length)) else { return true };
        let mut bytes = vec![0; piece.length as usize];
        // Read again and compared: the image it comes from may be the one that is being replaced.
        let is_it = source.read_exact_at(&mut bytes, *at).is_ok() && blocks::hash(&bytes) == piece.hash;
        if is_it && let Err(e) = file.write_all_at(&bytes, piece.at) {
            failed = Some(e);
        }
        !is_it
    });
    failed.map_or(Ok(()), Err).with_context(what)?;
    if !missing.is_empty() {
        by_delta(ctx, url, list, &file, &known.images, &mut missing, fetched)?;
    }
    fetched.reused = list.bytes.saturating_sub(bytes_of(&missing));
    let mut progress = ctx.ui.progress("fetching", bytes_of(&missing));
    for ranges in ranges(&missing).chunks(RANGES_AT_ONCE) {
        if let Some(interrupt) = Interrupt::watched() {
            interrupt.check()?;
        }
        let Some(bytes) = fetch_ranges(ctx, url, ranges, &file, partial)? else { return Ok(false) };
        fetched.bytes = fetched.bytes.saturating_add(bytes);
        progress.add(bytes);
    }
    file.sync_all().with_context(what)?;
    Ok(true)
}

fn bytes_of(pieces: &[Piece]) -> u64 {
    pieces.iter().map(|piece| u64::from(piece.length)).sum()
}

fn has(file: &File, piece: &Piece) -> bool {
    let mut bytes = vec![0; piece.length as usize];
    file.read_exact_at(&mut bytes, piece.at).is_ok() && blocks::hash(&bytes) == piece.hash
}

/// Makes the pieces that are missing from new content, with the first of the images that the server has a delta from.
/// What cannot be made so stays missing.
fn by_delta(
    ctx: &Ctx,
    url: &str,
    list: &List,
    to: &File,
    images: &[(PathBuf, List)],
    missing: &mut Vec<Piece>,
    fetched: &mut Fetched,
) -> Result<()> {
    for (path, old) in images {
        let file = tempfile::NamedTempFile::new().context("creating a temporary file")?;
        let url = format!("{url}.{}", delta::extension(&old.digest));
        let Some(bytes) = small(ctx, &url, file.path())? else { continue };
        fetched.bytes = fetched.bytes.saturating_add(bytes);
        let made = match delta::load(file.path())? {
            Some(delta) => delta::apply(&delta, path, old, list, to),
            None => Err(CommandError::failed(format!("it has {}", Size(bytes)))),
        };
        match made {
            Ok(made) => missing.retain(|piece| !made.contains(&piece.at)),
            Err(e) if e.kind == Kind::Aborted => return Err(e),
            // The server's ranges have it all.
            Err(e) => ctx.ui.detail(format!("{url} is of no use here: {e}")),
        }
        return Ok(());
    }
    Ok(())
}

/// What the images of this machine have.
struct Known {
    /// Where pieces are.
    pieces: HashMap<(Hash, u32), (std::rc::Rc<File>, u64)>,
    /// The images that could be read: a delta may begin with any.
    images: Vec<(PathBuf, List)>,
}

/// Returns where pieces are in the images of this machine. Why images are passed over: one that cannot be read has
/// nothing to give.
fn known_pieces(ctx: &Ctx, here: &[PathBuf], missing: &[Piece]) -> Known {
    let wanted: std::collections::HashSet<(Hash, u32)> =
        missing.iter().map(|piece| (piece.hash, piece.length)).collect();
    let mut known = Known { pieces: HashMap::new(), images: Vec::new() };
    for path in here {
        let opened = List::of_image(path).and_then(|list| {
            let file = File::open(path).with_context(|| format!("reading {}", path.display()))?;
            Ok((list, std::rc::Rc::new(file)))
        });
        match opened {
            Ok((list, file)) => {
                for piece in list.pieces.iter().filter(|piece| wanted.contains(&(piece.hash, piece.length))) {
                    known
                        .pieces
                        .entry((piece.hash, piece.length))
                        .or_insert_with(|| (file.clone(), piece.at));
                }
                known.images.push((path.clone(), list));
            }
            Err(e) => ctx.ui.detail(format!("{} is of no use here: {e}", path.display())),
        }
    }
    known
}

/// Returns the ranges (first byte, length) that cover pieces, near ones as one.
fn ranges(pieces: &[Piece]) -> Vec<(u64, u64)> {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for piece in pieces {
        let end = piece.at.saturating_add(u64::from(piece.length));
        match ranges.last_mut() {
            Some((start, length)) if piece.at <= start.saturating_add(*length).saturating_add(GAP) => {
                *length = end.saturating_sub(*start);
            }
            _ => ranges.push((piece.at, u64::from(piece.length))),
        }
    }
    ranges
}

/// Fetches ranges into their places and returns how many bytes came; none when the server does not answer ranges.
fn fetch_ranges(
    ctx: &Ctx,
    url: &str,
    ranges: &[(u64, u64)],
    file: &File,
    partial: &Path,
) -> Result<Option<u64>> {
    let scratch =
        tempfile::tempdir_in(partial.parent().unwrap_or(Path::new("."))).context("creating a directory")?;
    let mut config = String::new();
    for (number, (start, length)) in ranges.iter().enumerate() {
        let output = scratch.path().join(number.to_string());
        let end = start.saturating_add(*length).saturating_sub(1);
        let separator = if number > 0 { "next\n" } else { "" };
        // Every option counts for one URL. `max-filesize`: who answers with the whole file is not listened to.
        let _ = write!(
            config,
            "{separator}url = {}\noutput = {}\nrange = {start}-{end}\nmax-filesize = {length}\nfail\nsilent\nshow-error\n\
             location\nconnect-timeout = 30\nspeed-limit = 1024\nspeed-time = 60\n",
            quoted(url),
            quoted(&output.to_string_lossy()),
        );
    }
    let run =
        Run::new("curl").package("curl").args(["--fail-early", "--config", "-"]).stdin(config.into_bytes());
    let output = ctx.runner.try_run(&run)?;
    /// Status of curl when the answer is larger than was asked for.
    const TOO_LARGE: i32 = 63;
    match output.status.code() {
        Some(0) => {}
        Some(TOO_LARGE | curl::CANNOT_RESUME) => return Ok(None),
        _ => return Err(failed(url, output.tail)),
    }
    let mut bytes = 0_u64;
    for (number, (start, length)) in ranges.iter().enumerate() {
        let part = scratch.path().join(number.to_string());
        let content = fs::read(&part).with_context(|| format!("reading {}", part.display()))?;
        if content.len() as u64 != *length {
            return Ok(None);
        }
        file.write_all_at(&content, *start).with_context(|| format!("writing {}", partial.display()))?;
        bytes = bytes.saturating_add(*length);
    }
    Ok(Some(bytes))
}

/// Returns a value for curl's configuration.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Checks the whole against the list.
fn check(partial: &Path, list: &List) -> Result<()> {
    let what = || format!("reading {}", partial.display());
    let file = File::open(partial).with_context(what)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut at = 0_u64;
    loop {
        let n = file.read_at(&mut buffer, at).with_context(what)?;
        if n == 0 {
            break;
        }
        digest.update(buffer.get(..n).unwrap_or_default());
        at = at.saturating_add(n as u64);
    }
    if at != list.bytes || <[u8; 32]>::from(digest.finalize()) != list.digest {
        return Err(CommandError::new(Kind::VerifyFailed, "what was fetched is not the image of the block list")
            .hint("the image and its list on the server do not belong together, or someone changed them: publish them again"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_pieces_are_one_range() {
        let piece = |at, length| Piece { at, length, hash: [0; 16] };
        assert_eq!(
            ranges(&[piece(0, 10), piece(10, 5), piece(15 + GAP, 5), piece(30 + 2 * GAP, 1)]),
            [(0, 20 + GAP), (30 + 2 * GAP, 1)]
        );
    }

    #[test]
    fn url_names_a_file() {
        assert_eq!(file_name("https://h/a/x-1.squashfs?token=1").unwrap(), "x-1.squashfs");
        for bad in ["https://h/", "https://h/..", "https://h/.x", "https://h/a%2fb"] {
            assert_eq!(file_name(bad).unwrap_err().kind, Kind::Usage, "{bad}");
        }
    }

    #[test]
    fn curl_reads_values_as_they_are() {
        assert_eq!(quoted(r#"a"b\c"#), r#""a\"b\\c""#);
    }
}
