//! Our INI reader against Python's `configparser`, where both follow the same rules.
//!
//! The peer reads what the old init read: `[_default]` put before the text, last duplicates and faulty lines
//! tolerated, no interpolation.
#![cfg(feature = "alloc")]

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use genpack_core::text::diagnostic::Collector;
use genpack_core::text::ini::{Document, decode};

/// Reads length-prefixed files from stdin; prints for each section and key a line of hexadecimal fields.
const PEER: &str = r"
import configparser, io, sys
stdin, hexa = sys.stdin.buffer, lambda s: s.encode('utf-8', 'surrogatepass').hex()
while True:
    head = stdin.readline()
    if not head: break
    text = io.TextIOWrapper(io.BytesIO(stdin.read(int(head))), 'utf-8-sig', newline=None).read()
    c = configparser.ConfigParser(interpolation=None, strict=False)
    try: c.read_string('[_default]\n' + text)
    except configparser.ParsingError: pass
    for s in c.sections():
        print('S', hexa(s))
        for k, v in c.items(s): print('K', hexa(k), hexa(v))
    print('E', flush=True)
";

/// Files that both read alike.
const FILES: &[&str] = &[
    "",
    "hostname = web\n",
    "\u{FEFF}hostname=web\r\nlocale: ja_JP.UTF-8\r\n",
    "a=1\rb=2\rc=3",
    "Key=Value\nKEY=again\n[S]\nkey=1\n[s]\nkey=2\n[S]\nmore=3\n",
    "a = x # no comment\nb = \"quoted\" ; too\n# c\n; d\n  # e\n",
    "a =\nb=\nc = \n",
    "a = 1 = 2 : 3\nb : 1 = 2\nc=:\nd:=\n",
    "a b c = d\n  x = y\n",
    "ssh_pubkey =\n  ssh-rsa AAAA one\n  # left out\n\n  ssh-rsa BBBB two\n\n\nnext = 1\n",
    "a = 1\n\n  2\n\n\n\t3\n;c\n 4\nb=2\n",
    "  a = 1\n  b = 2\n    c = 3\n d = 4\n",
    "a = 1\n [x]\n[y]\n  b = 1\n   c\n",
    "[DEFAULT]\na=1\nb=2\n[s]\nb=3\nc=4\n[t]\n",
    "x=0\n[DEFAULT]\nx=1\ny=2\n",
    "[a]b]\nk=1\n[ spaced ]\nk=2\n[x] junk ; more\nk=3\n",
    "p = 100%\nq = %(x)s %%\n",
    "\u{e9}\u{df} = \u{3b1}\u{a0}\n\u{a0}\u{3000}k\u{2003}=\u{2003}v\u{a0}\n",
    "a = 1\u{B}\u{C}\nb\u{1C} = \u{1F}2\n",
    "[]=x\n[=y\n]=z\n",
    "[s]\nbare\n  a=1\nb=2\n",
    "[one]\nk=v\n[two]\nk=v\n  w\n\n[three]\n",
    "k = \u{1F600}\n  \u{1F600}\n",
];

type Section = (String, Vec<(String, String)>);

fn ours(bytes: &[u8]) -> Vec<Section> {
    let text = decode(bytes, &mut Vec::new());
    let document = Document::parse(&text, &mut Collector::new());
    let items = |s| document.items(s).map(|p| (p.key.clone(), p.value.clone())).collect();
    document.sections().iter().map(|s| (s.name().to_owned(), items(s))).collect()
}

#[expect(clippy::print_stderr, reason = "a skipped test says why")]
fn skip(why: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}");
    eprintln!("skipped: {why}");
}

