//! The runtime set of an image: what the profile and the artifact ask for, and all that these need to run.
//!
//! Followed are RDEPEND and PDEPEND; of `||` the first alternative that is installed. Portage writes them with USE
//! conditionals evaluated; those that are left are decided by the recorded flags. Blockers say nothing here, as
//! Portage has seen to them. A package that inherits `genpack-ignore` stays out with what only it needs.

use std::collections::{BTreeMap, BTreeSet};

use genpack_core::gentoo::atom::Atom;
use genpack_core::gentoo::depend::{Group, Item, Reader, Token};

use crate::portage::vdb::{Installed, Vdb};

/// Eclass whose packages serve the build alone.
const IGNORE: &str = "genpack-ignore";

/// A package of the set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// `category/name-version` of packages and names of sets that need it.
    pub needed_by: BTreeSet<String>,
}

/// The set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuntimeSet {
    /// Members, by `category/name-version`.
    pub members: BTreeMap<String, Member>,
    /// The members in the order in which they were met: each before what it needs.
    pub order: Vec<String>,
}

/// An atom that nothing installed satisfies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The atom.
    pub atom: String,
    /// What needs it.
    pub needed_by: String,
}

/// Roots of the walk: names of sets, with their atoms.
pub type Roots<'a> = &'a [(&'a str, Vec<String>)];

impl RuntimeSet {
    /// Returns the set of these roots.
    ///
    /// # Errors
    /// The first atom that nothing satisfies.
    pub fn new(vdb: &Vdb, roots: Roots<'_>) -> Result<Self, Missing> {
        let mut set = Self::default();
        for (name, atoms) in roots {
            for text in atoms {
                set.visit(vdb, text.trim_start_matches('!'), &format!("@{name}"))?;
            }
        }
        Ok(set)
    }

    /// Adds what an atom means, and all that it needs; without recursion, as chains are long.
    fn visit(&mut self, vdb: &Vdb, atom: &str, needed_by: &str) -> Result<(), Missing> {
        let mut pending = vec![(atom.to_owned(), needed_by.to_owned())];
        while let Some((text, needed_by)) = pending.pop() {
            let missing = || Missing { atom: text.clone(), needed_by: needed_by.clone() };
            let atom = Atom::parse(&text).map_err(|_| missing())?;
            let package = vdb.best(&atom).ok_or_else(missing)?;
            if package.inherits(IGNORE) {
                continue;
            }
            let cpv = package.cpv();
            let new = !self.members.contains_key(&cpv);
            self.members.entry(cpv.clone()).or_default().needed_by.insert(needed_by);
            if new {
                self.order.push(cpv.clone());
                let mut needs = needs(vdb, package);
                // Why: the last that is pushed is the first to be visited.
                needs.reverse();
                pending.extend(needs.into_iter().map(|atom| (atom, cpv.clone())));
            }
        }
        Ok(())
    }

    /// Returns `category/name` of every member.
    #[must_use]
    pub fn packages(&self, vdb: &Vdb) -> BTreeSet<String> {
        self.members.keys().filter_map(|cpv| vdb.packages.get(cpv)).map(Installed::package).collect()
    }

    /// Returns the text of `/.genpack/packages`: a paragraph for each member, sorted.
    #[must_use]
    pub fn describe(&self, vdb: &Vdb) -> String {
        let mut text = String::new();
        for (cpv, member) in &self.members {
            let Some(package) = vdb.packages.get(cpv) else { continue };
            text.push_str(&format!("{cpv}[{}]\n", package.full_slot));
            let needed_by: Vec<&str> = member.needed_by.iter().map(String::as_str).collect();
            for (field, value) in [
                ("NEEDED_BY", needed_by.join(" ").as_str()),
                ("DESCRIPTION", &package.description),
                ("USE", &package.use_flags),
                ("HOMEPAGE", &package.homepage),
                ("LICENSE", &package.license),
            ] {
                if !value.is_empty() {
                    text.push_str(&format!("# {field}: {value}\n"));
                }
            }
            text.push('\n');
        }
        text
    }
}

/// Returns the atoms that a package needs at run time, sorted within RDEPEND and within PDEPEND.
fn needs(vdb: &Vdb, package: &Installed) -> Vec<String> {
    let mut all = Vec::new();
    for text in [&package.rdepend, &package.pdepend] {
        let mut atoms = Vec::new();
        // Why: Portage wrote it; what is no dependency ends the list where it stands.
        let items: Vec<Item<'_>> = Reader::new(text).map_while(Result::ok).collect();
        let mut at = 0;
        collect(vdb, package, &items, &mut at, &mut atoms);
        atoms.sort();
        atoms.dedup();
        all.extend(atoms);
    }
    all
}

/// Reads the members of a group up to its end; tells whether all of what was added is installed.
///
/// Depth is bounded by `depend::MAX_DEPTH`, which the reader keeps.
fn collect(
    vdb: &Vdb,
    package: &Installed,
    items: &[Item<'_>],
    at: &mut usize,
    atoms: &mut Vec<String>,
) -> bool {
    let mut installed = true;
    while let Some(item) = items.get(*at) {
        *at += 1;
        match item.token {
            Token::End => break,
            Token::Leaf(word) => {
                let Some(Ok(atom)) = item.atom() else { continue };
                if atom.blocker.is_none() {
                    installed &= vdb.best(&atom).is_some();
                    atoms.push(word.to_owned());
                }
            }
            Token::Begin(Group::AnyOf | Group::ExactlyOneOf | Group::AtMostOneOf) => {
                any_of(vdb, package, items, at, atoms);
            }
            Token::Begin(Group::All) => installed &= collect(vdb, package, items, at, atoms),
            Token::Begin(Group::IfUse { flag, enabled }) => {
                let mut inner = Vec::new();
                let there = collect(vdb, package, items, at, &mut inner);
                if package.use_flags.split(' ').any(|f| f == flag) == enabled {
                    installed &= there;
                    atoms.extend(inner);
                }
            }
        }
    }
    installed
}

/// Adds the first alternative of which everything is installed; none of them when none is.
fn any_of(vdb: &Vdb, package: &Installed, items: &[Item<'_>], at: &mut usize, atoms: &mut Vec<String>) {
    let mut found = false;
    while let Some(item) = items.get(*at) {
        if item.token == Token::End {
            *at += 1;
            break;
        }
        let mut alternative = Vec::new();
        let there = match item.token {
            Token::Leaf(_) => {
                let end = *at + 1;
                let there = collect(vdb, package, items.get(..end).unwrap_or_default(), at, &mut alternative);
                there && !alternative.is_empty()
            }
            Token::Begin(Group::AnyOf | Group::ExactlyOneOf | Group::AtMostOneOf) => {
                *at += 1;
                any_of(vdb, package, items, at, &mut alternative);
                !alternative.is_empty()
            }
            _ => {
                let begin = *at;
                *at += 1;
                let there = collect(vdb, package, items, at, &mut alternative);
                // A conditional whose flag is off is no alternative.
                there && applies(package, items.get(begin))
            }
        };
        if there && !found {
            found = true;
            atoms.append(&mut alternative);
        }
    }
}

fn applies(package: &Installed, item: Option<&Item<'_>>) -> bool {
    match item.map(|i| i.token) {
        Some(Token::Begin(Group::IfUse { flag, enabled })) => {
            package.use_flags.split(' ').any(|f| f == flag) == enabled
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vdb(packages: &[(&str, &str, &str, &str)]) -> Vdb {
        let mut vdb = Vdb::default();
        for (cpv, slot, rdepend, pdepend) in packages {
            let (category, rest) = cpv.split_once('/').unwrap();
            let (name, version) = genpack_core::gentoo::version::split_name(rest).unwrap();
            let package = Installed {
                category: category.into(),
                name: name.into(),
                version: version.as_str().into(),
                slot: slot.split('/').next().unwrap().into(),
                full_slot: (*slot).into(),
                rdepend: (*rdepend).into(),
                pdepend: (*pdepend).into(),
                use_flags: "on".into(),
                inherited: if name == "tools" { "a genpack-ignore".into() } else { String::new() },
                ..Installed::default()
            };
            vdb.packages.insert((*cpv).into(), package);
        }
        vdb
    }

    fn members(vdb: &Vdb, roots: &[&str]) -> Vec<String> {
        let roots = [("r", roots.iter().map(|r| (*r).to_owned()).collect::<Vec<_>>())];
        RuntimeSet::new(vdb, &roots).unwrap().order
    }

    #[test]
    fn closure_takes_slots_alternatives_and_conditionals_as_installed() {
        let vdb = vdb(&[
            ("a/a-1", "0", "b/b:1= !c/c || ( x/x ( d/d e/e ) f/f ) on? ( g/g ) !on? ( x/x )", "p/p"),
            ("b/b-1.2", "1/3", "", ""),
            ("b/b-2", "2", "", ""),
            ("d/d-1", "0", "", ""),
            ("e/e-1", "0", "a/a", ""),
            ("f/f-1", "0", "", ""),
            ("g/g-1", "0", "|| ( x/x || ( y/y f/f ) )", ""),
            ("p/p-1", "0", "t/tools", ""),
            ("t/tools-1", "0", "h/h", ""),
            ("h/h-1", "0", "", ""),
            ("c/c-1", "0", "", ""),
        ]);
        assert_eq!(
            members(&vdb, &["a/a"]),
            ["a/a-1", "b/b-1.2", "d/d-1", "e/e-1", "g/g-1", "f/f-1", "p/p-1"]
        );
        assert_eq!(members(&vdb, &[">=b/b-1"]), ["b/b-2"]);
        assert_eq!(members(&vdb, &["h/h", "t/tools"]), ["h/h-1"]);
    }

    #[test]
    fn alternative_of_which_a_part_is_missing_is_none() {
        let vdb = vdb(&[
            ("a/a-1", "0", "|| ( ( d/d x/x ) f/f )", ""),
            ("d/d-1", "0", "", ""),
            ("f/f-1", "0", "", ""),
        ]);
        assert_eq!(members(&vdb, &["a/a"]), ["a/a-1", "f/f-1"]);
    }

    #[test]
    fn missing_package_names_what_needs_it() {
        let vdb = vdb(&[("a/a-1", "0", ">=b/b-2", ""), ("b/b-1", "0", "", "")]);
        let roots = [("genpack-runtime", vec!["a/a".to_owned()])];
        let missing = Missing { atom: ">=b/b-2".into(), needed_by: "a/a-1".into() };
        assert_eq!(RuntimeSet::new(&vdb, &roots), Err(missing));
    }

    #[test]
    fn description_lists_who_needs_what() {
        let vdb = vdb(&[("a/a-1", "0", "b/b", ""), ("b/b-1", "0/4", "", "")]);
        let set = RuntimeSet::new(&vdb, &[("p", vec!["a/a".to_owned(), "b/b".to_owned()])]).unwrap();
        assert_eq!(
            set.describe(&vdb),
            "a/a-1[0]\n# NEEDED_BY: @p\n# USE: on\n\nb/b-1[0/4]\n# NEEDED_BY: @p a/a-1\n# USE: on\n\n"
        );
    }
}
