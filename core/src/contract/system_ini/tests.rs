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

/// Mistakes that made the old init lose everything or a part, with what is lost now and how the owner is told.
#[test]
fn mistake_costs_its_own_line_only() {
    const FINE: &str = "hostname = a\nswapfile = no\n";
    let fine = Settings { hostname: Some("a".into()), swapfile: Some(false), ..Settings::default() };
    for (mistake, told) in [
        (&b""[..], &[][..]),
        (b"autologin\n", &["the line has no '=' and no ':', so it is ignored"]),
        (b"= x\n", &["no key stands before the delimiter, so the line is ignored"]),
        (b"swapfile = yes\n", &["the key 'swapfile' stands on line 1 already; this value counts"]),
        (b"SwapFile: yes\n", &["the key 'swapfile' stands on line 1 already; this value counts"]),
        (b"[s]\n[s]\n[_default]\n", &[]),
        (b"debug = maybe\n", &["'debug' is not set: 'maybe' is not yes or no, so its default counts: no"]),
        (b"exec_guard = x\n", &["'exec_guard' is not set: 'x' is not yes or no, so its default counts: yes"]),
        (
            b"wifi_sae_pwe = 3\n",
            &["'wifi_sae_pwe' is not set: '3' is not 0, 1 or 2, so its default counts: 2 with wifi_wpa3"],
        ),
        (b"timezone = 100%\n", &["'timezone' is not set: a zone name has no '%'"]),
        (b"locale =\n", &["'locale' has no value, so it is not set"]),
        (b"timezone = Asia/Tokyo # x\n", &["'timezone' is not set: a zone name has no ' '"]),
        (b"timezone = \"Asia/Tokyo\"\n", &["'timezone' is not set: a zone name has no '\"'"]),
        (
            b"timezone = \x93Asia/Tokyo\x94\n",
            &[
                "the file is not UTF-8; such lines are read as Windows-1252",
                "'timezone' is not set: a zone name has no '\u{201C}'",
            ],
        ),
        (
            b"wifi_ssid = \x93\x8c\x8b\x9e\n",
            &[
                "the file is not UTF-8 but Shift_JIS or the like; such values cannot be used",
                "'wifi_ssid' is not set: some of its characters are not UTF-8",
            ],
        ),
        (b"# \x93\x8c\x8b\x9e \xe9\n", &[]),
        (b"timezone = a\0b\n", &["'timezone' is not set: a zone name has no '\u{FFFD}'"]),
        (
            b"wifi_key = hunter\n",
            &["'wifi_key' is not set: the password of a Wi-Fi network has 8 to 63 characters"],
        ),
        (b"[walbrix]\ntimezone = UTC\n", &["the key 'timezone' is not known, so it is ignored"]),
        (b"[open\n", &["the line begins with '[' and has no ']', so it is ignored"]),
        (b"<<<<<<< x\n", &["the line has no '=' and no ':', so it is ignored"]),
    ] {
        let file = read(&[mistake, FINE.as_bytes()].concat());
        // Why: behind a header, the lines are those of the section.
        let file = if mistake.starts_with(b"[wal")
            || mistake.starts_with(b"[s]")
            || told.iter().any(|t| t.contains("already"))
        {
            read(&[FINE.as_bytes(), mistake].concat())
        } else {
            file
        };
        let said: Vec<_> = file
            .findings
            .iter()
            .map(|f| f.message.replace("line 3", "line 1").replace("line 2", "line 1"))
            .collect();
        assert_eq!(said, told, "{:?}", String::from_utf8_lossy(mistake));
        let wanted = if told.iter().any(|t| t.contains("already")) {
            Settings { swapfile: Some(true), ..fine.clone() }
        } else {
            fine.clone()
        };
        assert_eq!(file.settings, wanted, "{:?}", String::from_utf8_lossy(mistake));
    }
}

