//! Definitions of real artifacts: each loads without a word about its keys and merges to what is expected.

use std::path::{Path, PathBuf};

use genpack_core::kernel::arch::Arch;
use genpack_core::text::diagnostic::Diagnostic;
use genpack_host::model::{Effective, Source};

/// Every fixture with its variants.
const ARTIFACTS: [(&str, &[&str]); 8] = [
    ("camera", &[]),
    ("gnome", &["paravirt"]),
    ("owncloud", &["selftestable"]),
    ("stub", &[]),
    ("torch", &["cuda"]),
    ("vpnhub", &[]),
    ("weston", &[]),
    ("xmrig", &["xmrig-motion"]),
];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gentoo").join(name)
}

fn merged(name: &str, variant: Option<&str>, arch: Arch) -> (Effective, Vec<Diagnostic>) {
    let source = Source::read(&fixture(name)).unwrap();
    let mut diagnostics = Vec::new();
    let artifact = source.parse(&mut diagnostics).unwrap();
    (Effective::merge(&artifact, variant, arch, name).unwrap(), diagnostics)
}

#[test]
fn real_definitions_load_without_a_finding_for_every_arch_and_variant() {
    for (name, variants) in ARTIFACTS {
        for arch in Arch::ALL {
            for variant in std::iter::once(None).chain(variants.iter().copied().map(Some)) {
                let (effective, findings) = merged(name, variant, arch);
                assert!(findings.is_empty(), "{name}: {findings:?}");
                assert_eq!(effective.name, name);
                let tail = variant.map_or_else(String::new, |v| format!("-{v}"));
                if name != "vpnhub" {
                    assert_eq!(effective.outfile, format!("{name}{tail}-{arch}.squashfs"));
                }
            }
        }
    }
}
