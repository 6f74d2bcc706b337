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