#[test]
fn every_way_to_save_a_file_gives_the_same_settings() {
    const TEXT: &str = "# 設定\r\nhostname = a\r\nwifi_ssid = カフェ\r\nssh_pubkey =\r\n  ssh-rsa AAAA x\r\n";
    let (wanted, findings) = parse(TEXT);
    assert_eq!((wanted.hostname.as_deref(), findings.len()), (Some("a"), 0));
    let utf16 = |unit: fn(u16) -> [u8; 2], mark: bool| -> Vec<u8> {
        let mark = if mark { "\u{FEFF}" } else { "" };
        mark.encode_utf16().chain(TEXT.encode_utf16()).flat_map(unit).collect()
    };
    for (name, bytes) in [
        ("LF", TEXT.replace("\r\n", "\n").into_bytes()),
        ("lone CR", TEXT.replace("\r\n", "\r").into_bytes()),
        ("UTF-8 with mark", format!("\u{FEFF}{TEXT}").into_bytes()),
        ("UTF-16LE with mark", utf16(u16::to_le_bytes, true)),
        ("UTF-16BE with mark", utf16(u16::to_be_bytes, true)),
        ("UTF-16LE", utf16(u16::to_le_bytes, false)),
        ("UTF-16BE", utf16(u16::to_be_bytes, false)),
        ("no-break spaces", TEXT.replace(" = ", "\u{A0}=\u{A0}").into_bytes()),
        ("ideographic spaces", TEXT.replace(" = ", "\u{3000}=\u{3000}").into_bytes()),
        ("wide equals signs", TEXT.replace('=', "\u{FF1D}").into_bytes()),
        ("colons", TEXT.replace(" = ", " : ").into_bytes()),
        ("blanks at the ends", TEXT.replace("\r\n", " \t \r\n").into_bytes()),
        ("empty lines", TEXT.replace("\r\n", "\r\n\r\n").into_bytes()),
        ("capitals", TEXT.replace("hostname", "HostName").into_bytes()),
    ] {
        let file = read(&bytes);
        assert_eq!(file.findings, [], "{name}");
        assert_eq!(file.settings, wanted, "{name}");
    }
}

#[test]
fn keys_that_are_indented_below_another_are_keys() {
    let (settings, findings) = parse("hostname = a\n  timezone = UTC\n  debug = yes\nlocale = C\n");
    assert_eq!(
        settings,
        Settings {
            hostname: Some("a".into()),
            timezone: Some("UTC".into()),
            debug: Some(true),
            locale: Some("C".into()),
            ..Settings::default()
        }
    );
    assert!(findings.len() == 2 && findings.iter().all(|f| f.severity == Severity::Note), "{findings:?}");
    // Where that is not what they are, the value has two lines, which no such value has.
    for text in
        ["hostname = a\n  b\n", "hostname = a\n  b = c\n", "hostname = a\n  debug = yes\ndebug = no\n"]
    {
        let (settings, findings) = parse(text);
        assert_eq!(settings.hostname, None, "{text}");
        assert_eq!(findings.len(), 1, "{text}");
    }
}

#[test]
fn free_text_keeps_quotes_and_signs_of_comments_with_a_warning() {
    for (value, warned) in [
        ("my net", false),
        ("\"my net\"", true),
        ("\u{201C}my net\u{201D}", true),
        ("my net # home", true),
        ("my net #1", false),
        ("it's", false),
        ("100%%", false),
    ] {
        let (settings, findings) = parse(&format!("wifi_ssid = {value}\n"));
        assert_eq!(settings.wifi_ssid.as_deref(), Some(value));
        assert_eq!(!findings.is_empty(), warned, "{value}");
    }
}

#[test]
fn file_that_is_too_long_is_read_as_far_as_it_goes() {
    let text = format!("hostname = a\n{}\nlocale = C\n", "# filler\n".repeat(40_000));
    for bytes in [text.clone().into_bytes(), text.encode_utf16().flat_map(u16::to_le_bytes).collect()] {
        let file = read(&bytes);
        assert_eq!(file.settings, Settings { hostname: Some("a".into()), ..Settings::default() });
        let said: Vec<_> = file.findings.iter().map(|f| f.message.as_str()).collect();
        assert_eq!(said, ["only the first 256 KiB are read; the rest is ignored"]);
    }
}
