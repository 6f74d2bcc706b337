//! `core::gentoo`.

use genpack_core::gentoo::atom::Atom;
use genpack_core::gentoo::contents::{self, Entry};
use genpack_core::gentoo::version::{self, Version};
use genpack_core::gentoo::{depend, names, profile};

use crate::{Input, Work, drain, see, show};

pub(crate) const ENTRIES: &[crate::Entry] = &[
    version_parse,
    version_order,
    version_of_name,
    atom_parse,
    atom_matches,
    names_of_parts,
    dependencies,
    vdb_contents,
    profile_lines,
    profile_parents,
    profile_packages,
    profile_package_use,
    errors,
];

fn version_parse(input: &Input<'_>, _: &mut Work) {
    if let Ok(version) = Version::parse(input.text) {
        see((version.as_str(), version.revision(), version.without_revision()));
        drain(version.suffixes());
    }
}

fn version_order(input: &Input<'_>, _: &mut Work) {
    if let (Ok(a), Ok(b)) = (Version::parse(input.text), Version::parse(input.other)) {
        see((a.cmp(&b), a == b, a.begins_with(&b)));
    }
}

fn version_of_name(input: &Input<'_>, _: &mut Work) {
    see((version::split_name(input.text), version::ends_in_version(input.text)));
}

fn atom_parse(input: &Input<'_>, _: &mut Work) {
    if let Ok(atom) = Atom::parse(input.text) {
        drain(atom.use_dependencies());
    }
}

fn atom_matches(input: &Input<'_>, _: &mut Work) {
    if let (Ok(atom), Ok(version)) = (Atom::parse(input.text), Version::parse(input.other)) {
        see(atom.matches(input.other, input.other, &version));
    }
}

fn names_of_parts(input: &Input<'_>, _: &mut Work) {
    let text = input.text;
    see((
        names::is_category(text),
        names::is_slot(text),
        names::is_use_flag(text),
        names::is_repository(text),
    ));
}

fn dependencies(input: &Input<'_>, _: &mut Work) {
    let mut reader = depend::Reader::new(input.text);
    while let Some(item) = reader.next() {
        see((item.map(|item| item.atom()), reader.depth()));
    }
}

fn vdb_contents(input: &Input<'_>, _: &mut Work) {
    for entry in contents::entries(input.text).flatten() {
        see(entry.path());
    }
    see(Entry::parse(input.other));
}

fn profile_lines(input: &Input<'_>, _: &mut Work) {
    drain(profile::lines(input.text));
}

fn profile_parents(input: &Input<'_>, _: &mut Work) {
    drain(profile::parents(input.text));
}

fn profile_packages(input: &Input<'_>, _: &mut Work) {
    drain(profile::packages(input.text));
}

fn profile_package_use(input: &Input<'_>, _: &mut Work) {
    for line in profile::package_use(input.text).flatten() {
        drain(line.changes());
    }
}

fn errors(input: &Input<'_>, _: &mut Work) {
    match Version::parse(input.text) {
        Ok(version) => show(version),
        Err(error) => {
            see((error.class(), error.at));
            show(error);
        }
    }
    match Atom::parse(input.text) {
        Ok(atom) => show(atom),
        Err(error) => {
            see(error.class());
            show(error);
        }
    }
    for error in depend::Reader::new(input.text).filter_map(Result::err) {
        see(error.class());
        show(error);
    }
    for entry in contents::entries(input.text) {
        match entry {
            Ok(entry) => show(entry),
            Err(error) => {
                see(error.class());
                show(error);
            }
        }
    }
    for error in profile::package_use(input.text).filter_map(Result::err) {
        see(error.class());
        show(error);
    }
}
