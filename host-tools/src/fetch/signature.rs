//! OpenPGP signatures, judged by gpgv(1) with a keyring of ours and nothing else.
//!
//! gpgv knows revocations, expiry and subkeys, reads nothing of the user's own keyring, and is on every Debian, whose
//! apt needs it. Keyrings may be armored; gpgv wants them plain.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::command_error::{CommandError, Context, Kind, Result};
use crate::fetch::location::Location;
use crate::runner::{Run, Runner};

/// Variable that names the keyring.
pub const KEYS_ENV: &str = "GENPACK_GENTOO_KEYS";

/// Where Gentoo's release keys are: as Gentoo installs them, as we do.
const RELEASE_KEYS: [&str; 2] =
    ["/usr/share/openpgp-keys/gentoo-release.asc", "/usr/share/genpack/keys/gentoo-release.asc"];

/// How much of a source must be proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Policy {
    /// By a key of this keyring.
    Keyring(PathBuf),
    /// Nobody stands between us and the file, and no keyring was named.
    Unsigned,
}

impl Policy {
    /// Returns what is asked of a source: what was named, else the release keys, else nothing for a local one.
    ///
    /// # Errors
    /// When a foreign source cannot be judged for want of keys.
    pub fn new(named: Option<&Path>, source: &Location) -> Result<Self> {
        let variable = std::env::var_os(KEYS_ENV).filter(|v| !v.is_empty()).map(PathBuf::from);
        if let Some(path) = variable.as_deref().or(named) {
            return Ok(Self::Keyring(path.to_owned()));
        }
        // Why before the release keys: what a machine serves to itself is not what Gentoo signed.
        if source.is_local() {
            return Ok(Self::Unsigned);
        }
        let found = RELEASE_KEYS.iter().map(Path::new).find(|p| p.is_file());
        found.map(|p| Self::Keyring(p.to_owned())).ok_or_else(|| {
            CommandError::failed(format!("there is no keyring to check {source} with"))
                .hint(format!("save Gentoo's release keys as {}, or name a keyring with base: {{gentoo: {{keys: …}}}} or {KEYS_ENV}", RELEASE_KEYS[1]))
        })
    }
}

/// Checks a clear-signed text and returns what is signed of it.
///
/// # Errors
/// When no key of the keyring signed it.
pub fn check_clear(runner: &Runner, keyring: &Path, file: &Path, what: &Location) -> Result<String> {
    let plain = plain_keyring(keyring)?;
    let run = gpgv(plain.path()).args(["--output", "-", "--"]).arg(file);
    let output = verdict(runner, &run, what)?;
    Ok(String::from_utf8_lossy(&output).into_owned())
}

/// Checks a file against its detached signature.
///
/// # Errors
/// When no key of the keyring signed it.
pub fn check_detached(
    runner: &Runner,
    keyring: &Path,
    signature: &Path,
    file: &Path,
    what: &Location,
) -> Result<()> {
    let plain = plain_keyring(keyring)?;
    verdict(runner, &gpgv(plain.path()).arg("--").arg(signature).arg(file), what).map(drop)
}

fn gpgv(keyring: &Path) -> Run {
    Run::new("gpgv").package("gpgv").arg("--keyring").arg(keyring)
}

fn verdict(runner: &Runner, run: &Run, what: &Location) -> Result<Vec<u8>> {
    let output = runner.try_run(run)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let mut error = CommandError::new(Kind::VerifyFailed, "no known key signed it, or it was changed");
    error.tail = output.tail;
    Err(error.context(format!("checking the signature of {what}")))
}

/// Writes the keyring without its armor to a temporary file.
fn plain_keyring(keyring: &Path) -> Result<tempfile::NamedTempFile> {
    let reading = || format!("reading the keyring {}", keyring.display());
    let bytes = std::fs::read(keyring).with_context(reading)?;
    let plain = match std::str::from_utf8(&bytes) {
        Ok(text) if text.contains("-----BEGIN PGP PUBLIC KEY BLOCK-----") => {
            dearmor(text).ok_or_else(|| CommandError::failed("its armor is damaged").context(reading()))?
        }
        _ => bytes,
    };
    let what = "writing a temporary keyring";
    let mut file = tempfile::NamedTempFile::new().context(what)?;
    file.write_all(&plain).context(what)?;
    file.flush().context(what)?;
    Ok(file)
}

/// Returns the bytes of all ASCII-armored key blocks of a text (RFC 9580, 6.2); checksums are left to gpgv's packets.
fn dearmor(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut lines = text.lines();
    while lines.by_ref().any(|l| l.trim_end() == "-----BEGIN PGP PUBLIC KEY BLOCK-----") {
        let mut digits = String::new();
        let mut ended = false;
        let mut headers = true;
        for line in lines.by_ref() {
            let line = line.trim();
            if line.starts_with("-----END") {
                ended = true;
                break;
            }
            match (headers, line.is_empty(), line.starts_with('=')) {
                (true, true, _) => headers = false,
                (false, false, false) => digits.push_str(line),
                _ => {}
            }
        }
        bytes.extend(base64(&digits).filter(|_| ended)?);
    }
    Some(bytes).filter(|b| !b.is_empty())
}

fn base64(digits: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3);
    let (mut bits, mut count) = (0u32, 0);
    for digit in digits.trim_end_matches('=').bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xff_ffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).unwrap_or(0));
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn armor_is_taken_off() {
        let block = |body: &str, end: &str| {
            format!("text\n-----BEGIN PGP PUBLIC KEY BLOCK-----\nComment: x\n\n{body}\n=abcd\n{end}\n")
        };
        let end = "-----END PGP PUBLIC KEY BLOCK-----";
        assert_eq!(dearmor(&block("aGVs\nbG8=", end)).unwrap(), b"hello");
        assert_eq!(dearmor(&(block("aGU=", end) + &block("bGxv", end))).unwrap(), b"hello");
        assert_eq!(dearmor(&block("aGVsbG8=", "")), None, "cut off");
        assert_eq!(dearmor(&block("a*Vs", end)), None);
    }

    #[test]
    fn foreign_sources_must_be_signed() {
        let url = |text: &str| Location::parse(text, Path::new("/"));
        let named = Path::new("/k");
        for source in ["https://example.org/x", "/m/x"] {
            assert_eq!(Policy::new(Some(named), &url(source)).unwrap(), Policy::Keyring("/k".into()));
        }
        assert_eq!(Policy::new(None, &url("/m/x")).unwrap(), Policy::Unsigned);
        assert_eq!(Policy::new(None, &url("http://127.0.0.1/x")).unwrap(), Policy::Unsigned);
        assert_ne!(Policy::new(None, &url("https://example.org/x")).ok(), Some(Policy::Unsigned));
    }
}
