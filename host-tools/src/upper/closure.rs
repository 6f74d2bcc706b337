//! The runtime package set of an image of Debian packages: what the artifact asked for and what that depends on.
//!
//! Read from dpkg's database (`/var/lib/dpkg/status`, deb-control(5), Debian Policy 7). Followed are Depends and
//! Pre-Depends; of alternatives the first installed one. Essential packages belong to every image but for dpkg,
//! which an immutable image has no use for. Not followed: Recommends, Suggests, and [`WITHOUT_USE`].

use std::collections::{BTreeMap, BTreeSet};

use genpack_core::debian::relation::relations;
use genpack_core::debian::status::paragraphs;

use crate::upper::copyright::Licenses;

/// Packages that only serve to make an initramfs, which ours is made without, or to bring an old system's `/bin` under
/// `/usr`, which mmdebstrap does; the latter would bring all of Perl into every image.
const WITHOUT_USE: [&str; 6] =
    ["initramfs-tools", "linux-initramfs-tool", "tiny-initramfs", "dracut", "usrmerge", "usr-is-merged"];

/// Value of LICENSE_FROM when the licences were found in a copyright file of free text.
pub const FROM_PHRASES: &str = "phrases";

/// The package that belongs only to images that change themselves.
const DPKG: &str = "dpkg";

/// An installed package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Package {
    /// Version.
    pub version: String,
    /// Debian's name of the architecture, or `all`.
    pub architecture: String,
    /// First line of the description.
    pub description: String,
    /// Where the project lives.
    pub homepage: String,
    /// Source package, with its version when that is another one; empty when it has the package's own name.
    pub source: String,
    essential: bool,
    /// Conjunction of alternatives.
    depends: Vec<Vec<String>>,
    provides: Vec<String>,
}

/// dpkg's database: installed packages by name.
#[derive(Clone, Debug, Default)]
pub struct Database {
    /// The packages.
    pub packages: BTreeMap<String, Package>,
}

/// The runtime set: each package with those that asked for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Closure {
    /// Members and who needs them; roots and essential packages may be needed by nobody.
    pub members: BTreeMap<String, BTreeSet<String>>,
    /// Roots that are not installed.
    pub missing: Vec<String>,
}

impl Database {
    /// Reads dpkg's status file; paragraphs of packages that are not installed are left out.
    #[must_use]
    pub fn parse(status: &str) -> Self {
        let mut packages = BTreeMap::new();
        for paragraph in paragraphs(status) {
            let mut name = String::new();
            let mut package = Package::default();
            let mut installed = false;
            // Why: dpkg wrote this file; a line that is no field is not one of those that are looked for.
            for field in paragraph.fields().flatten() {
                let value = field.first_line();
                match field.name {
                    "Package" => name = value.to_owned(),
                    "Status" => installed = value.ends_with(" installed"),
                    "Version" => package.version = value.to_owned(),
                    "Architecture" => package.architecture = value.to_owned(),
                    "Description" => package.description = value.to_owned(),
                    "Source" => package.source = value.to_owned(),
                    "Homepage" => package.homepage = value.to_owned(),
                    "Essential" => package.essential = value == "yes",
                    "Depends" | "Pre-Depends" => package.depends.extend(names(field.value)),
                    "Provides" => package.provides.extend(names(field.value).into_iter().flatten()),
                    _ => {}
                }
            }
            if installed && !name.is_empty() {
                packages.entry(name).or_insert(package);
            }
        }
        Self { packages }
    }

    /// Returns the set for these roots (package names, as they are called in dpkg's database).
    #[must_use]
    pub fn closure<'a>(&self, roots: impl IntoIterator<Item = &'a str>) -> Closure {
        let roots: Vec<&str> = roots.into_iter().collect();
        // Why: a package that was asked for by name is never dropped; apt without dpkg would be a ruin.
        let asked = |name: &str| roots.contains(&name) || (name == DPKG && roots.contains(&"apt"));
        let dropped = |name: &str| (name == DPKG || WITHOUT_USE.contains(&name)) && !asked(name);
        let mut closure = Closure::default();
        let mut queue: Vec<(String, Option<String>)> = Vec::new();
        for root in &roots {
            match self.resolve(root) {
                Some(name) => queue.push((name.to_owned(), None)),
                None => closure.missing.push((*root).to_owned()),
            }
        }
        let essential = self.packages.iter().filter(|(n, p)| p.essential && !dropped(n));
        queue.extend(essential.map(|(n, _)| (n.clone(), None)));
        while let Some((name, needed_by)) = queue.pop() {
            let seen = closure.members.contains_key(&name);
            closure.members.entry(name.clone()).or_default().extend(needed_by);
            let Some(package) = self.packages.get(&name).filter(|_| !seen) else { continue };
            for alternatives in &package.depends {
                if alternatives.iter().any(|a| dropped(a)) {
                    continue;
                }
                if let Some(next) = alternatives.iter().find_map(|a| self.resolve(a)).filter(|n| !dropped(n))
                {
                    queue.push((next.to_owned(), Some(name.clone())));
                }
            }
        }
        closure
    }

    /// Returns the installed package of this name, or the first that provides it.
    fn resolve(&self, name: &str) -> Option<&str> {
        if let Some((name, _)) = self.packages.get_key_value(name) {
            return Some(name);
        }
        self.packages.iter().find(|(_, p)| p.provides.iter().any(|v| v == name)).map(|(n, _)| n.as_str())
    }
}

