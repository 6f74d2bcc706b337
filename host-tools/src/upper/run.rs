//! Runs the steps of the plan on an overlay of lower and upper.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use genpack_core::contract::paths;
use rustix::fs::FileType;

use crate::command_error::{CommandError, Context, Result};
use crate::container::overlayfs::{Overlay, Writes};
use crate::container::root_dir::RootDir;
use crate::container::{Container, LEFTOVERS, RESOLVER};
use crate::ctx::{Ctx, host_arch};
use crate::dev::loaders;
use crate::initramfs;
use crate::lower;
use crate::lower::Plan as LowerPlan;
use crate::lower::gentoo::binfmt;
use crate::model::Model;
use crate::model::base::Base;
use crate::model::key::Key;
use crate::model::work_dir::{WorkDir, remove_tree};
use crate::runner::Runner;
use crate::upper::artifact_files::{ArtifactFiles, Kind};
use crate::upper::closure::Database;
use crate::upper::gentoo::{Runtime, version_parts};
use crate::upper::plan::{Action, LowerFacts, PACKAGE_SCRIPTS, Step};
use crate::upper::{PHASE, copyright, gentoo_tools, kept_initramfs, runtime_set};

/// What the phase works with.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// The definition.
    pub model: &'a Model,
    /// How the lower image was made.
    pub lower: &'a LowerPlan,
    /// `files/`.
    pub files: &'a ArtifactFiles,
    /// The steps.
    pub steps: &'a [Step],
    /// The key that the tree gets.
    pub key: &'a Key,
}

/// Reads off the lower image what the plan must know.
///
/// # Errors
/// When dpkg's database cannot be read, or the image is to boot and has no kernel.
pub fn facts(plan: &LowerPlan, tree: &Path) -> Result<LowerFacts> {
    let root = RootDir::open(tree)?;
    let plan = match plan {
        LowerPlan::Debian(plan) => plan,
        LowerPlan::Gentoo(plan) => return Runtime::read(&root)?.facts(&root, plan.machine),
    };
    let database = runtime_set::database(&root)?;
    let closure = runtime_set::closure(plan, &database, &database);
    if let [first, ..] = closure.missing.as_slice() {
        return Err(CommandError::failed(format!("the lower image has no package {first}"))
            .hint("it was made from an older definition: genpack-host lower"));
    }
    let packages: std::collections::BTreeSet<String> = closure.members.into_keys().collect();
    let mut package_scripts = Vec::new();
    for package in &packages {
        let directory = format!("{PACKAGE_SCRIPTS}/{package}");
        for name in root.list(&directory)? {
            let path = format!("{directory}/{name}");
            if root.mode(&path).is_some_and(|m| m & 0o111 != 0) {
                package_scripts.push(path);
            }
        }
    }
    let kernels =
        root.list("/boot")?.into_iter().filter_map(|n| n.strip_prefix("vmlinuz-").map(str::to_owned));
    let kernel = kernels.max_by_key(|v| version_parts(v));
    if plan.machine.is_some() && kernel.is_none() {
        return Err(CommandError::failed("the lower image has no kernel in /boot"));
    }
    Ok(LowerFacts { packages, package_scripts, kernel, machine: plan.machine, ..LowerFacts::default() })
}

