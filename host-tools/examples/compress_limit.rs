//! The compressor alone on all cores: the limit that no packer passes. `tools/bench-pack.sh` prints it beside ours.
//!
//! Usage: `compress_limit DIR NAME LEVEL|- BLOCK_SIZE THREADS`. All files of DIR are laid end to end, hard links once,
//! and cut into blocks; each thread takes the next block. Reading is done before the clock starts.
//! Prints wall seconds, CPU seconds, raw bytes, packed bytes, blocks stored as they are.

#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use genpack_core::kernel::arch::Arch;
use genpack_host::pack::compress::{Encoded, Encoder, Settings};
use rustix::time::{ClockId, clock_gettime};

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn read(dir: &Path, seen: &mut BTreeSet<(u64, u64)>, bytes: &mut Vec<u8>) -> Result<(), Failure> {
    let mut entries = std::fs::read_dir(dir)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            read(&entry.path(), seen, bytes)?;
        } else if metadata.is_file() && seen.insert((metadata.dev(), metadata.ino())) {
            bytes.extend(std::fs::read(entry.path())?);
        }
    }
    Ok(())
}

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().collect();
    let [_, dir, name, level, block_size, threads] = args.as_slice() else {
        return Err("usage: compress_limit DIR NAME LEVEL|- BLOCK_SIZE THREADS".into());
    };
    let level = if level == "-" { None } else { Some(level.parse()?) };
    let block_size: u32 = block_size.parse()?;
    let settings = Settings::parse(name, level, block_size, Some(Arch::X86_64))?;
    let mut bytes = Vec::new();
    read(Path::new(dir), &mut BTreeSet::new(), &mut bytes)?;

    let blocks: Vec<&[u8]> = bytes.chunks(usize::try_from(block_size)?).collect();
    let next = AtomicUsize::new(0);
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let work = || -> Result<(usize, usize), Failure> {
        let mut encoder = Encoder::new(&settings, block_size)?;
        let (mut out, mut packed, mut stored) = (Vec::new(), 0, 0);
        while let Some(raw) = blocks.get(next.fetch_add(1, Ordering::Relaxed)) {
            match encoder.encode(raw, &mut out)? {
                Encoded::Compressed => packed += out.len(),
                Encoded::Stored => (packed, stored) = (packed + raw.len(), stored + 1),
            }
        }
        Ok((packed, stored))
    };
    let (packed, stored) = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.parse()?)
            .map(|_| scope.spawn(work))
            .collect::<Vec<std::thread::ScopedJoinHandle<'_, _>>>();
        workers.into_iter().try_fold((0, 0), |(p, s), worker| {
            let (packed, stored) = worker.join().map_err(|_| "a worker panicked")??;
            Ok::<_, Failure>((p + packed, s + stored))
        })
    })?;
    let (wall, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    println!("{wall:.3} {cpu:.3} {} {packed} {stored}", bytes.len());
    Ok(())
}
