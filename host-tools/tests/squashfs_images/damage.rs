//! Damaged images of every compressor: no panic, no endless reading, no memory beyond a block.

use std::fs;
use std::os::unix::fs::symlink;

use genpack_core::replay::mutate;
use genpack_core::replay::squashfs::read_everything;
use genpack_host::io::decompress::Decompressors;

use super::{has_mksquashfs, mksquashfs, tree};

#[test]
fn image_with_damage_neither_panics_nor_reads_without_end() {
    if !has_mksquashfs() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (root, image) = (dir.path().join("tree"), dir.path().join("image"));
    fs::create_dir_all(root.join("a/empty")).unwrap();
    fs::write(root.join("a/file"), [vec![b'x'; 5000], tree::noise(200, 3)].concat()).unwrap();
    fs::write(root.join("noise"), tree::noise(300, 4)).unwrap();
    symlink("a", root.join("link")).unwrap();
    symlink("loop", root.join("loop")).unwrap();
    for compressor in ["gzip", "xz", "lzo", "lz4", "zstd", "lzma"] {
        mksquashfs(&root, &image, &["-comp", compressor, "-b", "4K", "-nopad"]);
        let seed = fs::read(&image).unwrap();
        assert!(seed.len() < 4096, "{compressor}: {}", seed.len());
        mutate(&seed, 4000, |image| read_everything(image, Decompressors::default()));
    }
}
