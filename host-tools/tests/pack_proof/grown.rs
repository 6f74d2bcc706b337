//! Random trees with more of what is rare: boundaries, devices, long names, large directories, far hard links.

use genpack_host::pack::entry::{Device, Entry, Kind};

use super::trees::{Prng, bytes, directory, entry, file, hard_link, random, stored, with_identity, xattr};

/// Returns a tree that the seed decides, with files around the boundaries of blocks of this size.
pub(super) fn grown(seed: u64, block_size: u32) -> Vec<Entry> {
    let mut all = random(seed);
    let mut random = Prng(!seed);
    boundaries(&mut all, &mut random, block_size as usize);
    special(&mut all, &mut random);
    if random.below(4) == 0 {
        let name = if random.below(2) == 0 { "n".repeat(255) } else { "\u{20ac}".repeat(85) };
        all.push(file(&name, b"longest name".to_vec()));
    }
    if random.below(8) == 0 {
        all.push(directory("large"));
        let count = [255, 256, 257, 700][random.below(4)];
        let name = "x".repeat(random.below(200));
        all.extend((0..count).map(|i| entry(&format!("large/{i}-{name}"), Kind::Fifo)));
    }
    if random.below(8) == 0 {
        // Not more: ext4, to which unsquashfs may unpack, has one block for all attributes of a file.
        let value = vec![b'v'; [1, 8, 9, 255, 256, 1000, 3000][random.below(7)]];
        for i in 0..3 {
            let mut new = file(&format!("attributes-{i}"), vec![i]);
            new.xattrs = vec![xattr("trusted.long", &value), xattr("security.genpack", b"\0binary\xff")];
            all.push(new);
        }
    }
    let mut shuffle = Prng(seed ^ 0x5EED);
    shuffle.shuffle(&mut all);
    all
}

fn boundaries(all: &mut Vec<Entry>, random: &mut Prng, block: usize) {
    let sizes = [0, 1, block - 1, block, block + 1, 2 * block - 1, 2 * block, 2 * block + 1, 3 * block];
    for size in sizes {
        let content = match random.below(6) {
            0 => vec![0; size],
            1 => random.content(size),
            2 => {
                // Zeros in the middle, so that blocks of it are holes.
                let mut content = random.content(size);
                content[size / 4..size / 4 * 3].fill(0);
                content
            }
            // The begin of another file, so that blocks of it are stored already.
            3 => {
                let mut content = all.iter().map(bytes).max_by_key(|b| b.len()).unwrap().to_vec();
                content.resize(size, b'+');
                content
            }
            _ => continue,
        };
        let path = format!("boundary-{size}");
        all.push(if random.below(5) == 0 { stored(&path, content) } else { file(&path, content) });
    }
}

fn special(all: &mut Vec<Entry>, random: &mut Prng) {
    // Why so small: unsquashfs 4.5.1 makes a device wrongly whose minor number needs more than eight bits.
    let device = Device { major: random.below(256) as u32, minor: random.below(256) as u32 };
    all.push(directory("far"));
    for (i, kind) in
        [Kind::BlockDevice(device), Kind::CharDevice(device), Kind::Socket, Kind::Symlink(b"far".to_vec())]
            .into_iter()
            .enumerate()
    {
        let mut new = with_identity(entry(&format!("special-{i}"), kind), 1000 + i as u64);
        new.mode = random.next() as u16 & 0o7777;
        (new.uid, new.gid) = (random.next() as u32 >> 16, random.below(9) as u32);
        if random.below(2) == 0 {
            new.xattrs = vec![xattr("trusted.special", b"value")];
        }
        for link in 0..random.below(3) {
            all.push(hard_link(&new, &format!("far/link-{i}-{link}")));
        }
        all.push(new);
    }
}