impl Closure {
    /// Returns the text of `/.genpack/packages`: one paragraph per package, sorted by name. `licenses` tells a package's.
    #[must_use]
    pub fn describe(&self, database: &Database, licenses: &dyn Fn(&str) -> Option<Licenses>) -> String {
        let mut text = String::new();
        for (name, needed_by) in &self.members {
            let Some(package) = database.packages.get(name) else { continue };
            text.push_str(&format!("{name}-{}[{}]\n", package.version, package.architecture));
            let needed_by: Vec<&str> = needed_by.iter().map(String::as_str).collect();
            let licenses = licenses(name);
            let is_from_phrases = licenses.as_ref().is_some_and(|l| l.is_from_phrases);
            for (field, value) in [
                // Why by itself: name and version may both have hyphens.
                ("VERSION", package.version.clone()),
                ("SOURCE", package.source.clone()),
                ("NEEDED_BY", needed_by.join(" ")),
                ("DESCRIPTION", package.description.clone()),
                ("HOMEPAGE", package.homepage.clone()),
                ("LICENSE", licenses.map_or_else(String::new, |l| l.names)),
                ("LICENSE_FROM", if is_from_phrases { FROM_PHRASES.to_owned() } else { String::new() }),
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

/// Returns the names in a relation field, alternatives together.
fn names(field: &str) -> Vec<Vec<String>> {
    relations(field)
        .map(|or| or.relations().flatten().map(|relation| relation.name.to_owned()).collect::<Vec<_>>())
        .filter(|or| !or.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usrmerge_and_its_perl_stay_out_unless_asked_for() {
        let package =
            |name: &str, rest: &str| format!("Package: {name}\nStatus: install ok installed\n{rest}\n");
        let database = Database::parse(&format!(
            "{}{}{}",
            package("init-system-helpers", "Essential: yes\nDepends: usrmerge | usr-is-merged\n"),
            package("usrmerge", "Depends: perl\n"),
            package("perl", ""),
        ));
        for (roots, expected) in [
            (vec![], vec!["init-system-helpers"]),
            (vec!["perl"], vec!["init-system-helpers", "perl"]),
            (vec!["usrmerge"], vec!["init-system-helpers", "perl", "usrmerge"]),
        ] {
            let members: Vec<_> = database.closure(roots).members.into_keys().collect();
            assert_eq!(members, expected);
        }
    }

    const STATUS: &str = "\
Package: base-files
Status: install ok installed
Essential: yes
Architecture: amd64
Version: 12.4
Pre-Depends: awk
Description: Debian base
 with a long text: not a field

Package: mawk
Status: install ok installed
Provides: awk
Version: 1.3

Package: dpkg
Essential: yes
Status: install ok installed
Version: 1.21
Depends: tar (>= 1.28)

Package: tar
Status: install ok installed
Version: 1.34

Package: ssh
Status: install ok installed
Version: 9
Depends: libc6 (>= 2.36), sysvinit | init, dpkg (>= 1.9), gone | cdebconf:any | debconf (>= 0.5) | debconf-2.0
Homepage: https://example.org/
Description: secure shell

Package: libc6
Status: install ok installed
Version: 2.36

Package: systemd
Status: hold ok installed
Version: 252
Provides: init (= 1)

Package: debconf
Status: install ok installed
Version: 1.5

Package: linux-image
Status: install ok installed
Version: 6.1
Depends: kmod, initramfs-tools (>= 0.120) | linux-initramfs-tool

Package: kmod
Status: install ok installed
Version: 30

Package: initramfs-tools
Status: install ok installed
Version: 0.142
Depends: cpio

Package: cpio
Status: install ok installed
Version: 2.13

Package: removed
Status: deinstall ok config-files
Version: 1
";

    fn names(closure: &Closure) -> Vec<&str> {
        closure.members.keys().map(String::as_str).collect()
    }

    #[test]
    fn closure_follows_depends_and_keeps_essential_ones_without_dpkg() {
        let database = Database::parse(STATUS);
        assert_eq!(names(&database.closure([])), ["base-files", "mawk"]);
        let closure = database.closure(["ssh"]);
        assert_eq!(names(&closure), ["base-files", "debconf", "libc6", "mawk", "ssh", "systemd"]);
        assert_eq!(closure.members["systemd"], BTreeSet::from(["ssh".to_owned()]));
    }

    #[test]
    fn closure_drops_initramfs_tools_unless_they_were_asked_for() {
        let database = Database::parse(STATUS);
        assert_eq!(names(&database.closure(["linux-image"])), ["base-files", "kmod", "linux-image", "mawk"]);
        let asked = database.closure(["linux-image", "initramfs-tools"]);
        assert!(asked.members.contains_key("cpio"));
    }

    #[test]
    fn closure_with_dpkg_as_root_takes_what_it_needs() {
        let database = Database::parse(STATUS);
        assert!(database.closure(["dpkg"]).members.contains_key("tar"));
    }

    #[test]
    fn closure_reports_roots_that_are_not_installed() {
        let closure = Database::parse(STATUS).closure(["removed", "awk"]);
        assert_eq!(closure.missing, ["removed"]);
        assert!(closure.members.contains_key("mawk"));
    }

    #[test]
    fn describe_writes_one_paragraph_per_package() {
        let database = Database::parse(STATUS);
        let licenses = |name: &str| {
            let names = (name == "mawk").then(|| "GPL-2".to_owned())?;
            Some(Licenses { names, is_from_phrases: true })
        };
        let text = database.closure(["ssh"]).describe(&database, &licenses);
        let first = "base-files-12.4[amd64]\n# VERSION: 12.4\n# DESCRIPTION: Debian base\n\n";
        assert!(text.starts_with(first), "{text}");
        let mawk = "\nmawk-1.3[]\n# VERSION: 1.3\n# NEEDED_BY: base-files\n# LICENSE: GPL-2\n# LICENSE_FROM: phrases\n\n";
        assert!(text.contains(mawk), "{text}");
        assert!(text.contains("# HOMEPAGE: https://example.org/\n"), "{text}");
    }
}
