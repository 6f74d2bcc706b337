//! Our ebuild repository, read with our own parsers: what a package manager would stumble over is found here.

use std::path::{Path, PathBuf};

use genpack_core::gentoo::depend::{Reader, Token};
use genpack_core::gentoo::{profile, version};
use genpack_host::portage::profile_stack::{ProfileStack, Repositories};

fn overlay() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../overlay").canonicalize().unwrap()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Returns every file below a directory, sorted.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut queue = vec![dir.to_owned()];
    while let Some(dir) = queue.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { queue.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// Gentoo's own profiles that ours build on, empty.
fn repositories() -> (tempfile::TempDir, Repositories) {
    let dir = tempfile::tempdir().unwrap();
    for path in [
        "default/linux/amd64/23.0/systemd",
        "default/linux/arm64/23.0/systemd",
        "default/linux/riscv/23.0/rv64/lp64d/systemd",
        "default/linux/x86/23.0/i686/systemd",
        "targets/desktop/gnome",
    ] {
        std::fs::create_dir_all(dir.path().join("profiles").join(path)).unwrap();
    }
    let repositories = Repositories::from([
        ("gentoo".to_owned(), dir.path().to_owned()),
        ("genpack-overlay".to_owned(), overlay()),
    ]);
    (dir, repositories)
}

#[test]
fn every_profile_can_be_followed_and_asks_for_packages_that_exist() {
    let (_dir, repositories) = repositories();
    let text = read(&overlay().join("profiles/profiles.desc"));
    let mut profiles = Vec::new();
    for line in profile::lines(&text) {
        let words: Vec<&str> = line.text.split_whitespace().collect();
        let [keyword, path, "stable"] = words[..] else { panic!("{}", line.text) };
        assert_eq!(path.split('/').nth(1), Some(keyword), "{path}");
        let stack = ProfileStack::read(&repositories, "genpack-overlay", path).unwrap();
        let set = stack.profile_set(&repositories).unwrap();
        assert!(set.contains(&"genpack/base".to_owned()), "{path}: {set:?}");
        for atom in set.iter().filter(|a| a.starts_with("genpack/")) {
            assert!(overlay().join(atom).is_dir(), "{path} asks for {atom}");
        }
        assert!(
            !(set.contains(&"genpack/paravirt".to_owned()) && set.contains(&"genpack/systemimg".to_owned())),
            "{path}: these exclude each other"
        );
        profiles.push(path.to_owned());
    }
    for expected in ["genpack/amd64/gnome/baremetal", "genpack/x86/paravirt", "genpack/arm64/raspberrypi"] {
        assert!(profiles.iter().any(|p| p == expected), "{expected}");
    }
}

#[test]
fn every_line_of_every_profile_parses() {
    for file in files(&overlay().join("profiles/genpack")) {
        let text = read(&file);
        let broken = match file.file_name().unwrap().to_str().unwrap() {
            "packages" => profile::packages(&text).find_map(Result::err).map(|e| e.to_string()),
            "parent" => profile::parents(&text).find_map(Result::err).map(|e| e.to_string()),
            "package.use" => profile::package_use(&text).find_map(Result::err).map(|e| e.to_string()),
            "package.mask" | "package.accept_keywords" => profile::lines(&text).find_map(|line| {
                let atom = line.text.split_whitespace().next().unwrap_or_default();
                genpack_core::gentoo::atom::Atom::parse(atom).err().map(|e| e.to_string())
            }),
            "eapi" => (text.trim() != "8").then(|| text.clone()),
            "make.defaults" => None,
            other => panic!("{other} is no file that a profile of ours has"),
        };
        assert_eq!(broken, None, "{}", file.display());
    }
}

#[test]
fn every_ebuild_says_what_it_must_and_names_real_atoms() {
    let mut seen = 0;
    for file in files(&overlay()).iter().filter(|f| f.extension().is_some_and(|e| e == "ebuild")) {
        seen += 1;
        let text = read(file);
        let stem = file.file_stem().unwrap().to_str().unwrap();
        let (name, _) = version::split_name(stem).unwrap();
        assert_eq!(file.parent().unwrap().file_name().unwrap().to_str(), Some(name), "{stem}");
        assert!(text.contains("\nEAPI=8\n"), "{stem}: EAPI");
        for variable in ["DESCRIPTION", "HOMEPAGE", "LICENSE", "SLOT"] {
            assert!(text.contains(&format!("\n{variable}=\"")), "{stem} has no {variable}");
        }
        assert!(text.contains("\nKEYWORDS=\"") || stem.ends_with("-9999"), "{stem} has no KEYWORDS");
        assert!(file.parent().unwrap().join("metadata.xml").is_file(), "{stem} has no metadata.xml");
        assert!(!text.contains("SRC_URI="), "{stem} fetches something: it needs a Manifest");
        for variable in ["RDEPEND", "DEPEND", "BDEPEND"] {
            let Some(value) = text.split(&format!("\n{variable}=\"")).nth(1) else { continue };
            for item in Reader::new(value.split('"').next().unwrap()) {
                let item = item.unwrap_or_else(|e| panic!("{stem}: {variable}: {e}"));
                if let (Token::Leaf(word), Some(Err(e))) = (item.token, item.atom()) {
                    panic!("{stem}: {variable}: {word}: {e}");
                }
            }
        }
    }
    assert!(seen >= 10, "{seen} ebuilds");
}

#[test]
fn package_scripts_are_shell_and_belong_to_packages() {
    let dir = overlay().join("genpack/base/files/package-scripts");
    let scripts = files(&dir);
    assert!(scripts.len() >= 10, "{scripts:?}");
    for script in scripts {
        let inside = script.strip_prefix(&dir).unwrap().display().to_string();
        assert_eq!(inside.split('/').count(), 3, "{inside}");
        assert!(read(&script).starts_with("#!/bin/sh\n"), "{inside}");
        let check = std::process::Command::new("sh").arg("-n").arg(&script).status().unwrap();
        assert!(check.success(), "{inside}");
    }
}

#[test]
fn layout_lets_profiles_have_sets_and_parents_elsewhere() {
    let layout = read(&overlay().join("metadata/layout.conf"));
    assert!(layout.contains("masters = gentoo\n"));
    assert!(layout.contains("profile-formats = portage-2 profile-set\n"));
    assert_eq!(read(&overlay().join("profiles/repo_name")), "genpack-overlay\n");
}

#[test]
fn ebuild_of_the_program_installs_what_the_program_looks_for() {
    let text = read(&overlay().join("genpack/genpack-host/genpack-host-9999.ebuild"));
    for part in [
        "dobin \"$(cargo_target_dir)/genpack-host\"",
        "exeinto \"/usr/lib/genpack/init/${arch}\"",
        "exeinto \"/usr/lib/genpack/tools/${arch}\"",
        "insinto /usr/share/genpack\n\tdoins -r overlay",
        "for name in genpack genpack-install vm; do",
    ] {
        assert!(text.contains(part), "{part}");
    }
}
