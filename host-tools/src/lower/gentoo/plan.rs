//! Decides the steps of a lower image of Gentoo.

use std::fmt;
use std::path::Path;

use crate::command_error::Result;
use crate::ctx::host_arch;
use crate::lower::gentoo::binfmt;
use crate::lower::gentoo::directories::Directories;
use crate::lower::gentoo::emerge::{Command, Options, Passes};
use crate::lower::gentoo::names::{self, OVERLAY, REPOSITORIES};
use crate::lower::gentoo::portage_files::{self, PortageFile};
use crate::lower::gentoo::sources::Sources;
use crate::lower::machine::Machine;
use crate::model::base::Gentoo;
use crate::model::key::Key;
use crate::model::lockfile::{LockFile, Locked};
use crate::model::{Effective, Model};
use crate::runner::quote;

/// Raised whenever a lower image made from the same definition would come out different.
const FORMAT: &str = "1";

/// What a lower image of Gentoo is made of.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The definition.
    pub effective: Effective,
    /// Settings of the base.
    pub gentoo: Gentoo,
    /// What the image is to boot on, as far as the definition says it.
    pub machine: Option<Machine>,
    /// Path of the profile in the overlay.
    pub profile: String,
    /// Files below `/etc/portage`.
    pub files: Vec<PortageFile>,
    /// Directories of the artifact that Portage reads.
    pub directories: Directories,
    /// Where everything is looked for.
    pub sources: Sources,
    /// What exactly it is made of, as far as that is decided.
    pub lock: LockFile,
}

/// One step: what it does in words, and the doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// For the log and `--dry-run`.
    pub title: String,
    /// The doing.
    pub action: Action,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Unpacks the stage3, unless the tree was made from it.
    Stage3,
    /// Puts Portage's files in place.
    PortageFiles,
    /// Puts the artifact's directories in place.
    Directories,
    /// Links the profile.
    Profile,
    /// Runs a command in the container.
    Run(Command),
    /// Runs a command in the container whose failure is not the build's.
    Try(Command),
    /// Opens dependency cycles.
    OpenCycles,
    /// Builds modules anew when the kernel was.
    Modules(Command),
    /// Takes away masked packages.
    UnmergeMasked,
    /// Runs the first command; when it fails, the second.
    Either(Command, Command),
}

impl Plan {
    /// Returns the plan of an effective configuration.
    ///
    /// # Errors
    /// When the artifact's directories or its lock cannot be read, or there is no overlay.
    pub fn new(gentoo: &Gentoo, model: &Model, artifact: &Path) -> Result<Self> {
        let effective = model.effective.clone();
        let directories = Directories::read(artifact, effective.arch)?;
        Ok(Self {
            machine: names::machine(&effective),
            profile: names::profile(&effective),
            files: portage_files::files(&effective, gentoo, directories.has_overlay()),
            sources: Sources::new(gentoo, effective.arch, artifact)?,
            lock: LockFile::read(artifact)?.unwrap_or_default(),
            gentoo: gentoo.clone(),
            directories,
            effective,
        })
    }

    /// Returns the content key: what the lower image is made of, but nothing that only later phases use.
    #[must_use]
    pub fn key(&self) -> Key {
        let mut key = Key::default();
        let e = &self.effective;
        key.component("format", FORMAT);
        key.component("arch", e.arch.name());
        key.component("stage3", digest(self.lock.stage3.get(e.arch.name())));
        key.component("snapshot", digest(self.lock.snapshot.as_ref()));
        key.component("overlay", digest(self.lock.overlay.as_ref()));
        key.component("profile", &self.profile);
        for file in &self.files {
            let name = file.path.trim_start_matches("/etc/portage/");
            key.component(name, file.content.as_deref().unwrap_or("\0"));
        }
        for (name, digest) in &self.directories.digests {
            key.component(&format!("{name}/"), digest);
        }
        let passes =
            serde_json::json!([e.binpkg_excludes, e.buildtime_packages_first, e.circulardep_breaker]);
        key.component("passes", passes.to_string());
        key
    }

    /// Returns the options of a build of this plan.
    ///
    /// # Errors
    /// When this machine's architecture is none of ours.
    pub fn options(&self, asked: &Options) -> Result<Options> {
        Ok(Options {
            binhost: self.gentoo.binhost.is_some(),
            independent_binpkgs: asked.independent_binpkgs || self.effective.independent_binpkgs,
            emulated: binfmt::is_emulated(host_arch()?, self.effective.arch),
            ..asked.clone()
        })
    }

    /// Returns the steps; `fresh` tells that the tree has never been complete.
    #[must_use]
    pub fn steps(&self, options: &Options, fresh: bool) -> Vec<Step> {
        let passes = Passes { effective: &self.effective, options };
        let step = |title: &str, action| Step { title: title.to_owned(), action };
        let run = |title: &str, command| Step { title: title.to_owned(), action: Action::Run(command) };
        let mut steps = vec![
            step("unpack the stage3", Action::Stage3),
            step("write Portage's files", Action::PortageFiles),
            step("copy the artifact's directories", Action::Directories),
            step(&format!("select the profile {}", self.profile), Action::Profile),
        ];
        for ebuild in &self.directories.without_manifest {
            let command =
                Command { argv: ["ebuild", ebuild, "manifest"].map(str::to_owned).to_vec(), env: Vec::new() };
            steps.push(step(&format!("make the Manifest of {ebuild}"), Action::Try(command)));
        }
        steps.extend(
            passes.configured_breaker().map(|c| run("install the packages of circulardep_breaker", c)),
        );
        if fresh || options.break_cycles {
            steps.push(step("open dependency cycles", Action::OpenCycles));
        }
        steps.extend(passes.buildtime_first().map(|c| run("install the buildtime packages", c)));
        steps.push(run("install the packages", passes.main()));
        steps.push(step("build kernel modules anew", Action::Modules(passes.module_rebuild())));
        steps.push(run("build anew what uses preserved libraries", passes.preserved_rebuild()));
        steps.push(step("take away masked packages", Action::UnmergeMasked));
        steps.push(match passes.depclean() {
            (first, Some(second)) => step("take away what nothing needs", Action::Either(first, second)),
            (only, None) => run("take away what nothing needs", only),
        });
        steps.push(run("settle files of /etc that packages left aside", passes.settle_etc()));
        steps.extend(passes.clean_binpkgs().map(|c| step("remove old binary packages", Action::Try(c))));
        steps
    }
}

fn digest(locked: Option<&Locked>) -> &str {
    locked.map_or("", |l| l.sha256.as_str())
}

/// Returns the target of `/etc/portage/make.profile`.
#[must_use]
pub fn profile_link(profile: &str) -> String {
    format!("../..{REPOSITORIES}/{OVERLAY}/profiles/{profile}")
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (key, value) in &self.env {
            write!(f, "{key}={} ", quote(value))?;
        }
        let words: Vec<_> = self.argv.iter().map(|w| quote(w)).collect();
        f.write_str(&words.join(" "))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.title)?;
        match &self.action {
            Action::Run(c) | Action::Try(c) | Action::Modules(c) => write!(f, " [{c}]"),
            Action::Either(first, second) => write!(f, " [{first}] or, when that fails, [{second}]"),
            _ => Ok(()),
        }
    }
}
