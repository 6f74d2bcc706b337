//! `ini-editor`: one page for a browser that opens a `system.ini`, shows every key as a field and saves the file back.
//!
//! The table of [`genpack_core::contract::system_ini`] is in the page as JSON, and the scripts beside this file read it:
//! `ini.js` reads and changes the file as genpack-init would read it, `rules.js` judges values in the init's words,
//! `password.js` makes hashes, `form.js` is the form. `host-tools/tests/ini_editor.rs` lets our reader judge the first
//! three. The page loads nothing and sends nothing, which its content security policy makes the browser hold it to.
//! Not handled: keys of add-ons, which no table has.

use std::path::Path;

use genpack_core::contract::system_ini::{
    ACCOUNT, BOOL, GROUPS, HOOK, Key, OTHER_WORDS, Plurality, Rule, TOPICS,
};
use serde_json::{Value, json};

use crate::command_error::Result;
use crate::ctx::Ctx;
use crate::io::atomic_file;

/// Name of the page beside `system.ini` on a boot partition.
pub const FILE_NAME: &str = "system-ini-editor.html";

const PAGE: &str = include_str!("ini_editor/page.html");
const STYLE: &str = include_str!("ini_editor/page.css");
/// The scripts that know nothing of a page; `node` runs them in the tests.
pub const RULES: [&str; 3] = [
    include_str!("ini_editor/ini.js"),
    include_str!("ini_editor/rules.js"),
    include_str!("ini_editor/password.js"),
];
const FORM: &str = include_str!("ini_editor/form.js");

/// Keys that most owners want to see; the others of their topic are folded away until they are set.
const COMMON: [&str; 15] = [
    "hostname",
    "timezone",
    "locale",
    "keymap",
    "ssh_pubkey",
    "root_password",
    "ip_address",
    "ip_gateway",
    "dns",
    "wifi_ssid",
    "wifi_key",
    "wifi_country",
    "enable",
    "disable",
    "data_grow",
];

/// Returns the page.
#[must_use]
pub fn page() -> String {
    // Why: inside a script element only this character can end it.
    let table = table().to_string().replace('<', "\\u003c");
    PAGE.replace("@STYLE@", STYLE)
        .replace("@SCRIPT@", &[&RULES.concat(), FORM].concat())
        .replace("@TABLE@", &table)
}

/// Returns what the scripts know of the keys.
#[must_use]
pub fn table() -> Value {
    let groups = GROUPS.iter().map(|group| {
        let mut topic = "";
        let keys = group.keys.iter().map(|key| {
            let begun = TOPICS.iter().find(|(first, _)| group.section.is_empty() && *first == key.name);
            topic = begun.map_or(topic, |(_, title)| title);
            of_key(key, topic, group.section.is_empty() && COMMON.contains(&key.name))
        });
        json!({"section": group.section, "help": group.help, "keys": keys.collect::<Vec<_>>()})
    });
    json!({
        "groups": groups.collect::<Vec<_>>(),
        "topics": TOPICS.iter().map(|(_, title)| *title).collect::<Vec<_>>(),
        "account": of_rule(&ACCOUNT),
        "hook": {
            "plural": "one", "default": "yes", "help": "Whether this hook of the image runs.", "example": "no",
            "common": true, "rule": of_rule(&BOOL),
        },
        "hookName": of_rule(&HOOK),
        "otherWords": OTHER_WORDS.iter().map(|(word, key)| ((*word).to_owned(), json!(key)))
            .collect::<serde_json::Map<_, _>>(),
        "template": crate::keys::template(),
    })
}

fn of_key(key: &Key, topic: &str, is_common: bool) -> Value {
    let plural = match key.plurality() {
        Plurality::One => "one",
        Plurality::List => "list",
        Plurality::Lines => "lines",
    };
    json!({
        "name": key.name, "topic": topic, "common": is_common, "plural": plural, "default": key.default,
        "help": key.help, "example": key.example(), "rule": of_rule(key.rule),
    })
}

fn of_rule(rule: &Rule) -> Value {
    json!({
        "word": rule.word, "secret": rule.is_secret, "max": rule.max_bytes(), "others": rule.other_characters(),
    })
}

/// Writes the page.
///
/// # Errors
/// When the file cannot be written.
pub fn run(ctx: &Ctx, out: &Path) -> Result<()> {
    let page = page();
    if !ctx.dry_run {
        atomic_file::write(out, page.as_bytes())?;
    }
    if ctx.ui.is_json() {
        ctx.ui.document(&json!({"page": out.to_string_lossy(), "bytes": page.len()}));
    }
    ctx.ui.answer(out.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_common_key_and_every_kind_of_value_is_known() {
        let top = GROUPS.iter().find(|group| group.section.is_empty()).unwrap();
        for name in COMMON {
            assert!(top.keys.iter().any(|key| key.name == name), "{name}");
        }
        let rules = GROUPS.iter().flat_map(|group| group.keys).map(|key| key.rule).chain([&ACCOUNT, &HOOK]);
        for rule in rules {
            assert!(
                RULES[1].contains(&format!("\n  \"{}\": ", rule.word)),
                "rules.js judges no {}",
                rule.word
            );
        }
    }

    #[test]
    fn page_has_every_key_and_needs_nothing_else() {
        let page = page();
        for key in GROUPS.iter().flat_map(|group| group.keys) {
            assert!(page.contains(&format!("\"name\":\"{}\"", key.name)), "{}", key.name);
        }
        for other in [
            "src=",
            "@import",
            "url(",
            "fetch(",
            "XMLHttpRequest",
            "import(",
            "@TABLE@",
            "@STYLE@",
            "@SCRIPT@",
        ] {
            assert!(!page.contains(other), "the page has {other}");
        }
        assert!(page.contains("default-src 'none'"));
        assert_eq!(page.matches("</script>").count(), 2);
    }
}
