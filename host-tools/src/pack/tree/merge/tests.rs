use super::*;
use crate::pack::entry::{Content, FileEntry};

/// Makes a layer of lines: `dir/`, `file=content`, `link->target`, `wh!` (a whiteout), each perhaps with
/// ` name:value` attributes. The root and its mode come first.
fn layer(mode: u16, lines: &[&str]) -> Tree {
    let mut entries = vec![entry("", mode, Kind::Directory)];
    for line in lines {
        let mut words = line.split(' ');
        let what = words.next().unwrap_or("");
        let mut made = if let Some(dir) = what.strip_suffix('/') {
            entry(dir, mode, Kind::Directory)
        } else if let Some(gone) = what.strip_suffix('!') {
            entry(gone, 0, Kind::CharDevice(Device { major: 0, minor: 0 }))
        } else if let Some((link, target)) = what.split_once("->") {
            entry(link, 0o777, Kind::Symlink(target.into()))
        } else {
            let (file, content) = what.split_once('=').unwrap_or((what, ""));
            let content = content.as_bytes();
            let kind = FileEntry {
                size: content.len() as u64,
                content: Content::Bytes(content.into()),
                stored: false,
            };
            entry(file, mode, Kind::File(kind))
        };
        for (name, value) in words.filter_map(|w| w.split_once(':')) {
            made.xattrs.push(Xattr { name: name.into(), value: value.into() });
        }
        entries.push(made);
    }
    entries.sort_by(|a, b| walk_order(&a.path, &b.path));
    Tree { entries }
}

fn entry(path: &str, mode: u16, kind: Kind) -> Entry {
    Entry { path: path.into(), mode, uid: 0, gid: 0, mtime: 0, xattrs: Vec::new(), identity: None, kind }
}

/// Shows a tree as the lines of [`layer`], with the mode of directories before them.
fn shown(tree: &Tree) -> Vec<String> {
    let show = |e: &Entry| {
        let path = String::from_utf8_lossy(&e.path).into_owned();
        let mut line = match &e.kind {
            Kind::Directory => format!("{:o} {path}/", e.mode),
            Kind::File(FileEntry { content: Content::Bytes(b), .. }) => {
                format!("{path}={}", String::from_utf8_lossy(b))
            }
            Kind::Symlink(target) => format!("{path}->{}", String::from_utf8_lossy(target)),
            other => format!("{path} {other:?}"),
        };
        for x in &e.xattrs {
            line += &format!(" {}:{}", String::from_utf8_lossy(&x.name), String::from_utf8_lossy(&x.value));
        }
        line
    };
    tree.entries.iter().map(show).collect()
}

/// Merges layers, topmost first; the topmost has mode 1, the next 2 …
fn merged(layers: &[&[&str]]) -> Result<Vec<String>, MergeError> {
    let layers = (1..).zip(layers).map(|(mode, lines)| layer(mode, lines)).collect();
    merge(layers, Namespace::Trusted).map(|tree| shown(&tree))
}

