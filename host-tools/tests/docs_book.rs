//! The book of the documents: its links lead somewhere, and its commands do what they say.
//!
//! A block of ```` ```sh ```` is run, the blocks of a page one after another in one directory. One that boots, needs a
//! device or takes hours is ```` ```sh,not-run ```` and says why in the comment above; its commands are understood at least.
//! `build` is a dry run here, and an image that flash takes lies there afterwards; images to look at are there before.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

#[path = "document_blocks/mod.rs"]
mod document_blocks;
#[path = "documents/mod.rs"]
mod documents;
#[path = "flash_scene/mod.rs"]
mod flash_scene;

use document_blocks::blocks;
use documents::{below_docs, top};
use flash_scene::Scene;

/// Returns the text without its blocks of code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// Returns the anchors of a page: its headings as mdBook spells them.
fn anchors(text: &str) -> BTreeSet<String> {
    prose(text)
        .filter(|line| line.starts_with('#'))
        .map(|line| line.trim_start_matches('#').trim())
        .map(|title| {
            let kept = title
                .to_lowercase()
                .chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
                .collect::<String>();
            kept.replace(' ', "-")
        })
        .collect()
}

fn links(text: &str) -> Vec<String> {
    prose(text)
        .flat_map(|line| line.split("](").skip(1))
        .filter_map(|rest| rest.split_once(')').map(|(target, _)| target.to_owned()))
        .filter(|target| !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:"))
        .collect()
}

#[test]
fn links_lead_somewhere() {
    let mut pages = below_docs();
    for name in ["README.md", "CONTRIBUTING.md"] {
        pages.insert(top().join(name), fs::read_to_string(top().join(name)).unwrap());
    }
    let mut seen = 0;
    for (path, text) in &pages {
        for link in links(text) {
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            let target = target.canonicalize().unwrap_or_else(|e| panic!("{}: {link}: {e}", path.display()));
            if let Some(page) = pages.get(&target).filter(|_| !anchor.is_empty()) {
                assert!(anchors(page).contains(anchor), "{}: {link}: no such heading", path.display());
            }
            seen += 1;
        }
    }
    assert!(seen > 60, "only {seen} were found");
}

#[test]
fn every_page_is_in_the_table_of_contents_once() {
    let pages = below_docs();
    let summary = top().join("docs/SUMMARY.md");
    let mut listed: Vec<_> =
        links(&pages[&summary]).into_iter().map(|link| top().join("docs").join(link)).collect();
    listed.sort();
    let all: Vec<_> = pages.into_keys().filter(|path| *path != summary).collect();
    assert_eq!(listed, all);
}

/// Returns the commands of our program in a block: their words as a shell would split them, without what stands behind a
/// pipe, a redirection or a comment.
fn commands(text: &str) -> Vec<Vec<String>> {
    let joined = text.replace("\\\n", " ");
    let mut found = Vec::new();
    for line in joined.lines() {
        let (mut words, mut word, mut quote): (Vec<String>, String, Option<char>) = <_>::default();
        for c in line.chars().chain([' ']) {
            match (quote, c) {
                (Some(open), c) if c == open => quote = None,
                (None, '\'' | '"') => quote = Some(c),
                (None, c) if c.is_whitespace() => {
                    if !word.is_empty() {
                        words.push(std::mem::take(&mut word));
                    }
                }
                (_, c) => word.push(c),
            }
        }
        let is_end =
            |word: &String| ["|", "||", "&&", ">", ">>", "2>", "<", "&", ";"].contains(&word.as_str());
        for part in words.split(|word| is_end(word)) {
            let part: Vec<_> = part.iter().take_while(|word| !word.starts_with('#')).cloned().collect();
            let at = part.iter().position(|word| word == "genpack-host" || word == "$H");
            found.extend(
                at.and_then(|at| part.get(at + 1..)).filter(|rest| !rest.is_empty()).map(<[String]>::to_vec),
            );
        }
    }
    found
}

#[test]
fn every_command_of_the_documents_is_one() {
    let mut pages = below_docs();
    let readme = top().join("README.md");
    pages.insert(readme.clone(), fs::read_to_string(readme).unwrap());
    let mut seen = BTreeSet::new();
    for (path, text) in pages {
        for block in blocks(&path, &text) {
            for words in commands(&block.text) {
                // Why before `--`: what follows is for another program. Whatever stands before --help was understood.
                let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
                if !seen.insert(words[..end].to_vec()) {
                    continue;
                }
                let mut command = Command::new(env!("CARGO_BIN_EXE_genpack-host"));
                let output = command.args(&words[..end]).arg("--help").output().unwrap();
                let said = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{}:{}: {words:?}: {said}", path.display(), block.line);
            }
        }
    }
    assert!(seen.len() > 60, "only {} were found", seen.len());
}

/// Makes the images that the pages about looking speak of.
fn images(dir: &Path) {
    for (name, page) in [("hello-1", "old"), ("hello-2", "new")] {
        let packages = format!("base-files-{page}[amd64]\n# VERSION: {page}\n# LICENSE: GPL-2+\n\n");
        for (path, text) in [
            (".genpack/packages", packages.as_str()),
            (".genpack/files", "base-files\n/etc\n\tos-release\n"),
            (".genpack/arch", "x86_64\n"),
            ("etc/os-release", "ID=debian\nVERSION_ID=12\n"),
            ("boot/kernel", "kernel"),
            ("usr/share/page", page),
        ] {
            let path = dir.join(name).join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let mut squash = Command::new(env!("CARGO_BIN_EXE_genpack-host"));
        let image = format!("{name}.squashfs");
        assert!(
            squash.arg("-C").arg(dir).args(["-q", "squash", name, &image]).output().unwrap().status.success()
        );
    }
    fs::copy(dir.join("hello-2.squashfs"), dir.join("hello-x86_64.squashfs")).unwrap();
}

/// Takes the place of the program: what would build is a dry run, and leaves an image.
const STAND_IN: &str = r#"#!/bin/bash
set -e
for word; do
    case $word in
    --dry-run) break ;;
    build)
        "$REAL" --dry-run "$@" > /dev/null
        cp "$IMAGE" "$("$REAL" --json config | sed -n 's/.*"outfile": "\(.*\)".*/\1/p')"
        exit ;;
    esac
