//! The keys of `system.ini` as texts: the reference and the file that sets nothing.
//!
//! Both are the table of [`genpack_core::contract::system_ini`] and nothing else. Not handled: putting values in; see
//! [`crate::flash`].

use std::fmt::Write;

use genpack_core::contract::system_ini::{GROUPS, Group, KEYS, Key, Plurality, TOPICS};

/// Characters of a line of the default file, so that Notepad shows all of it.
const WIDTH: usize = 78;

/// A user for the examples.
const EXAMPLE_USER: &str = "bob";

/// Returns a `system.ini` that sets nothing and has every key with its sentence, default and an example, for Notepad.
#[must_use]
pub fn template() -> String {
    let mut out = String::new();
    for line in [
        "# Settings of this machine. They take effect at the next start.",
        "#",
        "# To set something, take the # away before its line and change what stands",
        "# behind the =. Values need no quotes, and a remark needs a line of its own.",
        "# What cannot be used is skipped; the file system.ini.report.txt, which then",
        "# appears beside this one, tells which line it was and why.",
        "# Or open the page system-ini-editor.html, which lies here, too, in a browser:",
        "# it is a form for all of this.",
    ] {
        out.push_str(line);
        out.push('\n');
    }
    for key in KEYS {
        if let Some((_, topic)) = TOPICS.iter().find(|(first, _)| *first == key.name) {
            // Writing to a String cannot fail.
            let _ = write!(out, "\n\n# ----- {topic} -----\n");
        }
        example(&mut out, key);
    }
    for group in GROUPS.iter().filter(|group| !group.section.is_empty()) {
        out.push_str("\n\n");
        comment(&mut out, group.help);
        let _ = writeln!(out, "#[{}]", example_section(group));
        for key in group.keys {
            example(&mut out, key);
        }
    }
    out.replace('\n', "\r\n")
}

/// Returns a name that a section of the group may have.
fn example_section(group: &Group) -> String {
    let user = if group.section.ends_with('.') { EXAMPLE_USER } else { "" };
    [group.section, user].concat()
}

fn example(out: &mut String, key: &Key) {
    out.push('\n');
    let default =
        if key.default.is_empty() { String::new() } else { format!(" Without it: {}.", key.default) };
    let more = match key.plurality() {
        Plurality::One => "",
        Plurality::List => " Several are separated by commas.",
        Plurality::Lines => " Further ones follow on lines of their own that begin with a blank.",
    };
    comment(out, &[key.help, more, &default].concat());
    let _ = writeln!(out, "#{} = {}", key.name, key.example());
}

/// Writes a text as lines of a comment.
fn comment(out: &mut String, text: &str) {
    let mut width = 0;
    for word in text.split(' ') {
        if width == 0 || width + 1 + word.len() > WIDTH {
            out.push_str(if width == 0 { "#" } else { "\n#" });
            width = 1;
        }
        out.push(' ');
        out.push_str(word);
        width += 1 + word.len();
    }
    out.push('\n');
}

/// Returns `docs/keys.md`.
#[must_use]
pub fn markdown() -> String {
    let mut out = String::from(include_str!("keys/head.md"));
    for group in GROUPS {
        if group.section.is_empty() {
            for key in KEYS {
                if let Some((_, topic)) = TOPICS.iter().find(|(first, _)| *first == key.name) {
                    table(&mut out, topic, "");
                }
                row(&mut out, key);
            }
            continue;
        }
        let name = if group.section.ends_with('.') { "user.NAME" } else { group.section };
        table(&mut out, &format!("`[{name}]`"), group.help);
        for key in group.keys {
            row(&mut out, key);
        }
    }
    out.push_str(include_str!("keys/tail.md"));
    out
}

fn table(out: &mut String, title: &str, help: &str) {
    let _ = write!(out, "\n## {title}\n");
    if !help.is_empty() {
        let _ = write!(out, "{help}\n\n");
    }
    out.push_str("| key | value | default | meaning | example | since |\n|---|---|---|---|---|---|\n");
}

fn row(out: &mut String, key: &Key) {
    let plural = match key.plurality() {
        Plurality::One => "",
        Plurality::List => ", or several",
        Plurality::Lines => ", or several, one a line",
    };
    let [default, since] = [key.default, key.since].map(|text| if text.is_empty() { "–" } else { text });
    let _ = writeln!(
        out,
        "| `{}` | {}{plural} | {default} | {} | `{}` | {since} |",
        key.name,
        key.rule.word,
        key.help,
        key.example()
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use genpack_core::contract::system_ini::{self, Settings};

    #[test]
    fn template_sets_nothing_and_fits_a_window() {
        let file = system_ini::read(template().as_bytes());
        assert_eq!((file.settings, file.findings), (Settings::default(), Vec::new()));
        for line in template().split("\r\n") {
            assert!(
                !line.contains('\n') && (line.chars().count() <= WIDTH || !line.starts_with("# ")),
                "{line}"
            );
        }
    }

    #[test]
    fn every_line_of_the_template_may_be_put_into_force() {
        let template = template();
        let lines: Vec<&str> = template.split("\r\n").collect();
        let mut header = None;
        let mut examples = 0;
        for (i, line) in lines.iter().enumerate() {
            let Some(example) =
                line.strip_prefix('#').filter(|rest| !rest.is_empty() && !rest.starts_with(' '))
            else {
                continue;
            };
            if example.starts_with('[') {
                header = Some(i);
            }
            let changed: Vec<&str> = lines
                .iter()
                .enumerate()
                .map(
                    |(at, line)| {
                        if at == i || Some(at) == header { line.trim_start_matches('#') } else { line }
                    },
                )
                .collect();
            let file = system_ini::read(changed.join("\r\n").as_bytes());
            assert_eq!(file.findings, [], "{example}");
            if !example.starts_with('[') {
                examples += 1;
                assert_ne!(file.settings, Settings::default(), "{example}");
            }
        }
        let keys: usize = GROUPS.iter().map(|group| group.keys.len()).sum();
        assert_eq!(examples, keys);
    }

    #[test]
    fn every_line_of_the_template_may_be_put_into_force_at_once() {
        let all: Vec<String> = template()
            .split("\r\n")
            .map(|line| match line.strip_prefix('#') {
                Some(example) if !example.starts_with(' ') => example.to_owned(),
                _ => line.to_owned(),
            })
            .collect();
        assert_eq!(system_ini::read(all.join("\r\n").as_bytes()).findings, []);
    }
}
