//! `ssh_pubkey`: lines of `~/.ssh/authorized_keys` of root and of every user who can log in.
//!
//! Two keys are the same when type and base64 are the same, whatever options and comment say. Keys that we added and
//! that are no longer configured are removed again, keys that somebody else added never are: a manifest knows.
//! Format: sshd(8), AUTHORIZED_KEYS FILE FORMAT. Not handled: certificates' principals, `AuthorizedKeysFile`.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::accounts;
use crate::op::{Op, Owner, Step};
use crate::stage2::desired::{MAX_FILE, step};
use crate::tree::Tree;
use genpack_core::contract::system_ini::Settings;

/// Users that get keys; a machine with more is no appliance.
const MAX_USERS: usize = 1024;

/// A user with the keys that may log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Login name.
    pub name: String,
    /// User and group id.
    pub owner: Owner,
    /// Home directory.
    pub home: String,
    /// Content of `~/.ssh/authorized_keys`; empty when there is none.
    pub authorized_keys: Vec<u8>,
    /// Lines that are wanted in it.
    pub keys: Vec<String>,
}

/// Returns who gets which keys: `ssh_pubkey` is for everybody who can log in, other keys for one user.
#[must_use]
pub fn users(settings: &Settings, tree: &Tree) -> Vec<User> {
    let mut users = Vec::new();
    let mut all = accounts::planned(settings, tree);
    let staying = all.len();
    for old in accounts::accounts(tree) {
        if !all.iter().any(|account| account.name == old.name) {
            all.push(old);
        }
    }
    for (i, account) in all.into_iter().enumerate() {
        let is_gone = i >= staying;
        // Why: a new user has no shell yet, and one that goes may log in no more.
        let is_new = account.shell.is_empty();
        if users.len() >= MAX_USERS || !(is_new || account.may_log_in()) {
            continue;
        }
        if !is_new && !tree.is_dir(&account.home) {
            continue;
        }
        let mut keys = Vec::new();
        if !is_gone {
            keys.extend_from_slice(&settings.ssh_pubkey);
            if let Some(user) = settings.users.iter().find(|user| user.name == account.name) {
                keys.extend_from_slice(&user.ssh_pubkey);
            }
            if account.owner.uid == 0 {
                keys.extend_from_slice(&settings.sakuravps.ssh_pubkey);
            }
        }
        let path = format!("{}/.ssh/authorized_keys", account.home);
        let authorized_keys = tree.read_strict(&path, MAX_FILE).unwrap_or_default();
        users.push(User {
            name: account.name,
            owner: account.owner,
            home: account.home,
            authorized_keys,
            keys,
        });
    }
    users
}

/// Plans the keys; `ours` lists what earlier boots added: `USER TYPE BASE64` each. Returns what is ours then, too.
#[must_use]
pub fn plan(users: &[User], ours: &[&str]) -> (Vec<Step>, Vec<String>) {
    let mut plan = Vec::new();
    let mut new = Vec::new();
    for user in users {
        let mut old = Vec::new();
        for line in ours {
            if let Some(identity) = of_user(line, &user.name) {
                old.push(identity);
            }
        }
        let (content, added) = merge(&user.authorized_keys, &user.keys, &old);
        for identity in &added {
            new.push([&user.name, " ", identity].concat());
        }
        if content == user.authorized_keys {
            continue;
        }
        for op in write(&user.home, user.owner, content) {
            plan.push(step(op));
        }
    }
    // Why: a user without a home today may have one tomorrow, with our keys still in it.
    for line in ours {
        if !users.iter().any(|user| of_user(line, &user.name).is_some()) {
            new.push(String::from(*line));
        }
    }
    (plan, new)
}

/// Returns the operations that bring a user's file to a content.
fn write(home: &str, owner: Owner, content: Vec<u8>) -> [Op; 2] {
    let directory = format!("{home}/.ssh");
    let path = format!("{directory}/authorized_keys");
    let owner = Some(owner);
    [Op::Mkdir { path: directory, mode: 0o700, owner }, Op::Write { path, mode: 0o600, owner, content }]
}

/// Plans that keys are added to a user's file for good, nothing is taken out.
#[must_use]
pub fn import(user: &User) -> Option<[Op; 2]> {
    let (content, _) = merge(&user.authorized_keys, &user.keys, &[]);
    (content != user.authorized_keys).then(|| write(&user.home, user.owner, content))
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
    let mut wanted = Vec::new();
    for key in keys {
        if let Some(id) = identity(key) {
            wanted.push((id, key.trim()));
        }
    }
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
    use alloc::string::ToString;

    fn keys(lines: &[&str]) -> Vec<String> {
        lines.iter().map(ToString::to_string).collect()
    }

    fn lines(steps: &[Step]) -> Vec<String> {
        steps.iter().map(|step| step.op.to_string()).collect()
    }

    fn user(name: &str, uid: u32, authorized_keys: &str) -> User {
        let home = if uid == 0 { "/root".into() } else { format!("/home/{name}") };
        let owner = Owner { uid, gid: uid };
        User { name: name.into(), owner, home, authorized_keys: authorized_keys.into(), keys: Vec::new() }
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
    fn every_user_gets_his_keys_and_what_is_ours_is_told() {
        let (mut root, mut alice) = (user("root", 0, ""), user("alice", 1000, "ssh-rsa A hers\n"));
        root.keys = keys(&["ssh-rsa A me"]);
        alice.keys = keys(&["ssh-rsa A me"]);
        let (steps, ours) = plan(&[root, alice], &[]);
        assert_eq!(
            lines(&steps),
            [
                "mkdir /root/.ssh mode 0700 owner 0:0",
                "write /root/.ssh/authorized_keys mode 0600 owner 0:0 (13 bytes)",
            ]
        );
        assert_eq!(ours, ["root ssh-rsa A"]);
    }

    #[test]
    fn second_boot_with_the_same_keys_does_nothing() {
        let mut root = user("root", 0, "ssh-rsa A me\n");
        root.keys = keys(&["ssh-rsa A me"]);
        assert_eq!(plan(&[root], &["root ssh-rsa A"]), ([].into(), keys(&["root ssh-rsa A"])));
        assert_eq!(plan(&[user("root", 0, "ssh-rsa A me\n")], &[]), ([].into(), [].into()));
    }

    #[test]
    fn revoked_key_goes_but_those_of_absent_users_are_remembered() {
        let (steps, ours) = plan(&[user("root", 0, "ssh-rsa A me\n")], &["root ssh-rsa A", "bob ssh-rsa A"]);
        assert_eq!(
            lines(&steps),
            [
                "mkdir /root/.ssh mode 0700 owner 0:0",
                "write /root/.ssh/authorized_keys mode 0600 owner 0:0 (0 bytes)",
            ]
        );
        assert_eq!(ours, ["bob ssh-rsa A"]);
    }

    #[test]
    fn imported_key_is_added_once() {
        let mut root = user("root", 0, "ssh-rsa B");
        root.keys = keys(&["ssh-rsa A me"]);
        let Some([_, Op::Write { content, .. }]) = import(&root) else { panic!() };
        assert_eq!(content, b"ssh-rsa B\nssh-rsa A me\n");
        root.authorized_keys = content;
        assert_eq!(import(&root), None);
    }
}
