//! Makes the tree that the plan describes.

use std::path::Path;

use crate::command_error::{CommandError, Result};
use crate::container::{self, namespaces};
use crate::ctx::Ctx;
use crate::lower::PHASE;
use crate::lower::debian::plan::{Plan, bare_name};
use crate::lower::debian::{complaint, sources};
use crate::model::Model;
use crate::model::base::DEBIAN_MIRROR_ENV;
use crate::model::work_dir::WorkDir;
use crate::runner::{Run, Runner};

/// Makes the tree and its key; see [`crate::lower::run`].
///
/// # Errors
/// When a package does not exist or a program fails.
pub fn run(ctx: &Ctx, model: &Model, plan: &Plan, work: &WorkDir) -> Result<()> {
    container::require_root("making a lower image")?;
    // Why: what mmdebstrap mounts and cannot unmount any more when it is killed ends with us.
    namespaces::enter_private()?;
    let lines = source_lines(&ctx.runner, plan)?;
    let log = work.fresh_log(PHASE)?;
    ctx.ui.step(format!(
        "lower: installing {} packages of Debian {} (log: {})",
        plan.packages.len(),
        plan.debian.suite,
        log.display()
    ));
    let runner = Runner { log: Some(log.clone()), listener: None };
    let partial = work.partial(PHASE);
    if let Err(error) = runner.run(&plan.command(&partial, &lines)) {
        return Err(explain(model, plan, &log, error));
    }
    work.complete(PHASE)?;
    plan.key().write(&work.key(PHASE))
}

fn source_lines(runner: &Runner, plan: &Plan) -> Result<Vec<String>> {
    let keyring = Path::new(sources::KEYRING).exists();
    let host = if plan.debian.mirror.is_some() {
        Vec::new()
    } else {
        let ask = Run::new("apt-get").args([
            "indextargets",
            "--no-release-info",
            "--format",
            sources::INDEX_FORMAT,
            "Created-By: Packages",
        ]);
        let answer = runner.run(&ask).map_err(|e| {
            e.context("asking apt for this machine's mirror")
                .hint(format!("name one with base: {{debian: {{mirror: …}}}} or {DEBIAN_MIRROR_ENV}"))
        })?;
        sources::host_releases(&String::from_utf8_lossy(&answer.stdout))
    };
    let lines = sources::lines(&plan.debian, &host, keyring);
    if lines.is_empty() {
        return Err(CommandError::failed("this machine's apt has no Debian mirror")
            .hint(format!("name one with base: {{debian: {{mirror: …}}}} or {DEBIAN_MIRROR_ENV}")));
    }
    Ok(lines)
}

/// Points at the package of the definition that apt could not take, when that is what went wrong.
fn explain(model: &Model, plan: &Plan, log: &Path, error: CommandError) -> CommandError {
    let text = std::fs::read(log).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default();
    let Some(complaint) = complaint::find(&text) else {
        let hint = if text.contains("No space left on device") {
            "free some space on this file system".to_owned()
        } else if text.contains("Failed to fetch") {
            format!("see whether the mirror can be reached, or name another one with {DEBIAN_MIRROR_ENV}")
        } else {
            format!("the whole log is {}", log.display())
        };
        return error.context("making the lower image").hint(hint);
    };
    let effective = &model.effective;
    let named = effective
        .packages
        .iter()
        .chain(&effective.buildtime_packages)
        .find(|p| bare_name(&p.value) == complaint.package);
    let message = format!("{}: {} in Debian {}", complaint.package, complaint.reason, plan.debian.suite);
    match named {
        Some(word) => model.source.error_at(
            word.span,
            message,
            Some(format!(
                "search for its name with: apt-cache search {}; other components: base: {{debian: {{components: [\"main\", \"contrib\"]}}}}",
                complaint.package
            )),
        ),
        None => CommandError::failed(message).hint("the profile asks for it; choose another suite or profile"),
    }
}