/// Returns what `configparser` makes of the files, or `None` without Python.
fn theirs(files: &[Vec<u8>]) -> Option<Vec<Vec<Section>>> {
    let peer =
        Command::new("python3").args(["-c", PEER]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut peer = match peer {
        Ok(peer) => peer,
        Err(e) => {
            skip(&format!("python3: {e}"));
            return None;
        }
    };
    let mut stdin = peer.stdin.take().unwrap();
    let input: Vec<u8> = files
        .iter()
        .flat_map(|file| [format!("{}\n", file.len()).into_bytes(), file.clone()].concat())
        .collect();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = peer.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    let mut all = vec![Vec::new()];
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let mut fields = line.split(' ').skip(1).map(unhex);
        let file: &mut Vec<Section> = all.last_mut().unwrap();
        match line.as_bytes()[0] {
            b'S' => file.push((fields.next().unwrap(), Vec::new())),
            b'K' => {
                let pair = (fields.next().unwrap(), fields.next().unwrap());
                file.last_mut().unwrap().1.push(pair);
            }
            _ => all.push(Vec::new()),
        }
    }
    all.pop();
    Some(all)
}

fn unhex(field: &str) -> String {
    let bytes = (0..field.len()).step_by(2).map(|i| u8::from_str_radix(&field[i..i + 2], 16).unwrap());
    String::from_utf8(bytes.collect()).unwrap()
}

fn compare(files: &[Vec<u8>]) {
    let Some(peer) = theirs(files) else { return };
    assert_eq!(peer.len(), files.len());
    let mut report = String::new();
    for (file, theirs) in files.iter().zip(peer) {
        let ours = ours(file);
        if ours != theirs {
            writeln!(report, "{:?}:\n  {ours:?}\n  {theirs:?}", String::from_utf8_lossy(file)).unwrap();
        }
    }
    assert!(report.is_empty(), "{report}");
}

#[test]
fn files_are_read_as_configparser_reads_them() {
    compare(&FILES.iter().map(|file| file.as_bytes().to_vec()).collect::<Vec<_>>());
}

/// Tells whether the file has what we read otherwise on purpose: a line under an ignored one, a key that is empty,
/// letters beyond ASCII in upper case, wide delimiters and blanks without a width.
fn differs_on_purpose(bytes: &[u8]) -> bool {
    use genpack_core::text::ini::{FindingKind, Item, Reader};
    let text = decode(bytes, &mut Vec::new());
    let is_ours = |c: char| {
        "\u{FF1D}\u{FF1A}\u{200B}\u{2060}\u{FEFF}".contains(c) || (!c.is_ascii() && !c.to_lowercase().eq([c]))
    };
    if text.trim_start_matches('\u{FEFF}').contains(is_ours) {
        return true;
    }
    Reader::new(&text).any(|item| match item {
        Item::Finding(f) => {
            f.kind == FindingKind::NoKey || text[f.span.start as usize..f.span.end as usize].contains('\n')
        }
        _ => false,
    })
}

#[test]
fn files_that_are_read_otherwise_on_purpose_have_our_meaning() {
    for (file, wanted) in [
        // configparser has an empty key here.
        ("a=1\n= x\n  b = 2\n:\n", &[("a", "1"), ("b", "2")][..]),
        // configparser gives the deeper line to `a`.
        ("a = 1\nautologin\n  more\nb = 2\n", &[("a", "1"), ("b", "2")]),
        // configparser finds no delimiter in these.
        ("a\u{FF1D}1\nb\u{3000}\u{FF1A}\u{A0}2\n", &[("a", "1"), ("b", "2")]),
        // configparser has them in keys and values.
        ("\u{200B}a = 1\u{FEFF}\n\u{FEFF}b=\u{2060}2", &[("a", "1"), ("b", "2")]),
        // configparser has a small letter.
        ("\u{C9} = 1\n", &[("\u{C9}", "1")]),
    ] {
        assert!(differs_on_purpose(file.as_bytes()));
        let section = ours(file.as_bytes()).remove(0).1;
        let pairs: Vec<_> = section.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(pairs, wanted);
    }
}

