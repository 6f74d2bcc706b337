//! `ssh_pubkey`: lines of `~/.ssh/authorized_keys` of root and of every user who can log in.
//!
//! Two keys are the same when type and base64 are the same, whatever options and comment say. Keys that we added and
//! that are no longer configured are removed again, keys that somebody else added never are: a manifest knows.
//! Format: sshd(8), AUTHORIZED_KEYS FILE FORMAT. Not handled: certificates' principals, `AuthorizedKeysFile`.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::op::{Op, Step};
use crate::stage2::inputs::User;
use crate::stage2::plan::step;
use genpack_core::contract::paths;

/// Plans the keys; `manifest` lists what earlier boots added: `USER TYPE BASE64` per line.
#[must_use]
pub fn plan(keys: &[String], users: &[User], manifest: &str) -> Vec<Step> {
    let mut plan = Vec::new();
    let mut new_manifest = String::new();
    for user in users {
        let ours: Vec<&str> = manifest.lines().filter_map(|line| of_user(line, &user.name)).collect();
        let (content, added) = merge(&user.authorized_keys, keys, &ours);
        for identity in added {
            new_manifest.push_str(&format!("{} {identity}\n", user.name));
        }
        if content == user.authorized_keys {
            continue;
        }
        let owner = Some(user.owner);
        let directory = format!("{}/.ssh", user.home);
        let path = format!("{directory}/authorized_keys");
        plan.push(step(Op::Mkdir { path: directory, mode: 0o700, owner }));
        plan.push(step(Op::Write { path, mode: 0o600, owner, content }));
    }
    // Why: a user without a home today may have one tomorrow, with our keys still in it.
    for line in manifest.lines() {
        if !users.iter().any(|user| of_user(line, &user.name).is_some()) {
            new_manifest.push_str(&format!("{line}\n"));
        }
    }
    if new_manifest != manifest {
        // Why: the record comes first; a key that is recorded but not added does no harm, the other way round it
        // would stay for ever.
        let path = format!("{}/ssh-keys", paths::MANIFEST);
        let content = new_manifest.into_bytes();
        plan.insert(0, step(Op::Write { path, mode: 0o600, owner: None, content }));
        plan.insert(0, step(Op::Mkdir { path: paths::MANIFEST.into(), mode: 0o755, owner: None }));
    }
    plan
}

/// Returns the identity in a manifest line of this user.
fn of_user<'a>(line: &'a str, user: &str) -> Option<&'a str> {
    line.strip_prefix(user)?.strip_prefix(' ')
}

/// Returns type and base64 of a line, options before them skipped.
fn identity(line: &str) -> Option<String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let is_type = |word: &&str| {
        ["ssh-", "ecdsa-", "sk-ssh-", "sk-ecdsa-"].iter().any(|prefix| word.starts_with(prefix))
    };
    let first = line.split_ascii_whitespace().next()?;
    let rest = if is_type(&first) { line } else { after_options(line) };
    let mut words = rest.split_ascii_whitespace();
    Some(format!("{} {}", words.next().filter(is_type)?, words.next()?))
}

/// Returns what follows the options: they end at the first blank outside quotes.
fn after_options(line: &str) -> &str {
    let (mut quoted, mut escaped) = (false, false);
    for (i, c) in line.char_indices() {
        match c {
            '"' if !escaped => quoted = !quoted,
            ' ' | '\t' if !quoted => return line.get(i..).unwrap_or_default(),
            _ => {}
        }
        escaped = c == '\\' && !escaped;
    }
    ""
}

