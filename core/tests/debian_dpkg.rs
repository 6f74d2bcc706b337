//! Versions against `dpkg --compare-versions`, and the database against `dpkg-query` where the machine has one.
#![allow(clippy::print_stderr)]

use std::collections::BTreeMap;
use std::process::Command;

use genpack_core::debian::relation::relations;
use genpack_core::debian::status::paragraphs;
use genpack_core::debian::version::Version;

fn is_missing(program: &str) -> bool {
    let is_missing = Command::new(program).arg("--version").output().is_err();
    assert!(!is_missing || std::env::var("CI").as_deref() != Ok("true"), "{program} is missing");
    if is_missing {
        eprintln!("skipped: {program} is missing");
    }
    is_missing
}

#[test]
fn versions_are_ordered_as_dpkg_orders_them() {
    if is_missing("dpkg") {
        return;
    }
    let parts = ["0", "1", "01", "10", ".", "~", "+", "a", "Z", "rc", "-", "1-", ":", "~~", "deb12u1"];
    let mut state = 7_u64;
    let mut random = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).expect("31 bits") % bound
    };
    let mut version = || {
        let mut text: String = ["0", "1", "2", "1:1", "0:1", "1.0"][random(6)].into();
        for _ in 0..random(6) {
            text.push_str(parts[random(parts.len())]);
        }
        text
    };
    let mut script = String::new();
    let mut wanted = Vec::new();
    while wanted.len() < 1500 {
        let (a, b) = (version(), version());
        let (Ok(x), Ok(y)) = (Version::parse(&a), Version::parse(&b)) else { continue };
        let operator = match x.cmp(&y) {
            std::cmp::Ordering::Less => "lt",
            std::cmp::Ordering::Equal => "eq",
            std::cmp::Ordering::Greater => "gt",
        };
        script += &format!("dpkg --compare-versions '{a}' {operator} '{b}' && echo yes || echo no\n");
        wanted.push(format!("{a} {operator} {b}"));
    }
    let output = Command::new("sh").arg("-c").arg(&script).output().expect("a shell");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "dpkg takes every version that we take");
    let answers = String::from_utf8(output.stdout).expect("text");
    let wrong: Vec<_> = answers.lines().zip(&wanted).filter(|(answer, _)| *answer != "yes").collect();
    assert_eq!((answers.lines().count(), wrong), (wanted.len(), vec![]));
}

#[test]
fn database_of_this_machine_is_read_as_dpkg_query_reads_it() {
    let Ok(text) = std::fs::read_to_string("/var/lib/dpkg/status") else { return };
    if is_missing("dpkg-query") {
        return;
    }
    let mut ours = BTreeMap::new();
    for paragraph in paragraphs(&text) {
        assert!(paragraph.fields().all(|field| field.is_ok()));
        let get = |name| paragraph.get(name).map_or("", |field| field.first_line());
        for name in ["Depends", "Pre-Depends", "Provides", "Breaks", "Recommends"] {
            let field = paragraph.get(name).map_or("", |field| field.value);
            let first = relations(field).flat_map(|a| a.relations()).find_map(Result::err);
            assert_eq!(first, None, "{field}");
        }
        if !get("Status").ends_with("not-installed") {
            let key = format!("{}:{}", get("Package"), get("Architecture"));
            ours.insert(key, (get("Version").to_owned(), get("Depends").to_owned()));
        }
    }
    let format = "${Package}:${Architecture}\t${Version}\t${Depends}\n";
    let output = Command::new("dpkg-query").args(["-W", "-f", format]).output().expect("dpkg-query");
    let theirs: BTreeMap<_, _> = String::from_utf8(output.stdout)
        .expect("text")
        .lines()
        .map(|line| {
            let columns: Vec<_> = line.split('\t').collect();
            (columns[0].to_owned(), (columns[1].to_owned(), columns[2].to_owned()))
        })
        .collect();
    assert_eq!(ours, theirs);
}
