//! `root_password`, `[user.NAME]`: lines of `/etc/passwd`, `/etc/group` and `/etc/shadow`.
//!
//! Formats: passwd(5), group(5), shadow(5), sudoers(5). Why lines and not records in `/run/userdb`: see
//! `docs/adr/0009-accounts-as-lines.md`. A user we made has [`MARK`] as comment. Homes stay when a user goes, and a user
//! who comes back gets the number that owns the home. Not handled: group passwords, directories of `/etc/skel`.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::op::{Op, Owner};
use crate::stage2::desired::{Change, Desired, MAX_FILE};
use crate::tree::Tree;
use genpack_core::contract::system_ini::{Settings, User};

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";
const SHADOW: &str = "/etc/shadow";
/// What a new home begins with, useradd(8).
const SKEL: &str = "/etc/skel/";
/// Comment field of the users that are ours.
const MARK: &str = "system.ini";
/// Numbers of ordinary users.
const ORDINARY: core::ops::Range<u32> = 1000..65_000;

/// A line of passwd(5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Login name.
    pub name: String,
    /// Numbers of user and group.
    pub owner: Owner,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
    /// Whether we made it.
    pub is_ours: bool,
}

impl Account {
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split(':');
        let (name, _) = (fields.next()?, fields.next()?);
        let owner = Owner { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? };
        let (comment, home, shell) = (fields.next()?, fields.next()?, fields.next()?);
        let is_ours = comment == MARK;
        Some(Self { name: name.into(), owner, home: home.into(), shell: shell.into(), is_ours })
    }

    /// Tells whether somebody may log in with it: root, and ordinary users with a shell.
    #[must_use]
    pub fn may_log_in(&self) -> bool {
        let has_shell = !matches!(self.shell.rsplit('/').next(), Some("false" | "nologin"));
        let is_user = if self.owner.uid == 0 {
            self.name == "root"
        } else {
            ORDINARY.contains(&self.owner.uid) && has_shell
        };
        is_user && self.home.starts_with('/')
    }
}

/// Returns the accounts of the tree.
#[must_use]
pub fn accounts(tree: &Tree) -> Vec<Account> {
    let text = tree.text(PASSWD, MAX_FILE);
    let mut accounts = Vec::new();
    for line in text.lines() {
        if let Some(account) = Account::parse(line) {
            accounts.push(account);
        }
    }
    accounts
}

/// Returns the accounts as they will be: without users of ours that are no longer wanted, with those that are new.
#[must_use]
pub fn planned(settings: &Settings, tree: &Tree) -> Vec<Account> {
    let mut all = accounts(tree);
    all.retain(|account| !account.is_ours || settings.users.iter().any(|user| user.name == account.name));
    let groups = tree.text(GROUP, MAX_FILE);
    let mut taken: Vec<u32> = all.iter().map(|account| account.owner.uid).collect();
    taken.extend(groups.lines().filter_map(|line| line.split(':').nth(2)?.parse::<u32>().ok()));
    for user in &settings.users {
        if all.iter().any(|account| account.name == user.name) {
            continue;
        }
        let home = ["/home/", &user.name].concat();
        let is_free = |id: &u32| ORDINARY.contains(id) && !taken.contains(id);
        let own = tree.stat(&home).map(|stat| stat.st_uid).filter(is_free);
        let Some(id) = own.or_else(|| ORDINARY.clone().find(is_free)) else { continue };
        taken.push(id);
        let owner = Owner { uid: id, gid: id };
        all.push(Account { name: user.name.clone(), owner, home, shell: String::new(), is_ours: true });
    }
    all
}

/// Wants users and passwords.
pub fn want(settings: &Settings, tree: &Tree, desired: &mut Desired) {
    let has_shadow = tree.is_file(SHADOW);
    if let Some(hash) = settings.root_password.as_ref().or(settings.sakuravps.root_password.as_ref()) {
        if has_shadow {
            desired.change(SHADOW, "root:", Change::Field(1, hash.clone()));
        } else {
            desired.fact("", "root_password", "the password is not set: this system has no /etc/shadow");
        }
    }
    let all = planned(settings, tree);
    for user in &settings.users {
        match all.iter().find(|account| account.name == user.name) {
            Some(account) if tree.is_file(PASSWD) => want_user(user, account, tree, desired),
            _ => {
                let section = ["user.", &user.name].concat();
                desired.fact(&section, "ssh_pubkey", "this system cannot have users: no /etc/passwd");
            }
        }
    }
}