/// Returns the new content, and the identities in it that are there because of us.
fn merge(old: &[u8], keys: &[String], ours: &[&str]) -> (Vec<u8>, Vec<String>) {
    let wanted: Vec<(String, &str)> = keys.iter().filter_map(|k| Some((identity(k)?, k.trim()))).collect();
    let is_wanted = |id: &str| wanted.iter().any(|(w, _)| w == id);
    let mut content = Vec::new();
    let mut present: Vec<String> = Vec::new();
    for line in old.split_inclusive(|b| *b == b'\n') {
        let id = core::str::from_utf8(line).ok().and_then(identity);
        if id.as_deref().is_some_and(|id| ours.contains(&id) && !is_wanted(id)) {
            continue;
        }
        content.extend_from_slice(line);
        present.extend(id);
    }
    let mut added: Vec<String> = Vec::new();
    for (id, line) in &wanted {
        if added.contains(id) {
            continue;
        }
        if present.contains(id) {
            if ours.contains(&id.as_str()) {
                added.push(id.clone());
            }
            continue;
        }
        // Why: without it the key would be glued to a last line that lacks its newline.
        if content.last().is_some_and(|b| *b != b'\n') {
            content.push(b'\n');
        }
        content.extend_from_slice(line.as_bytes());
        content.push(b'\n');
        added.push(id.clone());
    }
    (content, added)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::Owner;
    use alloc::string::ToString;

    fn keys(lines: &[&str]) -> Vec<String> {
        lines.iter().map(ToString::to_string).collect()
    }

    fn user(name: &str, uid: u32, authorized_keys: &str) -> User {
        let home = if uid == 0 { "/root".into() } else { format!("/home/{name}") };
        let owner = Owner { uid, gid: uid };
        User { name: name.into(), owner, home, authorized_keys: authorized_keys.into() }
    }

    #[test]
    fn identity_is_type_and_base64() {
        for (line, expected) in [
            ("ssh-ed25519 AAAA me@laptop", Some("ssh-ed25519 AAAA")),
            ("  ssh-rsa  BBBB", Some("ssh-rsa BBBB")),
            ("from=\"10.0.0.1 x\",no-pty ssh-rsa CCCC", Some("ssh-rsa CCCC")),
            ("command=\"say \\\"hi\\\" now\" ecdsa-sha2-nistp256 DDDD", Some("ecdsa-sha2-nistp256 DDDD")),
            ("sk-ssh-ed25519@openssh.com EEEE", Some("sk-ssh-ed25519@openssh.com EEEE")),
            ("# ssh-rsa AAAA", None),
            ("", None),
            ("ssh-rsa", None),
            ("hello world again", None),
        ] {
            assert_eq!(identity(line).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn merge_adds_keeps_and_removes() {
        for (old, wanted, ours, content, added) in [
            ("", &["ssh-rsa A me"][..], &[][..], "ssh-rsa A me\n", &["ssh-rsa A"][..]),
            // a last line without its newline is ended first
            ("ssh-rsa B", &["ssh-rsa A"], &[], "ssh-rsa B\nssh-rsa A\n", &["ssh-rsa A"]),
            // somebody else's key stays his, under any comment
            ("ssh-rsa A you\n", &["ssh-rsa A me"], &[], "ssh-rsa A you\n", &[]),
            // ours stays ours
            ("ssh-rsa A me\n", &["ssh-rsa A me"], &["ssh-rsa A"], "ssh-rsa A me\n", &["ssh-rsa A"]),
            // ours goes when it is no longer configured, his stays
            ("# c\nssh-rsa A\nssh-rsa B\n", &[], &["ssh-rsa A"], "# c\nssh-rsa B\n", &[]),
            // twice in the configuration is once in the file
            ("", &["ssh-rsa A x", "ssh-rsa A y"], &[], "ssh-rsa A x\n", &["ssh-rsa A"]),
            ("", &["nonsense"], &[], "", &[]),
        ] {
            let (new, new_ours) = merge(old.as_bytes(), &keys(wanted), ours);
            assert_eq!((new, new_ours), (content.as_bytes().to_vec(), keys(added)), "{old:?} {wanted:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_stay_in_the_file() {
        let old = b"\xFF\xFE\x00rubbish\nssh-rsa B\n";
        let (new, _) = merge(old, &keys(&["ssh-rsa A"]), &[]);
        assert_eq!(new, [&old[..], b"ssh-rsa A\n"].concat());
    }

    #[test]
    fn every_login_gets_the_key_and_the_manifest_says_so_first() {
        let users = [user("root", 0, ""), user("alice", 1000, "ssh-rsa A hers\n")];
        let plan = plan(&keys(&["ssh-rsa A me"]), &users, "");
        let lines: Vec<_> = plan.iter().map(|s| s.op.to_string()).collect();
        assert_eq!(
            lines,
            [
                "mkdir /var/lib/genpack mode 0755",
                "write /var/lib/genpack/ssh-keys mode 0600 (15 bytes)",
                "mkdir /root/.ssh mode 0700 owner 0:0",
                "write /root/.ssh/authorized_keys mode 0600 owner 0:0 (13 bytes)",
            ]
        );
    }

    #[test]
    fn second_boot_with_the_same_keys_does_nothing() {
        let users = [user("root", 0, "ssh-rsa A me\n")];
        assert_eq!(plan(&keys(&["ssh-rsa A me"]), &users, "root ssh-rsa A\n"), []);
        assert_eq!(plan(&[], &users, ""), []);
    }

    #[test]
    fn revoked_key_leaves_file_and_manifest_but_not_those_of_absent_users() {
        let users = [user("root", 0, "ssh-rsa A me\n")];
        let plan = plan(&[], &users, "root ssh-rsa A\nbob ssh-rsa A\n");
        let lines: Vec<_> = plan.iter().map(|s| s.op.to_string()).collect();
        assert_eq!(
            lines,
            [
                "mkdir /var/lib/genpack mode 0755",
                "write /var/lib/genpack/ssh-keys mode 0600 (14 bytes)",
                "mkdir /root/.ssh mode 0700 owner 0:0",
                "write /root/.ssh/authorized_keys mode 0600 owner 0:0 (0 bytes)",
            ]
        );
    }
}
