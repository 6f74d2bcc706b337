//! Licences that a copyright file of free text names: by a grant ("under the terms of the GNU General Public License …
//! version 2 … or any later version"), by the sentence that a well-known text begins with, by a reference to
//! `/usr/share/common-licenses` (Debian Policy 12.5).
//!
//! Only what is said in one of these ways is taken, so the answer may be less than the file says, and never a guess: a
//! mention of the GPL without a version is none. Not handled: which files a licence is for, and which of two may be chosen.

/// Families of GNU, the longer name before the one that it ends with.
const FAMILIES: [(&str, &str, &[&str]); 5] = [
    ("affero general public license", "AGPL", &["1", "3"]),
    ("lesser general public license", "LGPL", &["2", "2.1", "3"]),
    ("library general public license", "LGPL", &["2", "2.1"]),
    ("general public license", "GPL", &["1", "2", "3"]),
    ("free documentation license", "GFDL", &["1.1", "1.2", "1.3"]),
];
/// Words before a family's name that make it a grant.
const GRANTS: [&str; 6] =
    ["under", "subject to", "covered by", "license:", "in accordance with", "is the gnu"];
/// Words before it that make it a mention of the text.
const MENTIONS: [&str; 4] = ["text of", "texts of", "copy of", "versions of"];
/// Ways to say "or a newer one".
const LATER: [&str; 4] = ["any later", "or later", "or newer", "or (at your option) any"];
/// Where the text of the GPL shows how a program would name it.
const EXAMPLE: &str = "how to apply these terms to your new";
const EXAMPLE_LEN: usize = 2500;

/// Sentences of which one file has one form for each time that it is said.
const MIT: &str =
    "permission is hereby granted, free of charge, to any person obtaining a copy of this software";
const BSD: &str = "redistribution and use in source and binary forms, with or without modification";
/// How long such a text is at most.
const TEXT_LEN: usize = 2500;

/// Sentences that stand in one text only, or that name it with its version.
const SENTENCES: [(&str, &str); 22] = [
    ("and/or distribute this software for any purpose with or without fee is hereby granted", "ISC"),
    (
        "copy, modify, and distribute this software for any purpose with or without fee is hereby granted",
        "ISC",
    ),
    ("altered source versions must be plainly marked as such", "Zlib"),
    ("apache license, version 2.0", "Apache-2.0"),
    ("apache license version 2.0", "Apache-2.0"),
    ("mozilla public license, v. 2.0", "MPL-2.0"),
    ("mozilla public license, version 2.0", "MPL-2.0"),
    ("mozilla public license version 2.0", "MPL-2.0"),
    (
        "distribute, and sell this software and its documentation for any purpose is hereby granted without fee",
        "HPND-sell-variant",
    ),
    (
        "distribute this software and its documentation for any purpose and without fee is hereby granted",
        "HPND",
    ),
    ("python software foundation license version 2", "PSF-2.0"),
    ("boost software license - version 1.0", "BSL-1.0"),
    ("boost software license, version 1.0", "BSL-1.0"),
    ("sil open font license, version 1.1", "OFL-1.1"),
    ("sil open font license version 1.1", "OFL-1.1"),
    ("version 2009-jan-02 of the info-zip copyright", "Info-ZIP"),
    ("version 2007-mar-4 of the info-zip copyright", "Info-ZIP"),
    (
        "modify, distribute, and license this software and its documentation for any purpose, provided that existing \
         copyright notices are retained in all copies",
        "TCL",
    ),
    ("gcc runtime library exception", "GPL-3+ with GCC Runtime Library exception"),
    ("under the same terms as perl itself", "GPL-1+ or Artistic"),
    ("subject to the same license as perl itself", "GPL-1+ or Artistic"),
    ("cc0 1.0 universal", "CC0-1.0"),
];
/// Names in `/usr/share/common-licenses` that say a version.
const REFERENCES: [&str; 14] = [
    "GPL-1",
    "GPL-2",
    "GPL-3",
    "LGPL-2",
    "LGPL-2.1",
    "LGPL-3",
    "GFDL-1.2",
    "GFDL-1.3",
    "Apache-2.0",
    "Artistic",
    "CC0-1.0",
    "MPL-1.1",
    "MPL-2.0",
    "BSD",
];

