//! `enable`, `disable`, `mask`: units of systemd, by the links that `systemctl` would make.
//!
//! The links are made in `/run`, which is empty at every start: a unit that is no longer named reverts by itself. What
//! the image enabled in `/etc` is switched off by a link of the same name to `/dev/null` in
//! `/run/systemd/system.control`, which systemd reads first. Format: systemd.unit(5), `[Install]`. Not handled: presets,
//! specifiers other than `%i`, `%I`, `%p`, `%n`, and aliases of a unit that is disabled.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::stage2::desired::{Desired, MAX_FILE};
use crate::tree::Tree;
use genpack_core::contract::system_ini::Settings;

/// Where units are, the first wins (systemd.unit(5)).
const PLACES: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];
/// Links of this boot.
const RUN: &str = "/run/systemd/system";
/// Links of this boot that win over `/etc`.
const CONTROL: &str = "/run/systemd/system.control";
/// Depth of `Also=`.
const MAX_DEPTH: u32 = 4;

/// Returns the file of a unit, of its template for an instance.
#[must_use]
pub fn file_of(tree: &Tree, unit: &str) -> Option<String> {
    let template = parts(unit).map(|(prefix, _, suffix)| format!("{prefix}@{suffix}"));
    let names = [Some(unit.to_string()), template];
    names.iter().flatten().find_map(|name| {
        let path = |place: &str| format!("{place}/{name}");
        PLACES.iter().map(|place| path(place)).find(|path| tree.is_file(path))
    })
}

/// Tells whether the image has the unit enabled for `multi-user.target`.
#[must_use]
pub fn is_enabled(tree: &Tree, unit: &str) -> bool {
    PLACES.iter().any(|place| tree.is_file(&format!("{place}/multi-user.target.wants/{unit}")))
}

/// Splits `name@instance.service`.
fn parts(unit: &str) -> Option<(&str, &str, &str)> {
    let (prefix, rest) = unit.split_once('@')?;
    let dot = rest.rfind('.')?;
    Some((prefix, rest.get(..dot)?, rest.get(dot..)?))
}

/// What `[Install]` says: key and word, in order.
fn install(text: &str) -> Vec<(&str, &str)> {
    let mut is_install = false;
    let mut entries = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            is_install = line == "[Install]";
        } else if let Some((key, words)) = line.split_once('=').filter(|_| is_install) {
            entries.extend(words.split_ascii_whitespace().map(|word| (key.trim(), word)));
        }
    }
    entries
}

/// Returns a word with the specifiers that make sense before the system runs; others stay.
fn expand(word: &str, prefix: &str, instance: &str, unit: &str) -> String {
    let mut parts = word.split('%');
    let mut out = String::from(parts.next().unwrap_or_default());
    for part in parts {
        let value = match part.as_bytes().first() {
            Some(b'i' | b'I') => instance,
            Some(b'p') => prefix,
            Some(b'n') => unit,
            _ => "%",
        };
        out.push_str(value);
        out.push_str(if value == "%" { part } else { part.get(1..).unwrap_or_default() });
    }
    out
}

/// Wants the links of a unit, and of those that go with it; answers whether there is such a unit.
pub fn enable(tree: &Tree, unit: &str, desired: &mut Desired) -> bool {
    enable_to(tree, unit, desired, 0)
}

fn enable_to(tree: &Tree, unit: &str, desired: &mut Desired, depth: u32) -> bool {
    let Some(file) = file_of(tree, unit) else { return false };
    let text = tree.text(&file, MAX_FILE);
    let entries = install(&text);
    let of = |key: &str| entries.iter().find(|(k, _)| *k == key).map(|(_, word)| *word);
    let unit = match (parts(unit), of("DefaultInstance")) {
        (Some((prefix, "", suffix)), Some(instance)) => format!("{prefix}@{instance}{suffix}"),
        _ => unit.into(),
    };
    let (prefix, instance) = parts(&unit).map_or(("", ""), |(prefix, instance, _)| (prefix, instance));
    for (key, word) in &entries {
        let word = expand(word, prefix, instance, &unit);
        // Why: the file is the image's or an administrator's, but a link must stay in its directory.
        if word.contains(['/', '%']) || word.starts_with('.') {
            continue;
        }
        match *key {
            "WantedBy" => desired.link(&format!("{RUN}/{word}.wants/{unit}"), &file),
            "RequiredBy" => desired.link(&format!("{RUN}/{word}.requires/{unit}"), &file),
            "UpheldBy" => desired.link(&format!("{RUN}/{word}.upholds/{unit}"), &file),
            "Alias" if word != unit => desired.link(&format!("{RUN}/{word}"), &file),
            "Also" if depth < MAX_DEPTH && word != unit => {
                enable_to(tree, &word, desired, depth + 1);
            }
            _ => {}
        }
    }
    true
}

/// Wants that nothing of the image starts a unit, nor those that go with it.
fn disable(tree: &Tree, unit: &str, desired: &mut Desired, depth: u32) {
    for place in &PLACES {
        for target in &tree.entries(place) {
            let is_list = [".wants", ".requires", ".upholds"].iter().any(|end| target.name.ends_with(end));
            let link = format!("{place}/{}/{unit}", target.name);
            if is_list && (tree.read_link(&link).is_some() || tree.is_file(&link)) && *place != RUN {
                desired.link(&format!("{CONTROL}/{}/{unit}", target.name), "/dev/null");
            }
        }
    }
    let text = file_of(tree, unit).and_then(|file| tree.read_text(&file, MAX_FILE)).unwrap_or_default();
    for (key, also) in install(&text) {
        if key == "Also" && also != unit && depth < MAX_DEPTH {
            disable(tree, also, desired, depth + 1);
        }
    }
}

/// Wants the links of the three lists.
pub fn want(settings: &Settings, tree: &Tree, desired: &mut Desired) {
    for unit in &settings.disable {
        disable(tree, unit, desired, 0);
        missing("disable", unit, file_of(tree, unit).is_some(), desired);
    }
    for unit in &settings.enable {
        let exists = enable(tree, unit, desired);
        missing("enable", unit, exists, desired);
    }
    for unit in &settings.mask {
        // Why: a unit in /etc wins over the directory that `systemctl mask --runtime` uses.
        let place = if tree.stat(&format!("{}/{unit}", PLACES[0])).is_some() { CONTROL } else { RUN };
        desired.link(&format!("{place}/{unit}"), "/dev/null");
    }
}

fn missing(key: &'static str, unit: &str, exists: bool, desired: &mut Desired) {
    if !exists {
        let message = format!("this value of '{key}' has no effect: this system has no unit '{unit}'");
        desired.fact("", key, &message);
    }
}
