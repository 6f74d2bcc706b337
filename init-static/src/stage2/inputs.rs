//! What stage 2 looks at before it decides: the configuration and the files that the settings touch.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::op::Owner;
use crate::tree::Tree;
use genpack_core::contract::paths;
use genpack_core::contract::system_ini::{self, Settings};
use genpack_core::text::diagnostic::{self, Diagnostic, Severity, Span};
use genpack_core::text::ini;
use rustix::io::Errno;

/// Bytes of a `system.ini` that are read: what the parser looks at, twice for UTF-16, and some more for it to notice.
const MAX_INI: usize = 2 * ini::MAX_BYTES + 16;
/// Longest file that is read to be changed, bytes.
const MAX_FILE: usize = 1024 * 1024;
/// Users that get keys; a machine with more is no appliance.
const MAX_USERS: usize = 1024;

/// The configuration with everything there is to say about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// What can be used.
    pub settings: Settings,
    /// Findings, in the order of the lines.
    pub findings: Vec<Diagnostic>,
    /// The text that the findings' places refer to.
    pub text: String,
}

impl Configuration {
    /// Reads the bytes of a `system.ini`; any bytes are a configuration.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        let system_ini::File { text, settings, findings } = system_ini::read(bytes);
        Self { settings, findings, text }
    }

    /// Returns how many findings ask for a repair; notes do not.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.findings.iter().filter(|f| f.severity > Severity::Note).count()
    }

    /// Puts what there is to say about the file as a whole before everything else.
    pub fn find_first(&mut self, finding: Option<Diagnostic>) {
        if let Some(finding) = finding {
            self.findings.insert(0, finding);
        }
    }

    /// Adds a finding about a key, at its value.
    pub fn find_fault(&mut self, key: &str, message: String) {
        let mut ignored = genpack_core::text::diagnostic::Collector::new();
        let document = ini::Document::parse(&self.text, &mut ignored);
        let span = document.get(ini::DEFAULT_SECTION, key).map_or(Span::default(), |p| p.value_span);
        self.warn(span, message);
    }

    /// Adds a finding for each section with keys that this version knows and does not apply.
    pub fn find_unapplied_sections(&mut self) {
        let mut ignored = genpack_core::text::diagnostic::Collector::new();
        for section in ini::Document::parse(&self.text, &mut ignored).sections() {
            let name = section.name();
            if let Some(first) = section.properties().first()
                && (name.starts_with("user.") || UNAPPLIED_SECTIONS.contains(&name))
            {
                self.warn(
                    first.key_span,
                    format!("'[{name}]' has no effect yet: this version does not apply it"),
                );
            }
        }
    }

    fn warn(&mut self, span: Span, message: String) {
        let finding = Diagnostic { span, severity: Severity::Warning, message, hint: None };
        diagnostic::insert(&mut self.findings, finding);
    }
}

/// Sections that are in the table of keys and wait for what they set; `[user.NAME]` is one more.
const UNAPPLIED_SECTIONS: [&str; 4] = ["hooks", "sakuravps", "wg-walbrix", "walbrix"];

/// Reads a configuration file, of a long one the beginning; a missing one is an empty configuration.
///
/// # Errors
/// The errno of reading.
pub fn read_configuration(tree: &Tree, path: &str) -> Result<Configuration, Errno> {
    match tree.read_beginning(path, MAX_INI) {
        Ok(bytes) => Ok(Configuration::parse(&bytes)),
        Err(Errno::NOENT) => Ok(Configuration::default()),
        Err(e) => Err(e),
    }
}

/// Finds the configuration file of a directory, whatever Windows made of its name, and reads it.
///
/// # Errors
/// As [`read_configuration`].
pub fn find_configuration(tree: &Tree, directory: &str) -> Result<Configuration, Errno> {
    // Why: a directory that cannot be listed has no file that could be read; reading tells why.
    let entries = tree.list(directory).unwrap_or_default();
    let found = system_ini::choose(&mut entries.iter().map(|entry| entry.name.as_str()));
    let name = found.read.unwrap_or(paths::SYSTEM_INI);
    let mut configuration = read_configuration(tree, &format!("{directory}/{name}"))?;
    configuration.find_first(found.finding());
    Ok(configuration)
}

/// A user who gets SSH keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Login name.
    pub name: String,
    /// User and group id.
    pub owner: Owner,
    /// Home directory, which exists.
    pub home: String,
    /// Content of `~/.ssh/authorized_keys`; empty when there is none.
    pub authorized_keys: Vec<u8>,
}

