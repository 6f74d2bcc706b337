//! Bodies for Debian's texts.

use std::string::ToString;

use crate::debian::relation::relations;
use crate::debian::status::paragraphs;
use crate::debian::version::Version;
use crate::replay::told;

/// Arbitrary text as control paragraphs: places in order, relations readable or refused inside their field.
pub fn debian_status(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let mut last = None;
    for field in paragraphs(text).flat_map(|paragraph| {
        let first = paragraph.get("package");
        assert!(first.is_none_or(|field| field.is("Package")));
        paragraph.fields()
    }) {
        let field = match field {
            Ok(field) => field,
            Err(e) => {
                let _ = e.class();
                told(e);
                continue;
            }
        };
        assert!(field.value.is_empty() || field.lines().count() <= field.value.lines().count());
        assert!(field.first_line().len() <= field.value.len());
        assert!(last.is_none_or(|last| last < field.at), "fields go forward");
        assert!(text.get(field.at..).is_some_and(|rest| rest.starts_with(field.name)));
        last = Some(field.at);
        for relation in relations(field.value).flat_map(|alternatives| alternatives.relations()) {
            match relation {
                Ok(relation) => {
                    let own = relation.version.map(|(_, version)| version);
                    let _ = own.is_some_and(|version| relation.holds(&version));
                }
                Err(error) => {
                    assert!(error.at <= field.value.len());
                    let _ = error.class();
                    told(error);
                }
            }
        }
    }
}

/// Words of arbitrary text as versions: the order is one.
pub fn debian_version(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let mut last: Option<Version<'_>> = None;
    for word in text.split_ascii_whitespace() {
        let version = match Version::parse(word) {
            Ok(version) => version,
            Err(e) => {
                let _ = e.class();
                told(e);
                continue;
            }
        };
        assert_eq!(version.as_str(), word);
        assert_eq!(version.to_string(), word, "a version is written as it was read");
        assert!(version.partial_cmp(&version).is_some_and(core::cmp::Ordering::is_eq));
        if let Some(last) = last {
            assert_eq!(last.cmp(&version), version.cmp(&last).reverse());
        }
        last = Some(version);
    }
}
