//! Extensions of an image: Python modules, then the programs in `hooks.d`, each in a process of its own.
//!
//! The protocol is `docs/hooks.md`. Not handled: hooks on the boot partition or in `/etc`; only the image brings code.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use crate::op::Op;
use crate::stage2::desired::Desired;
use crate::tree::{Entry, Tree};
use genpack_core::contract::paths;
use genpack_core::contract::system_ini::Settings;
use genpack_core::text::ini::Document;
use genpack_core::text::json5::emit::write_string;

/// Programs, run in the byte order of their names.
const HOOKS: &str = "/usr/lib/genpack-init/hooks.d";
/// Modules of the first init in Python.
const MODULES: &str = "/usr/lib/genpack-init";
const PYTHON: &str = "/usr/bin/python3";
/// Seconds a hook has, unless `[hooks]` says otherwise.
const HOOK_S: u32 = 30;
/// Seconds a module has: some make keys, which takes a small board its time.
const MODULE_S: u32 = 120;
/// Most extensions that are run.
const MAX_RUNS: usize = 128;

/// `system.ini` as `{"section":{"key":"value"}}`.
const JSON: &str = "system.ini.json";
/// `system.ini` as `section.key=value` lines.
const FLAT: &str = "system.ini.flat";

/// Returns the names of a directory's entries that fit, in byte order; hidden ones and an editor's copies are none.
fn names(tree: &Tree, directory: &str, fits: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for Entry { name, .. } in tree.entries(directory) {
        if !name.starts_with('.') && !name.ends_with('~') && fits(&name) {
            // Why: by hand, a few names are sorted in a twentieth of the bytes of `sort`.
            let at = names.iter().take_while(|other| **other < name).count();
            names.insert(at, name);
        }
    }
    names
}

/// Wants the runs; `document` is what they get to read.
pub fn want(settings: &Settings, document: &Document, tree: &Tree, desired: &mut Desired) {
    let is_on = |name: &str| !settings.hooks.switches.iter().any(|(switch, on)| switch == name && !on);
    let hooks = names(tree, HOOKS, &|name| tree.is_executable(&format!("{HOOKS}/{name}")));
    let mut modules = names(tree, MODULES, &|name| name.ends_with(".py"));
    if !tree.is_executable(PYTHON) || !tree.is_file(paths::PYTHON_RUNNER) {
        for name in modules.drain(..) {
            desired.fact_note(&format!("{MODULES}/{name} is not run: this image has no python3 for it"));
        }
    }
    for (name, _) in &settings.hooks.switches {
        if !hooks.contains(name) && !modules.contains(name) {
            desired.fact("hooks", name, &format!("this system has no hook '{name}'"));
        }
    }
    if hooks.is_empty() && modules.is_empty() {
        return;
    }
    let (json, flat) = (format!("{}/{JSON}", paths::RUN_GENPACK), format!("{}/{FLAT}", paths::RUN_GENPACK));
    for (path, text) in [(&json, as_json(document)), (&flat, as_flat(document))] {
        desired.act(Op::Write { path: path.clone(), mode: 0o600, owner: None, content: text.into_bytes() });
    }
    let environment: Vec<String> = [
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into(),
        "HOME=/root".into(),
        "LANG=C.UTF-8".into(),
        ["GENPACK_INI_JSON=", &json].concat(),
        ["GENPACK_INI=", &flat].concat(),
    ]
    .into();
    let timeout = settings.hooks.timeout;
    let mut runs = Vec::new();
    for name in modules.iter().filter(|name| is_on(name)) {
        let path = format!("{MODULES}/{name}");
        runs.push(Op::run(&[PYTHON, "-B", paths::PYTHON_RUNNER, &path], timeout.unwrap_or(MODULE_S)));
    }
    for name in hooks.iter().filter(|name| is_on(name)) {
        let path = format!("{HOOKS}/{name}");
        runs.push(Op::run(&[&path, "configure"], timeout.unwrap_or(HOOK_S)));
    }
    runs.truncate(MAX_RUNS);
    for mut run in runs {
        if let Op::Run { environment: own, .. } = &mut run {
            own.clone_from(&environment);
        }
        desired.act(run);
    }
}

/// Returns the document as strict JSON; of equal keys the last counts, as everywhere.
fn as_json(document: &Document) -> String {
    let mut out = String::from("{");
    for (i, section) in document.sections().iter().enumerate() {
        out.push_str(if i > 0 { ",\n" } else { "\n" });
        // Why: writing into a String cannot fail.
        let _ = write_string(section.name(), &mut out);
        out.push_str(": {");
        for (i, property) in document.items(section).enumerate() {
            out.push_str(if i > 0 { ", " } else { "" });
            let _ = write_string(&property.key, &mut out);
            out.push_str(": ");
            let _ = write_string(&property.value, &mut out);
        }
        out.push('}');
    }
    out.push_str("\n}\n");
    out
}

/// Returns the document as `section.key=value` lines; a backslash and a line break in a value are `\\` and `\n`.
fn as_flat(document: &Document) -> String {
    let mut out = String::new();
    for section in document.sections() {
        for property in document.items(section) {
            let value = property.value.replace('\\', "\\\\").replace('\n', "\\n");
            let _ = writeln!(out, "{}.{}={value}", section.name(), property.key);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use genpack_core::text::diagnostic::Collector;

    #[test]
    fn document_is_exported_whole() {
        let text = "a = 1\nb =\n  x\\y\n  \"z\"\n[s]\nk = %v\n";
        let document = Document::parse(text, &mut Collector::new());
        assert_eq!(
            as_json(&document),
            "{\n\"_default\": {\"a\": \"1\", \"b\": \"\\nx\\\\y\\n\\\"z\\\"\"},\n\"s\": {\"k\": \"%v\"}\n}\n"
        );
        assert_eq!(as_flat(&document), "_default.a=1\n_default.b=\\nx\\\\y\\n\"z\"\ns.k=%v\n");
    }
}
