use super::*;

fn entries(paths: &[&str]) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for text in paths {
        let (path, kind) = match (text.strip_suffix('/'), text.split_once(" -> ")) {
            (Some(dir), _) => (dir, EntryKind::Directory),
            (_, Some((link, target))) => (link, EntryKind::Link(target.into())),
            _ => (*text, EntryKind::Other),
        };
        for (at, _) in path.match_indices('/') {
            let dir = Entry { path: path[..at].into(), kind: EntryKind::Directory };
            if !entries.iter().any(|e| e.path == dir.path) {
                entries.push(dir);
            }
        }
        entries.push(Entry { path: path.into(), kind });
    }
    entries.sort();
    entries.dedup_by(|a, b| a.path == b.path);
    entries
}

/// Returns the files and links that stay.
fn kept(paths: &[&str], upper: &[&str], owned: &[&str], devel: bool) -> Vec<String> {
    let entries = entries(paths);
    let upper: HashSet<String> = upper.iter().map(|p| (*p).to_owned()).collect();
    let contents: Vec<_> = owned.iter().map(|p| (EntryKind::Other, (*p).to_owned())).collect();
    let out = left_out(&entries, &upper, &contents, devel);
    let kept = entries.iter().zip(out).filter(|(_, out)| !out);
    kept.filter(|(e, _)| e.kind != EntryKind::Directory).map(|(e, _)| e.path.clone()).collect()
}

#[test]
fn files_of_the_runtime_set_are_found_behind_links() {
    let tree =
        ["lib64 -> usr/lib64", "bin -> usr/bin", "usr/lib64/x.so", "usr/bin/sh", "usr/bin/gcc", "usr/a#b c"];
    let owned = ["lib64/x.so", "bin/sh", "usr/a#b c", "usr/gone"];
    assert_eq!(
        kept(&tree, &[], &owned, false),
        ["bin", "lib64", "usr/a#b c", "usr/bin/sh", "usr/lib64/x.so"]
    );
}

#[test]
fn exclusions_depend_on_devel_mode() {
    let owned = [
        "usr/share/man/man1/x.1",
        "usr/include/x.h",
        "usr/lib64/libx.a",
        "usr/lib/python3.13/test/t.py",
        "usr/lib/python3.13/os.py",
        "usr/lib/debug/x",
        "usr/src/linux-6/Makefile",
        "var/cache/x",
        "run/x",
        "usr/lib/genpack/package-scripts/c/p/s",
    ];
    assert_eq!(kept(&owned, &[], &owned, false), ["usr/lib/debug/x", "usr/lib/python3.13/os.py"]);
    assert_eq!(
        kept(&owned, &[], &owned, true),
        [
            "usr/include/x.h",
            "usr/lib/debug/x",
            "usr/lib/python3.13/os.py",
            "usr/lib/python3.13/test/t.py",
            "usr/lib64/libx.a",
            "usr/share/man/man1/x.1",
        ]
    );
}

#[test]
fn what_the_upper_layer_has_stays_but_for_leftovers_of_the_build() {
    let tree = [
        "etc/.pwd.lock",
        "etc/new",
        "etc/passwd",
        "etc/passwd-",
        "etc/shadow-",
        "var/db/pkg/c/p/CONTENTS",
        "root/.cache/x",
        "root/kept",
        "etc/portage/x",
        "opt/y",
    ];
    assert_eq!(kept(&tree, &tree, &[], false), ["etc/new", "etc/passwd", "opt/y", "root/kept"]);
    assert_eq!(kept(&tree, &[], &[], false), ["etc/passwd"]);
}

#[test]
fn accounts_caches_and_compiler_libraries_stay_without_an_owner() {
    let tree = [
        "etc/passwd",
        "etc/ssl/certs/ca.crt",
        "etc/stray",
        "usr/lib/gcc/x86_64-pc-linux-gnu/15/libstdc++.so.6",
        "usr/lib/gcc/x86_64-pc-linux-gnu/15/cc1",
        "usr/share/icons/hicolor/icon-theme.cache",
        "usr/share/mime/mime.cache",
    ];
    assert_eq!(
        kept(&tree, &[], &[], false),
        [
            "etc/passwd",
            "etc/ssl/certs/ca.crt",
            "usr/lib/gcc/x86_64-pc-linux-gnu/15/libstdc++.so.6",
            "usr/share/icons/hicolor/icon-theme.cache",
            "usr/share/mime/mime.cache",
        ]
    );
}

