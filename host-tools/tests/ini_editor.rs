//! The page of `ini-editor`, judged by the reader that genpack-init has.
//!
//! Its scripts that know nothing of a page run in Node.js. The whole page runs in Chromium, driven as an owner would,
//! in the long matrix.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

use genpack_core::contract::system_ini::{self, GROUPS, Key, Plurality};
use genpack_core::text::diagnostic::{Collector, Severity};
use genpack_core::text::ini::{DEFAULT_SECTION, Document, decode};
use genpack_host::ini_editor::{RULES, table};
use serde_json::{Value, json};

/// What stands in for a name in `[user.NAME]`.
const USER: &str = "user.bob";

fn bytes_of(value: &Value) -> Vec<u8> {
    value.as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as u8).collect()
}

/// Returns what the page's scripts say of the cases.
fn judged(cases: &Value) -> Value {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("judge.js");
    fs::write(&script, [&RULES.concat(), include_str!("ini_editor/judge.js")].concat()).unwrap();
    fs::write(dir.path().join("cases"), cases.to_string()).unwrap();
    let output = Command::new("node")
        .arg(&script)
        .stdin(fs::File::open(dir.path().join("cases")).unwrap())
        .output()
        .expect("node is installed (tools/setup.sh test)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn cases() -> Value {
    json!({"judge": [], "read": [], "edit": [], "straighten": [], "hash": [], "keys": {}})
}

fn sections() -> impl Iterator<Item = (&'static str, &'static Key)> {
    GROUPS.iter().flat_map(|group| {
        let section = if group.section.ends_with('.') { USER } else { group.section };
        group.keys.iter().map(move |key| (section, key))
    })
}

/// Returns the line of a value under its header.
fn text_of(section: &str, key: &str, value: &str) -> String {
    let header = if section.is_empty() { String::new() } else { format!("[{section}]\n") };
    format!("{header}{key} = {value}\n")
}

/// Returns what our reader says is wrong with a value.
fn clause(section: &str, key: &Key, value: &str) -> Option<String> {
    let (_, findings) = system_ini::parse(&text_of(section, key.name, value));
    findings.into_iter().filter(|f| f.severity == Severity::Warning).find_map(|f| {
        let begins = [" is not set: ", " is left out: "];
        let told = begins.iter().find_map(|begin| f.message.split_once(begin))?.1.to_owned();
        let default = format!(", so its default counts: {}", key.default);
        Some(told.strip_suffix(&default).map(str::to_owned).unwrap_or(told))
    })
}

#[test]
fn values_are_judged_in_the_words_of_the_init() {
    const VALUES: [&str; 92] = [
        "yes",
        "ON",
        "0",
        "maybe",
        "1",
        "2",
        "3",
        "01",
        "600",
        "601",
        "+5",
        "-1",
        "30",
        "web-1",
        "web..1",
        "-web",
        "web-",
        "a.b.c",
        ".a",
        "b\u{fc}ro",
        "web_1",
        "Asia/Tokyo",
        "/Asia",
        "Etc/GMT+9",
        "de-latin1",
        ".hidden",
        "-x",
        "10.0.0.1",
        "10.0.0.256",
        "10.0.0.01",
        "10.0.0",
        "::",
        "::1",
        "1::2::3",
        ":::",
        "fe80::1",
        "1:2:3:4:5:6:7:8",
        "1:2:3:4:5:6:7",
        "::1.2.3.4",
        "1.2.3.4::",
        "12345::",
        "1:",
        ":1",
        "10.0.0.1/24",
        "10.0.0.1/33",
        "10.0.0.1/255.255.255.0",
        "10.0.0.1/255.0.255.0",
        "10.0.0.1/+24",
        "10.0.0.1/",
        "fd00::1/64",
        "fd00::1/129",
        "10.0.0.1/4294967296",
        "dhcp",
        "DHCP",
        "80",
        "80/tcp",
        "443/UDP",
        "0/tcp",
        "70000/tcp",
        "100-200",
        "200-100",
        "1-2-3",
        "80/tcp/x",
        "http://p:3128",
        "HTTP://p",
        "http:p",
        "ftp://p",
        "https://u:w@h/",
        "socks5h://[::1]",
        "p",
        "jp",
        "JPN",
        "54-wlan.network",
        ".network",
        "routable",
        "carrier:ROUTABLE",
        "a:b:c",
        "nginx",
        "nginx.service",
        "tmpfs",
        "RESCUE",
        "inet6",
        "/bin/bash",
        "/bin/../x",
        "bin",
        "wheel",
        "_x9",
        "Wheel",
        "9x",
        "vpn.example.com:51820",
        "[::1]:1",
        "[1.2.3.4]:1",
    ];
    let long = [
        "a".repeat(33),
        "a".repeat(63),
        "a".repeat(64),
        "A1".repeat(33),
        "x".repeat(130),
        "x".repeat(250),
        "y".repeat(1025),
    ];
    let others = [
        "ssh-ed25519 AAAAC3Nz me",
        "ssh-rsa ====",
        "ssh-rsa A!",
        "no-pty ssh-rsa AAAA",
        "* ssh-rsa AAAA",
        "ssh-rsa",
        "command=\"x ssh-rsa AAAA",
        "from=\"\\\"a b\" ssh-rsa AAAA x",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        "a\u{1}b",
        "x\u{FFFD}y",
        "$6$1EA9BEtFmMxsCdlb$mIBmC4bFLhLyR.DLVyGNbd4",
        "$6$abc",
        "hunter2",
        "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=",
        "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBm==",
        "\u{30d0}\u{30b9}\u{30ef}\u{30fc}\u{30c9}",
        "no pass",
        "long enough",
    ];
    let table = table();
    let rules: Vec<(&Value, &str, &Key)> = table["groups"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|group| group["keys"].as_array().unwrap())
        .zip(sections())
        .map(|(known, (section, key))| (&known["rule"], section, key))
        .collect();
    let mut input = cases();
    let mut expected = Vec::new();
    for (rule, section, key) in rules {
        let examples = key.example().split(", ").take(1);
        for value in
            VALUES.iter().copied().chain(others).chain(long.iter().map(String::as_str)).chain(examples)
        {
            if key.plurality() == Plurality::List && value.contains([' ', ',']) {
                continue;
            }
            input["judge"].as_array_mut().unwrap().push(json!([rule, value]));
            expected.push((key.name, value, clause(section, key, value)));
        }
    }
    let output = judged(&input);
    let said = output["judge"].as_array().unwrap();
    assert_eq!(said.len(), expected.len());
    for (said, (key, value, clause)) in said.iter().zip(&expected) {
        assert_eq!(said.as_str(), clause.as_deref(), "{key} = {value:?}");
    }
    assert!(expected.iter().filter(|(_, _, clause)| clause.is_none()).count() > 500);
}

/// Returns files made of pieces, the same ones at each run.
fn files() -> Vec<Vec<u8>> {
    const PIECES: [&[u8]; 34] = [
        b"hostname",
        b"HostName ",
        b"dns",
        b"ssh_pubkey",
        b"=",
        b" = ",
        b":",
        b"\n",
        b"\n",
        b"\r\n",
        b"\r",
        b"\n\n",
        b"  ",
        b"\t",
        b"\n    ",
        b"#",
        b"; ",
        b"[",
        b"]",
        b"[user.bob]\n",
        b"[DEFAULT]\n",
        b"x",
        b"a=b",
        b", ",
        "\u{fc}".as_bytes(),
        b"\xfc",
        b"\x93x\x94",
        b"\x93\x8c\x8b\x9e",
        "\u{3000}".as_bytes(),
        "\u{ff1d}".as_bytes(),
        "\u{feff}".as_bytes(),
        b"\xe2\x82",
        b"\xf0\x9f\x98\x80",
        b"#hostname = web-1\n",
    ];
    let mut state = 1_u64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let mut files: Vec<Vec<u8>> = (0..400)
        .map(|_| (0..next(40)).flat_map(|_| PIECES[next(PIECES.len())].iter().copied()).collect())
        .collect();
    let wide = |text: &str, unit: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(unit).collect::<Vec<u8>>();
    let text = "\u{feff}# f\u{fc}r\r\nhostname = web-1\r\nssh_pubkey =\n    a\n    # no\n    b\n[user.bob]\r\nsudo: yes";
    files.extend([
        genpack_host::keys::template().into_bytes(),
        text.as_bytes().to_vec(),
        wide(text, u16::to_le_bytes),
        wide(text, u16::to_be_bytes),
        wide(&text[3..], u16::to_le_bytes),
        [wide(text, u16::to_le_bytes), vec![0]].concat(),
        b"\xff\xfeh\0=\0\x3d\xd8\n\0".to_vec(),
    ]);
    files
}

/// Returns the values that our reader finds: section, key, value.
fn values(bytes: &[u8]) -> Vec<(String, String, String)> {
    let text = decode(bytes, &mut Vec::new());
    let document = Document::parse(&text, &mut Collector::new());
    let mut found: Vec<_> = document
        .sections()
        .iter()
        .flat_map(|section| {
            let name = if section.name() == DEFAULT_SECTION { "" } else { section.name() };
            section.properties().iter().map(move |p| (name.to_owned(), p.key.clone(), p.value.clone()))
        })
        .collect();
    found.sort();
    found
}

#[test]
fn files_are_read_as_the_init_reads_them_and_keep_their_bytes() {
    let files = files();
    let mut input = cases();
    input["read"] = json!(files);
    let output = judged(&input);
    for (said, file) in output["read"].as_array().unwrap().iter().zip(&files) {
        assert_eq!(said["same"], true, "{:?}", String::from_utf8_lossy(file));
        let mut found: Vec<(String, String, String)> =
            serde_json::from_value(said["values"].clone()).unwrap();
        // [DEFAULT] is no section of our reader but what stands in for others.
        found.retain(|(section, ..)| section != "DEFAULT");
        found.sort();
        assert_eq!(found, values(file), "{:?}", String::from_utf8_lossy(file));
    }
}

fn lines(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.split_inclusive(|b| *b == b'\n').collect()
}

#[test]
fn change_of_one_key_reaches_the_init_and_keeps_every_other_line() {
    let changes: [(&str, &str, &str, &[&str]); 7] = [
        ("", "hostname", "one", &["kitchen-7"]),
        ("", "hostname", "one", &[]),
        ("", "dns", "list", &["10.0.0.1", "fd00::53"]),
        ("", "ssh_pubkey", "lines", &["ssh-ed25519 AAAA me", "b"]),
        ("", "ssh_pubkey", "lines", &["ssh-ed25519 AAAA me"]),
        ("user.bob", "shell", "one", &["/bin/sh"]),
        ("wg-walbrix", "endpoint", "one", &["vpn.example.com:1"]),
    ];
    let files = files();
    let mut input = cases();
    let mut asked = Vec::new();
    for file in &files {
        for change in changes {
            let (section, key, plural, wanted) = change;
            input["edit"].as_array_mut().unwrap().push(json!([file, section, key, plural, wanted]));
            asked.push((file, change));
        }
    }
    let output = judged(&input);
    let mut done = 0;
    for (said, (file, (section, key, plural, wanted))) in
        output["edit"].as_array().unwrap().iter().zip(&asked)
    {
        let after = bytes_of(&said["bytes"]);
        let told = || {
            format!(
                "{section} {key} {wanted:?}: {:?} {:?}",
                String::from_utf8_lossy(file),
                String::from_utf8_lossy(&after)
            )
        };
        if said["done"] != true {
            assert_eq!(&after, *file, "{}", told());
            continue;
        }
        done += 1;
        let is_it =
            |(s, k, _): &&(String, String, String)| (s, k) == (&(*section).to_owned(), &(*key).to_owned());
        let (old, new) = (values(file), values(&after));
        let mut value: Vec<&str> = new
            .iter()
            .find(is_it)
            .map(|(_, _, value)| value.as_str())
            .into_iter()
            .flat_map(|v| if *plural == "one" { vec![v] } else { v.split(['\n', ',']).collect() })
            .map(str::trim)
            .filter(|v| !v.is_empty() && !v.starts_with(['#', ';']))
            .collect();
        let mut wanted = wanted.to_vec();
        value.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(value, wanted, "{}", told());
        // Nothing else says anything else.
        let rest =
            |all: &[(String, String, String)]| all.iter().filter(|v| !is_it(v)).cloned().collect::<Vec<_>>();
        assert_eq!(rest(&old), rest(&new), "{}", told());
        // Comments stay, in their order, byte for byte.
        let mut kept = lines(&after).into_iter();
        for comment in lines(file)
            .into_iter()
            .filter(|line| line.trim_ascii_start().starts_with(b"#") && line.ends_with(b"\n"))
        {
            assert!(kept.any(|line| line == comment), "{:?} {}", String::from_utf8_lossy(comment), told());
        }
    }
    assert!(done * 10 > asked.len() * 9, "{done} of {}", asked.len());
}

#[test]
fn indented_keys_are_moved_to_the_left_edge_as_the_init_reads_them() {
    let before = "hostname = a\n  timezone = Asia/Tokyo\r\n  # why\ndns = 10.0.0.1\n wifi_ssid: x\nautologin = yes\n  no key\n";
    let mut input = cases();
    input["straighten"] = json!([before.as_bytes()]);
    let table = table();
    for group in table["groups"].as_array().unwrap() {
        input["keys"][group["section"].as_str().unwrap()] = group["keys"].clone();
    }
    let after = String::from_utf8(bytes_of(&judged(&input)["straighten"][0])).unwrap();
    assert_eq!(after, before.replace("  timezone", "timezone"));
    assert_eq!(system_ini::parse(&after).0, system_ini::parse(before).0);
}

#[test]
fn password_becomes_what_openssl_prints() {
    let mut input = cases();
    input["hash"] = json!([["Gr\u{fc}\u{df}e", "saltsalt"], ["x".repeat(130), "./AZaz09abcdefgh"]]);
    let output = judged(&input);
    for (given, hash) in input["hash"].as_array().unwrap().iter().zip(output["hash"].as_array().unwrap()) {
        let (password, salt) = (given[0].as_str().unwrap(), given[1].as_str().unwrap());
        let mut openssl = Command::new("openssl")
            .args(["passwd", "-6", "-salt", salt, "-stdin"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        openssl.stdin.take().unwrap().write_all(password.as_bytes()).unwrap();
        let printed = openssl.wait_with_output().unwrap().stdout;
        assert_eq!(hash.as_str().unwrap(), String::from_utf8(printed).unwrap().trim());
    }
}

/// Serves the page and its driver to a browser until that has sent its verdict.
fn in_browser(page: &str) -> Value {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let profile = tempfile::tempdir().unwrap();
    let mut browser = Command::new("timeout")
        .args(["120", "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(["--remote-debugging-port=0", &format!("http://127.0.0.1:{port}/")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Why: a browser that ends without a word would let us wait for ever.
    let pid = browser.id();
    let end = std::thread::spawn(move || {
        let status = browser.wait();
        drop(TcpStream::connect(("127.0.0.1", port)));
        status
    });
    let verdict = loop {
        let (mut stream, _) = listener.accept().unwrap();
        assert!(
            !end.is_finished(),
            "chromium ended without a verdict: is it installed (tools/setup.sh full)?"
        );
        let mut request = Vec::new();
        let mut buffer = [0; 4096];
        let body = loop {
            let read = stream.read(&mut buffer).unwrap();
            request.extend_from_slice(&buffer[..read]);
            let text = String::from_utf8_lossy(&request).into_owned();
            let Some((head, body)) = text.split_once("\r\n\r\n") else {
                if read == 0 { break None } else { continue }
            };
            let length = head
                .lines()
                .find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok());
            if body.len() >= length.unwrap_or(0) {
                break Some((head.to_owned(), body.to_owned()));
            }
        };
        let Some((head, body)) = body else { continue };
        let answer = match head.split(' ').nth(1) {
            Some("/") => include_str!("ini_editor/driver.html"),
            Some("/page") => page,
            Some("/verdict") => "",
            _ => {
                let _ = stream
                    .write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                continue;
            }
        };
        let head_out = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            answer.len()
        );
        let _ = stream.write_all(head_out.as_bytes()).and_then(|()| stream.write_all(answer.as_bytes()));
        if head.starts_with("POST /verdict") {
            break serde_json::from_str(&body).unwrap();
        }
    };
    let _ = Command::new("kill").arg(pid.to_string()).status();
    end.join().unwrap().unwrap();
    verdict
}

#[test]
#[ignore = "drives Chromium"]
fn owner_edits_a_file_in_a_browser() {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_genpack-host"))
        .args(["-C", dir.path().to_str().unwrap(), "ini-editor", "editor.html"])
        .output()
        .unwrap();
    assert!(output.status.success());
    let verdict = in_browser(&fs::read_to_string(dir.path().join("editor.html")).unwrap());
    assert_eq!(verdict["failed"], Value::Null, "{verdict:#}");

    // What the download has: the driver typed it.
    let saved = bytes_of(&verdict["download"]);
    let text = String::from_utf8(saved.clone()).unwrap();
    let file = system_ini::read(&saved);
    assert_eq!(file.settings.hostname.as_deref(), Some("kitchen-7"), "{text}");
    assert_eq!(file.settings.timezone.as_deref(), Some("Asia/Tokyo"), "{text}");
    assert_eq!(file.settings.wifi_key.as_deref(), Some("my long password"), "{text}");
    assert_eq!(file.settings.firewall, Some(true), "{text}");
    assert_eq!(file.settings.dns, ["10.0.0.1", "fd00::53"], "{text}");
    assert!(
        file.settings.root_password.is_some_and(|hash| hash.starts_with("$6$") && hash.len() > 100),
        "{text}"
    );
    assert_eq!(
        file.settings.users.iter().map(|u| (u.name.as_str(), u.sudo)).collect::<Vec<_>>(),
        [("bob", Some(true))]
    );
    assert!(text.contains("a.b = no\r\n") && text.contains("a_b = no\r\n"), "{text}");
    assert!(text.starts_with("\u{feff}# my machine\r\n") && text.contains("[other]\r\nx = 1\r\n"), "{text}");
    assert!(!text.replace("\r\n", "").contains('\n'), "{text:?}");

    // What was written into the file that was opened in place: one word was changed.
    assert_eq!(
        String::from_utf8(bytes_of(&verdict["in_place"])).unwrap(),
        "; keep\nhostname=b\nlocale = C.UTF-8\n"
    );
    // The page of phones and of desktops is no wider than its window.
    assert_eq!(verdict["too_wide"], json!([]));
}
