//! Runs the steps of the plan: fetches, unpacks, and lets Portage work in a container.
//!
//! The tree is worked on under the name `lower.unfinished` and becomes `lower` when everything has ended well. What
//! Portage had built when a run broke off is there for the next one; a complete tree is taken up again as long as the
//! stage3 is the same, so that a changed flag rebuilds only what it must.

use std::path::{Path, PathBuf};

use crate::command_error::{CommandError, Context, Result};
use crate::container::nspawn::Payload;
use crate::container::root_dir::RootDir;
use crate::container::{self, Bind, Container, namespaces};
use crate::ctx::{Ctx, host_arch};
use crate::fetch::{cache, trees};
use crate::lower::PHASE;
use crate::lower::gentoo::breaker::{self, Flags};
use crate::lower::gentoo::bring::{Brought, bring};
use crate::lower::gentoo::directories::put;
use crate::lower::gentoo::emerge::{Command, Options, Passes};
use crate::lower::gentoo::masked::Masks;
use crate::lower::gentoo::names::{LOCAL_OVERLAY, OVERLAY, REPOSITORIES, REPOSITORY};
use crate::lower::gentoo::plan::{Action, Plan, Step, profile_link};
use crate::lower::gentoo::{binfmt, progress};
use crate::model::work_dir::{WorkDir, remove_file, remove_tree};
use crate::portage::profile_stack::{ProfileStack, Repositories};
use crate::portage::vdb::Vdb;
use crate::runner::{Listener, Runner};

/// Where the tree says which stage3 it was made from.
const STAGE3_MARK: &str = "/var/lib/genpack/stage3";
/// Where the tree says what its profile asks for, one atom a line: later phases need no repositories.
pub const PROFILE_SET: &str = "/var/lib/genpack/profile-set";
/// Where the tree says when its ebuild repository was made.
pub const TIMESTAMP: &str = "/var/lib/genpack/timestamp.commit";

/// The profile of a tree.
const PROFILE_LINK: &str = "/etc/portage/make.profile";
/// Written into the kernel's sources when modules were built for them.
const MODULES_MARK: &str = "/usr/src/linux/.modules-rebuilt-by-genpack";

/// Where Portage keeps what builds of packages say.
const LOGS: &str = "/var/log/portage";

/// Portage's sandbox for the network makes a namespace and brings its loopback up.
const CAPABILITIES: [&str; 1] = ["CAP_NET_ADMIN"];

/// Makes the tree and its key; see [`crate::lower::run`].
///
/// # Errors
/// When a source is not what is locked, or a step fails; what was built until then serves the next run.
pub fn run(ctx: &Ctx, plan: &Plan, work: &WorkDir, asked: &Options) -> Result<()> {
    container::require_root("making a lower image")?;
    namespaces::enter_private()?;
    let options = plan.options(asked)?;
    let log = work.fresh_log(PHASE)?;
    let runner = Runner { log: Some(log.clone()), listener: Some(listener(ctx)) };
    let brought = bring(ctx, &runner, plan, options.offline)?;
    let stack = ProfileStack::read(&brought.repositories, OVERLAY, &plan.profile)
        .map_err(|e| e.context(format!("selecting the profile {}", plan.profile)))?;
    let fresh = take_up(work)?;
    let steps = plan.steps(&options, fresh);
    ctx.ui.step(format!("lower: {} steps (log: {})", steps.len(), log.display()));
    let work_tree = work.unfinished(PHASE);
    let mut executor =
        Executor { ctx, plan, work, runner, options, brought, stack, tree: work_tree, container: None };
    for step in &steps {
        executor.ctx.ui.detail(step);
        executor.step(step).map_err(|e| explain(step, e, &log))?;
    }
    executor.finish()?;
    plan.key().write(&work.key(PHASE))
}

fn explain(step: &Step, error: CommandError, log: &Path) -> CommandError {
    let mut error = error.context(format!("lower: {}", step.title));
    if error.hint.is_none() {
        error.hint = Some(format!(
            "all that was said is in {}; what was built is kept for the next run",
            log.display()
        ));
    }
    error
}

