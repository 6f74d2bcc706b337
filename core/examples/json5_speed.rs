//! JSON5 against its peers on one document like an image definition, in one run; `make bench` prints its rows.
//!
//! Prints for each reader the megabytes a second of its fastest round, and how many times the peer's that is.
#![allow(clippy::print_stdout, clippy::expect_used, reason = "a program for measuring")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::hint::black_box;
use std::time::{Duration, Instant};

use genpack_core::text::json5::{Mode, Reader, de, value};
use serde::Deserialize;

#[derive(Deserialize)]
#[allow(dead_code, reason = "what a reader fills is not looked at")]
struct Artifact {
    name: String,
    packages: Vec<String>,
    #[serde(rename = "use")]
    flags: BTreeMap<String, String>,
    users: Vec<User>,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "what a reader fills is not looked at")]
struct User {
    name: String,
    uid: u32,
    empty_password: bool,
    weight: f64,
}

/// Returns about a megabyte: comments, keys without quotes, both kinds of quotes, trailing commas.
fn document() -> String {
    let mut text = String::from("[\n");
    for i in 0..1500 {
        write!(
            text,
            "  {{\n    name: \"image-{i}\", // the name of the image\n    packages: [\n      'sys-kernel/linux-{i}', \"-app-editors/nano\",\n      \
             /* not for us:\n         \"x11-base/xorg-server\", */\n      \"net-misc/openssh\", 'app-misc/screen', \"sys-apps/util-linux\",\n    ],\n    use: {{\n      \
             \"dev-lang/python\": \"-X sqlite threads\",\n      'media-libs/mesa': \"wayland \\\"quoted\\\"\",\n    }},\n    users: [\n      \
             {{ name: 'user', uid: {}, empty_password: true, weight: {}.5, }},\n      {{ name: \"root\", uid: 0, empty_password: false, weight: -1e3 }},\n    ],\n  }},\n",
            1000 + i,
            i
        )
        .expect("a string grows");
    }
    text.push_str("]\n");
    text
}

/// Returns the fastest of many rounds of each, taken alternately. Each round runs twice and only the second run
/// counts: the first brings caches and heap into the state in which this reader leaves them.
fn fastest<A, B>(rounds: u32, mut ours: impl FnMut() -> A, mut theirs: impl FnMut() -> B) -> [Duration; 2] {
    let mut least = [Duration::MAX; 2];
    for _ in 0..rounds {
        black_box(ours());
        least[0] = least[0].min(time(&mut ours));
        black_box(theirs());
        least[1] = least[1].min(time(&mut theirs));
    }
    least
}

fn time<T>(run: &mut impl FnMut() -> T) -> Duration {
    let start = Instant::now();
    black_box(run());
    start.elapsed()
}

fn main() {
    let rounds = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(20);
    // Why: having freed a block of this size, the C library keeps freed memory instead of giving it back to the kernel
    // after each tree; page faults are not what is measured.
    drop(black_box(vec![1_u8; 30 << 20]));
    let text = document();
    let tree: serde_json::Value = json5::from_str(&text).expect("the document is JSON5");
    let strict = serde_json::to_string_pretty(&tree).expect("a tree is JSON");
    let row = |what: &str, bytes: usize, peer: &str, [ours, theirs]: [Duration; 2]| {
        let speed = |time: Duration| bytes as f64 / 1e6 / time.as_secs_f64();
        let times = theirs.as_secs_f64() / ours.as_secs_f64();
        println!(
            "{what:<20} ours {:6.0} MB/s   {peer} {:6.0} MB/s   {times:5.2} times",
            speed(ours),
            speed(theirs)
        );
    };
    let (json5, json) = (text.len(), strict.len());
    println!(
        "{:.2} MB of JSON5, {:.2} MB of JSON, fastest of {rounds} rounds",
        json5 as f64 / 1e6,
        json as f64 / 1e6
    );

    let typed = || json5::from_str::<Vec<Artifact>>(&text);
    let events = || Reader::new(&text, Mode::Json5).filter(Result::is_ok).count();
    row("events (typed)", json5, "json5", fastest(rounds, events, typed));
    row(
        "typed",
        json5,
        "json5",
        fastest(rounds, || de::from_str::<Vec<Artifact>>(&text, Mode::Json5), typed),
    );
    let tree = || value::parse(&text, Mode::Json5, &mut Vec::new());
    row("tree", json5, "json5", fastest(rounds, tree, || json5::from_str::<serde_json::Value>(&text)));
    let typed = || de::from_str::<Vec<Artifact>>(&strict, Mode::Json);
    row(
        "strict typed",
        json,
        "serde_json",
        fastest(rounds, typed, || serde_json::from_str::<Vec<Artifact>>(&strict)),
    );
    let tree = || value::parse(&strict, Mode::Json, &mut Vec::new());
    row(
        "strict tree",
        json,
        "serde_json",
        fastest(rounds, tree, || serde_json::from_str::<serde_json::Value>(&strict)),
    );
}