/// Name, layers, what they show.
type Case<'c> = (&'c str, &'c [&'c [&'c str]], &'c [&'c str]);

const OPAQUE: &str = "trusted.overlay.opaque:y";

#[test]
fn layers_show_what_an_overlay_of_them_shows() {
    let opaque_dir = format!("d/ {OPAQUE}");
    let cases: &[Case<'_>] = &[
        ("one layer", &[&["a=1", "d/", "d/x=1"]], &["1 /", "a=1", "1 d/", "d/x=1"]),
        ("no layer", &[], &[]),
        ("both", &[&["a=u"], &["b=l"]], &["1 /", "a=u", "b=l"]),
        ("upper hides", &[&["a=u"], &["a=l"]], &["1 /", "a=u"]),
        ("directories merge", &[&["d/", "d/u=1"], &["d/", "d/l=1"]], &["1 /", "1 d/", "d/l=1", "d/u=1"]),
        (
            "names around a slash",
            &[&["d/", "d/m=u", "d-x=u"], &["d/", "d/a=l", "d/z=l", "d-x=l", "d.=l"]],
            &["1 /", "1 d/", "d/a=l", "d/m=u", "d/z=l", "d-x=u", "d.=l"],
        ),
        ("whiteout", &[&["a!"], &["a=l", "b=l"]], &["1 /", "b=l"]),
        ("whiteout of a directory", &[&["d!"], &["d/", "d/x=l", "d-=l"]], &["1 /", "d-=l"]),
        ("whiteout of nothing", &[&["a!", "d/", "d/b!"], &[]], &["1 /", "1 d/"]),
        (
            "whiteout in a merged directory",
            &[&["d/", "d/x!"], &["d/", "d/x=l", "d/y=l"]],
            &["1 /", "1 d/", "d/y=l"],
        ),
        ("whiteout at the bottom", &[&["a!"]], &["1 /"]),
        ("opaque", &[&[&opaque_dir, "d/u=1"], &["d/", "d/l=1"]], &["1 /", "1 d/", "d/u=1"]),
        ("opaque over a file", &[&[&opaque_dir], &["d=l"]], &["1 /", "1 d/"]),
        ("file over directory", &[&["d=u"], &["d/", "d/x/", "d/x/y=l", "e=l"]], &["1 /", "d=u", "e=l"]),
        ("directory over file", &[&["d/", "d/x=u"], &["d=l"]], &["1 /", "1 d/", "d/x=u"]),
        (
            "directory over link",
            &[&["d/", "d/x=u"], &["d->e", "e/", "e/y=l"]],
            &["1 /", "1 d/", "d/x=u", "2 e/", "e/y=l"],
        ),
        ("link over directory", &[&["d->e"], &["d/", "d/x=l"]], &["1 /", "d->e"]),
        (
            "three layers: a file cuts what is below it off",
            &[&["d/", "d/t=1"], &["d=m"], &["d/", "d/b=1"]],
            &["1 /", "1 d/", "d/t=1"],
        ),
        (
            "three layers: a whiteout cuts what is below it off",
            &[&["d/", "d/t=1"], &["d!"], &["d/", "d/b=1"]],
            &["1 /", "1 d/", "d/t=1"],
        ),
        (
            "three layers: an opaque directory cuts what is below it off",
            &[&["d/", "d/t=1"], &[&opaque_dir, "d/m=1"], &["d/", "d/b=1"]],
            &["1 /", "1 d/", "d/m=1", "d/t=1"],
        ),
        (
            "attributes of the overlay go, others stay",
            &[&["a=1 user.x:1 trusted.overlay.origin:z trusted.y:2", "d/ trusted.overlay.impure:y"]],
            &["1 /", "a=1 user.x:1 trusted.y:2", "1 d/"],
        ),
        (
            "an attribute of a nested overlay comes back",
            &[&["d/ trusted.overlay.overlay.opaque:y"], &["d/", "d/x=l"]],
            &["1 /", "1 d/ trusted.overlay.opaque:y", "d/x=l"],
        ),
        (
            "whiteout by an attribute, in a directory that says so",
            &[&["d/ trusted.overlay.opaque:x", "d/a trusted.overlay.whiteout:y"], &["d/", "d/a=l", "d/b=l"]],
            &["1 /", "1 d/", "d/b=l"],
        ),
        (
            "a file with content is no whiteout",
            &[&["a=1 trusted.overlay.whiteout:y"], &["a=l"]],
            &["1 /", "a=1"],
        ),
        (
            "another overlay's attributes are a user's",
            &[&["d/ user.overlay.opaque:y"], &["d/", "d/x=l"]],
            &["1 /", "1 d/ user.overlay.opaque:y", "d/x=l"],
        ),
    ];
    for (name, layers, expected) in cases {
        assert_eq!(merged(layers).unwrap(), *expected, "{name}");
    }
}

#[test]
fn root_is_never_opaque() {
    let mut upper = layer(1, &["u=1"]);
    upper.entries[0].xattrs.push(Xattr { name: b"trusted.overlay.opaque".to_vec(), value: b"y".to_vec() });
    let tree = merge(vec![upper, layer(2, &["l=1"])], Namespace::Trusted).unwrap();
    assert_eq!(shown(&tree), ["1 /", "l=1", "u=1"]);
}

#[test]
fn overlay_mounted_by_a_user_has_its_marks_in_the_user_namespace() {
    let upper = layer(1, &["d/ user.overlay.opaque:y trusted.overlay.opaque:y", "a user.overlay.whiteout:y"]);
    let tree = merge(vec![upper, layer(2, &["d/", "d/x=l", "a=l"])], Namespace::User).unwrap();
    assert_eq!(shown(&tree), ["1 /", "1 d/ trusted.overlay.opaque:y"]);
}

#[test]
fn layer_that_needs_its_overlay_is_refused() {
    let error = |path: &str, cause| Err(MergeError { path: path.into(), cause });
    assert_eq!(merged(&[&["a=1 trusted.overlay.metacopy:"], &["a=l"]]), error("a", Cause::Metacopy));
    assert_eq!(merged(&[&["d/ trusted.overlay.redirect:e"]]), error("d", Cause::Redirect));
}
