//! Downloads that were made before: continued, asked about, or taken as they are.
//!
//! A file is kept under the digest of its URL; beside it what the server said of it and its SHA-256. A file appears
//! under its name when it is whole. What is half remains as `.part` and is continued by the next build, when the
//! server says that it is still the same file.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::command_error::{CommandError, Context, Result};
use crate::fetch::curl::{self, Ask, Validators};
use crate::fetch::location::Location;
use crate::io::atomic_file::{self, sync_directory};
use crate::io::hash::{self, Hasher};
use crate::model::lockfile::Locked;
use crate::model::work_dir::remove_file;
use crate::runner::{Runner, describe};
use crate::ui::Ui;

/// Variable that names the cache's directory.
pub const DIRECTORY_ENV: &str = "GENPACK_CACHE";

/// What is known of a whole file.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
struct Record {
    url: String,
    size: u64,
    sha256: String,
    #[serde(flatten)]
    validators: Validators,
}

/// A file that is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Where.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// SHA-256.
    pub sha256: String,
}

/// Brings files.
#[derive(Debug)]
pub struct Cache<'a> {
    /// Says what is brought.
    pub ui: &'a Ui,
    /// Runs curl.
    pub runner: &'a Runner,
    /// The directory.
    pub directory: PathBuf,
    /// Take what is here and ask nobody.
    pub offline: bool,
}

/// Returns the directory of what builds of all artifacts share.
///
/// # Errors
/// When no variable of the environment says where it is.
pub fn directory() -> Result<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    variable(DIRECTORY_ENV)
        .or_else(|| variable("XDG_CACHE_HOME").map(|d| d.join("genpack")))
        .or_else(|| variable("HOME").map(|d| d.join(".cache/genpack")))
        .ok_or_else(|| {
            CommandError::failed("no HOME says where the cache is").hint(format!("set {DIRECTORY_ENV}"))
        })
}

impl Cache<'_> {
    /// Brings the newest form of a file.
    ///
    /// # Errors
    /// When it is not there, or offline when it was never brought.
    pub fn newest(&self, location: &Location) -> Result<Fetched> {
        let url = match location {
            Location::Path(path) => return local(path),
            Location::Url(url) => url,
        };
        let entry = self.entry(url)?;
        let old = entry.record();
        match old {
            Some(old) if self.offline => Ok(entry.fetched(&old)),
            None if self.offline => Err(offline(url)),
            Some(old) => match self.bring(&entry, Some(&old))? {
                Some(new) => Ok(entry.fetched(&new)),
                None => Ok(entry.fetched(&old)),
            },
            None => match self.bring(&entry, None)? {
                Some(new) => Ok(entry.fetched(&new)),
                None => Err(CommandError::failed(format!("{url}: the server says that it did not change"))),
            },
        }
    }

    /// Brings a file that must be there; `None` when the server has none of this name.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub fn optional(&self, location: &Location) -> Result<Option<Fetched>> {
        match location {
            Location::Path(path) if !path.is_file() => Ok(None),
            _ => match self.newest(location) {
                Err(e) if e.clauses.iter().any(|c| c.ends_with("(404)")) => Ok(None),
                other => other.map(Some),
            },
        }
    }

    /// Brings exactly the file that is locked.
    ///
    /// # Errors
    /// When what is there has another SHA-256.
    pub fn exact(&self, locked: &Locked, artifact: &Path) -> Result<Fetched> {
        let location = Location::parse(&locked.location, artifact);
        if let Location::Url(url) = &location {
            let entry = self.entry(url)?;
            if let Some(old) = entry.record().filter(|r| r.sha256 == locked.sha256) {
                return Ok(entry.fetched(&old));
            }
        }
        let fetched = self.newest(&location)?;
        if fetched.sha256 == locked.sha256 {
            return Ok(fetched);
        }
        Err(CommandError::failed(format!(
            "{location} has the SHA-256 {}, but genpack.lock says {}",
            fetched.sha256, locked.sha256
        ))
        .hint("build --update takes what is there now"))
    }

    fn entry(&self, url: &str) -> Result<Entry> {
        let dir = self.directory.join("downloads");
        std::fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
        let name = url.rsplit('/').next().unwrap_or_default();
        let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
        let name: String = name.chars().take(80).map(plain).collect();
        let digest = hash::hex(url.as_bytes());
        Ok(Entry {
            url: url.to_owned(),
            path: dir.join(format!("{}-{name}", digest.get(..16).unwrap_or(""))),
        })
    }

    /// Brings a file; `None` when the server says that it is the old one.
    fn bring(&self, entry: &Entry, old: Option<&Record>) -> Result<Option<Record>> {
        let lock =
            File::create(entry.with(".lock")).with_context(|| format!("locking {}", entry.path.display()))?;
        flock(&lock, FlockOperation::LockExclusive)
            .with_context(|| format!("locking {}", entry.path.display()))?;
        self.ui.step(format!("fetch: {}", entry.url));
        let (part, headers) = (entry.with(".part"), entry.with(".headers"));
        let begun = std::fs::metadata(&part).map_or(0, |m| m.len());
        let known = entry.part_validators().filter(|v| begun > 0 && v.strong().is_some());
        let code = match (&known, old) {
            (Some(known), _) => match self.curl(entry, &Ask::Rest(known), &part, &headers) {
                // Why: the server has another file by now, or does not continue.
                Ok(Err(curl::CANNOT_RESUME | curl::HTTP_ERROR)) => {
                    remove_file(&part)?;
                    self.curl(entry, &Ask::Whole, &part, &headers)?
                }
                other => other?,
            },
            (None, Some(old)) => {
                remove_file(&part)?;
                self.curl(entry, &Ask::IfChanged(&old.validators), &part, &headers)?
            }
            (None, None) => {
                remove_file(&part)?;
                self.curl(entry, &Ask::Whole, &part, &headers)?
            }
        };
        let code = match code {
            Ok(code) => code,
            Err(status) => return Err(CommandError::failed(format!("curl ended with status {status}"))),
        };
        let said = std::fs::read_to_string(&headers).unwrap_or_default();
        remove_file(&headers)?;
        if code == 304 {
            remove_file(&part)?;
            return Ok(None);
        }
        let fetched = local(&part)?;
        let validators = Validators::of_headers(&said);
        let record =
            Record { url: entry.url.clone(), size: fetched.size, sha256: fetched.sha256, validators };
        let what = || format!("keeping {}", entry.path.display());
        File::open(&part).and_then(|f| f.sync_all()).with_context(what)?;
        remove_file(&entry.with(".json"))?;
        std::fs::rename(&part, &entry.path).with_context(what)?;
        sync_directory(entry.path.parent().unwrap_or(Path::new(".")))?;
        let text = serde_json::to_string(&record).unwrap_or_default();
        atomic_file::write(&entry.with(".json"), text.as_bytes())?;
        Ok(Some(record))
    }

    /// Runs curl; returns the code of the answer, or the status of curl when another question may do better.
    fn curl(&self, entry: &Entry, ask: &Ask<'_>, part: &Path, headers: &Path) -> Result<Result<u32, i32>> {
        let url = &entry.url;
        // Why: headers of an earlier answer must not pass for those of this one.
        remove_file(headers)?;
        let output = self.runner.try_run(&curl::command(url, ask, part, headers));
        // Why here: when the download breaks off, the next one must know what it continues.
        entry.keep_part_validators(headers)?;
        let output = output?;
        let code: u32 = String::from_utf8_lossy(&output.stdout).trim().parse().unwrap_or(0);
        if output.status.success() {
            return Ok(Ok(code));
        }
        if matches!(ask, Ask::Rest(_))
            && let Some(status @ (curl::CANNOT_RESUME | curl::HTTP_ERROR)) = output.status.code()
        {
            return Ok(Err(status));
        }
        let why = match code {
            400.. => format!("the server answers with an error ({code})"),
            _ => format!("curl failed ({})", describe(output.status)),
        };
        let mut error = CommandError::failed(why).context(format!("fetching {url}"));
        error.tail = output.tail;
        Err(error)
    }
}

