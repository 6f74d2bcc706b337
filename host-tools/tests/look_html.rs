//! `inspect --html` and `diff --html` as a user calls them, on images whose sizes are known.

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

#[test]
fn page_of_a_diff_tells_packages_directories_and_paths() {
    let dir = tempfile::tempdir().unwrap();
    let noise = noise(300_000);
    let old: [(&str, &[u8]); 5] = [
        (
            ".genpack/packages",
            b"a-1.0[amd64]\n# VERSION: 1.0\n\ngone-1[amd64]\n# VERSION: 1\n\nsame-3[amd64]\n\n",
        ),
        ("usr/bin/tool", &noise[..1024]),
        ("usr/share/gone/<i>", &noise[..2048]),
        ("etc/same", b"same"),
        ("var/lib/dpkg/info/a.list", b"/usr/bin/tool\n"),
    ];
    let new: [(&str, &[u8]); 5] = [
        (
            ".genpack/packages",
            b"a-2.0[amd64]\n# VERSION: 2.0\n\nnew-1[amd64]\n# VERSION: 1\n\nsame-3[amd64]\n\n",
        ),
        ("usr/bin/tool", &noise[..3072]),
        ("usr/lib/new.so", &noise),
        ("etc/same", b"same"),
        ("var/lib/dpkg/info/a.list", b"/usr/bin/tool\n"),
    ];
    for (name, files) in [("a", old), ("b", new)] {
        tree::write(&dir.path().join(name), files);
        genpack_host(dir.path(), &["-q", "squash", name, &format!("{name}.squashfs"), "--mtime", "0"]);
    }
    genpack_host(dir.path(), &["-q", "diff", "a.squashfs", "b.squashfs", "--html", "page.html"]);
    let page = fs::read_to_string(dir.path().join("page.html")).unwrap();
    for row in [
        "<title>a.squashfs → b.squashfs</title>",
        "<p>1 with another version, 1 added, 1 removed.</p>",
        "<td>a</td><td>1.0</td><td>2.0</td><td class=\"n\">1</td><td class=\"n\">+2.0 KiB</td>",
        "<td>new</td><td>–</td><td>1</td>",
        "<td>gone</td><td>1</td><td>–</td>",
        "<td>/usr/lib</td><td class=\"n\">+293.0 KiB</td><td class=\"n\">1</td><td class=\"n\">0</td><td class=\"n\">0</td>",
        "<span>/usr/share</span>",
        "<td>/usr/bin/tool <small>content</small></td><td class=\"n\">1.0 KiB</td><td class=\"n\">3.0 KiB</td>",
        "<td>/usr/share/gone/&lt;i&gt;</td><td class=\"n\">2.0 KiB</td>",
    ] {
        assert!(page.contains(row), "{row}\n{page}");
    }
    assert!(!page.contains("<td>same</td>") && !page.contains("/etc/same"), "{page}");
    for other in ["<script", "http:", "https:", "url(", "@import", " src="] {
        assert!(!page.contains(other), "the page has {other}");
    }
}