fn want_user(user: &User, account: &Account, tree: &Tree, desired: &mut Desired) {
    let name = &user.name;
    let section = ["user.", name].concat();
    let key = [name, ":"].concat();
    let shell = user.shell.as_deref().filter(|shell| {
        let exists = tree.is_executable(shell);
        if !exists {
            desired.fact(
                &section,
                "shell",
                &format!("this system has no '{shell}', so the shell is the usual one"),
            );
        }
        exists
    });
    let Owner { uid, gid } = account.owner;
    if account.is_ours {
        let usual = if tree.is_executable("/bin/bash") { "/bin/bash" } else { "/bin/sh" };
        let shell = shell.unwrap_or(usual);
        desired.line(PASSWD, &key, &format!("{name}:x:{uid}:{gid}:{MARK}:{}:{shell}", account.home));
        desired.line(GROUP, &key, &format!("{name}:x:{gid}:"));
        // Why: `*` is no password; sshd takes `!` for an account that is locked.
        let hash = user.password.as_deref().unwrap_or("*");
        if tree.is_file(SHADOW) {
            desired.line(SHADOW, &key, &format!("{name}:{hash}::0:99999:7:::"));
        }
        home(account, tree, desired);
    } else {
        if let Some(shell) = shell {
            desired.change(PASSWD, &key, Change::Field(6, shell.into()));
        }
        if let Some(hash) = &user.password {
            desired.change(SHADOW, &key, Change::Field(1, hash.clone()));
        }
    }
    let groups = tree.text(GROUP, MAX_FILE);
    for group in &user.groups {
        let key = [group, ":"].concat();
        if groups.lines().any(|line| line.starts_with(&key)) {
            desired.change(GROUP, &key, Change::Member(name.clone()));
        } else {
            desired.fact(&section, "groups", &format!("this system has no group '{group}'"));
        }
    }
    if user.sudo == Some(true) {
        if tree.is_dir("/etc/sudoers.d") {
            // Why: who has no password cannot type one.
            let tag = if user.password.is_some() { "" } else { "NOPASSWD: " };
            let rule = format!("{name} ALL=(ALL:ALL) {tag}ALL\n");
            desired.file_with(&format!("/etc/sudoers.d/90-genpack-{name}"), 0o440, &rule);
        } else {
            desired.fact(&section, "sudo", "this system has no sudo");
        }
    }
}

/// Wants the home of a new user, with the files of `/etc/skel`.
fn home(account: &Account, tree: &Tree, desired: &mut Desired) {
    if !tree.is_dir(&account.home) {
        let owner = Some(account.owner);
        desired.act(Op::Mkdir { path: "/home".into(), mode: 0o755, owner: None });
        desired.act(Op::Mkdir { path: account.home.clone(), mode: 0o700, owner });
        for entry in tree.entries(SKEL) {
            if let Ok(content) = tree.read(&[SKEL, &entry.name].concat(), MAX_FILE) {
                let path = [&account.home, "/", &entry.name].concat();
                desired.act(Op::Write { path, mode: 0o644, owner, content });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn login_is_root_or_an_ordinary_user_with_a_shell() {
        for (line, expected) in [
            ("root:x:0:0:root:/root:/bin/bash", true),
            ("root:x:0:0:root:/root:/usr/sbin/nologin", true),
            ("toor:x:0:0::/root:/bin/sh", false),
            ("alice:x:1000:100:A,,,:/home/alice:/bin/bash", true),
            ("bob:x:64999:1:::/bin/sh", false),
            ("max:x:64999:1::/m:/bin/sh", true),
            ("nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin", false),
            ("svc:x:1001:1001::/srv:/usr/sbin/nologin", false),
            ("svc:x:1001:1001::/srv:/bin/false", false),
            ("daemon:x:999:999::/:/bin/sh", false),
            ("broken:x:abc:1::/:/bin/sh", false),
            ("", false),
        ] {
            assert_eq!(Account::parse(line).is_some_and(|a| a.may_log_in()), expected, "{line}");
        }
    }
}
