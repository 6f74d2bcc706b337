//! `inspect --html` as a user calls it, on an image whose sizes are known.

use std::fs;
use std::path::Path;
use std::process::Command;

mod tree;

fn genpack_host(dir: &Path, args: &[&str]) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_genpack-host")).arg("-C").arg(dir).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Returns bytes that no compressor makes smaller.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..len).map(|_| next()).collect()
}

#[test]
fn page_tells_what_takes_the_space_and_needs_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    let noise = noise(3 << 20);
    let files: [(&str, &[u8]); 5] = [
        ("usr/bin/big", &noise[..2 << 20]),
        ("usr/lib/copy.so", &noise[..2 << 20]),
        ("usr/share/<b>&.txt", &noise[2 << 20..]),
        ("var/lib/dpkg/info/big:amd64.list", b"/.\n/bin/big\n/usr/share/<b>&.txt\n"),
        ("var/lib/dpkg/info/copy.list", b"/usr/lib/copy.so\n"),
    ];
    tree::write(&root, files);
    genpack_host(dir.path(), &["-q", "squash", "root", "i.squashfs", "--mtime", "0"]);
    genpack_host(dir.path(), &["-q", "inspect", "i.squashfs", "--html", "page.html"]);
    let page = fs::read_to_string(dir.path().join("page.html")).unwrap();
    for row in [
        // One copy is stored, and counts for the file that comes first.
        "<td>/usr</td><td class=\"n\">3</td><td class=\"n\">5.0 MiB</td><td class=\"n\">3.0 MiB</td>",
        "<td>/usr/bin</td><td class=\"n\">1</td><td class=\"n\">2.0 MiB</td><td class=\"n\">2.0 MiB</td>",
        "<td>big</td><td class=\"n\">2</td><td class=\"n\">3.0 MiB</td><td class=\"n\">3.0 MiB</td>",
        "<td>copy</td><td class=\"n\">1</td><td class=\"n\">2.0 MiB</td><td class=\"n\">0 B</td>",
        "<td>/usr/share/&lt;b&gt;&amp;.txt</td>",
        "<td>/usr/bin/big<br>/usr/lib/copy.so</td><td class=\"n\">2.0 MiB</td><td class=\"n\">2</td>",
        "<td>compressor</td><td>gzip</td>",
    ] {
        assert!(page.contains(row), "{row}\n{page}");
    }
    for other in ["<script", "http:", "https:", "url(", "@import", " src="] {
        assert!(!page.contains(other), "the page has {other}");
    }
}
