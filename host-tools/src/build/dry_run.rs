//! Prints what a build would do, and does nothing.

use crate::build::{Goal, Options, Session};
use crate::command_error::Result;
use crate::ctx::Ctx;
use crate::lower::Plan;
use crate::lower::debian::plan::bare_name;
use crate::model::key::{Freshness, Key};
use crate::runner::Run;
use crate::upper::init_binary;
use crate::upper::plan::LowerFacts;
use crate::{lower, pack, upper};

/// Prints the plan of the phases of a goal.
///
/// # Errors
/// When something cannot be decided.
pub(super) fn run(ctx: &Ctx, session: &Session, goal: Goal, options: &Options) -> Result<()> {
    let work = &session.work;
    let lower_state = lower::freshness(&session.lower, work)?;
    let lower_steps = session.lower.describe(work, &options.emerge)?;
    let init = session.init().ok().flatten();
    let (facts, lower_key) = match &lower_state {
        Freshness::Fresh => (
            upper::run::facts(&session.lower, &work.tree(lower::PHASE))?,
            Key::read(&work.key(lower::PHASE))?,
        ),
        // Without the lower image its kernel and scripts are unknown; the packages asked for are known.
        _ => (
            LowerFacts {
                packages: roots(&session.lower),
                machine: session.lower.machine(),
                gentoo: matches!(session.lower, Plan::Gentoo(_)),
                ..LowerFacts::default()
            },
            session.lower.key(),
        ),
    };
    let upper_key = session.upper_key(&lower_key, init.as_ref())?;
    let upper_state = upper::freshness(&upper_key, work)?;
    let steps = session.steps(&facts, init.as_ref())?;
    let image = pack::outfile(ctx, &session.model.effective);
    let pack_state = pack::freshness(&pack::key(&upper_key.text(), &session.model.effective), work, &image)?;
    let pack_plan = pack::plan::Plan::new(&session.model.effective, pack::epoch().as_deref())?;

    let shown = |phases: &[Goal]| phases.contains(&goal);
    let (with_lower, with_upper, with_pack) = (
        shown(&[Goal::Image, Goal::Lower]),
        shown(&[Goal::Image, Goal::Upper]),
        shown(&[Goal::Image, Goal::Pack]),
    );
    if ctx.ui.is_json() {
        let mut plan = serde_json::Map::new();
        if with_lower {
            let (key, list) = match &session.lower {
                Plan::Debian(plan) => ("command", argv(&plan.command(&work.partial(lower::PHASE), &[]))),
                Plan::Gentoo(_) => ("steps", lower_steps),
            };
            plan.insert("lower".into(), phase(&lower_state, key, list));
        }
        if with_upper {
            let steps: Vec<_> = steps.iter().map(ToString::to_string).collect();
            plan.insert("upper".into(), phase(&upper_state, "steps", steps));
        }
        if with_pack {
            let pack_steps = vec![format!("pack with {pack_plan}"), format!("write {}", image.display())];
            plan.insert("pack".into(), phase(&pack_state, "steps", pack_steps));
        }
        ctx.ui.document(&plan.into());
        return Ok(());
    }
    if with_lower {
        ctx.ui.answer(format!("lower ({})", words(&lower_state)));
        for step in &lower_steps {
            ctx.ui.answer(format!("  {step}"));
        }
    }
    if with_upper {
        ctx.ui.answer(format!("upper ({})", words(&upper_state)));
        for step in &steps {
            ctx.ui.answer(format!("  {step}"));
        }
        if init.is_none() {
            ctx.ui.answer(format!("  (no genpack-init found: {})", init_binary::HINT));
        }
    }
    if with_pack {
        ctx.ui.answer(format!("pack ({})", words(&pack_state)));
        ctx.ui.answer(format!("  lower and upper, merged, with {pack_plan}"));
        ctx.ui.answer(format!("  -> {}", image.display()));
    }
    Ok(())
}

/// Without the lower image only what was asked for is known.
fn roots(plan: &Plan) -> std::collections::BTreeSet<String> {
    match plan {
        Plan::Debian(plan) => plan.roots.iter().map(|r| bare_name(r).to_owned()).collect(),
        Plan::Gentoo(plan) => plan.effective.packages.iter().map(|p| p.value.clone()).collect(),
    }
}

fn argv(run: &Run) -> Vec<String> {
    run.argv.iter().map(|a| a.to_string_lossy().into_owned()).collect()
}

fn phase(state: &Freshness, key: &str, list: Vec<String>) -> serde_json::Value {
    serde_json::json!({"state": state.word(), "changed": state.changed(), key: list})
}

/// Returns "unchanged", "to be made", or "to be made anew: … changed".
fn words(state: &Freshness) -> String {
    match state {
        Freshness::Fresh => "unchanged".to_owned(),
        Freshness::Missing => "to be made".to_owned(),
        Freshness::Stale(changed) => format!("to be made anew, changed: {}", changed.join(", ")),
    }
}
