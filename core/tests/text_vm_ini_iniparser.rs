//! Our reader of `vm.ini` against what iniparser read; `fixtures/vm-ini-iniparser.py` recorded it.
//!
//! `GENPACK_INIPARSER_TABLE` names another recording, made with more rows or another seed.
#![cfg(feature = "alloc")]

use std::collections::BTreeMap;

use genpack_core::text::diagnostic::Collector;
use genpack_core::text::ini::{Document, VM_INI};

const RECORDED: &str = include_str!("fixtures/vm-ini-iniparser.tsv");

fn text(hexadecimal: &str) -> String {
    let byte = |at: usize| u8::from_str_radix(&hexadecimal[at..at + 2], 16).expect("hexadecimal");
    String::from_utf8((0..hexadecimal.len()).step_by(2).map(byte).collect()).expect("text")
}

#[test]
fn vm_ini_is_read_as_iniparser_reads_it() {
    let table = match std::env::var("GENPACK_INIPARSER_TABLE") {
        Ok(path) => std::fs::read_to_string(path).expect("the table"),
        Err(_) => RECORDED.into(),
    };
    let mut wrong = Vec::new();
    for row in table.lines() {
        let mut columns = row.split('\t');
        let file = text(columns.next().expect("a file"));
        let theirs: BTreeMap<String, String> = columns
            .map(|column| column.split_once('=').expect("a pair"))
            .map(|(key, value)| (text(key), text(value)))
            .collect();
        let document = Document::parse_dialect(&file, &VM_INI, &mut Collector::new());
        let mut ours = BTreeMap::new();
        for section in document.sections() {
            for property in section.properties() {
                ours.insert(format!("{}:{}", section.name(), property.key), property.value.clone());
            }
        }
        if ours != theirs {
            wrong.push((file, ours, theirs));
        }
    }
    assert!(table.lines().count() >= 300);
    assert!(wrong.is_empty(), "{}: {:#?}", wrong.len(), &wrong[..wrong.len().min(5)]);
}
