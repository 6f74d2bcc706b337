//! `locale`: the `LANG` line of `/etc/locale.conf`, and of `/etc/default/locale` where Debian's logins read it.
//!
//! Format: locale.conf(5). All other lines stay as they are.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::op::Step;
use crate::stage2::inputs::Snapshot;
use crate::stage2::plan::write;

/// Plans the locale.
#[must_use]
pub fn plan(locale: Option<&str>, now: &Snapshot) -> Vec<Step> {
    let Some(lang) = locale else { return Vec::new() };
    let mut plan = Vec::new();
    for (path, text) in [
        ("/etc/locale.conf", Some(now.locale_conf.as_deref().unwrap_or_default())),
        // Why: an old LANG in it wins over locale.conf at login, but nobody needs a new file.
        ("/etc/default/locale", now.default_locale.as_deref()),
    ] {
        let Some(text) = text else { continue };
        let merged = merge(text, lang);
        if merged != text {
            plan.push(write(path, 0o644, &merged));
        }
    }
    plan
}

/// Puts the value into the first line that sets `LANG`, or at the end; further such lines go.
fn merge(text: &str, lang: &str) -> String {
    let mut merged = String::new();
    let mut is_set = false;
    for line in text.lines() {
        let words = line.trim_start();
        if words.strip_prefix("export ").unwrap_or(words).trim_start().starts_with("LANG=") {
            if !is_set {
                merged.push_str(&format!("LANG={lang}\n"));
            }
            is_set = true;
        } else {
            merged.push_str(line);
            merged.push('\n');
        }
    }
    if !is_set {
        merged.push_str(&format!("LANG={lang}\n"));
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn merge_replaces_the_value_and_keeps_the_rest() {
        for (text, expected) in [
            ("", "LANG=C.UTF-8\n"),
            ("LANG=ja_JP.UTF-8\nLC_TIME=C", "LANG=C.UTF-8\nLC_TIME=C\n"),
            ("# x\nLC_TIME=C\n", "# x\nLC_TIME=C\nLANG=C.UTF-8\n"),
            ("export LANG=x\nLANG=y\n", "LANG=C.UTF-8\n"),
            ("LANGUAGE=de\n", "LANGUAGE=de\nLANG=C.UTF-8\n"),
        ] {
            assert_eq!(merge(text, "C.UTF-8"), expected, "{text:?}");
        }
    }

    #[test]
    fn locale_already_set_needs_nothing() {
        let mut now = Snapshot { locale_conf: Some("LANG=C.UTF-8\n".into()), ..Snapshot::default() };
        assert_eq!(plan(Some("C.UTF-8"), &now), []);
        assert_eq!(plan(None, &now), []);
        now.default_locale = Some("LANG=de_DE\n".into());
        let lines: Vec<_> = plan(Some("C.UTF-8"), &now).iter().map(|s| s.op.to_string()).collect();
        assert_eq!(lines, ["write /etc/default/locale mode 0644 (13 bytes)"]);
    }
}
