//! Names of categories, packages, slots, USE flags and repositories.
//!
//! Package Manager Specification 3.1. Not handled: the names of profiles and eclasses, which no format here has.

/// Tells whether this may be the name of a category (PMS 3.1.1).
#[must_use]
pub fn is_category(text: &str) -> bool {
    is_word(text, |c| c == '_', |c| matches!(c, '+' | '_' | '.' | '-'))
}

/// Tells whether this may be the name of a package (PMS 3.1.2), but for the rule that it must not end in a version.
pub(super) fn is_package_name(text: &str) -> bool {
    is_word(text, |c| c == '_', |c| matches!(c, '+' | '_' | '-'))
}

/// Tells whether this may be the name of a slot (PMS 3.1.3).
#[must_use]
pub fn is_slot(text: &str) -> bool {
    is_word(text, |c| c == '_', |c| matches!(c, '+' | '_' | '.' | '-'))
}

/// Tells whether this may be a USE flag (PMS 3.1.4).
#[must_use]
pub fn is_use_flag(text: &str) -> bool {
    is_word(text, |_| false, |c| matches!(c, '+' | '_' | '@' | '-'))
}

/// Tells whether this may be the name of a repository (PMS 3.1.5).
#[must_use]
pub fn is_repository(text: &str) -> bool {
    is_word(text, |c| c == '_', |c| matches!(c, '_' | '-'))
}

/// Tells whether the text is letters and digits and what `first` and `others` add to them.
fn is_word(text: &str, first: impl Fn(char) -> bool, others: impl Fn(char) -> bool) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric() || first(c))
        && text.chars().all(|c| c.is_ascii_alphanumeric() || others(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_characters_of_their_kind() {
        let kinds = [is_category, is_package_name, is_slot, is_use_flag, is_repository];
        for (text, wanted) in [
            ("", [false; 5]),
            ("a", [true; 5]),
            ("9", [true; 5]),
            ("_a", [true, true, true, false, true]),
            ("-a", [false; 5]),
            ("+a", [false; 5]),
            ("a-b_c", [true; 5]),
            ("a+", [true, true, true, true, false]),
            ("a.b", [true, false, true, false, false]),
            ("a@b", [false, false, false, true, false]),
            ("a b", [false; 5]),
            ("é", [false; 5]),
        ] {
            assert_eq!(kinds.map(|is| is(text)), wanted, "{text:?}");
        }
    }
}
