//! What a guest is told: values that it reads by fw_cfg, and credentials for its systemd.
//!
//! A credential goes by fw_cfg, whose names are short; one with a longer name goes by the strings in the tables of the
//! firmware (SMBIOS type 11), which not every board has. Formats: systemd.system-credentials(7) and `VM_INTERFACE` of
//! systemd.io. Not handled: encrypted credentials, which are values like all others here.

use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use genpack_core::kernel::arch::Arch;
use genpack_qemu::machine::{FwValue, Source};

use super::guest_notify::{CREDENTIAL, Listening};
use super::host::{self, Host, VIRTIOFS_DAEMONS};
use super::options::Options;
use super::words::ShareWords;
use super::{base64, kernel, media, shares};
use crate::command_error::{CommandError, Context, Result};
use crate::ctx::Ctx;

/// A file for the guest.
const MAX_FILE_BYTES: u64 = 4 << 20;
/// What stands before the name of a credential in fw_cfg.
const FW_CREDENTIAL: &str = "opt/io.systemd.credentials/";
/// Longest name of a credential that fw_cfg can carry: QEMU takes 55 bytes in all.
const MAX_FW_CREDENTIAL_BYTES: usize = 28;
/// What stands before one in the tables of the firmware; its value is base64.
const OEM_CREDENTIAL: &str = "io.systemd.credential.binary:";
/// The tables of an SMBIOS 2.1 have 64 KiB, for everything.
const MAX_OEM_BYTES: usize = 32 << 10;

/// What the guest is told.
#[derive(Debug, Default)]
pub struct Values {
    /// By fw_cfg.
    pub fw_cfg: Vec<(String, FwValue)>,
    /// By the tables of its firmware.
    pub oem_strings: Vec<FwValue>,
}

/// Returns what the guest is told: its name, the host's time zone and language, the user's keys, what was asked for.
///
/// # Errors
/// When a file cannot be read, or a credential has no way into this guest.
pub(super) fn values(
    ctx: &Ctx,
    options: &Options,
    name: &str,
    arch: Arch,
    host: &Host,
    notify: Option<&Listening>,
) -> Result<Values> {
    let mut values = Values::default();
    values.text("opt/vmname", name);
    values.text("opt/timezone", &host.time_zone(Path::new("/etc")).unwrap_or_default());
    values.text("opt/lang", &std::env::var("LANG").unwrap_or_default());
    values.text("opt/application.ini", options.application_text.as_deref().unwrap_or_default());
    let has_daemon = host.first_of(&VIRTIOFS_DAEMONS).is_some();
    let line = |share: &ShareWords| shares::fstab_line(share, has_daemon);
    let mounts: String = options.shares.iter().filter_map(line).collect();
    values.text(&format!("{FW_CREDENTIAL}fstab.extra"), &mounts);
    if let Some(notify) = notify {
        values.text(&format!("{FW_CREDENTIAL}{CREDENTIAL}"), &notify.address());
    }
    let home = std::env::var_os("HOME");
    let keys = home.map(|home| host::ssh_public_keys(Path::new(&home))).unwrap_or_default();
    if !keys.is_empty() {
        values.keys(&keys, arch)?;
    }
    if let Some(path) = &options.application_ini {
        let path = ctx.path(path);
        let what = || format!("reading {}", path.display());
        let found = std::fs::metadata(&path).with_context(what)?;
        if !found.is_file() || found.len() > MAX_FILE_BYTES {
            return Err(CommandError::failed("it is no file of at most 4 MiB").context(what()));
        }
        values.fw_cfg.push(("opt/application.ini".to_owned(), FwValue::File(media::source(&path)?)));
    }
    for value in &options.fw_strings {
        values.fw_cfg.push((format!("opt/{}", value.0), FwValue::Text(value.1.clone())));
    }
    for credential in &options.credentials {
        values.credential(&credential.0, &credential.1, arch)?;
    }
    Ok(values)
}

