//! The phases in order: lower, upper, pack. What is unchanged is reused; what a phase needs must be there.

pub mod archive;
pub mod clean;
pub mod dry_run;
pub mod init;
pub mod shell;
pub mod status;
mod tools;

use std::time::Instant;

use crate::command_error::{CommandError, Result};
use crate::ctx::{Ctx, host_arch};
use crate::io::interrupt::Interrupt;
use crate::lower::Plan as LowerPlan;
use crate::lower::gentoo::sources::Sources;
use crate::lower::gentoo::{binfmt, emerge};
use crate::model::key::{Freshness, Key};
use crate::model::lockfile::FILE_NAME;
use crate::model::work_dir::WorkDir;
use crate::model::{self, Model};
use crate::upper::artifact_files::ArtifactFiles;
use crate::upper::init_binary::{self, InitBinary};
use crate::upper::plan::{LowerFacts, Step};
use crate::{container, lower, pack, upper};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// The image, and on the way everything that is missing or stale.
    Image,
    /// The lower image, anew.
    Lower,
    /// The upper tree, anew.
    Upper,
    /// The image file, anew.
    Pack,
}

/// How it is to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// For Portage.
    pub emerge: emerge::Options,
    /// Build exactly what genpack.lock says, or not at all.
    pub locked: bool,
    /// Take the newest of everything and write it into genpack.lock.
    pub update: bool,
}

/// What every phase is given.
#[derive(Debug)]
pub struct Session {
    /// The definition.
    pub model: Model,
    /// `work/<arch>`.
    pub work: WorkDir,
    /// The plan of the lower image.
    pub lower: LowerPlan,
    /// `files/`.
    pub files: ArtifactFiles,
}

impl Session {
    /// Reads the definition and decides what does not need the lower image.
    ///
    /// # Errors
    /// When the definition or `files/` is not right, or its base cannot be built here.
    pub fn open(ctx: &Ctx) -> Result<Self> {
        let model = model::load(ctx)?;
        let lower = lower::plan(ctx, &model)?;
        let files = ArtifactFiles::read(&ctx.dir)?;
        files.scripts()?;
        Ok(Self { work: WorkDir::new(ctx, &model.effective), model, lower, files })
    }

    /// Returns the key that a new upper tree would get.
    ///
    /// # Errors
    /// When this program cannot be read.
    pub fn upper_key(&self, lower: &Key, init: Option<&InitBinary>) -> Result<Key> {
        upper::key(lower, &self.model, &self.lower, &self.files, init)
    }

    /// Returns the steps of the upper phase.
    ///
    /// # Errors
    /// When nothing says how a build script is to be run.
    pub fn steps(&self, facts: &LowerFacts, init: Option<&InitBinary>) -> Result<Vec<Step>> {
        upper::plan::plan(&self.model.effective, facts, &self.files, init)
    }

    /// Returns the init that the image gets; none when nothing is to boot it.
    ///
    /// # Errors
    /// When it is needed and not there.
    pub fn init(&self) -> Result<Option<InitBinary>> {
        match self.lower.machine() {
            Some(_) => init_binary::find(self.model.effective.arch).map(Some),
            None => Ok(init_binary::find(self.model.effective.arch).ok()),
        }
    }
}

/// Builds.
///
/// # Errors
/// When a phase fails, or the phase before it has not run.
pub fn run(ctx: &Ctx, goal: Goal, options: &Options) -> Result<()> {
    let mut session = Session::open(ctx)?;
    // Why first: nothing is fetched, and nobody waits, for what this machine cannot run. Packing runs nothing.
    let emulator =
        if goal == Goal::Pack { Ok(None) } else { binfmt::check(host_arch()?, session.model.effective.arch) };
    if ctx.dry_run {
        if let Err(e) = emulator {
            ctx.ui.warning(&e, e.hint.as_deref());
        }
        return dry_run::run(ctx, &session, goal, options);
    }
    container::require_root("a build")?;
    if let Some(emulator) = emulator? {
        let arch = session.model.effective.arch;
        ctx.ui.step(format!("{} runs programs of {arch}", emulator.interpreter));
    }
    if matches!(goal, Goal::Image | Goal::Lower) {
        session = lock_sources(ctx, session, options)?;
    }
    // Why: a missing init is told before a minute of installing packages, not after it.
    let init = if goal == Goal::Lower { None } else { session.init()? };
    let interrupt = Interrupt::watch()?;
    let _lock = session.work.lock()?;
    let result = tools::check(&session, goal, init.as_ref())
        .and_then(|()| phases(ctx, &session, goal, init.as_ref(), options))
        // Why: a program that Ctrl-C ended did not fail, and its last words explain nothing.
        .map_err(|e| match interrupt.check() {
            Ok(()) => e,
            Err(interrupted) => interrupted.hint("what was complete is reused by the next build"),
        });
    if result.is_err()
        && let Err(e) = session.work.sweep()
    {
        ctx.ui.warning(&e, None);
    }
    result
}

