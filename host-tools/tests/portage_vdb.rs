//! A VDB that real Portage made (of Portage 3.0.81.3; recipe: tests/gentoo/record-vdb.py): our reading of it must be Portage's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use genpack_core::gentoo::atom::Atom;
use genpack_host::container::root_dir::RootDir;
use genpack_host::portage::runtime::RuntimeSet;
use genpack_host::portage::vdb::{VDB, Vdb};

#[test]
fn recorded_vdb_is_read_as_portage_reads_it() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gentoo-vdb.tsv");
    let text = std::fs::read_to_string(fixture).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (mut best, mut closure) = (BTreeMap::new(), BTreeSet::new());
    for line in text.lines() {
        match line.split('\t').collect::<Vec<_>>().as_slice() {
            ["package", cpv, key, value] => {
                let path = dir.path().join(VDB.trim_start_matches('/')).join(cpv);
                std::fs::create_dir_all(&path).unwrap();
                std::fs::write(path.join(key), format!("{value}\n")).unwrap();
            }
            ["best", atom, cpv] => drop(best.insert((*atom).to_owned(), (*cpv).to_owned())),
            ["closure", cpv] => drop(closure.insert((*cpv).to_owned())),
            _ => panic!("{line}"),
        }
    }
    let vdb = Vdb::read(&RootDir::open(dir.path()).unwrap()).unwrap();
    assert!(
        vdb.packages.len() >= 8 && best.len() >= 8,
        "{} packages, {} atoms",
        vdb.packages.len(),
        best.len()
    );
    for (text, expected) in &best {
        let found = vdb.best(&Atom::parse(text).unwrap()).map_or_else(String::new, |p| p.cpv());
        assert_eq!(found, *expected, "{text}");
    }
    let roots = ["app-misc/demo", "dev-lang/python", "sys-libs/ncurses", "dev-libs/three"];
    let set = RuntimeSet::new(&vdb, &[("r", roots.map(str::to_owned).to_vec())]).unwrap();
    assert_eq!(set.members.into_keys().collect::<BTreeSet<_>>(), closure);
}
