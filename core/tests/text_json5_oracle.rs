//! Our JSON5 reader against two others: the crate `json5` for JSON5, `serde_json` for strict JSON.
//!
//! The documents cover the categories of the official test suite (arrays, comments, new lines, numbers, objects,
//! strings, miscellaneous); each is also tried as strict JSON.
#![cfg(feature = "serde")]

#[path = "../../fuzz/src/json.rs"]
#[allow(dead_code, unreachable_pub, reason = "the fuzzers' own laws are tried in replay_corpus")]
mod peers;
mod text_json5_cases;

use genpack_core::text::json5::{Mode, Reader};
use peers::{json_disagreement, json5_disagreement};
use text_json5_cases::generator::documents;
use text_json5_cases::{INVALID, VALID};

fn is_read(text: &str) -> bool {
    Reader::new(text, Mode::Json5).all(|event| event.is_ok())
}

#[test]
fn documents_inside_json5_are_read_as_the_oracle_reads_them() {
    for text in VALID {
        assert!(is_read(text), "{text:?}");
        assert_eq!(json5_disagreement(text), None);
    }
}

#[test]
fn texts_outside_json5_are_refused_as_the_oracle_refuses_them() {
    for text in INVALID {
        assert!(!is_read(text), "{text:?}");
        assert_eq!(json5_disagreement(text), None);
    }
}

#[test]
fn strict_mode_agrees_with_serde_json_on_every_document() {
    for text in documents() {
        assert_eq!(json_disagreement(&text), None);
    }
}

#[test]
fn identifier_characters_agree_with_the_oracle() {
    let mut different = Vec::new();
    // Why: what is left out is ideographs, Hangul, private use and unassigned planes, each one of a kind.
    let ranges = [0..0x3500_u32, 0xA000..0xAD00, 0xD700..0x1_0000, 0x1_0000..0x2_0100, 0xE_0000..0xE_0200];
    for c in ranges.into_iter().flatten().filter_map(char::from_u32) {
        for text in [format!("{{{c}:1}}"), format!("{{a{c}:1}}")] {
            if json5_disagreement(&text).is_some() {
                different.push(format!("U+{:04X}", u32::from(c)));
            }
        }
    }
    assert!(different.len() < 2, "{} characters: {:?}", different.len(), &different);
}

#[cfg(feature = "_fuzz")]
#[test]
fn mutated_documents_are_read_as_the_oracles_read_them() {
    for text in VALID {
        genpack_core::replay::mutate(text.as_bytes(), 400, |bytes| {
            if let Ok(text) = std::str::from_utf8(bytes) {
                assert_eq!(json5_disagreement(text), None);
                assert_eq!(json_disagreement(text), None);
            }
        });
    }
}
