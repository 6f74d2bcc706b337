//! Every input that fuzzing has kept, through the body that it was found with: the corpora and the crashes of the past.
//!
//! A corpus is one archive, `fuzz/corpus/TARGET.cpio`, which `tools/fuzz.sh` unpacks and packs; a crash of the past is
//! a file of its own in `fuzz/regress/TARGET/`, named for what it did.
#![cfg(feature = "_fuzz")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use genpack_core::archive::cpio_newc::{S_IFREG, entries};

/// The bodies that compare us with other readers.
#[path = "../../fuzz/src/lib.rs"]
#[allow(unreachable_pub, reason = "it is a crate of its own too")]
mod genpack_fuzz;

fn fuzz_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

/// Names in a folder of `fuzz/`; of files only those with the extension, without it.
fn names(folder: &str, extension: Option<&str>) -> BTreeSet<String> {
    let paths =
        fs::read_dir(fuzz_dir().join(folder)).into_iter().flatten().map(|entry| entry.unwrap().path());
    let wanted = paths.filter(|path| match extension {
        Some(_) => path.extension().and_then(|e| e.to_str()) == extension,
        None => path.is_dir(),
    });
    wanted.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

/// Runs a body over its inputs.
fn replay(target: &str, body: fn(&[u8])) {
    let run = |name: &str, input: &[u8]| {
        let outcome = std::panic::catch_unwind(|| body(input));
        assert!(outcome.is_ok(), "{target} fails on {name}");
    };
    let archive = fs::read(fuzz_dir().join(format!("corpus/{target}.cpio"))).unwrap();
    let mut seeds = 0;
    for entry in entries(&archive).map(Result::unwrap).filter(|entry| entry.file_type() == S_IFREG) {
        run(str::from_utf8(entry.name).unwrap(), entry.content);
        seeds += 1;
    }
    assert!(seeds > 0, "{target} has no seeds");
    for crash in fs::read_dir(fuzz_dir().join("regress").join(target)).into_iter().flatten() {
        let crash = crash.unwrap();
        run(crash.file_name().to_str().unwrap(), &fs::read(crash.path()).unwrap());
    }
}

/// Makes a test of each target, and the list of them all.
macro_rules! targets {
    ($($target:ident: $($body:ident)::+,)+) => {
        mod corpus_of {
            use crate::genpack_fuzz;
            $(#[test]
            fn $target() {
                super::replay(stringify!($target), $($body)::+);
            })+
        }

        /// Each target with its body.
        const TARGETS: &[(&str, &str)] = &[$((stringify!($target), stringify!($($body)::+))),+];
    };
}

targets! {
    boot_state_power_cut: genpack_core::replay::boot_state::boot_state_power_cut,
    bpb_parse: genpack_core::replay::disk::bpb_parse,
    cmdline: genpack_core::replay::text::cmdline,
    cpio_entries: genpack_core::replay::archive::cpio_entries,
    debian_status: genpack_core::replay::debian::debian_status,
    debian_version: genpack_core::replay::debian::debian_version,
    fat_read: genpack_core::replay::fat::fat_read,
    fat_round_trip: genpack_core::replay::fat::fat_round_trip,
    fs_probe: genpack_core::replay::disk::fs_probe,
    gentoo_depend: genpack_core::replay::gentoo::gentoo_depend,
    gentoo_lines: genpack_core::replay::gentoo::gentoo_lines,
    gentoo_words: genpack_core::replay::gentoo::gentoo_words,
    gpt_open: genpack_core::replay::disk::gpt_open_sparse,
    gpt_round_trip: genpack_core::replay::disk::gpt_round_trip,
    grubenv: genpack_core::replay::loader::grubenv,
    guid: genpack_core::replay::disk::guid,
    image_detect: genpack_core::replay::kernel::image_detect,
    ini: genpack_core::replay::text::ini,
    json: genpack_core::replay::text::json,
    json5: genpack_core::replay::text::json5,
    loader_texts: genpack_core::replay::loader::loader_texts,
    mbr_parse: genpack_core::replay::disk::mbr_parse,
    module_lines: genpack_core::replay::kernel::module_lines,
    squashfs_read: genpack_core::replay::squashfs::squashfs_read,
    system_ini: genpack_core::replay::text::system_ini,
    vm_ini: genpack_core::replay::text::vm_ini,
    json5_peer: genpack_fuzz::json5_peer,
    json_peer: genpack_fuzz::json_peer,
    gpt_peer: genpack_fuzz::gpt_peer,
    fat_peer: genpack_fuzz::fat_peer,
    kernel_peer: genpack_fuzz::kernel_peer,
}

#[test]
fn every_target_is_replayed_and_has_a_corpus() {
    let listed: BTreeSet<String> = TARGETS.iter().map(|(target, _)| (*target).to_owned()).collect();
    assert_eq!(names("fuzz_targets", Some("rs")), listed);
    assert_eq!(names("corpus", Some("cpio")), listed);
    for (folder, extension) in [("regress", None), ("dict", Some("dict"))] {
        let strays: Vec<_> = names(folder, extension).difference(&listed).cloned().collect();
        assert!(strays.is_empty(), "{folder} of no target: {strays:?}");
    }
    for (target, body) in TARGETS {
        let call = format!("{}(bytes)", body.replace(' ', ""));
        let file = fs::read_to_string(fuzz_dir().join(format!("fuzz_targets/{target}.rs"))).unwrap();
        assert!(file.contains(&call), "{target} does not call {call}");
    }
}