done
exec "$REAL" "$@"
"#;

#[test]
#[ignore = "writes four disks"]
fn commands_of_the_pages_do_what_they_say() {
    let Some(scene) = Scene::new() else { return };
    let bin = scene.path("bin");
    fs::create_dir(&bin).unwrap();
    fs::write(bin.join("genpack-host"), STAND_IN).unwrap();
    fs::set_permissions(bin.join("genpack-host"), fs::Permissions::from_mode(0o755)).unwrap();
    let looked_at = scene.path("looked-at");
    fs::create_dir(&looked_at).unwrap();
    images(&looked_at);
    let mut ran = 0;
    for (path, text) in below_docs() {
        let blocks = blocks(&path, &text);
        if !blocks.iter().any(|block| block.reason.is_none()) {
            continue;
        }
        let directory = scene.path(&format!("page-{ran}"));
        fs::create_dir(&directory).unwrap();
        for name in ["hello-1.squashfs", "hello-2.squashfs", "hello-x86_64.squashfs"] {
            fs::copy(looked_at.join(name), directory.join(name)).unwrap();
        }
        let mut script = String::from("set -euo pipefail\nset -x\n");
        for block in blocks.iter().filter(|block| block.reason.is_none()) {
            script.push_str(&format!(": line {}\n{}", block.line, block.text));
            ran += 1;
        }
        let output = Command::new("bash")
            .args(["-c", &script])
            .current_dir(&directory)
            .env("PATH", format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()))
            .env("REAL", env!("CARGO_BIN_EXE_genpack-host"))
            .env("IMAGE", scene.path("image"))
            .env("GENPACK_INIT_DIR", &directory)
            .env("HOME", &directory)
            .env_remove("SOURCE_DATE_EPOCH")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}: {}", path.display(), String::from_utf8_lossy(&output.stderr));
    }
    assert!(ran > 10, "only {ran} were found");
}
