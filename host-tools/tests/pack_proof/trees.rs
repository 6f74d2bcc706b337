//! Random trees, each with 1, 2 and 8 threads, through three readers.

use std::ops::Range;

use genpack_host::io::interrupt::Interrupt;
use genpack_host::pack::compress::Method;
use genpack_host::pack::writer::Options;

use super::grown::grown;
use super::{options, round_trip};

#[test]
fn random_trees_come_back_from_every_reader_with_any_number_of_threads() {
    come_back(0..12);
}

#[test]
#[ignore = "takes minutes: ./ci.sh matrix"]
fn a_thousand_random_trees_come_back_from_every_reader_with_any_number_of_threads() {
    come_back(1_000_000..1_001_000);
}

#[track_caller]
fn come_back(seeds: Range<u64>) {
    let interrupt = Interrupt::default();
    let xz = Method::Xz { level: 1, dictionary: 8192, bcj: None };
    let methods = [
        Method::Gzip { level: 6 },
        Method::Zstd { level: 1 },
        xz,
        Method::Lz4 { high: true },
        Method::Lzo,
        Method::None,
    ];
    for seed in seeds {
        let method = methods[seed as usize % methods.len()];
        // Not in step with the methods: every pair of the two comes.
        let block_size = [4096, 8192, 65_536, 131_072][seed as usize / methods.len() % 4];
        let tails = (seed + seed / methods.len() as u64).is_multiple_of(2);
        let options = Options { tails, exports: seed % 2 == 0, ..options(method, block_size, &interrupt) };
        let what = format!("seed {seed}, {method:?}, {block_size}, tails: {tails}");
        round_trip(&grown(seed, block_size), &options, &what);
    }
}
