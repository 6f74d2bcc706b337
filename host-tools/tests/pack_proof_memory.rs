//! How much memory the writer needs. Alone in its program: the peak counts for a whole process.

use std::num::NonZeroUsize;
use std::sync::Arc;

use genpack_host::io::interrupt::Interrupt;
use genpack_host::pack::compress::{Method, Settings};
use genpack_host::pack::entry::{Content, Entry, FileEntry, Kind, ReadFile};
use genpack_host::pack::writer::{Options, write};

/// Bytes of one file and how many there are: 3 GiB.
const FILE_BYTES: u64 = 64 << 20;
const FILES: u64 = 48;

/// A file of which no two blocks are equal and each gets smaller, to some third.
struct Generated(u64);

impl ReadFile for Generated {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> std::io::Result<usize> {
        let n = usize::try_from(FILE_BYTES.saturating_sub(offset)).unwrap().min(out.len());
        // In each 4 KiB noise, then text.
        for (i, piece) in out[..n].chunks_mut(4096).enumerate() {
            let mut state =
                (self.0 * FILE_BYTES + offset + (i as u64) * 4096).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
            let (noise, text) = piece.split_at_mut(piece.len().min(1024));
            for word in noise.chunks_mut(8) {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                word.copy_from_slice(&state.to_le_bytes()[..word.len()]);
            }
            for (i, byte) in text.iter_mut().enumerate() {
                *byte = b"a line of text, and another one\n"[i % 32];
            }
        }
        Ok(n)
    }
}

/// Returns the most memory that this process ever had, in MiB.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() >> 10
}

#[test]
#[ignore = "takes minutes: ./ci.sh matrix"]
#[expect(clippy::print_stderr, reason = "what was measured")]
fn memory_for_3_gib_is_what_the_threads_need() {
    let interrupt = Interrupt::default();
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let entry = |path: String, kind| Entry {
        path: path.into_bytes(),
        mode: 0o755,
        uid: 0,
        gid: 0,
        mtime: 0,
        xattrs: Vec::new(),
        identity: None,
        kind,
    };
    // For each thread 8 pieces and 8 fragment blocks (see the writer's pool): 8 MiB each with blocks up to 512 KiB,
    // 24 MiB with those of 1 MiB. zstd 1 takes less than 8 MiB for itself. Beside the threads: the program, the
    // piece that is written, and what is known of 24,576 blocks.
    for (block_size, most_mib) in [(131_072, 32 + 4 * 16), (1 << 20, 32 + 4 * 32)] {
        // The peak begins anew.
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        let mut entries = vec![entry(String::new(), Kind::Directory)];
        entries.extend((0..FILES).map(|i| {
            let content = Content::Other(Arc::new(Generated(i)));
            entry(i.to_string(), Kind::File(FileEntry { size: FILE_BYTES, content, stored: false }))
        }));
        let options = Options {
            compression: Settings::new(Method::Zstd { level: 1 }).unwrap(),
            block_size,
            jobs: NonZeroUsize::new(4).unwrap(),
            mtime_limit: None,
            verify: true,
            tails: false,
            exports: false,
            cache: None,
            interrupt: &interrupt,
        };
        let image = dir.path().join("image");
        let mut out =
            std::fs::File::options().read(true).write(true).create(true).truncate(true).open(image).unwrap();
        let summary = write(entries, &options, &mut out, &()).unwrap();
        assert_eq!((summary.source_bytes, summary.duplicate_bytes), (FILES * FILE_BYTES, 0));
        let peak = peak_mib();
        eprintln!("blocks of {} KiB: {peak} MiB", block_size >> 10);
        assert!(peak <= most_mib, "blocks of {block_size}: {peak} MiB, {most_mib} wanted");
    }
}