#[test]
fn service_enabled_in_the_lower_image_is_enabled_when_its_unit_is_there() {
    let unit = "usr/lib/systemd/system/demo.service";
    let tree = [
        unit,
        "usr/lib/systemd/system/gone.service",
        "lib -> usr/lib",
        "etc/systemd/system/multi-user.target.wants/demo.service -> /lib/systemd/system/demo.service",
        "etc/systemd/system/alias.service -> ../../../usr/lib/systemd/system/demo.service",
        "etc/systemd/system/multi-user.target.wants/gone.service -> /usr/lib/systemd/system/gone.service",
        "etc/systemd/system/masked.service -> /dev/null",
    ];
    assert_eq!(
        kept(&tree, &[], &[unit], false),
        [
            "etc/systemd/system/alias.service",
            "etc/systemd/system/masked.service",
            "etc/systemd/system/multi-user.target.wants/demo.service",
            "lib",
            unit,
        ]
    );
}

#[test]
fn links_that_choose_a_version_stay_with_what_they_lead_to() {
    let owned = [
        "usr/x86_64-pc-linux-gnu/gcc-bin/15/gcc",
        "usr/bin/vim",
        "usr/bin/ruby33",
        "usr/lib/jvm/21/bin/java",
    ];
    let links = [
        "usr/bin/cc -> gcc",
        "usr/bin/gcc -> /usr/x86_64-pc-linux-gnu/gcc-bin/15/gcc",
        "usr/bin/vi -> vim",
        "usr/bin/ruby -> ruby33",
        "usr/bin/ruby32-link -> ruby32",
        "etc/java-config-2/current-system-vm -> /usr/lib/jvm/21",
        "usr/include/x.h -> ../bin/vim",
        "etc/stray -> ../usr/bin/vim",
    ];
    let tree: Vec<&str> = owned.iter().chain(&links).copied().chain(["usr/bin/ruby32"]).collect();
    let kept = kept(&tree, &[], &owned, false);
    for path in
        ["usr/bin/cc", "usr/bin/gcc", "usr/bin/vi", "usr/bin/ruby", "etc/java-config-2/current-system-vm"]
    {
        assert!(kept.iter().any(|k| k == path), "{path}: {kept:?}");
    }
    assert_eq!(kept.len(), owned.len() + 5, "{kept:?}");
}

#[test]
fn every_root_has_its_mount_points_and_nothing_in_them() {
    let tree = entries(&["proc/", "sys/", "dev/console", "home/", "tmp/x", "usr/bin/", "opt/"]);
    let out = left_out(&tree, &HashSet::new(), &[], false);
    let kept: Vec<_> = tree.iter().zip(out).filter(|(_, out)| !out).map(|(e, _)| e.path.as_str()).collect();
    assert_eq!(kept, ["dev", "home", "proc", "sys", "tmp", "usr", "usr/bin"]);
}

#[test]
fn directories_of_packages_stay_out_with_what_no_image_has() {
    let tree = entries(&["usr/lib/genpack/package-scripts/c/p/s", "usr/share/man/man1/", "usr/share/x/"]);
    let owned: Vec<_> = tree.iter().map(|e| (e.kind.clone(), e.path.clone())).collect();
    let out = left_out(&tree, &HashSet::new(), &owned, false);
    let kept: Vec<_> = tree.iter().zip(out).filter(|(_, out)| !out).map(|(e, _)| e.path.as_str()).collect();
    assert_eq!(kept, ["usr", "usr/lib", "usr/share", "usr/share/x"]);
}

#[test]
fn links_that_lead_in_circles_end() {
    let links = HashMap::from([("a", "b"), ("b", "a")]);
    assert!(canonical("a/x", &links).ends_with("/x"));
}
