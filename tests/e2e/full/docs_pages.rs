//! Scene: pages of the documents that boot machines, each whole, as someone types it who has nothing yet.
//!
//! `host-tools/tests/docs_book.rs` runs what needs no machine, with a stand-in for the build; here the build is real and
//! blocks that say "boots a machine" run, too. Two things are other than on a desk: who calls a machine in the foreground
//! is no person, so it is stopped when it answers, and the key of ssh is in an agent.
#![allow(clippy::print_stderr, reason = "what ran is told")]

#[path = "../../../host-tools/tests/document_blocks/mod.rs"]
mod document_blocks;
#[path = "../../../host-tools/tests/documents/mod.rs"]
mod documents;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use genpack_tests::assets::{are_here, genpack_host};

use super::vm_guests::Place;
use document_blocks::blocks;
use documents::{below_docs, top};

/// The reason of blocks that run here only.
const BOOTS: &str = "boots a machine";

/// Takes the place of the program: a machine in the foreground ends when it answers.
const STAND_IN: &str = r#"#!/bin/bash
set -e
if [[ "$1 $2" != "vm run" || " $* " == *" --detach "* || " $* " == *" --dry-run "* ]]; then
    exec "$REAL" "$@"
fi
"$REAL" "$@" --no-kvm -n desk < /dev/null &
machine=$!
# Nothing may be left that holds this script's output open.
trap '"$REAL" vm stop -f desk || true' ERR
until "$REAL" vm list | grep -q ^desk; do
    kill -0 $machine
    sleep 0.2
done
"$REAL" vm wait desk --ssh --timeout 1800
[[ " $* " != *":8080-:80"* ]] || curl --silent --fail --retry 60 --retry-all-errors http://127.0.0.1:8080/ > page.html
"$REAL" vm stop -w --wait-timeout 1800 desk
wait $machine
"#;

/// Runs every block of a page but those with another reason, one after another; returns what it left.
fn runs(name: &str, page: &str) -> Option<Place> {
    if !are_here(&["ssh", "ssh-keygen", "ssh-agent", "curl", "mcopy"]) {
        return None;
    }
    let place = Place::new(name);
    let bin = place.path("bin");
    fs::create_dir(&bin).unwrap();
    fs::write(bin.join("genpack-host"), STAND_IN).unwrap();
    fs::set_permissions(bin.join("genpack-host"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(place.path("home")).unwrap();
    fs::create_dir(place.path("home/.ssh")).unwrap();
    let key = place.path("home/.ssh/id_ed25519");
    let mut keygen = Command::new("ssh-keygen");
    assert!(keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status().unwrap().success());

    let mut script = String::from(
        "set -euo pipefail\neval \"$(ssh-agent)\"\ntrap 'kill $SSH_AGENT_PID' EXIT\nssh-add -q \"$HOME\"/.ssh/id_ed25519\nset -x\n",
    );
    let path = top().join("docs").join(page);
    let mut booted = 0;
    for block in blocks(&path, &below_docs()[&path]) {
        match block.reason.as_deref() {
            None => {}
            Some(BOOTS) => booted += 1,
            Some(_) => continue,
        }
        script.push_str(&format!(": {page}, line {}\n{}", block.line, block.text));
    }
    assert!(booted > 0, "{page} boots nothing");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut shell = place.shell(&script);
    shell.env("PATH", path).env("REAL", genpack_host()).env("HOME", place.path("home"));
    let output = shell.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{page}: {said}");
    eprintln!("{page}: {booted} blocks that boot, and the others");
    Some(place)
}

#[test]
fn tutorial_leads_to_an_appliance_with_another_name() {
    let Some(place) = runs("docs-tutorial", "tutorial.md") else { return };
    let page = fs::read_to_string(place.path("kitchen/page.html")).unwrap();
    assert!(page.contains("<html"), "{page}");
    let setting = fs::read_to_string(place.path("kitchen/system.ini")).unwrap();
    assert!(setting.lines().any(|line| line.trim_end() == "hostname = pantry"), "{setting}");
}

#[test]
fn page_about_ci_builds_boots_and_publishes() {
    let Some(place) = runs("docs-ci", "how-to/ci.md") else { return };
    assert!(place.path("kitchen/kitchen-x86_64.squashfs.blocks").exists());
}
