use super::*;
use crate::contract::system_ini::{GROUPS, Plurality, parse};
use alloc::vec::Vec;

/// A kind of value with values that are one (and their one spelling) and values that are none.
type Case = (&'static Rule, &'static [(&'static str, &'static str)], &'static [&'static str]);

/// A text that nothing but a free text may be.
const LONG: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const LABEL: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const HEX: &str = "0123456789abcdefABCDEF0123456789abcdefABCDEF0123456789abcdefABCD";

static CASES: &[Case] = &[
    (
        &BOOL,
        &[("yes", "yes"), ("ON", "ON"), ("0", "0"), ("False", "False")],
        &["7", "maybe", "yes please", "\u{FFFD}"],
    ),
    (
        &HOSTNAME,
        &[
            ("a", "a"),
            ("WEB-01", "WEB-01"),
            ("1.2", "1.2"),
            ("a.b-c.example", "a.b-c.example"),
            (LABEL, LABEL),
        ],
        &["-a", "a-", "a..b", ".a", "a.", "a_b", "a b", "é", "a/b", LONG, "\"a\"", "a;b", "$(a)"],
    ),
    (&DOMAIN, &[("example.com", "example.com"), ("lan", "lan")], &["a..b", "-a", "~.", "a/b"]),
    (
        &HOST,
        &[("ntp.example.com", "ntp.example.com"), ("::1", "::1"), ("10.0.0.1", "10.0.0.1")],
        &["a:b", "a_b", ".a", "1:2"],
    ),
    (
        &TIMEZONE,
        &[("UTC", "UTC"), ("Asia/Tokyo", "Asia/Tokyo"), ("Etc/GMT+9", "Etc/GMT+9")],
        &["/etc/passwd", "../x", "a/../b", "a//b", "a/", "Asia Tokyo", LONG],
    ),
    (
        &LOCALE,
        &[("C.UTF-8", "C.UTF-8"), ("de_DE@euro", "de_DE@euro")],
        &["a/b", "../x", ".x", "-x", "a'b", LONG],
    ),
    (&KEYMAP, &[("de-latin1", "de-latin1"), ("jp106", "jp106")], &["../de", "a b", "de/x", "-u"]),
    (
        &SSH_KEY,
        &[
            ("ssh-ed25519 AAAA x y", "ssh-ed25519 AAAA x y"),
            ("from=\"*\",no-pty ssh-rsa AA==", "from=\"*\",no-pty ssh-rsa AA=="),
        ],
        &["ssh-rsa", "AAAA", "ssh-rsa !!", "from=\u{201C}*\u{201D} ssh-rsa AA==", "ssh-rsa AA== \u{FFFD}"],
    ),
    (
        &HASH,
        &[
            ("$6$salt$aaaaaaaaaaaaaaaaaaaaaa", "$6$salt$aaaaaaaaaaaaaaaaaaaaaa"),
            ("$y$j9T$abc./$DEF.aaaaaaaaaa", "$y$j9T$abc./$DEF.aaaaaaaaaa"),
        ],
        &["secret", "", "$6$", "$6$salt:x$aaaaaaaaaaaaaaaaaaaaaa", "!$6$salt$aaaaaaaaaaaaaaaaaaaaaa", "*"],
    ),
    (
        &INTERFACE,
        &[("eth0", "eth0"), ("en*", "en*"), ("wl[ab]?", "wl[ab]?")],
        &["a b", "eth0/x", "!lo", "a\"b"],
    ),
    (
        &ADDRESS,
        &[("10.0.0.1", "10.0.0.1"), ("fe80::1", "fe80::1")],
        &["10.0.0", "10.0.0.256", "10.0.0.01", "fe80::1%eth0", "a", "1.2.3.4/24"],
    ),
    (
        &NETWORK,
        &[
            ("10.0.0.1/8", "10.0.0.1/8"),
            ("fd00::1/64", "fd00::1/64"),
            ("192.168.1.2/255.255.255.0", "192.168.1.2/24"),
            ("1.2.3.4/0.0.0.0", "1.2.3.4/0"),
        ],
        &[
            "10.0.0.1",
            "10.0.0.1/33",
            "::1/129",
            "10.0.0.1/",
            "/8",
            "10.0.0.1/255.0.255.0",
            "::1/255.0.0.0",
            "10.0.0.1/+8",
            "10.0.0.1/8/8",
        ],
    ),
    (&ADDRESSING, &[("DHCP", "dhcp"), ("10.0.0.1/8", "10.0.0.1/8")], &["auto", "10.0.0.1"]),
    (
        &ALLOWED,
        &[("0.0.0.0/0", "0.0.0.0/0"), ("fd00::1", "fd00::1/128"), ("1.2.3.4", "1.2.3.4/32")],
        &["any", "1.2.3.4/33"],
    ),
    (
        &URL,
        &[
            ("http://proxy:3128", "http://proxy:3128"),
            ("https://u:p%40@[::1]:80/", "https://u:p%40@[::1]:80/"),
            ("socks5h://a", "socks5h://a"),
        ],
        &[
            "proxy:3128",
            "ftp://a",
            "http://",
            "http:///x",
            "http://a b",
            "http://a\"",
            "http://a'b",
            "http://a$b",
            "http://a`b",
            "http://a\\b",
        ],
    ),
    (
        &NO_PROXY,
        &[("localhost", "localhost"), (".a.b", ".a.b"), ("10.0.0.0/8", "10.0.0.0/8"), ("*", "*")],
        &["a b\"", "a;b", "a'"],
    ),
    (
        &PORT,
        &[("443", "443/tcp"), ("53/UDP", "53/udp"), ("6000-6010/tcp", "6000-6010/tcp"), ("5-5", "5-5/tcp")],
        &["0/tcp", "65536/tcp", "80/sctp", "9-1/tcp", "ssh", "80/", "+80", "-80", "1-2-3"],
    ),
    (
        &SSID,
        &[("a", "a"), ("Café \"x\\y\";#", "Café \"x\\y\";#"), ("日本", "日本")],
        &["a\u{7}b", "\u{FFFD}x", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"],
    ),
    (
        &WIFI_KEY,
        &[("12345678", "12345678"), (LABEL, LABEL), (HEX, HEX), ("pass \"wörd\"", "pass \"wörd\"")],
        &[
            "1234567",
            LONG,
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaag",
            "12345678\u{1}",
        ],
    ),
    (&SAE_PWE, &[("0", "0"), ("2", "2")], &["3", "-1", "two", "00"]),
    (&COUNTRY, &[("JP", "JP"), ("de", "DE"), ("00", "00")], &["JPN", "J", "J-", "日"]),
    (
        &NETWORK_FILE,
        &[("54-wlan.network", "54-wlan.network")],
        &["wlan", "../x.network", "a/b.network", ".network", "a.netdev", "a b.network"],
    ),
    (
        &ONLINE,
        &[("no", "no"), ("Routable", "routable"), ("carrier:routable", "carrier:routable")],
        &["maybe", "carrier:", ":", "a:b:c", "up"],
    ),
    (
        &UNIT,
        &[
            ("sshd", "sshd.service"),
            ("a@b.timer", "a@b.timer"),
            ("dev-sda1.swap", "dev-sda1.swap"),
            ("org.x", "org.x.service"),
            ("a\\x2db.mount", "a\\x2db.mount"),
        ],
        &["-x", ".x", "a/b", "a b\"", "a;b", "a$b", LONG_UNIT],
    ),
    (
        &DATA_FAILURE,
        &[("tmpfs", "tmpfs"), ("Rescue", "rescue"), ("reboot", "reboot")],
        &["halt", "yes", "re boot"],
    ),
    (&ADDRESS_FAMILY, &[("any", "any"), ("INET", "inet"), ("inet6", "inet6")], &["ipv4", "inet4"]),
    (&SECONDS, &[("1", "1"), ("600", "600")], &["0", "601", "-1", "30s", "1.5"]),
    (
        &ACCOUNT,
        &[("bob", "bob"), ("_x-1", "_x-1")],
        &["Bob", "1a", "-a", "a.b", "a:b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"],
    ),
    (
        &PROGRAM,
        &[("/bin/sh", "/bin/sh"), ("/usr/bin/c++", "/usr/bin/c++")],
        &["bash", "/", "/a/../b", "/a//b", "/a b", "/a:b"],
    ),
    (
        &PUBLIC_KEY,
        &[("xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=", "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=")],
        &[
            "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg",
            "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8D==",
            "x",
            "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8_g=",
        ],
    ),
    (
        &PRIVATE_KEY,
        &[("yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=", "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=")],
        &["x", "=yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBm="],
    ),
    (
        &ENDPOINT,
        &[("a.example:1", "a.example:1"), ("[::1]:65535", "[::1]:65535"), ("1.2.3.4:5", "1.2.3.4:5")],
        &["a", "a:0", ":1", "::1:1", "[1.2.3.4]:1", "[::1]", "a b:1"],
    ),
    (&HOOK, &[("50-x", "50-x"), ("a.sh", "a.sh")], &["../x", ".x", "-x", "a/b", "a b"]),
];

const LONG_UNIT: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

#[test]
fn values_are_legal_in_one_spelling_or_refused_with_a_reason() {
    for (rule, good, bad) in CASES {
        assert!(good.iter().any(|_| true) && !bad.is_empty());
        for (value, spelling) in *good {
            assert_eq!(rule.legal(value).as_deref(), Ok(*spelling), "{} {value}", rule.word);
        }
        for value in *bad {
            let why = rule.legal(value).err();
            let clause = why.map(|why| rule.clause(value, why));
            assert!(
                clause.as_ref().is_some_and(|c| !c.is_empty() && c.len() < 200),
                "{} {value} {clause:?}",
                rule.word
            );
        }
    }
}

#[test]
fn every_key_takes_what_its_rule_takes_and_nothing_else() {
    for group in GROUPS {
        let header = match group.section {
            "" => String::new(),
            "user." => "[user.bob]\n".into(),
            section => format!("[{section}]\n"),
        };
        let (without, _) = parse(&header);
        for key in group.keys {
            let case = CASES.iter().find(|(rule, _, _)| core::ptr::eq(*rule, key.rule));
            let Some((_, good, bad)) = case else { panic!("{} has no case", key.name) };
            for (value, _) in *good {
                let (settings, findings) = parse(&format!("{header}{} = {value}\n", key.name));
                assert_eq!(findings, [], "{} = {value}", key.name);
                assert_ne!(settings, without, "{} = {value}", key.name);
            }
            for value in bad.iter().filter(|v| !v.is_empty()) {
                // Why: what has a blank, a comma or the sign of a comment in it is two values of a list.
                if key.plurality() == Plurality::List && value.contains([' ', ',', ';', '#']) {
                    continue;
                }
                let (settings, findings) = parse(&format!("{header}{} = {value}\n", key.name));
                assert_eq!(settings, without, "{} = {value}", key.name);
                assert_eq!(findings.len(), 1, "{} = {value}: {findings:?}", key.name);
                let said: Vec<_> = findings.iter().map(|f| f.message.as_str()).collect();
                assert!(!key.rule.is_secret || !said.iter().any(|m| m.contains(value)), "{said:?}");
            }
        }
    }
}