/// Returns the licences by Debian's short names, each once.
pub(super) fn licenses(text: &str) -> Vec<String> {
    let said = without_examples(words(text));
    let mut found = Vec::new();
    grants(&said, &mut found);
    for window in windows(&said, MIT) {
        found
            .push(if window.contains("except as contained in this notice") { "X11" } else { "Expat" }.into());
    }
    for window in windows(&said, BSD) {
        let is = |words: &str| window.contains(words);
        let (four, three) = (is("all advertising materials"), is("endorse or promote"));
        found.push(
            if four {
                "BSD-4-clause"
            } else if three {
                "BSD-3-clause"
            } else {
                "BSD-2-clause"
            }
            .into(),
        );
    }
    found.extend(
        SENTENCES.iter().filter(|(words, _)| said.contains(words)).map(|(_, name)| (*name).to_owned()),
    );
    references(text, &mut found);
    // Why: Perl's own terms name both, and one of them may be chosen.
    if let Some(gpl) = found.iter().position(|name| name == "GPL-1+")
        && found.iter().any(|name| name == "Artistic")
    {
        found[gpl] = "GPL-1+ or Artistic".to_owned();
        found.retain(|name| name != "Artistic");
    }
    let mut once: Vec<String> = Vec::new();
    for name in found {
        if !once.contains(&name) {
            once.push(name);
        }
    }
    once
}

/// Returns the words in small letters with one blank between them, without what sets a comment apart.
fn words(text: &str) -> String {
    let mut all = String::with_capacity(text.len());
    for line in text.lines() {
        let line = line.trim_start_matches(|c: char| c.is_whitespace() || "#*/;%!|>".contains(c));
        for word in line.split_whitespace() {
            if !all.is_empty() {
                all.push(' ');
            }
            all.push_str(&word.to_ascii_lowercase());
        }
    }
    all
}

fn without_examples(text: String) -> String {
    let mut rest = text.as_str();
    let mut kept = String::new();
    while let Some((before, after)) = rest.split_once(EXAMPLE) {
        kept.push_str(before);
        rest = after.get(after.floor_char_boundary(EXAMPLE_LEN)..).unwrap_or_default();
    }
    if kept.is_empty() {
        return text;
    }
    kept + rest
}

/// Returns what begins with a sentence, up to the next time that it is said.
fn windows<'t>(text: &'t str, sentence: &'t str) -> impl Iterator<Item = &'t str> {
    text.match_indices(sentence).map(move |(at, _)| {
        let window = beginning(text.get(at..).unwrap_or_default(), TEXT_LEN);
        let rest = window.get(sentence.len()..).unwrap_or_default();
        rest.find(sentence).and_then(|end| rest.get(..end)).unwrap_or(rest)
    })
}

fn beginning(text: &str, len: usize) -> &str {
    text.get(..text.floor_char_boundary(len)).unwrap_or(text)
}

fn end(text: &str, len: usize) -> &str {
    text.get(text.ceil_char_boundary(text.len().saturating_sub(len))..).unwrap_or(text)
}

fn grants(text: &str, found: &mut Vec<String>) {
    for (name, family, versions) in FAMILIES {
        for (at, _) in text.match_indices(name) {
            let before = text.get(..at).unwrap_or_default();
            let is_longer = ["affero ", "lesser ", "library "].iter().any(|word| before.ends_with(word));
            let near = |words: &[&str], len| words.iter().any(|word| end(before, len).contains(word));
            if is_longer || near(&MENTIONS, 40) || !near(&GRANTS, 100) {
                continue;
            }
            let after = beginning(text.get(at + name.len()..).unwrap_or_default(), 260);
            let next = FAMILIES.iter().filter_map(|(name, ..)| after.find(name)).min();
            let after = after.get(..next.unwrap_or(after.len())).unwrap_or_default();
            let Some((version, rest)) = version_before(before).or_else(|| version_after(after)) else {
                continue;
            };
            if versions.contains(&version) {
                let later = LATER.iter().any(|words| beginning(rest, 110).contains(words));
                found.push(format!("{family}-{version}{}", if later { "+" } else { "" }));
            }
        }
    }
}

/// Reads "version 2 or later of the GNU" at the end.
fn version_before(text: &str) -> Option<(&str, &str)> {
    let text = end(text, 90);
    let text =
        text.trim_end().strip_suffix("of the gnu").or_else(|| text.trim_end().strip_suffix("of the"))?;
    let at = text.rfind("version ")?;
    number(text.get(at + "version ".len()..)?)
}

/// Finds "version 2", "v2" or "v. 2.1".
fn version_after(text: &str) -> Option<(&str, &str)> {
    ["version ", "version-", " v", " (v", " v. "]
        .iter()
        .find_map(|word| text.match_indices(word).find_map(|(at, _)| number(text.get(at + word.len()..)?)))
}

/// Splits a number with parts off; `2.0` is `2`, and a full stop behind it ends a sentence.
fn number(text: &str) -> Option<(&str, &str)> {
    let len = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, rest) = text.split_at_checked(len)?;
    let number = number.trim_end_matches('.');
    let number = number.strip_suffix(".0").unwrap_or(number);
    (!number.is_empty()).then_some((number, rest))
}