/// Reads a file as the old init did, prepended header, duplicates and `%` included; prints the hostname or what was
/// raised first.
const OLD_INIT: &str = r"
import configparser, sys
c = configparser.ConfigParser()
try:
    c.read_string('[_default]\n' + bytes.fromhex(sys.argv[1]).decode('utf-8'))
    print(c['_default']['hostname'])
except Exception as e:
    print(type(e).__name__)
";

#[test]
fn file_that_the_old_init_could_not_use_is_used() {
    for (file, old, wanted) in [
        (&b"hostname = a\n"[..], "a", "a"),
        (b"\xEF\xBB\xBFhostname = a\n", "KeyError", "a"),
        (b"hostname = caf\xE9\n", "UnicodeDecodeError", "caf\u{E9}"),
        (b"hostname = 100%\n", "InterpolationSyntaxError", "100%"),
        (b"hostname = %(x)s\n", "InterpolationMissingOptionError", "%(x)s"),
        // The one value that both read and read otherwise: `%` is an ordinary character.
        (b"hostname = 50%%\n", "50%", "50%%"),
        (b"hostname = a\nHostName = b\n", "DuplicateOptionError", "b"),
        (b"hostname = a\n[s]\nx=1\n[s]\ny=2\n", "DuplicateSectionError", "a"),
        (b"[_default]\nhostname = a\n", "DuplicateSectionError", "a"),
        (b"autologin\nhostname = a\n", "ParsingError", "a"),
        (b"hostname = a\n[open\n", "ParsingError", "a"),
    ] {
        let hexadecimal: String = file.iter().map(|b| format!("{b:02x}")).collect();
        let sections = ours(file);
        let (_, pairs) = sections.iter().find(|(name, _)| name == "_default").unwrap();
        let value = pairs.iter().find(|(key, _)| key == "hostname").map(|(_, value)| value.as_str());
        assert_eq!(value, Some(wanted), "{:?}", String::from_utf8_lossy(file));
        match Command::new("python3").args(["-c", OLD_INIT, &hexadecimal]).output() {
            Ok(output) => {
                let said = String::from_utf8(output.stdout).unwrap();
                assert_eq!(said.trim_end(), old, "{:?}", String::from_utf8_lossy(file));
            }
            Err(e) => skip(&format!("python3: {e}")),
        }
    }
}

/// Tells whether it is UTF-8 to us: what looks like UTF-16 without a byte order mark is UTF-16, and UTF-8 with many NULs
/// to the peer.
#[cfg(feature = "_fuzz")]
fn is_utf8(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| {
        let ours = decode(bytes, &mut Vec::new());
        ours.len() == text.len() && ours.bytes().zip(text.bytes()).all(|(a, b)| a == b || b == b'\r')
    })
}

#[cfg(feature = "_fuzz")]
#[test]
fn mutated_files_are_read_as_configparser_reads_them() {
    let files = std::cell::RefCell::new(Vec::new());
    for file in FILES {
        genpack_core::replay::mutate(file.as_bytes(), 300, |bytes| {
            if is_utf8(bytes) && !differs_on_purpose(bytes) {
                files.borrow_mut().push(bytes.to_vec());
            }
        });
    }
    compare(&files.into_inner());
}

#[cfg(feature = "_fuzz")]
#[test]
fn corpora_of_the_fuzzers_are_read_as_configparser_reads_them() {
    use genpack_core::archive::cpio_newc::entries;
    for target in ["ini", "system_ini"] {
        let path = format!("{}/../fuzz/corpus/{target}.cpio", env!("CARGO_MANIFEST_DIR"));
        let archive = std::fs::read(path).unwrap();
        let files = entries(&archive).map(|entry| entry.unwrap().content);
        let files = files.filter(|bytes| is_utf8(bytes) && !differs_on_purpose(bytes));
        compare(&files.map(<[u8]>::to_vec).collect::<Vec<_>>());
    }
}
