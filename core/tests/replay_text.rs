//! The fuzz bodies of the text formats, on seeds and on their mutations.
#![cfg(feature = "_fuzz")]

use genpack_core::replay::{mutate, text};

const ROUNDS: u32 = 3000;

const JSON5: &[&str] = &[
    "{\n  // comment\n  name: 'x', packages: [\"a/b\", \"-c\",], use: {\"d/e\": null,},\n}\n",
    "[+1, -.5, 5., 0xFf, 1e-9, Infinity, -Infinity, NaN, true, false, null]",
    "{\\u0061b: '\\x41\\u0000\\\n', \"k\\ud83d\\ude00\": \"\\ud83d\", ñ: /* c */ [[[[]]], {a: {b: {}}}]}",
    "{\"a\": [1, 2.5e3, \"\\u00e9\\n\"], \"b\": {\"c\": null, \"a\": true}, \"a\": false}",
    "\u{FEFF}\u{A0}[\u{2028}'a\u{2029}b'\u{3000},]//\u{2028}",
];

const INI: &[&str] = &[
    "hostname = web-1\r\ntimezone=Asia/Tokyo\r\nssh_pubkey = ssh-rsa AAAA x\r\n  # c\r\n\r\n  ssh-ed25519 BBBB\r\n",
    "\u{FEFF}debug: yes\nlocale = ja_JP.UTF-8\n[DEFAULT]\na=1\n[_default]\nDEBUG=no\n[s]\nk=v\n  w\n[s]\nk=x\n",
    "autologin\n= 1\n[open\n[]\nhostnmae = a b # c\nwifi_ssid = 100%% \"q\"\nswapfile = maybe\n",
    "ssh_pubkey =\n  command=\"a \\\" b\",no-pty ssh-rsa AAAA c\n  from=\"x ssh-rsa AAAA\n  ecdsa-sha2-nistp256 A==\n",
];

const SYSTEM_INI: &[&str] = &[
    "ip_address = 192.168.1.2/255.255.255.0, fd00::2/64 dhcp\nip_gateway=fe80::1\ndns: 1.1.1.1\nntp = a.b ::1\n  \
     proxy = http://u:p@[::1]:3128\nno_proxy = .a, 10.0.0.0/8\nfirewall_allow = 80 443/tcp 5-6/udp\nfirewall\u{FF1D}on",
    "root_password = $6$1EA9BEtFmMxsCdlb$mIBmC4bFLhLyR\nenable = sshd, a@b.timer\nmask=x\\x2d.mount\n[user.bob]\n\
     groups = a b\nshell=/bin/sh\nsudo: on\npassword = x\n[user.bob]\n[user.Eve]\n[hooks]\n50-x = no\ntimeout = 9\n",
    "[wg-walbrix]\nprivkey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\nendpoint = [::1]:1\nallowed_ips = ::/0, 1.2.3.4\n\
     [walbrix]\ninstaller = 1\n[sakuravps]\nsshd_addressfamily = INET\n[DEFAULT]\nip_address = 1.1.1.1/33\n",
    "wifi_ssid = \"my net\" # x\nwifi_key = 12345678\nwifi_country = jp\nwifi_sae_pwe = 3\n  wifi_mdns = no\n  \
     wifi_systemd_config_file = a.network\nwifi_required_for_online = carrier:routable\n",
];

const CMDLINE: &[&str] = &[
    "BOOT_IMAGE=/boot/kernel root=systemimg:AB-CD rd.timeout=9 genpack.transient quiet -- x=1\n",
    "a=\"x y\" \"b=c d\" e-f=1 e_f=2 g=\"h",
];

#[test]
fn json5_laws_hold_for_seeds_and_mutations() {
    for seed in JSON5 {
        mutate(seed.as_bytes(), ROUNDS, text::json5);
        mutate(seed.as_bytes(), ROUNDS, text::json);
    }
}

#[test]
fn ini_laws_hold_for_seeds_and_mutations() {
    for seed in INI {
        mutate(seed.as_bytes(), ROUNDS, text::ini);
        mutate(seed.as_bytes(), ROUNDS, text::system_ini);
        let utf16: Vec<u8> =
            [0xFEFF].into_iter().chain(seed.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        mutate(&utf16, ROUNDS / 4, text::system_ini);
    }
}

#[test]
fn settings_laws_hold_for_seeds_and_mutations() {
    for seed in SYSTEM_INI {
        mutate(seed.as_bytes(), ROUNDS, text::system_ini);
    }
}

#[test]
fn cmdline_laws_hold_for_seeds_and_mutations() {
    for seed in CMDLINE {
        mutate(seed.as_bytes(), ROUNDS, text::cmdline);
    }
}

#[test]
fn large_garbage_is_read_to_its_end() {
    let mut state = 1_u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    let bytes: Vec<u8> = (0..300 << 10).map(|_| random()).collect();
    let words: Vec<u8> = bytes.iter().map(|b| b"ab=:\n\t [];#\"'"[usize::from(*b) % 13]).collect();
    let keys: Vec<u8> = (0..40_000_u32).flat_map(|i| format!("k{i:x}=\n").into_bytes()).collect();
    let again = b"a=1\n".repeat(60_000);
    for input in [&bytes, &words, &keys, &again, &vec![b'\n'; 300 << 10], &vec![b' '; 300 << 10]] {
        text::ini(input);
        text::system_ini(input);
        text::cmdline(input);
        text::json5(input);
    }
}