/// Adds what the file refers to; of a family that a grant is known of, the reference says where its text is.
fn references(text: &str, found: &mut Vec<String>) {
    let families: Vec<String> =
        found.iter().filter_map(|name| Some(name.split_once('-')?.0.to_owned())).collect();
    for (at, before) in text.match_indices("common-licenses/") {
        let name = text.get(at + before.len()..).unwrap_or_default();
        let len = name.find(|c: char| !c.is_ascii_alphanumeric() && !".-".contains(c)).unwrap_or(name.len());
        let name = name.get(..len).unwrap_or_default().trim_end_matches(['.', '-']);
        let of_family =
            FAMILIES.iter().any(|(_, family, _)| name.split_once('-').is_some_and(|(f, _)| f == *family));
        let is_known =
            of_family && families.iter().any(|f| name.split_once('-').is_some_and(|(n, _)| n == f));
        if REFERENCES.contains(&name) && !is_known {
            found.push(if name == "BSD" { "BSD-3-clause" } else { name }.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grant_tells_family_version_and_whether_later_ones_count() {
        for (text, expected) in [
            (
                "This program is free software; you can redistribute it and/or modify it under the terms of the GNU\n\
                 General Public License as published by the Free Software Foundation; either version 2 of the\n\
                 License, or (at your option) any later version. On Debian systems, the complete text of the GNU\n\
                 General Public License version 3 can be found in `/usr/share/common-licenses/GPL-3'.",
                "GPL-2+",
            ),
            ("# under the terms of the GNU General\n# Public License version 2 dated June, 1991.", "GPL-2"),
            ("under the GNU Lesser General Public License v2.1 or later", "LGPL-2.1+"),
            ("licensed under version 2.1 of the GNU Lesser General Public License", "LGPL-2.1"),
            ("License: GNU Library General Public License, version 2.0, or any later version", "LGPL-2+"),
            ("The license is the GNU Affero General Public License, version 3.", "AGPL-3"),
            ("under the GNU Free Documentation License, Version 1.3 or any later version", "GFDL-1.3+"),
            // No version, no version of this family, no grant.
            ("under the terms of the GNU General Public License.", ""),
            ("under the terms of the GNU General Public License version 2.1", ""),
            ("You should have received a copy of the GNU General Public License version 2", ""),
            (
                "How to Apply These Terms to Your New Programs: under the GNU General Public License version 9",
                "",
            ),
        ] {
            assert_eq!(licenses(text).join(", "), expected, "{text}");
        }
    }

    #[test]
    fn text_is_known_by_what_it_says() {
        let bsd = "Redistribution and use in source and binary forms, with or without\n * modification, are permitted. ";
        let mit = "Permission is hereby granted, free of charge, to any person obtaining a copy\nof this software and. ";
        for (text, expected) in [
            (
                format!("{bsd}{bsd}Neither name may be used to endorse or promote it"),
                "BSD-2-clause, BSD-3-clause",
            ),
            (format!("{bsd}All advertising materials must. To endorse or promote"), "BSD-4-clause"),
            (format!("{mit}{mit}Except as contained in this notice, the name"), "Expat, X11"),
            ("Licensed under the Apache License, Version 2.0 (the \"License\")".to_owned(), "Apache-2.0"),
            ("It is under the same terms as Perl itself".to_owned(), "GPL-1+ or Artistic"),
            ("Copyright 2020, all rights reserved".to_owned(), ""),
        ] {
            assert_eq!(licenses(&text).join(", "), expected, "{text}");
        }
    }

    #[test]
    fn reference_counts_where_no_grant_of_its_family_is() {
        let perl = "under the terms of either a) the GNU General Public License; either version 1, or (at your option) any \
                    later version, or b) the \"Artistic License\". See /usr/share/common-licenses/Artistic";
        for (text, expected) in [
            ("Released under the GPL; see\n/usr/share/common-licenses/GPL-3.", "GPL-3"),
            ("see /usr/share/common-licenses/GPL and `/usr/share/common-licenses/LGPL-2.1'", "LGPL-2.1"),
            ("/usr/share/common-licenses/BSD, /usr/share/common-licenses/Made-Up-1", "BSD-3-clause"),
            (perl, "GPL-1+ or Artistic"),
        ] {
            assert_eq!(licenses(text).join(", "), expected, "{text}");
        }
    }

    #[test]
    fn any_text_has_an_end() {
        let long = "é".repeat(200);
        for text in
            ["", "under", "\u{e9}", &format!("under {long} general public license {long} version {long}")]
        {
            assert_eq!(licenses(text), Vec::<String>::new());
        }
        assert_eq!(licenses(&format!("{EXAMPLE}{long}")), Vec::<String>::new());
    }
}
