//! Is the new image from who may update this machine? Keys of minisign and OpenPGP, detached signatures beside the image.
//!
//! A key counts because the installed image brings it ([`KEYS`]); a running system may have more in [`LOCAL_KEYS`].
//! Where there is a key, an image without a good signature is refused. minisign's prehashed signatures are read as a
//! stream; its old kind, which needs the whole file in memory, is refused. Not handled: expiry and revocation of
//! minisign keys, which have none.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use minisign_verify::{PublicKey, Signature};

use crate::command_error::{CommandError, Context, Kind, Result};
use crate::ctx::Ctx;
use crate::fetch::location::Location;
use crate::fetch::signature::{Keyring, check_detached};
use crate::io::interrupt::Interrupt;
use crate::io::system_image::SystemImage;

/// Where an image has the keys of who may replace it.
pub const KEYS: &str = "/usr/share/genpack/update-keys";
/// Where the owner of a machine puts more keys.
pub const LOCAL_KEYS: &str = "/etc/genpack/update-keys";
/// Largest key or signature file.
const MAX_BYTES: u64 = 1 << 20;
/// What follows the name of the image in the names of its signatures.
const MINISIG: &str = "minisig";
const OPENPGP: [&str; 2] = ["asc", "sig"];

/// The keys of a machine, by file name.
#[derive(Debug, Default)]
struct Keys {
    minisign: Vec<(String, PublicKey)>,
    openpgp: BTreeMap<String, Vec<u8>>,
}

impl Keys {
    fn is_empty(&self) -> bool {
        self.minisign.is_empty() && self.openpgp.is_empty()
    }

    /// Adds a key file. Why other files are errors: a key that is passed over in silence would let anything in.
    fn add(&mut self, name: &str, bytes: Vec<u8>) -> Result<()> {
        match name.rsplit_once('.').map(|(_, extension)| extension) {
            Some("pub") => {
                let text = String::from_utf8_lossy(&bytes);
                let key = PublicKey::decode(&text).map_err(|e| {
                    CommandError::failed(e.to_string()).context(format!("reading the key {name}"))
                })?;
                self.minisign.push((name.to_owned(), key));
            }
            Some("asc" | "gpg" | "pgp") => {
                self.openpgp.insert(name.to_owned(), bytes);
            }
            _ => {
                return Err(CommandError::failed(
                    "it is neither a .pub of minisign nor an .asc or .gpg of OpenPGP",
                )
                .context(format!("reading the key {name}")));
            }
        }
        Ok(())
    }
}

/// Checks the signature of an image when the machine has keys.
///
/// # Errors
/// [`Kind::VerifyFailed`] when no key of the machine signed it.
pub fn check(ctx: &Ctx, is_this: bool, installed: Option<&SystemImage>, image: &Path) -> Result<()> {
    let mut keys = Keys::default();
    if let Some(installed) = installed {
        for name in installed.list(KEYS)?.unwrap_or_default() {
            if let Some(bytes) = installed.read(&format!("{KEYS}/{name}"), MAX_BYTES)? {
                keys.add(&name, bytes)?;
            }
        }
    }
    if is_this {
        add_directory(&mut keys, Path::new(LOCAL_KEYS))?;
    }
    if keys.is_empty() {
        return Ok(());
    }
    check_with(ctx, &keys, image)
}

fn add_directory(keys: &mut Keys, directory: &Path) -> Result<()> {
    let what = || format!("reading {}", directory.display());
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e).with_context(what),
    };
    for entry in entries {
        let entry = entry.with_context(what)?;
        keys.add(&entry.file_name().to_string_lossy(), fs::read(entry.path()).with_context(what)?)?;
    }
    Ok(())
}

fn check_with(ctx: &Ctx, keys: &Keys, image: &Path) -> Result<()> {
    let beside = |extension: &str| PathBuf::from(format!("{}.{extension}", image.display()));
    let minisig = beside(MINISIG);
    if !keys.minisign.is_empty() && minisig.is_file() {
        let name = check_minisign(keys, &minisig, image)?;
        ctx.ui.step(format!("{} is signed by {name}", image.display()));
        return Ok(());
    }
    let openpgp = OPENPGP.map(beside).into_iter().find(|path| path.is_file());
    if let (Some(signature), false) = (openpgp, keys.openpgp.is_empty()) {
        let mut refused = None;
        for (name, bytes) in &keys.openpgp {
            let keyring = tempfile::NamedTempFile::new().context("writing a temporary keyring")?;
            fs::write(keyring.path(), bytes).context("writing a temporary keyring")?;
            let what = Location::Path(image.to_owned());
            match check_detached(&ctx.runner, &Keyring::all(keyring.path()), &signature, image, &what) {
                Ok(()) => {
                    ctx.ui.step(format!("{} is signed by {name}", image.display()));
                    return Ok(());
                }
                Err(e) => refused = Some(e),
            }
        }
        return Err(refused.unwrap_or_else(|| unsigned(image, keys)));
    }
    Err(unsigned(image, keys))
}

fn unsigned(image: &Path, keys: &Keys) -> CommandError {
    let minisign = (!keys.minisign.is_empty()).then_some(MINISIG).into_iter();
    let wanted: Vec<String> = minisign
        .chain(OPENPGP.into_iter().filter(|_| !keys.openpgp.is_empty()))
        .map(|extension| format!("{}.{extension}", image.display()))
        .collect();
    CommandError::new(
        Kind::VerifyFailed,
        format!("{} is not signed: there is no {}", image.display(), wanted.join(" or ")),
    )
    .hint("this machine takes signed images only; put the signature beside the image")
}

/// Returns the name of the key that signed the image.
fn check_minisign(keys: &Keys, signature: &Path, image: &Path) -> Result<String> {
    let what = || format!("checking {}", signature.display());
    let text = fs::read_to_string(signature).with_context(what)?;
    let signature = Signature::decode(&text).map_err(|e| verify_failed(&e.to_string()).context(what()))?;
    let mut last = None;
    for (name, key) in &keys.minisign {
        let mut verifier = match key.verify_stream(&signature) {
            Ok(verifier) => verifier,
            Err(e) => {
                last = Some(e.to_string());
                continue;
            }
        };
        let mut file = File::open(image).with_context(|| format!("reading {}", image.display()))?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            if let Some(interrupt) = Interrupt::watched() {
                interrupt.check()?;
            }
            match file.read(&mut buffer).with_context(|| format!("reading {}", image.display()))? {
                0 => break,
                n => verifier.update(buffer.get(..n).unwrap_or_default()),
            }
        }
        match verifier.finalize() {
            Ok(()) => return Ok(name.clone()),
            Err(e) => last = Some(e.to_string()),
        }
    }
    let why = last.unwrap_or_else(|| "no key fits".to_owned());
    Err(verify_failed(&format!("no known key signed {}, or it was changed ({why})", image.display()))
        .context(what()))
}

fn verify_failed(why: &str) -> CommandError {
    CommandError::new(Kind::VerifyFailed, why)
        .hint("do not use this image: fetch it again, or ask who made it")
}
