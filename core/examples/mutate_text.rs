//! Runs a body of the fuzz targets `ini`, `system_ini` or `cmdline` on mutations of its kept corpus, without a fuzzer's
//! instruments: `mutate_text TARGET EXECUTIONS`. The same call does the same.

use genpack_core::archive::cpio_newc::entries;
use genpack_core::replay::{mutate, text};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [target, executions] = words.as_slice() else { return usage() };
    let Ok(executions) = executions.parse::<u32>() else { return usage() };
    let body = match target.as_str() {
        "ini" => text::ini,
        "system_ini" => text::system_ini,
        "cmdline" => text::cmdline,
        _ => return usage(),
    };
    let archive = std::fs::read(format!("{}/../fuzz/corpus/{target}.cpio", env!("CARGO_MANIFEST_DIR")))
        .expect("the corpus is kept");
    // Longer inputs cost more than they find: what they have, short ones have as well.
    let seeds: Vec<&[u8]> = entries(&archive)
        .map(|entry| entry.expect("the corpus is an archive").content)
        .filter(|content| (1..=512).contains(&content.len()))
        .collect();
    let rounds = executions / u32::try_from(seeds.len()).expect("a corpus has few inputs") + 1;
    for (done, seed) in (1_u64..).zip(&seeds) {
        mutate(seed, rounds, body);
        if done.is_multiple_of(50) || done == seeds.len() as u64 {
            report(target, done, seeds.len(), u64::from(rounds + 1) * done);
        }
    }
}

#[expect(clippy::print_stdout, reason = "the answer of an example")]
fn report(target: &str, done: u64, seeds: usize, executions: u64) {
    println!("{target}: {executions} executions on {done} of {seeds} seeds");
}

#[expect(clippy::print_stderr, reason = "an example of the command line")]
fn usage() {
    eprintln!("usage: mutate_text ini|system_ini|cmdline EXECUTIONS");
    std::process::exit(2);
}