/// Turns what emerge says into progress.
fn listener(ctx: &Ctx) -> Listener {
    let ui = ctx.ui.sink();
    Listener::new(move |line| {
        if let Some(progress) = progress::parse(line) {
            ui.package(&progress.to_string(), progress.event());
        }
    })
}

/// Takes the complete tree up again, or what an earlier run left; tells whether neither was there.
fn take_up(work: &WorkDir) -> Result<bool> {
    let (complete, unfinished) = (work.tree(PHASE), work.unfinished(PHASE));
    if unfinished.is_dir() {
        return Ok(true);
    }
    if !complete.is_dir() {
        return Ok(true);
    }
    // Key first: from now on nothing here passes for complete.
    remove_file(&work.key(PHASE))?;
    std::fs::rename(&complete, &unfinished).with_context(|| format!("taking up {}", complete.display()))?;
    Ok(false)
}

struct Executor<'a> {
    ctx: &'a Ctx,
    plan: &'a Plan,
    work: &'a WorkDir,
    runner: Runner,
    options: Options,
    brought: Brought,
    stack: ProfileStack,
    tree: PathBuf,
    container: Option<Container>,
}

impl Executor<'_> {
    fn passes(&self) -> Passes<'_> {
        Passes { effective: &self.plan.effective, options: &self.options }
    }

    fn root(&self) -> Result<RootDir> {
        RootDir::open(&self.tree)
    }

    fn step(&mut self, step: &Step) -> Result<()> {
        match &step.action {
            Action::Stage3 => self.stage3(),
            Action::PortageFiles => {
                let root = self.root()?;
                for file in &self.plan.files {
                    match &file.content {
                        None => root.remove(&file.path)?,
                        Some(content) => {
                            if root.is_dir(&file.path) {
                                root.remove(&file.path)?;
                            }
                            put(&root, &file.path, content.as_bytes(), 0o644)?;
                        }
                    }
                }
                root.remove(breaker::FILE)
            }
            Action::Directories => self.plan.directories.install(&self.root()?),
            Action::Profile => self.profile(),
            Action::Run(command) => self.run(command),
            Action::Try(command) => {
                if let Err(error) = self.run(command) {
                    self.unless_aborted(&error)?;
                    self.ctx.ui.warning(format!("{}: {error}", step.title), None);
                }
                Ok(())
            }
            Action::OpenCycles => self.open_cycles(),
            Action::Modules(command) => {
                let root = self.root()?;
                if root.is_dir("/usr/src/linux") && !root.exists(MODULES_MARK) {
                    self.run(command)?;
                    root.write(MODULES_MARK, b"", 0o644)?;
                }
                Ok(())
            }
            Action::UnmergeMasked => {
                let root = self.root()?;
                let masks = Masks::read(&root, &self.repositories(), &self.stack)?;
                let masked = masks.masked(&Vdb::read(&root)?);
                if masked.is_empty() {
                    return Ok(());
                }
                self.ctx.ui.step(format!("lower: masked: {}", masked.join(" ")));
                let [unmerge, update] = self.passes().unmerge_masked(&masked);
                self.run(&unmerge)?;
                self.run(&update)
            }
            Action::Either(first, second) => match self.run(first) {
                Ok(()) => Ok(()),
                Err(error) => {
                    self.unless_aborted(&error)?;
                    self.ctx.ui.warning(format!("{error}; trying without build-time packages"), None);
                    self.run(second)
                }
            },
        }
    }

    fn unless_aborted(&self, error: &CommandError) -> Result<()> {
        crate::io::interrupt::Interrupt::watched().map_or(Ok(()), crate::io::interrupt::Interrupt::check)?;
        self.ctx.ui.detail(error);
        Ok(())
    }

    /// The repositories that masks are read from, the artifact's own among them.
    fn repositories(&self) -> Repositories {
        let mut repositories = self.brought.repositories.clone();
        if self.plan.directories.has_overlay() {
            let path = self.tree.join(REPOSITORIES.trim_start_matches('/')).join(LOCAL_OVERLAY);
            repositories.insert(LOCAL_OVERLAY.to_owned(), path);
        }
        repositories
    }

    /// Unpacks aside: a tree without its mark is never taken for one.
    fn stage3(&mut self) -> Result<()> {
        let wanted = &self.brought.stage3.sha256;
        if self.tree.is_dir() {
            let root = self.root()?;
            if root.exists(STAGE3_MARK) && root.read(STAGE3_MARK)? == wanted.as_bytes() {
                self.ctx.ui.detail("the tree was made from this stage3");
                return Ok(());
            }
            remove_tree(&self.tree)?;
        }
        let partial = self.work.partial("stage3");
        remove_tree(&partial)?;
        std::fs::create_dir_all(&partial).with_context(|| format!("creating {}", partial.display()))?;
        self.ctx.ui.step(format!("lower: unpacking {}", self.brought.stage3.path.display()));
        self.runner.run(&trees::stage3_command(&self.brought.stage3.path, &partial))?;
        let root = RootDir::open(&partial)?;
        if !root.is_dir("/etc/portage") && !root.is_dir("/usr/lib/portage") && !root.exists("/usr/bin/emerge")
        {
            return Err(CommandError::failed(format!(
                "{} is no stage3: it has no Portage",
                self.brought.stage3.path.display()
            )));
        }
        for name in [REPOSITORY, OVERLAY] {
            root.create_dirs(&format!("{REPOSITORIES}/{name}"))?;
        }
        root.write(STAGE3_MARK, wanted.as_bytes(), 0o644)?;
        std::fs::rename(&partial, &self.tree).with_context(|| format!("creating {}", self.tree.display()))
    }

    fn profile(&self) -> Result<()> {
        let root = self.root()?;
        root.symlink(PROFILE_LINK, Path::new(&profile_link(&self.plan.profile)))?;
        let set = self.stack.profile_set(&self.brought.repositories)?;
        let text: String = set.iter().flat_map(|atom| [atom.as_str(), "\n"]).collect();
        root.write(PROFILE_SET, text.as_bytes(), 0o644)?;
        let timestamp = self.brought.repositories.get(REPOSITORY).and_then(|tree| trees::timestamp(tree));
        root.write(TIMESTAMP, timestamp.unwrap_or_default().as_bytes(), 0o644)
    }

    fn run(&mut self, command: &Command) -> Result<()> {
        let payload = payload(command);
        self.open()?;
        self.container()?.run(&self.runner, &payload)
    }

    /// Opens the container once: all steps share its `/tmp`.
    fn open(&mut self) -> Result<()> {
        if self.container.is_none() {
            let scratch = self.work.partial("lower-mounts");
            std::fs::create_dir_all(&scratch).with_context(|| format!("creating {}", scratch.display()))?;
            let binds = self.binds()?;
            let personality = binfmt::personality(host_arch()?, self.plan.effective.arch);
            let mut environment = self.passes().environment();
            // What each package's build says is kept; nobody is there to change his mind before something goes.
            environment.extend([("PORTAGE_LOGDIR", LOGS), ("CLEAN_DELAY", "0")].map(owned));
            let container = Container::open_directory(&self.tree, &scratch, &self.ctx.dir, environment)?
                .with_binds(binds)
                .with_capabilities(&CAPABILITIES)
                .with_personality(personality);
            self.container = Some(container);
        }
        Ok(())
    }

    fn container(&self) -> Result<&Container> {
        self.container.as_ref().ok_or_else(|| CommandError::failed("no container"))
    }

    /// What commands see of this machine: repositories read-only, distfiles and binary packages of all artifacts.
    fn binds(&self) -> Result<Vec<Bind>> {
        let cache = cache::directory()?;
        let repositories = self.brought.repositories.iter();
        let mut binds: Vec<Bind> = repositories
            .map(|(name, from)| Bind {
                from: from.clone(),
                to: format!("{REPOSITORIES}/{name}"),
                read_only: true,
            })
            .collect();
        let owner = portage_owner(&self.root()?)?;
        let logs = self.work.dir.join("logs").join("packages");
        let arch = cache.join(self.plan.effective.arch.name());
        let mut shared = vec![(cache.join("distfiles"), "/var/cache/distfiles"), (logs, LOGS)];
        if !self.options.independent_binpkgs {
            shared.push((arch.join("binpkgs"), "/var/cache/binpkgs"));
        }
        for (from, to) in shared {
            std::fs::create_dir_all(&from).with_context(|| format!("creating {}", from.display()))?;
            share(&from, owner)?;
            let from = std::fs::canonicalize(&from).with_context(|| format!("opening {}", from.display()))?;
            binds.push(Bind { from, to: to.to_owned(), read_only: false });
        }
        Ok(binds)
    }

    fn pretend(&mut self) -> Result<breaker::Answer> {
        let mut command = self.passes().pretend();
        // Why: cycles are told on standard error, what would be merged on standard output.
        let shell = ["/bin/sh", "-c", "exec \"$@\" 2>&1", "sh"].map(str::to_owned);
        command.argv.splice(0..0, shell);
        let payload = payload(&command);
        self.open()?;
        let output = self.container()?.capture(&self.runner, &payload)?;
        self.runner.write_log(&output.stdout);
        Ok(breaker::read(&String::from_utf8_lossy(&output.stdout)))
    }

    /// Builds the packages of cycles with flags turned off that close them; the main pass builds them anew.
    fn open_cycles(&mut self) -> Result<()> {
        if !self.pretend()?.circular {
            return Ok(());
        }
        let result = self.open_cycles_with(Flags::table());
        // Whatever came of it, the flags are for this pass alone.
        self.root()?.remove(breaker::FILE)?;
        result
    }

    fn open_cycles_with(&mut self, mut flags: Flags) -> Result<()> {
        for _ in 0..breaker::MAX_ROUNDS {
            self.root()?.write(breaker::FILE, flags.text().as_bytes(), 0o644)?;
            let answer = self.pretend()?;
            if !answer.circular {
                let needed = flags.needed(&answer.merges);
                if needed.is_empty() {
                    return Err(CommandError::failed(
                        "the cycle is gone, but no package of it would be built",
                    ));
                }
                self.ctx.ui.step(format!("lower: opening a dependency cycle: {}", needed.join(" ")));
                let command = self.passes().open_cycle(&needed);
                return self.run(&command);
            }
            if !flags.add(&answer.proposals) {
                return Err(CommandError::failed(format!("these need each other: {}", answer.cycle.join(" ")))
                    .hint("circulardep_breaker: {packages: […], use: \"-flag\"} installs them first with other flags"));
            }
        }
        Err(CommandError::failed(format!("there are more than {} dependency cycles", breaker::MAX_ROUNDS)))
    }

    fn finish(self) -> Result<()> {
        drop(self.container);
        remove_tree(&self.work.partial("lower-mounts"))?;
        self.work.complete_from(PHASE, &self.tree)
    }
}

