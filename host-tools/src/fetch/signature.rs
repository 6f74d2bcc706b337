//! OpenPGP signatures, judged by gpgv(1) with a keyring of ours and nothing else.
//!
//! gpgv knows revocations, expiry and subkeys, reads nothing of the user's own keyring, and is on every Debian, whose
//! apt needs it. Keyrings may be armored; gpgv wants them plain.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::command_error::{CommandError, Context, Kind, Result};
use crate::fetch::cache::Cache;
use crate::fetch::location::Location;
use crate::runner::{Run, Runner};

/// Variable that names the keyring.
pub const KEYS_ENV: &str = "GENPACK_GENTOO_KEYS";

/// Where Gentoo's release keys are: as Gentoo installs them, as we do.
const RELEASE_KEYS: [&str; 2] =
    ["/usr/share/openpgp-keys/gentoo-release.asc", "/usr/share/genpack/keys/gentoo-release.asc"];

/// Where Gentoo publishes the keys of its services; what else is in there does not count.
const RELEASE_KEYS_URL: &str = "https://qa-reports.gentoo.org/output/service-keys.gpg";

/// Primary keys that sign releases and snapshots (<https://www.gentoo.org/downloads/signatures/>): the weekly releases,
/// the ebuild repository, releases made by hand, mirrors of the repository.
pub const RELEASE_FINGERPRINTS: [&str; 4] = [
    "13EBBDBEDE7A12775DFDB1BABB572E0E2D182910",
    "DCD05B71EAB94199527F44ACDB6B8C1F96D8BF6D",
    "D99EAC7379A850BCE47DA5F29E6438C817072058",
    "EF9538C9E8E64311A52CDEDFA13D0EF1914E7A72",
];

/// Public keys, and which of them count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyring {
    /// The file, armored or not.
    pub file: PathBuf,
    /// Fingerprints of the primary keys that count; all without it.
    pub only: Option<Vec<String>>,
}

impl Keyring {
    /// Returns a keyring whose keys all count.
    pub fn all(file: impl Into<PathBuf>) -> Self {
        Self { file: file.into(), only: None }
    }

    /// Returns the keys that Gentoo publishes; what serves them need not be trusted, as their fingerprints are known.
    ///
    /// # Errors
    /// When they cannot be fetched.
    pub fn fetched(cache: &Cache<'_>, from: &Location) -> Result<Self> {
        let fetched = cache.newest(from).map_err(|e| e.context("bringing Gentoo's release keys"))?;
        Ok(Self { file: fetched.path, only: Some(RELEASE_FINGERPRINTS.map(str::to_owned).to_vec()) })
    }
}

/// How much of a source must be proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Policy {
    /// By a key of this keyring.
    Keyring(Keyring),
    /// Nobody stands between us and the file, and no keyring was named.
    Unsigned,
}

impl Policy {
    /// Returns what is asked of a source: what was named, nothing for a local one, else Gentoo's release keys, those
    /// that are installed or those that Gentoo publishes.
    ///
    /// # Errors
    /// When a foreign source cannot be judged for want of keys.
    pub fn new(cache: &Cache<'_>, named: Option<&Path>, source: &Location) -> Result<Self> {
        let variable = std::env::var_os(KEYS_ENV).filter(|v| !v.is_empty()).map(PathBuf::from);
        if let Some(path) = variable.as_deref().or(named) {
            return Ok(Self::Keyring(Keyring::all(path)));
        }
        // Why before the release keys: what a machine serves to itself is not what Gentoo signed.
        if source.is_local() {
            return Ok(Self::Unsigned);
        }
        if let Some(installed) = RELEASE_KEYS.iter().map(Path::new).find(|p| p.is_file()) {
            return Ok(Self::Keyring(Keyring::all(installed)));
        }
        let url = Location::Url(RELEASE_KEYS_URL.to_owned());
        Keyring::fetched(cache, &url).map(Self::Keyring).map_err(|mut e| {
            e.clauses.insert(0, format!("finding keys to check {source} with"));
            e.hint(format!(
                "export the keys {} of hkps://keys.gentoo.org to {}, or name a keyring with base: {{gentoo: {{keys: …}}}} or {KEYS_ENV}",
                RELEASE_FINGERPRINTS.join(" "),
                RELEASE_KEYS[1]
            ))
        })
    }
}

