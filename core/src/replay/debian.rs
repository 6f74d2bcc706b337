//! Bodies for Debian's texts.

use crate::debian::relation::relations;
use crate::debian::status::paragraphs;
use crate::debian::version::Version;

/// Arbitrary text as control paragraphs: places in order, relations readable or refused inside their field.
pub fn debian_status(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let mut last = None;
    for field in paragraphs(text).flat_map(|paragraph| paragraph.fields()).flatten() {
        assert!(last.is_none_or(|last| last < field.at), "fields go forward");
        assert!(text.get(field.at..).is_some_and(|rest| rest.starts_with(field.name)));
        last = Some(field.at);
        for relation in relations(field.value).flat_map(|alternatives| alternatives.relations()) {
            match relation {
                Ok(relation) => {
                    let own = relation.version.map(|(_, version)| version);
                    let _ = own.is_some_and(|version| relation.holds(&version));
                }
                Err(error) => assert!(error.at <= field.value.len()),
            }
        }
    }
}

/// Words of arbitrary text as versions: the order is one.
pub fn debian_version(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let mut last: Option<Version<'_>> = None;
    for version in text.split_ascii_whitespace().filter_map(|word| Version::parse(word).ok()) {
        if let Some(last) = last {
            assert_eq!(last.cmp(&version), version.cmp(&last).reverse());
        }
        last = Some(version);
    }
}
