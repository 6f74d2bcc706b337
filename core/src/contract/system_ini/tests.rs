use alloc::vec;

use super::*;

fn messages(text: &str) -> Vec<String> {
    let (_, diagnostics) = parse(text);
    diagnostics
        .iter()
        .map(|d| {
            let hint = d.hint.as_ref().map_or(String::new(), |h| format!(" ({h})"));
            format!("{} {}: {}{hint}", d.span.start, d.severity.word(), d.message)
        })
        .collect()
}

fn strings(values: &[&str]) -> Vec<String> {
    values.iter().map(|v| String::from(*v)).collect()
}

#[test]
fn good_file_gives_settings_and_no_finding() {
    let (settings, diagnostics) = parse(
        "hostname = web-1.example\r\ntimezone: Asia/Tokyo\r\nLOCALE=ja_JP.UTF-8\r\ndebug=Yes\r\nssh_pubkey =\r\n  \
         # laptop\r\n  ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB me@laptop\r\n  from=\"10.0.0.1, *.x\" ssh-rsa \
         AAAAB3Nz==\r\ndns = 192.168.1.1, 2001:db8::1\r\n  # the other one\r\n  10.0.0.1\r\nenable: sshd x.timer\r\n\
         [user.bob]\r\nSudo=on\r\ngroups = audio,video\r\n[user.eve]\r\n[hooks]\r\n50-cert = no\r\ntimeout = 90\r\n\
         [other]\r\nhostnam = left alone\r\n",
    );
    assert_eq!(diagnostics, []);
    let keys =
        ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB me@laptop", "from=\"10.0.0.1, *.x\" ssh-rsa AAAAB3Nz=="];
    assert_eq!(
        settings,
        Settings {
            hostname: Some("web-1.example".into()),
            timezone: Some("Asia/Tokyo".into()),
            locale: Some("ja_JP.UTF-8".into()),
            ssh_pubkey: strings(&keys),
            dns: strings(&["192.168.1.1", "2001:db8::1", "10.0.0.1"]),
            enable: strings(&["sshd.service", "x.timer"]),
            debug: Some(true),
            users: vec![
                User {
                    name: "bob".into(),
                    groups: strings(&["audio", "video"]),
                    sudo: Some(true),
                    ..User::default()
                },
                User { name: "eve".into(), ..User::default() },
            ],
            hooks: Hooks { switches: vec![("50-cert".into(), false)], timeout: Some(90) },
            ..Settings::default()
        }
    );
}

#[test]
fn bad_values_are_reported_and_unset() {
    let text =
        "hostname = a b # x\ntimezone = ../etc\ndebug = maybe\nautologin = 7\nlocale =\ndns = 1.1.1.1 x\n";
    let (settings, _) = parse(text);
    assert_eq!(settings, Settings { dns: strings(&["1.1.1.1"]), ..Settings::default() });
    assert_eq!(
        messages(text),
        [
            "11 warning: 'hostname' is not set: a host name has no ' ' (a comment needs a line of its own)",
            "30 warning: 'timezone' is not set: a zone name has no '.' (write it like this: timezone = Asia/Tokyo)",
            "45 warning: 'debug' is not set: 'maybe' is not yes or no, so its default counts: no (write it like \
             this: debug = yes)",
            "63 warning: 'autologin' is not set: '7' is not yes or no (write it like this: autologin = yes)",
            "65 note: 'locale' has no value, so it is not set",
            "88 warning: one value of 'dns' is left out: 'x' is not an address (write it like this: dns = \
             192.168.1.1)",
        ]
    );
}

#[test]
fn unknown_key_gets_the_nearest_known_one() {
    assert_eq!(
        messages("hostnmae = x\nssh-pubkey = x\nzzzzzzzz = 1\n[user.a]\nshel = /bin/sh\nhostname = x\n"),
        [
            "0 warning: the key 'hostnmae' is not known, so it is ignored (did you mean 'hostname'?)",
            "13 warning: the key 'ssh-pubkey' is not known, so it is ignored (did you mean 'ssh_pubkey'?)",
            "28 warning: the key 'zzzzzzzz' is not known, so it is ignored",
            "50 warning: the key 'shel' is not known, so it is ignored (did you mean 'shell'?)",
            "65 warning: the key 'hostname' is not known, so it is ignored (it works only above the first line with \
             [ ]; move it there)",
        ]
    );
}

#[test]
fn one_bad_ssh_key_leaves_the_others() {
    let text = "ssh_pubkey = ssh-rsa AAAA one\n  garbage\n  ssh-ed25519\tBBBB\n  ssh-rsa !!\n";
    let (settings, _) = parse(text);
    assert_eq!(settings.ssh_pubkey, ["ssh-rsa AAAA one", "ssh-ed25519 BBBB"]);
    assert_eq!(
        messages(text),
        [
            "32 warning: this line of 'ssh_pubkey' is left out: it is not 'type base64 comment'",
            "61 warning: this line of 'ssh_pubkey' is left out: the second word is not base64",
        ]
    );
}

#[test]
fn values_beyond_the_limit_are_reported_once() {
    let lines = "  ssh-rsa AAAA\n".repeat(MAX_VALUES + 20);
    let (settings, diagnostics) = parse(&format!("ssh_pubkey =\n{lines}"));
    assert_eq!(settings.ssh_pubkey.len(), MAX_VALUES);
    assert_eq!(diagnostics.len(), 1);
}

#[test]
fn users_need_a_name_of_their_own() {
    let mut text = String::from("[user.root]\nsudo=yes\n[user.Bob]\n[user.a b]\n[user.]\n");
    for i in 0..MAX_ENTRIES + 2 {
        text.push_str(&format!("[user.u{i}]\n"));
    }
    let (settings, diagnostics) = parse(&text);
    assert_eq!(settings.users.len(), MAX_ENTRIES);
    assert_eq!(diagnostics.len(), 5);
}

#[test]
fn fallback_section_serves_every_section_but_users() {
    let (settings, _) = parse("[DEFAULT]\nhostname = h\nssh_pubkey = ssh-rsa AAAA\n[user.a]\n[sakuravps]\n");
    assert_eq!(settings.hostname.as_deref(), Some("h"));
    assert_eq!((settings.users[0].ssh_pubkey.len(), settings.sakuravps.ssh_pubkey.len()), (0, 1));
}

#[test]
fn table_is_fit_for_a_reference() {
    for group in GROUPS {
        for key in group.keys {
            assert!(key.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'));
            assert!(key.name.len() < 32, "{}", key.name);
            assert_eq!(group.keys.iter().filter(|other| other.name == key.name).count(), 1, "{}", key.name);
            #[cfg(feature = "docs")]
            assert!(key.help.ends_with('.'), "{}", key.name);
        }
    }
}

/// A value of every key, one that is not its default.
#[cfg(feature = "docs")]
#[test]
fn every_key_changes_the_settings_and_every_example_is_legal() {
    for group in GROUPS {
        let header = match group.section {
            "" => String::new(),
            "user." => "[user.bob]\n".into(),
            section => format!("[{section}]\n"),
        };
        let (without, _) = parse(&header);
        for key in group.keys {
            let text = format!("{header}{} = {}\n", key.name, key.example());
            let (settings, diagnostics) = parse(&text);
            assert_eq!(diagnostics, [], "{text}");
            assert_ne!(settings, without, "{text}");
        }
    }
}
