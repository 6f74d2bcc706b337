//! Decides what mmdebstrap is asked for.

use genpack_core::text::diagnostic::Span;

use crate::command_error::{CommandError, Result};
use crate::lower::debian::profile;
use crate::lower::machine::Machine;
use crate::model::Model;
use crate::model::base::Debian;
use crate::model::key::Key;
use crate::model::spanned::Spanned;
use crate::runner::Run;

/// Raised whenever a lower image made from the same definition would come out different.
const FORMAT: &str = "1";

/// What our own steps of the upper phase need: `useradd` and `groupadd`.
const TOOLS: &[&str] = &["passwd"];

/// Hooks of mmdebstrap; `$1` is the root.
///
/// The tool copies the host's name and resolver into the root, and systemd-resolved keeps a copy of the latter.
/// None of them may reach an image.
const CUSTOMIZE: &[&str] = &[
    "rm -f \"$1/etc/hostname\" \"$1/etc/.resolv.conf.systemd-resolved.bak\"",
    "test -L \"$1/etc/resolv.conf\" || rm -f \"$1/etc/resolv.conf\"",
];

/// What a lower image of Debian packages is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Where packages come from.
    pub debian: Debian,
    /// Debian's name of the architecture.
    pub arch: &'static str,
    /// What the image is to boot on.
    pub machine: Option<Machine>,
    /// Every package asked for, sorted, without repetition.
    pub packages: Vec<String>,
    /// Those of them that the image is made for, in the words of the definition; tools are not among them.
    pub roots: Vec<String>,
}

impl Plan {
    /// Returns the plan for an effective configuration.
    ///
    /// # Errors
    /// When the profile is unknown or a name cannot be that of a Debian package, with its place.
    pub fn new(debian: &Debian, model: &Model) -> Result<Self> {
        let effective = &model.effective;
        let machine = match &effective.profile {
            None => None,
            Some(name) => Some(Machine::from_name(&name.value).ok_or_else(|| {
                let known = Machine::ALL.map(Machine::name).join(", ");
                model.source.error_at(
                    name.span,
                    format!("base debian has no profile {:?}", name.value),
                    Some(format!("profiles: {known}; without a kernel: null")),
                )
            })?),
        };
        let mut roots = Vec::new();
        for package in written(&effective.packages) {
            check_name(model, &package.value, package.span)?;
            roots.push(package.value.clone());
        }
        let mut packages = roots.clone();
        for package in written(&effective.buildtime_packages) {
            check_name(model, &package.value, package.span)?;
            packages.push(package.value.clone());
        }
        if let Some(machine) = machine {
            roots.extend(profile::packages(machine, effective.arch).into_iter().map(str::to_owned));
        }
        packages.extend(roots.iter().cloned());
        packages.extend(TOOLS.iter().map(|t| (*t).to_owned()));
        packages.sort();
        packages.dedup();
        Ok(Self { debian: debian.clone(), arch: effective.arch.debian(), machine, packages, roots })
    }

    /// Returns the content key: the definition's words, not what a mirror holds today.
    #[must_use]
    pub fn key(&self) -> Key {
        let mut key = Key::default();
        key.component("format", FORMAT);
        key.component("arch", self.arch);
        key.component("suite", &self.debian.suite);
        key.component("mirror", self.debian.mirror.as_deref().unwrap_or(""));
        key.component("components", self.debian.components.join("\n"));
        key.component("packages", self.packages.join("\n"));
        key
    }

    /// Returns the command that makes the tree at `target` from these lines of `sources.list`.
    #[must_use]
    pub fn command(&self, target: &std::path::Path, sources: &[String]) -> Run {
        let mut run = Run::new("mmdebstrap").package("mmdebstrap").args([
            "--mode=root",
            "--format=directory",
            "--variant=minbase",
            "--aptopt=APT::Install-Recommends \"false\"",
            // Why: the tree counts only after a sync of our own.
            "--dpkgopt=force-unsafe-io",
        ]);
        run = run.arg(format!("--architectures={}", self.arch));
        run = run.arg(format!("--include={}", self.packages.join(",")));
        // Why: a name that does not exist is told after seconds, not after the essential packages are installed.
        run = run.arg(format!(
            "--extract-hook=APT_CONFIG=\"$MMDEBSTRAP_APT_CONFIG\" apt-get --simulate --quiet=2 install {}",
            self.packages.join(" ")
        ));
        for hook in CUSTOMIZE {
            run = run.arg(format!("--customize-hook={hook}"));
        }
        let sources: String = sources.iter().flat_map(|l| [l.as_str(), "\n"]).collect();
        // Why: INITRD=No is how a kernel package is told that somebody else makes the initramfs.
        let mut run = run.arg(&self.debian.suite).arg(target).arg("-").env("INITRD", "No").env("LC_ALL", "C");
        run.merge_output = true;
        // Why: mmdebstrap waits for its children whatever happens; ended alone, apt and dpkg go on writing.
        run.contained = true;
        run.stdin(sources)
    }
}

/// Entries that begin with `#` are comments.
fn written(packages: &[Spanned<String>]) -> impl Iterator<Item = &Spanned<String>> {
    packages.iter().filter(|p| !p.value.starts_with('#'))
}

/// Debian policy 5.6.7, with what apt takes after a name: `:arch`, `=version`.
fn check_name(model: &Model, word: &str, span: Span) -> Result<(), CommandError> {
    let name = bare_name(word);
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c);
    let rest = word.get(name.len()..).unwrap_or("");
    let tail = |c: char| c.is_ascii_alphanumeric() || "+-.:=~_".contains(c);
    let good = name.len() >= 2
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name.chars().all(letter)
        && rest.chars().all(tail);
    if good {
        return Ok(());
    }
    let hint = if word.contains('/') {
        "with base debian, packages are Debian package names, without a category"
    } else {
        "Debian package names are lower-case letters, digits, +, - and ."
    };
    Err(model.source.error_at(
        span,
        format!("{word:?} is not the name of a Debian package"),
        Some(hint.into()),
    ))
}

/// Returns a package's name without what apt takes after it.
#[must_use]
pub fn bare_name(word: &str) -> &str {
    word.split([':', '=']).next().unwrap_or(word)
}