impl Values {
    fn text(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            self.fw_cfg.push((name.to_owned(), FwValue::Text(text.to_owned())));
        }
    }

    /// Hands over the user's public keys: to genpack-init, to root's account, and, by systemd 256 and newer, to every
    /// user until the next boot.
    fn keys(&mut self, keys: &str, arch: Arch) -> Result<()> {
        // Why not as text: keys have a newline at the end of each.
        self.fw_cfg.push(("opt/ssh-public-key".to_owned(), in_memory("ssh-public-key", keys.as_bytes())?));
        self.credential("ssh.authorized_keys.root", keys, arch)?;
        let all_users = "ssh.ephemeral-authorized_keys-all";
        if has_tables(arch) {
            self.credential(all_users, keys, arch)?;
        }
        Ok(())
    }

    /// Hands over a credential; its value is in memory, so that the list of processes does not show it.
    fn credential(&mut self, name: &str, value: &str, arch: Arch) -> Result<()> {
        if name.len() <= MAX_FW_CREDENTIAL_BYTES {
            self.fw_cfg.push((format!("{FW_CREDENTIAL}{name}"), in_memory(name, value.as_bytes())?));
            return Ok(());
        }
        let text = format!("{OEM_CREDENTIAL}{name}={}", base64::encode(value.as_bytes()));
        if !has_tables(arch) || text.len() > MAX_OEM_BYTES {
            return Err(CommandError::usage(format!("the credential {name} has no way into this guest")).hint(
                format!("names of at most {MAX_FW_CREDENTIAL_BYTES} bytes go by fw_cfg; longer ones by SMBIOS, which {arch} may lack, and with {MAX_OEM_BYTES} bytes at most"),
            ));
        }
        self.oem_strings.push(in_memory(name, text.as_bytes())?);
        Ok(())
    }
}

/// Tells whether the board has the tables; QEMU 7.2 refuses them for riscv64.
const fn has_tables(arch: Arch) -> bool {
    !matches!(arch, Arch::Riscv64)
}

fn in_memory(name: &str, bytes: &[u8]) -> Result<FwValue> {
    let mut file = kernel::memory(name)?;
    file.write_all(bytes).and_then(|()| file.seek(SeekFrom::Start(0))).context("reserving memory")?;
    Ok(FwValue::File(Source::Fd(file.into())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn content(value: &FwValue) -> String {
        match value {
            FwValue::Text(text) => text.clone(),
            FwValue::File(source) => {
                let mut text = String::new();
                std::fs::File::open(source.name()).unwrap().read_to_string(&mut text).unwrap();
                text
            }
        }
    }

    /// What QEMU takes as the name of a value: `FW_CFG_MAX_FILE_PATH` of its `fw_cfg.h`, less the NUL.
    const MAX_FW_NAME: usize = 55;

    #[test]
    fn keys_of_the_user_reach_guests_old_and_new() {
        for (arch, has_all) in [(Arch::X86_64, true), (Arch::Aarch64, true), (Arch::Riscv64, false)] {
            let mut values = Values::default();
            values.keys("ssh-ed25519 A\n", arch).unwrap();
            let names: Vec<&str> = values.fw_cfg.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, ["opt/ssh-public-key", "opt/io.systemd.credentials/ssh.authorized_keys.root"]);
            assert!(names.iter().all(|name| name.len() <= MAX_FW_NAME));
            assert!(values.fw_cfg.iter().all(|(_, value)| content(value) == "ssh-ed25519 A\n"));
            let strings: Vec<String> = values.oem_strings.iter().map(content).collect();
            let all = "io.systemd.credential.binary:ssh.ephemeral-authorized_keys-all=c3NoLWVkMjU1MTkgQQo=";
            assert_eq!(strings, if has_all { vec![all] } else { vec![] }, "{arch}");
        }
    }

    #[test]
    fn credential_with_a_long_name_goes_by_the_tables_or_is_refused() {
        let mut values = Values::default();
        let (short, long) = ("a".repeat(MAX_FW_CREDENTIAL_BYTES), "a".repeat(MAX_FW_CREDENTIAL_BYTES + 1));
        values.credential(&short, "v", Arch::Riscv64).unwrap();
        assert_eq!(values.fw_cfg[0].0.len(), MAX_FW_NAME);
        assert!(values.credential(&long, "v", Arch::Riscv64).is_err());
        assert!(values.credential(&long, &"v".repeat(MAX_OEM_BYTES), Arch::X86_64).is_err());
        values.credential(&long, "v", Arch::X86_64).unwrap();
        assert_eq!(content(&values.oem_strings[0]), format!("io.systemd.credential.binary:{long}=dg=="));
    }
}