/// Decides what exactly the lower image is made of, and writes it down.
///
/// A build takes what the lock says; what it does not say, or says of another place, is the newest there is.
fn lock_sources(ctx: &Ctx, session: Session, options: &Options) -> Result<Session> {
    let LowerPlan::Gentoo(plan) = &session.lower else { return Ok(session) };
    let arch = session.model.effective.arch;
    if options.locked {
        return match Sources::unlocked(&plan.lock, arch).as_slice() {
            [] => Ok(session),
            missing => {
                Err(CommandError::failed(format!("{FILE_NAME} says nothing of: {}", missing.join(", ")))
                    .hint("build without --locked writes it"))
            }
        };
    }
    let parts = if options.update {
        vec!["stage3", "snapshot", "overlay"]
    } else {
        plan.sources.moved(&plan.lock, arch)?
    };
    if parts.is_empty() {
        return Ok(session);
    }
    let lock = lower::gentoo::bring::newest(ctx, plan, &parts, options.emerge.offline)?;
    lock.write(&ctx.dir)?;
    Session::open(ctx)
}

fn phases(
    ctx: &Ctx,
    session: &Session,
    goal: Goal,
    init: Option<&InitBinary>,
    options: &Options,
) -> Result<()> {
    let started = Instant::now();
    if matches!(goal, Goal::Image | Goal::Lower) {
        ensure_lower(ctx, session, options, goal == Goal::Lower)?;
    }
    if matches!(goal, Goal::Image | Goal::Upper) {
        ensure_upper(ctx, session, init, goal == Goal::Upper)?;
    }
    if matches!(goal, Goal::Image | Goal::Pack) {
        ensure_image(ctx, session, init, goal == Goal::Pack)?;
        let image = pack::outfile(ctx, &session.model.effective);
        let bytes = std::fs::metadata(&image).map_or(0, |m| m.len());
        let seconds = started.elapsed().as_secs_f64();
        ctx.ui.step(format!("done: {} MiB in {seconds:.1} s", bytes >> 20));
        ctx.ui.event("done", serde_json::json!({"image": image, "bytes": bytes, "seconds": seconds}));
        ctx.ui.answer(image.display());
    }
    Ok(())
}

fn ensure_lower(ctx: &Ctx, session: &Session, options: &Options, anew: bool) -> Result<()> {
    let freshness = lower::freshness(&session.lower, &session.work)?;
    if !anew && announce(ctx, lower::PHASE, &freshness) {
        return Ok(());
    }
    timed(ctx, lower::PHASE, || {
        lower::run(ctx, &session.model, &session.lower, &session.work, &options.emerge)
    })
}

fn ensure_upper(ctx: &Ctx, session: &Session, init: Option<&InitBinary>, anew: bool) -> Result<()> {
    require(ctx, session, lower::PHASE, &lower::freshness(&session.lower, &session.work)?)?;
    let lower_key = Key::read(&session.work.key(lower::PHASE))?;
    let key = session.upper_key(&lower_key, init)?;
    if !anew && announce(ctx, upper::PHASE, &upper::freshness(&key, &session.work)?) {
        return Ok(());
    }
    timed(ctx, upper::PHASE, || {
        let facts = upper::run::facts(&session.lower, &session.work.tree(lower::PHASE))?;
        let steps = session.steps(&facts, init)?;
        let inputs = upper::run::Inputs {
            model: &session.model,
            lower: &session.lower,
            files: &session.files,
            steps: &steps,
            key: &key,
        };
        upper::run::run(ctx, &inputs, &session.work)
    })
}

fn ensure_image(ctx: &Ctx, session: &Session, init: Option<&InitBinary>, anew: bool) -> Result<()> {
    require(ctx, session, lower::PHASE, &lower::freshness(&session.lower, &session.work)?)?;
    let lower_key = Key::read(&session.work.key(lower::PHASE))?;
    let wanted = session.upper_key(&lower_key, init)?;
    require(ctx, session, upper::PHASE, &upper::freshness(&wanted, &session.work)?)?;
    let upper_key = Key::read(&session.work.key(upper::PHASE))?;
    let key = pack::key(&upper_key.text(), &session.model.effective);
    let image = pack::outfile(ctx, &session.model.effective);
    if !anew && announce(ctx, pack::PHASE, &pack::freshness(&key, &session.work, &image)?) {
        return Ok(());
    }
    timed(ctx, pack::PHASE, || pack::run::run(ctx, &session.model, &session.lower, key, &session.work))
}

/// Refuses to go on without the phase before; says so when that one is stale.
fn require(ctx: &Ctx, session: &Session, phase: &str, freshness: &Freshness) -> Result<()> {
    match freshness {
        Freshness::Fresh => Ok(()),
        Freshness::Stale(changed) => {
            ctx.ui.warning(
                format!("{phase} was made before these changed: {}", changed.join(", ")),
                Some("genpack-host build makes it anew"),
            );
            Ok(())
        }
        Freshness::Missing => {
            Err(CommandError::failed(format!("{} is not there", session.work.tree(phase).display()))
                .hint(format!("genpack-host {phase} makes it, genpack-host build makes everything")))
        }
    }
}

/// Says how a phase stands and tells whether it is fresh.
fn announce(ctx: &Ctx, phase: &str, freshness: &Freshness) -> bool {
    match freshness {
        Freshness::Fresh => ctx.ui.step(format!("{phase}: unchanged")),
        Freshness::Missing => {}
        Freshness::Stale(changed) => ctx.ui.detail(format!("{phase}: changed: {}", changed.join(", "))),
    }
    *freshness == Freshness::Fresh
}

fn timed(ctx: &Ctx, phase: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let started = Instant::now();
    work()?;
    let seconds = started.elapsed().as_secs_f64();
    ctx.ui.step(format!("{phase}: done in {seconds:.1} s"));
    ctx.ui.event("phase", serde_json::json!({"phase": phase, "seconds": seconds}));
    Ok(())
}