/// Checks a clear-signed text and returns what is signed of it.
///
/// # Errors
/// When no key that counts signed it.
pub fn check_clear(runner: &Runner, keyring: &Keyring, file: &Path, what: &Location) -> Result<String> {
    let plain = plain_keyring(&keyring.file)?;
    let signed = tempfile::NamedTempFile::new().context("writing a temporary file")?;
    let run = gpgv(plain.path()).arg("--output").arg(signed.path()).arg("--").arg(file);
    verdict(runner, &run, keyring, what)?;
    let bytes = std::fs::read(signed.path()).context("reading what is signed")?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Checks a file against its detached signature.
///
/// # Errors
/// When no key that counts signed it.
pub fn check_detached(
    runner: &Runner,
    keyring: &Keyring,
    signature: &Path,
    file: &Path,
    what: &Location,
) -> Result<()> {
    let plain = plain_keyring(&keyring.file)?;
    verdict(runner, &gpgv(plain.path()).arg("--").arg(signature).arg(file), keyring, what)
}

fn gpgv(keyring: &Path) -> Run {
    Run::new("gpgv").package("gpgv").args(["--status-fd", "1"]).arg("--keyring").arg(keyring)
}

fn verdict(runner: &Runner, run: &Run, keyring: &Keyring, what: &Location) -> Result<()> {
    let output = runner.try_run(run)?;
    let why = if !output.status.success() {
        "no known key signed it, or it was changed".to_owned()
    } else {
        let signers = signers(&String::from_utf8_lossy(&output.stdout));
        match &keyring.only {
            Some(only) if !signers.iter().any(|s| only.contains(s)) => {
                format!("{} signed it, whose word does not count here", signers.join(", "))
            }
            _ => return Ok(()),
        }
    };
    let mut error = CommandError::new(Kind::VerifyFailed, why);
    error.tail = output.tail;
    Err(error.context(format!("checking the signature of {what}")))
}

/// Returns the fingerprints of the primary keys that made good signatures (GnuPG's doc/DETAILS, `VALIDSIG`).
fn signers(status: &str) -> Vec<String> {
    let valid = status.lines().filter_map(|line| line.strip_prefix("[GNUPG:] VALIDSIG "));
    valid.filter_map(|words| words.split_whitespace().nth(9)).map(str::to_owned).collect()
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
    fn signer_is_the_primary_key_of_a_good_signature() {
        let status = "[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG 534E N\n[GNUPG:] VALIDSIG 534E 2025-01-01 1735689600 0 4 0 1 \
                      10 00 13EB\n[GNUPG:] VALIDSIG short\n";
        assert_eq!(signers(status), ["13EB"]);
    }

    #[test]
    fn foreign_sources_must_be_signed() {
        let ui = crate::ui::Ui::new(false, true, false, crate::ui::Color::Never);
        let (dir, runner) = (tempfile::tempdir().unwrap(), Runner::default());
        let cache = Cache { ui: &ui, runner: &runner, directory: dir.path().into(), offline: true };
        let policy = |named, text: &str| Policy::new(&cache, named, &Location::parse(text, Path::new("/")));
        for source in ["https://example.org/x", "/m/x"] {
            assert_eq!(policy(Some(Path::new("/k")), source).unwrap(), Policy::Keyring(Keyring::all("/k")));
        }
        assert_eq!(policy(None, "/m/x").unwrap(), Policy::Unsigned);
        assert_eq!(policy(None, "http://127.0.0.1/x").unwrap(), Policy::Unsigned);
        match policy(None, "https://example.org/x") {
            // This is a Gentoo, or has the keys.
            Ok(found) => assert_ne!(found, Policy::Unsigned),
            Err(e) => {
                assert!(
                    e.to_string().starts_with("finding keys to check https://example.org/x with: "),
                    "{e}"
                );
                assert!(e.hint.unwrap().contains(RELEASE_FINGERPRINTS[0]));
            }
        }
    }
}