/// The files that the settings touch, as they are now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// `/etc/locale.conf`
    pub locale_conf: Option<String>,
    /// `/etc/default/locale`, where it is a file of its own.
    pub default_locale: Option<String>,
    /// Whether the configured zone exists.
    pub zone_exists: bool,
    /// `/etc/machine-id`
    pub machine_id: Option<String>,
    /// Users that get keys.
    pub users: Vec<User>,
    /// The keys that we put there at earlier boots.
    pub key_manifest: String,
}

/// Looks at the files.
#[must_use]
pub fn look(tree: &Tree, settings: &Settings) -> Snapshot {
    let text = |path: &str| tree.read_text(path, MAX_FILE);
    let zone = settings.timezone.as_ref().map(|zone| format!("/usr/share/zoneinfo/{zone}"));
    let own_default = tree.read_link("/etc/default/locale").is_none();
    Snapshot {
        locale_conf: text("/etc/locale.conf"),
        default_locale: own_default.then(|| text("/etc/default/locale")).flatten(),
        zone_exists: zone.is_some_and(|path| tree.is_file(&path)),
        machine_id: text("/etc/machine-id"),
        users: users(tree, &text("/etc/passwd").unwrap_or_default()),
        key_manifest: text(&format!("{}/ssh-keys", paths::MANIFEST)).unwrap_or_default(),
    }
}

fn users(tree: &Tree, passwd: &str) -> Vec<User> {
    let mut users = Vec::new();
    for line in passwd.lines() {
        let Some((name, owner, home)) = login(line) else { continue };
        if users.len() < MAX_USERS && tree.is_dir(home) {
            let path = format!("{home}/.ssh/authorized_keys");
            let authorized_keys = tree.read_strict(&path, MAX_FILE).unwrap_or_default();
            users.push(User { name: name.into(), owner, home: home.into(), authorized_keys });
        }
    }
    users
}

/// Returns name, ids and home of a passwd line whose owner may log in: root, and ordinary users with a shell.
fn login(line: &str) -> Option<(&str, Owner, &str)> {
    let mut fields = line.split(':');
    let (name, _) = (fields.next()?, fields.next()?);
    let owner = Owner { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? };
    let (home, shell) = (fields.nth(1)?, fields.next()?);
    let may_log_in = match shell.rsplit('/').next()? {
        "false" | "nologin" => owner.uid == 0,
        _ => owner.uid == 0 || (1000..65_000).contains(&owner.uid),
    };
    let is_login = may_log_in && (owner.uid != 0 || name == "root") && home.starts_with('/');
    is_login.then_some((name, owner, home))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn login_is_root_or_an_ordinary_user_with_a_shell() {
        for (line, expected) in [
            ("root:x:0:0:root:/root:/bin/bash", Some(("root", 0, 0, "/root"))),
            ("toor:x:0:0::/root:/bin/sh", None),
            ("alice:x:1000:100:A,,,:/home/alice:/bin/bash", Some(("alice", 1000, 100, "/home/alice"))),
            ("bob:x:64999:1:::/bin/sh", None),
            ("max:x:64999:1::/m:/bin/sh", Some(("max", 64999, 1, "/m"))),
            ("nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin", None),
            ("svc:x:1001:1001::/srv:/usr/sbin/nologin", None),
            ("svc:x:1001:1001::/srv:/bin/false", None),
            ("daemon:x:999:999::/:/bin/sh", None),
            ("broken:x:abc:1::/:/bin/sh", None),
            ("", None),
        ] {
            let expected = expected.map(|(n, uid, gid, h)| (n, Owner { uid, gid }, h));
            assert_eq!(login(line), expected, "{line}");
        }
    }

    #[test]
    fn any_bytes_are_a_configuration() {
        let mut noise = Vec::new();
        let mut state: u32 = 1;
        for _ in 0..4096 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            noise.push(state.to_be_bytes()[0]);
        }
        assert_eq!(Configuration::parse(&noise).settings, Settings::default());
        assert_eq!(Configuration::parse(b"").errors(), 0);
        assert_eq!(Configuration::parse(b"hostname = a b\nswapfile = no\n").errors(), 1);
    }

    #[test]
    fn added_finding_points_at_the_value() {
        let mut configuration = Configuration::parse(b"hostname = x\ntimezone = Mars/Base\n");
        configuration.find_fault("timezone", "no such zone".into());
        let spans: Vec<_> = configuration.findings.iter().map(|f| (f.span.start, f.span.end)).collect();
        assert_eq!(spans, [(24, 33)]);
        assert_eq!(configuration.errors(), 1);
    }
}
