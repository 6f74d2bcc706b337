//! Debian's copyright files, `/usr/share/doc/<package>/copyright`: the licences that one names.
//!
//! A machine-readable one (<https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/>) has a paragraph for the
//! whole, then one for each group of files. A third of Debian's packages have a file of free text: see [`phrases`].

use genpack_core::debian::status::{Paragraph, paragraphs};

mod phrases;

/// Longest name of a licence; a longer one is a sentence of the licence itself.
const MAX_NAME: usize = 80;
/// Most licences of a package that are told; Boost names a hundred.
const MAX_LICENSES: usize = 256;

/// The licences of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Licenses {
    /// As one expression of the format.
    pub names: String,
    /// The file is of free text: others may be in it.
    pub is_from_phrases: bool,
}

/// Returns the licences of a package, each part once in the order of the file; `None` when the file names none.
///
/// What holds for `debian/*` alone is left out: that is the packaging, of which the package holds next to nothing.
#[must_use]
pub fn licenses(text: &str) -> Option<Licenses> {
    let mut names: Vec<&str> = Vec::new();
    for (at, paragraph) in paragraphs(text).enumerate() {
        if at == 0 && !is_machine_readable(&paragraph) {
            let names = phrases::licenses(text).join(", and ");
            return (!names.is_empty()).then_some(Licenses { names, is_from_phrases: true });
        }
        let of_files = paragraph.get("Files").map(|files| files.value);
        if at > 0 && of_files.is_none_or(|files| files == "debian/*") {
            continue;
        }
        // Why from the text: where the field's own line is empty, its value begins with the licence's words.
        let own_line =
            paragraph.get("License").and_then(|field| text.get(field.at..)?.lines().next()?.split_once(':'));
        let Some(name) = own_line.map(|(_, name)| name.trim()) else { continue };
        if !name.is_empty() && name.len() <= MAX_NAME && !names.contains(&name) && names.len() < MAX_LICENSES
        {
            names.push(name);
        }
    }
    (!names.is_empty()).then(|| Licenses { names: names.join(", and "), is_from_phrases: false })
}

fn is_machine_readable(head: &Paragraph<'_>) -> bool {
    let format = head.get("Format").or_else(|| head.get("Format-Specification"));
    format.is_some_and(|field| ["copyright-format", "dep5"].iter().any(|word| field.value.contains(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_licence_of_the_files_is_named_once() {
        let text = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nSource: x\n\n\
                    Files: *\nCopyright: A\nLicense: GPL-2+\n text\n\nFiles: lib/*\nLicense: Expat or BSD-3-clause\n\n\
                    Files: lib/more\nLicense: GPL-2+\n\nFiles: debian/*\nLicense: GPL-3+\n\nLicense: GPL-2+\n The text\n";
        let expected = Licenses { names: "GPL-2+, and Expat or BSD-3-clause".into(), is_from_phrases: false };
        assert_eq!(licenses(text), Some(expected));
    }

    #[test]
    fn free_text_and_sentences_are_no_names() {
        let format = "Format: http://dep.debian.net/deps/dep5/\n\nFiles: *\nLicense:";
        for (text, expected) in [
            (String::new(), None),
            ("This is bash.\nLicense: GPL-3+\n".into(), None),
            (format!("{format}\n Redistribution and use\n"), None),
            (format!("{format} {}\n", "a".repeat(81)), None),
            (format!("{format} ISC\n"), Some("ISC")),
        ] {
            assert_eq!(licenses(&text).map(|l| l.names).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn file_of_free_text_is_said_to_be_one() {
        let expected = Licenses { names: "GPL-3".into(), is_from_phrases: true };
        assert_eq!(licenses("See /usr/share/common-licenses/GPL-3\n"), Some(expected));
    }
}