/// Makes the upper tree.
///
/// # Errors
/// When a step fails; nothing that looks complete is left.
pub fn run(ctx: &Ctx, inputs: &Inputs<'_>, work: &WorkDir) -> Result<()> {
    let log = work.fresh_log(PHASE)?;
    ctx.ui.step(format!("upper: {} steps (log: {})", inputs.steps.len(), log.display()));
    let runner = Runner { log: Some(log), listener: None };
    let upper = work.partial(PHASE);
    let overlay_work = work.partial("upper-work");
    let scratch = work.partial("upper-mounts");
    for dir in [&upper, &overlay_work, &scratch] {
        std::fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
    }
    // Why: the upper directory becomes the root of the image.
    std::fs::set_permissions(&upper, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .with_context(|| format!("setting the mode of {}", upper.display()))?;
    let lower_tree = work.tree(lower::PHASE);
    let overlay = Overlay {
        lower: vec![lower_tree.clone()],
        writes: Writes::Keep { upper, work: overlay_work.clone() },
    };
    let effective = &inputs.model.effective;
    let container = open(ctx, inputs.model, inputs.lower, &overlay, &scratch)?;
    let executor = Executor {
        ctx,
        inputs,
        runner: &runner,
        root: container.root()?,
        lower: RootDir::open(&lower_tree)?,
        container,
        kept_initramfs: kept_initramfs(work),
    };
    for step in inputs.steps {
        ctx.ui.detail(step);
        executor.step(step).map_err(|e| explain(inputs.model, step, e))?;
    }
    drop(executor);
    remove_tree(&scratch)?;
    remove_tree(&overlay_work)?;
    work.complete(PHASE)?;
    inputs.key.write(&work.key(PHASE))?;
    ctx.ui.detail(format!("the upper tree of {} is complete", effective.name));
    Ok(())
}

/// Opens a container on the layers of a build, with all that scripts of the artifact may count on.
///
/// # Errors
/// When we are not root or the kernel refuses a mount.
pub fn open(
    ctx: &Ctx,
    model: &Model,
    lower: &LowerPlan,
    overlay: &Overlay,
    scratch: &Path,
) -> Result<Container> {
    let host = host_arch()?;
    let mut environment = environment(model);
    let mut binds = Vec::new();
    if let LowerPlan::Gentoo(plan) = lower {
        environment.extend(gentoo_tools::environment());
        binds.extend(gentoo_tools::binds(&ctx.ui, plan.effective.arch)?);
        binds.extend(lower::gentoo::bring::repository_binds(plan)?);
        environment.extend(binfmt::environment(binfmt::is_emulated(host, plan.effective.arch)));
    }
    let personality = binfmt::personality(host, model.effective.arch);
    let container = Container::open(overlay, scratch, &ctx.dir, environment)?;
    Ok(container.with_binds(binds).with_personality(personality))
}

/// Returns the variables that scripts of the artifact see.
#[must_use]
pub fn environment(model: &Model) -> Vec<(String, String)> {
    let effective = &model.effective;
    let mut environment = vec![("ARTIFACT".to_owned(), effective.name.clone())];
    if let Some(profile) = &effective.profile {
        environment.push(("PROFILE".to_owned(), profile.value.clone()));
    }
    if let Some(variant) = &effective.variant {
        environment.push(("VARIANT".to_owned(), variant.clone()));
    }
    if let Ok(epoch) = std::env::var("SOURCE_DATE_EPOCH") {
        // Why: useradd writes today into /etc/shadow otherwise.
        environment.push(("SOURCE_DATE_EPOCH".to_owned(), epoch));
    }
    if matches!(effective.base, Base::Debian(_)) {
        environment.push(("DEBIAN_FRONTEND".to_owned(), "noninteractive".to_owned()));
    }
    environment
}

/// Points at what in the definition asked for the step.
fn explain(model: &Model, step: &Step, error: CommandError) -> CommandError {
    let Some(span) = step.span else {
        return error.context(format!("upper: {}", step.title));
    };
    let missing = error.tail.iter().any(|l| l.contains("does not exist") && l.contains("Unit"));
    let mut clauses = vec![format!("upper: {}", step.title)];
    let mut hint = error.hint.clone();
    if missing {
        clauses.push("no package and no file of the artifact brings this unit".to_owned());
        hint = hint.or_else(|| {
            Some("list the units with: genpack-host bash -- systemctl list-unit-files".to_owned())
        });
    } else {
        clauses.extend(error.clauses.iter().cloned());
    }
    let mut placed = model.source.error_at(span, clauses.join(": "), hint);
    placed.tail = error.tail;
    placed.kind = error.kind;
    placed
}

struct Executor<'a> {
    ctx: &'a Ctx,
    inputs: &'a Inputs<'a>,
    runner: &'a Runner,
    root: RootDir,
    lower: RootDir,
    container: Container,
    /// Where compressed initramfs stay for the next build.
    kept_initramfs: PathBuf,
}

