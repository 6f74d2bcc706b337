//! Versions and atoms against what Portage said of them; `fixtures/gentoo-portage.py` recorded it.
//!
//! `GENPACK_PORTAGE_TABLE` names another recording, made with more rows or another seed.

use genpack_core::gentoo::atom::Atom;
use genpack_core::gentoo::version::{Version, split_name};

const RECORDED: &str = include_str!("fixtures/gentoo-portage.tsv");

fn table() -> String {
    match std::env::var("GENPACK_PORTAGE_TABLE") {
        Ok(path) => std::fs::read_to_string(path).expect("the table"),
        Err(_) => RECORDED.into(),
    }
}

/// Calls `check` with the columns of every row of a kind; fails with the rows that it does not agree with.
fn rows(kind: &str, check: impl Fn(&[&str]) -> bool) {
    let table = table();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .filter(|columns| columns[0] == kind)
        .collect();
    assert!(rows.len() >= 250, "{} rows", rows.len());
    let wrong: Vec<_> = rows.iter().filter(|columns| !check(&columns[1..])).collect();
    assert!(wrong.is_empty(), "{} of {}: {:#?}", wrong.len(), rows.len(), &wrong[..wrong.len().min(20)]);
}

#[test]
fn versions_are_ordered_as_portage_orders_them() {
    rows("version", |columns| {
        let [a, b] = [columns[0], columns[1]].map(|text| Version::parse(text).expect(text));
        let wanted: i8 = columns[2].parse().expect("an order");
        a.cmp(&b) as i8 == wanted && b.cmp(&a) as i8 == -wanted
    });
}

#[test]
fn atoms_are_legal_where_portage_takes_them() {
    rows("atom", |columns| {
        let atom = Atom::parse(columns[0]);
        let is_same = atom.is_ok_and(|atom| atom.to_string() == columns[0]);
        is_same == (columns[1] == "legal") && is_same == atom.is_ok()
    });
}

#[test]
fn atoms_match_what_portage_matches() {
    rows("match", |columns| {
        let atom = Atom::parse(columns[0]).expect(columns[0]);
        let (category, rest) = columns[1].split_once('/').expect("a category");
        let (name, version) = split_name(rest).expect(rest);
        atom.matches(category, name, &version) == (columns[2] == "yes")
    });
}
