//! Which file of a directory is the `system.ini`, whatever Windows made of its name.
//!
//! No document: Notepad adds `.txt` when a file is saved under a new name, Windows hides that ending, and the names of a
//! FAT are the same in any case while those of other file systems are not. Not handled: other endings.

use alloc::format;

use crate::contract::paths::SYSTEM_INI;
use crate::text::diagnostic::{Diagnostic, Severity, Span, excerpt};

/// Names that are meant to be `system.ini`, the best first.
const NAMES: [&str; 3] = [SYSTEM_INI, "system.ini.txt", "system.txt"];

/// The names of the files that could be a `system.ini`, the one that is read first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found<'a> {
    /// The file that is read.
    pub read: Option<&'a str>,
    /// Another that is not.
    pub left_out: Option<&'a str>,
}

/// Chooses among the names of a directory.
pub fn choose<'a>(names: &mut dyn Iterator<Item = &'a str>) -> Found<'a> {
    let mut best: [Option<&str>; NAMES.len() + 1] = [None; NAMES.len() + 1];
    for name in names {
        // Why: where both are possible, the exact name is the one that the documents name.
        let rank = NAMES.iter().position(|known| name.eq_ignore_ascii_case(known));
        let rank = if name == SYSTEM_INI { Some(0) } else { rank.map(|rank| rank.saturating_add(1)) };
        if let Some(place) = rank.and_then(|rank| best.get_mut(rank)) {
            *place = Some(name);
        }
    }
    let mut found = best.into_iter().flatten();
    Found { read: found.next(), left_out: found.next() }
}

impl Found<'_> {
    /// Returns what the owner should know about the names.
    #[must_use]
    pub fn finding(&self) -> Option<Diagnostic> {
        const SHOW: &str = "in Explorer, View > Show > File name extensions shows how it is really called";
        let read = self.read.filter(|name| !name.eq_ignore_ascii_case(SYSTEM_INI));
        let (message, hint) = match (read, self.left_out) {
            (Some(name), _) => {
                let message = format!(
                    "the file is called '{}' and is read, until there is a {SYSTEM_INI}",
                    excerpt(name)
                );
                (message, format!("rename it to {SYSTEM_INI}; {SHOW}"))
            }
            (None, Some(other)) => {
                let message =
                    format!("'{}', which is there beside {SYSTEM_INI}, is not read", excerpt(other));
                (message, format!("delete one of them, and call the other {SYSTEM_INI}; {SHOW}"))
            }
            (None, None) => return None,
        };
        Some(Diagnostic { span: Span::default(), severity: Severity::Warning, message, hint: Some(hint) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn best_name_is_read_and_another_is_named() {
        for (names, read, left_out, is_fine) in [
            (&["a", "system.img"][..], None, None, true),
            (&["system.ini", "b"], Some("system.ini"), None, true),
            (&["SYSTEM.INI"], Some("SYSTEM.INI"), None, true),
            (&["System.ini", "system.ini"], Some("system.ini"), Some("System.ini"), false),
            (&["SYSTEM.INI.TXT", "x"], Some("SYSTEM.INI.TXT"), None, false),
            (&["system.txt", "system.ini.txt"], Some("system.ini.txt"), Some("system.txt"), false),
            (&["system.ini.txt", "SYSTEM.ini"], Some("SYSTEM.ini"), Some("system.ini.txt"), false),
        ] {
            let found = choose(&mut names.iter().copied());
            assert_eq!(found, Found { read, left_out }, "{names:?}");
            assert_eq!(found.finding().is_none(), is_fine, "{names:?}");
        }
    }
}
