//! The passes of emerge(1), in order, as argument vectors.
//!
//! User sets are world candidates, so the main pass records both sets in `/var/lib/portage/world_sets`; that is what
//! keeps their members from depclean.

use crate::lower::gentoo::binfmt;
use crate::lower::gentoo::portage_files::{BUILDTIME_SET, RUNTIME_SET};
use crate::model::Effective;

/// What a build was asked for beside the definition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Build this many packages at a time.
    pub jobs: Option<usize>,
    /// Take ready-made binary packages, too.
    pub binhost: bool,
    /// Binary packages stay in this artifact's lower image.
    pub independent_binpkgs: bool,
    /// Packages that only builds need are not kept.
    pub deep_depclean: bool,
    /// Look for cycles also in a lower image that was complete before.
    pub break_cycles: bool,
    /// The target's programs run in an emulator.
    pub emulated: bool,
    /// Do not download.
    pub offline: bool,
}

/// A command in the lower image's container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Variables for it alone.
    pub env: Vec<(String, String)>,
}

impl Command {
    fn new<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        Self { argv: words.into_iter().map(str::to_owned).collect(), env: Vec::new() }
    }
}

const BINARY: [&str; 2] = ["-bk", "--binpkg-respect-use=y"];
const UPDATE: [&str; 2] = ["-uDN", "--keep-going"];

/// Builds the argument vectors of one lower image.
#[derive(Debug)]
pub struct Passes<'a> {
    /// The definition.
    pub effective: &'a Effective,
    /// What the build was asked for.
    pub options: &'a Options,
}

impl Passes<'_> {
    /// Returns the environment of every command in the container.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        binfmt::environment(self.options.emulated)
    }

    /// Returns the pass of the key `circulardep_breaker`.
    #[must_use]
    pub fn configured_breaker(&self) -> Option<Command> {
        let breaker = self.effective.circulardep_breaker.as_ref().filter(|b| !b.packages.is_empty())?;
        let words = ["emerge"].into_iter().chain(BINARY).chain(["-u", "--keep-going"]);
        let mut command = self.with_options(Command::new(words), true);
        command.argv.extend(breaker.packages.iter().cloned());
        if let Some(flags) = &breaker.use_flags {
            command.env.push(("USE".to_owned(), flags.clone()));
        }
        Some(command)
    }

    /// Returns the question whether the main pass would meet a cycle.
    #[must_use]
    pub fn pretend(&self) -> Command {
        let words = ["emerge", "--pretend", "--color=n", "--nospinner"];
        let words = words.into_iter().chain(BINARY).chain(["-uDN"]);
        let mut command = self.with_binhost(Command::new(words));
        command.argv.extend(targets());
        command
    }

    /// Returns the pass that builds the packages of a cycle with other USE flags.
    #[must_use]
    pub fn open_cycle(&self, packages: &[String]) -> Command {
        let words = ["emerge", "--oneshot", "--update"].into_iter().chain(BINARY);
        let mut command = self.with_options(Command::new(words), false);
        command.argv.extend(packages.iter().cloned());
        command
    }

    /// Returns the pass of the buildtime packages, when they are to be there before anything else is built.
    #[must_use]
    pub fn buildtime_first(&self) -> Option<Command> {
        let effective = self.effective;
        (effective.buildtime_packages_first && !effective.buildtime_packages.is_empty()).then(|| {
            let words = ["emerge"].into_iter().chain(BINARY).chain(UPDATE);
            let mut command = self.with_options(Command::new(words), true);
            command.argv.push(format!("@{BUILDTIME_SET}"));
            command
        })
    }

    /// Returns the main pass.
    #[must_use]
    pub fn main(&self) -> Command {
        let words = ["emerge"].into_iter().chain(BINARY).chain(UPDATE);
        let mut command = self.with_options(Command::new(words), true);
        command.argv.extend(targets());
        command
    }

    /// Returns the pass that builds modules anew for a kernel that was built anew.
    #[must_use]
    pub fn module_rebuild(&self) -> Command {
        Command::new(["emerge", "@module-rebuild"])
    }

    /// Returns the pass that builds anew what uses libraries that are kept only for it.
    #[must_use]
    pub fn preserved_rebuild(&self) -> Command {
        let words = ["emerge"].into_iter().chain(BINARY);
        let mut command = self.with_options(Command::new(words), true);
        command.argv.push("@preserved-rebuild".to_owned());
        command
    }

    /// Returns the passes that take away masked packages (`category/name-version`) and bring what replaces them.
    #[must_use]
    pub fn unmerge_masked(&self, packages: &[String]) -> [Command; 2] {
        let mut unmerge = Command::new(["emerge", "--unmerge"]);
        unmerge.argv.extend(packages.iter().map(|p| format!("={p}")));
        let words = ["emerge", "-bk", "-uDN", "--with-bdeps=y", "--keep-going"];
        let mut update = self.with_options(Command::new(words), false);
        update.argv.push("@world".to_owned());
        [unmerge, update]
    }

    /// Returns the pass that takes away what nothing needs, and the one for when that finds the graph incomplete.
    #[must_use]
    pub fn depclean(&self) -> (Command, Option<Command>) {
        let plain = Command::new(["emerge", "--depclean"]);
        let deep = Command::new(["emerge", "--depclean", "--with-bdeps=n"]);
        if self.options.deep_depclean { (deep, None) } else { (plain, Some(deep)) }
    }

    /// Returns the command that takes the new form of every file of `/etc` that packages left aside.
    #[must_use]
    pub fn settle_etc(&self) -> Command {
        Command::new(["etc-update", "--automode", "-5"])
    }

    /// Returns the command that removes binary packages which nothing installed comes from.
    ///
    /// Why only then: shared ones serve other artifacts, and so do distfiles.
    #[must_use]
    pub fn clean_binpkgs(&self) -> Option<Command> {
        self.options.independent_binpkgs.then(|| Command::new(["eclean-pkg", "-d"]))
    }

    fn with_options(&self, command: Command, excludes: bool) -> Command {
        let mut command = self.with_binhost(command);
        if let Some(jobs) = self.options.jobs {
            command.argv.push(format!("--jobs={jobs}"));
            command.argv.push(format!("--load-average={jobs}"));
        }
        let words: Vec<&str> = self.effective.binpkg_excludes.iter().map(|e| e.value.as_str()).collect();
        if excludes && !words.is_empty() {
            for option in ["--usepkg-exclude", "--buildpkg-exclude"] {
                command.argv.push(option.to_owned());
                command.argv.push(words.join(" "));
            }
        }
        command
    }

    fn with_binhost(&self, mut command: Command) -> Command {
        if self.options.binhost && !self.options.offline {
            command.argv.push("--getbinpkg".to_owned());
        }
        command
    }
}

fn targets() -> [String; 3] {
    ["@world".to_owned(), format!("@{RUNTIME_SET}"), format!("@{BUILDTIME_SET}")]
}
