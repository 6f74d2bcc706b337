//! The book of the documents: its links lead somewhere, and its commands do what they say.
//!
//! A block of ```` ```sh ```` is run, the blocks of a page one after another in one directory. One that boots, needs a
//! device or takes hours is ```` ```sh,not-run ```` and says why in the comment above. `build` is a dry run here, and an
//! image that flash takes lies there afterwards.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

#[path = "documents/mod.rs"]
mod documents;
#[path = "flash_scene/mod.rs"]
mod flash_scene;

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

/// A block of commands of a page.
struct Block {
    line: usize,
    text: String,
    is_run: bool,
}

/// Returns the blocks of commands.
fn blocks(path: &Path, text: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let (mut is_open, mut last) = (false, "");
    for (number, line) in text.lines().enumerate() {
        match line.strip_prefix("```") {
            Some(_) if is_open => is_open = false,
            Some("sh") => {
                found.push(Block { line: number + 1, text: String::new(), is_run: true });
                is_open = true;
            }
            Some("sh,not-run") => {
                let reason = last.strip_prefix("<!-- not run: ").and_then(|rest| rest.strip_suffix(" -->"));
                assert!(reason.is_some_and(|r| r.len() > 4), "{}:{}: no reason", path.display(), number + 1);
                found.push(Block { line: number + 1, text: String::new(), is_run: false });
                is_open = true;
            }
            Some(info) => assert!(!info.starts_with("sh"), "{}:{}: {info}", path.display(), number + 1),
            None if is_open => {
                let block = found.last_mut().unwrap();
                block.text.push_str(line);
                block.text.push('\n');
            }
            None => {}
        }
        last = line;
    }
    found
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
    let mut ran = 0;
    for (path, text) in below_docs() {
        let blocks = blocks(&path, &text);
        if !blocks.iter().any(|block| block.is_run) {
            continue;
        }
        let directory = scene.path(&format!("page-{ran}"));
        fs::create_dir(&directory).unwrap();
        let mut script = String::from("set -euo pipefail\nset -x\n");
        for block in blocks.iter().filter(|block| block.is_run) {
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