fn owned((key, value): (&str, &str)) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

fn payload(command: &Command) -> Payload {
    let mut argv = Vec::new();
    if !command.env.is_empty() {
        argv.push("env".to_owned());
        argv.extend(command.env.iter().map(|(key, value)| format!("{key}={value}")));
    }
    argv.extend(command.argv.iter().cloned());
    Payload { argv, user: None }
}

/// Returns the numbers of the user and the group `portage` of a tree.
fn portage_owner(root: &RootDir) -> Result<(u32, u32)> {
    let number = |file: &str, field: usize| -> Result<u32> {
        let text = String::from_utf8_lossy(&root.read(file)?).into_owned();
        let line = text.lines().find(|l| l.starts_with("portage:"));
        let number = line.and_then(|l| l.split(':').nth(field)).and_then(|n| n.parse().ok());
        number.ok_or_else(|| CommandError::failed(format!("{file} of the stage3 has no portage")))
    };
    Ok((number("/etc/passwd", 2)?, number("/etc/group", 2)?))
}

/// Lets Portage's own user write to a shared directory (Gentoo bug 734000).
fn share(dir: &Path, (user, group): (u32, u32)) -> Result<()> {
    use std::os::unix::fs::{PermissionsExt, chown};
    let what = || format!("sharing {}", dir.display());
    chown(dir, Some(user), Some(group)).with_context(what)?;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o2775)).with_context(what)
}