impl Executor<'_> {
    fn step(&self, step: &Step) -> Result<()> {
        match &step.action {
            Action::Run(payload) => self.container.run(self.runner, payload),
            Action::Write { path, content, mode } => self.root.write(path, content.as_bytes(), *mode),
            Action::WriteIfAbsent { path, content, mode } => match self.root.file_type(path) {
                None => self.root.write(path, content.as_bytes(), *mode),
                Some(_) => Ok(()),
            },
            Action::Link { path, target } => self.root.symlink(path, target),
            Action::Remove { path } => self.root.remove(path),
            Action::RemovePrefix { directory, prefix } => {
                let names = self.root.list(directory)?;
                names
                    .iter()
                    .filter(|n| n.starts_with(prefix.as_str()))
                    .try_for_each(|name| self.root.remove(&format!("{directory}/{name}")))
            }
            Action::CopyFiles => self.copy_files(),
            Action::Install { from, to } => {
                let mut file = File::open(from).with_context(|| format!("reading {}", from.display()))?;
                self.root.write_from(to, &mut file, 0o755)
            }
            Action::Copy { from, to } => {
                let bytes = self.root.read(from)?;
                self.root.write(to, &bytes, 0o644)
            }
            Action::Initramfs { kernel, init, to } => {
                let root = self.container.path();
                let out = root.join(to.trim_start_matches('/'));
                let kept = self.kept_initramfs.join(kernel);
                let made = initramfs::make(
                    self.ctx,
                    initramfs::Inputs { root, init, out: &out, kernel_version: kernel, kept: Some(&kept) },
                )?;
                self.ctx.ui.detail(format!(
                    "initramfs: {} bytes, {} modules, {}",
                    made.bytes, made.modules, made.compression
                ));
                Ok(())
            }
            Action::Loaders => {
                let out = self.container.path().join(paths::IMAGE_LOADERS.trim_start_matches('/'));
                let grub = Path::new(loaders::GRUB_DIRECTORY);
                loaders::build(self.ctx, self.inputs.model.effective.arch, grub, &out).map(drop)
            }
            Action::Packages => self.write_packages(),
            Action::Tidy => {
                LEFTOVERS.iter().try_for_each(|path| self.tidy(path))?;
                // Why: where the image has no resolver file of its own, binding the host's left an empty one.
                if self.root.file_type(RESOLVER) == Some(FileType::RegularFile)
                    && self.root.read(RESOLVER)?.is_empty()
                {
                    self.tidy(RESOLVER)?;
                }
                Ok(())
            }
            Action::TouchUsr => self.root.touch("/usr"),
        }
    }

    /// Removes a path that the lower image does not have.
    fn tidy(&self, path: &str) -> Result<()> {
        if self.lower.file_type(path).is_some() { Ok(()) } else { self.root.remove(path) }
    }

    fn write_packages(&self) -> Result<()> {
        let path = format!("{}/{}", paths::IMAGE_META, genpack_core::contract::image_meta::PACKAGES);
        let plan = match self.inputs.lower {
            LowerPlan::Debian(plan) => plan,
            LowerPlan::Gentoo(_) => {
                let runtime = Runtime::read(&self.lower)?;
                let timestamp = lower::gentoo::run::TIMESTAMP;
                if self.lower.exists(timestamp) {
                    let copy = format!("{}/timestamp.commit", paths::IMAGE_META);
                    self.root.write(&copy, &self.lower.read(timestamp)?, 0o644)?;
                }
                return self.root.write(&path, runtime.set.describe(&runtime.vdb).as_bytes(), 0o644);
            }
        };
        let lower: Database = runtime_set::database(&self.lower)?;
        let now = runtime_set::database(&self.root)?;
        let closure = runtime_set::closure(plan, &lower, &now);
        if let [first, ..] = closure.missing.as_slice() {
            return Err(CommandError::failed(format!("the package {first} is not installed any more"))
                .hint("a script of the artifact removed it"));
        }
        // Why from the lower image: the copyright files themselves are no part of the upper one.
        let licenses = |name: &str| {
            let file = format!("/usr/share/doc/{name}/copyright");
            copyright::licenses(&String::from_utf8_lossy(&self.lower.read(&file).ok()?))
        };
        self.root.write(&path, closure.describe(&now, &licenses).as_bytes(), 0o644)
    }

    /// As `cp -rd` of root: owner root, permission bits kept, directories that are there keep theirs.
    fn copy_files(&self) -> Result<()> {
        let mut names: BTreeMap<(u64, u64), &str> = BTreeMap::new();
        for entry in &self.inputs.files.entries {
            let path = entry.path.as_str();
            let found = self.root.file_type(path);
            let source = self.inputs.files.root.join(path.trim_start_matches('/'));
            match &entry.kind {
                Kind::Directory(mode) => match found {
                    None => self.root.create_dir(path, *mode)?,
                    Some(FileType::Directory) => {}
                    Some(FileType::Symlink) => {
                        let target = self.root.read_link(path).unwrap_or_default();
                        return Err(CommandError::failed(format!(
                            "files{path} is a directory, but in the image {path} is a link to {target}"
                        ))
                        .hint(format!("move it to files/{}", target.trim_start_matches('/'))));
                    }
                    Some(_) => {
                        return Err(CommandError::failed(format!(
                            "files{path} is a directory, but in the image {path} is a file"
                        )));
                    }
                },
                _ if found == Some(FileType::Directory) => {
                    return Err(CommandError::failed(format!(
                        "files{path} is not a directory, but in the image {path} is one"
                    )));
                }
                Kind::File { mode, shared } => {
                    if let Some(first) = shared.and_then(|id| names.get(&id)) {
                        self.root.hard_link(path, first)?;
                        continue;
                    }
                    let mut file =
                        File::open(&source).with_context(|| format!("reading {}", source.display()))?;
                    self.root.write_from(path, &mut file, *mode)?;
                    if let Some(id) = shared {
                        names.insert(*id, path);
                    }
                }
                Kind::Link(target) => self.root.symlink(path, target)?,
            }
        }
        Ok(())
    }
}