/// The files of one URL.
#[derive(Debug)]
struct Entry {
    url: String,
    path: PathBuf,
}

impl Entry {
    fn with(&self, suffix: &str) -> PathBuf {
        PathBuf::from(format!("{}{suffix}", self.path.display()))
    }

    /// Returns what is known of the whole file, when it is here and as long as it was.
    fn record(&self) -> Option<Record> {
        let record: Record = serde_json::from_slice(&std::fs::read(self.with(".json")).ok()?).ok()?;
        let there = std::fs::metadata(&self.path).is_ok_and(|m| m.is_file() && m.len() == record.size);
        (there && record.url == self.url).then_some(record)
    }

    fn fetched(&self, record: &Record) -> Fetched {
        Fetched { path: self.path.clone(), size: record.size, sha256: record.sha256.clone() }
    }

    fn part_validators(&self) -> Option<Validators> {
        serde_json::from_slice(&std::fs::read(self.with(".part.json")).ok()?).ok()
    }

    fn keep_part_validators(&self, headers: &Path) -> Result<()> {
        let said = std::fs::read_to_string(headers).unwrap_or_default();
        let path = self.with(".part.json");
        let write = |v: &Validators| -> std::io::Result<()> {
            File::create(&path)?.write_all(serde_json::to_string(v).unwrap_or_default().as_bytes())
        };
        // An answer without headers says nothing about what is here.
        if said.is_empty() {
            return Ok(());
        }
        write(&Validators::of_headers(&said)).with_context(|| format!("writing {}", path.display()))
    }
}

/// Returns a file of this machine.
///
/// # Errors
/// When it cannot be read.
pub fn local(path: &Path) -> Result<Fetched> {
    let reading = || format!("reading {}", path.display());
    let mut file = File::open(path).with_context(reading)?;
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; 1 << 20];
    let mut size = 0;
    loop {
        match file.read(&mut buffer).with_context(reading)? {
            0 => break,
            n => {
                size += n as u64;
                hasher.update(buffer.get(..n).unwrap_or_default());
            }
        }
    }
    Ok(Fetched { path: path.to_owned(), size, sha256: hasher.hex() })
}

fn offline(url: &str) -> CommandError {
    CommandError::failed(format!("{url} was never fetched")).hint("build once without --offline")
}
