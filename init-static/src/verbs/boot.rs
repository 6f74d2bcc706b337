//! `mark-good`, `rollback`, `health`, `retry`, and what `status` says about images: the boot state seen from a running system.
//!
//! Every change is a plan: the boot partition is made writable for the moment of the write when it is not. Where there are
//! slots (a Raspberry Pi, U-Boot) the link to the slot moves first, the record after it, so that a cut between the two
//! leaves an image on trial that marks itself good again. Not handled: renaming or removing images, which `update` does.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::MAX_STATUS;
use crate::fault::Fault;
use crate::op::{Op, Step};
use crate::report::{BootStatus, Log, print};
use crate::run::{Executor, is_read_only};
use crate::stage1::record::{MAX_TEXT, given_up, link_slot, read, write};
use crate::tree::{Tree, insertion_sort};
use genpack_core::contract::boot_state::{BootState, Image};
use genpack_core::contract::{boot_status, paths};
use genpack_core::loader::grubenv::Block;
use genpack_core::text::json5::emit::write_string;
use rustix::io::Errno;

/// Where executables lie that must all succeed before a system is good.
const HEALTH: &str = "/usr/lib/genpack-init/health.d";
/// Seconds that each of them may take.
const HOOK_SECONDS: u32 = 60;

/// What a verb needs to know.
struct Here {
    tree: Tree,
    boot: String,
    status: BootStatus,
    block: Block,
    state: BootState,
}

impl Here {
    fn open(boot: Option<&str>) -> Result<Self, i32> {
        let tree = Tree::open("/").map_err(|e| super::cannot("open", "/", e))?;
        let boot = boot.unwrap_or(paths::BOOT);
        let Some((block, state)) = read(&tree, boot) else {
            Log::stderr().error(format_args!(
                "{boot} has no boot state: this system was not started from a disk of ours"
            ));
            return Err(1);
        };
        let status = tree.read(paths::BOOT_STATUS, MAX_STATUS).unwrap_or_default();
        let status = BootStatus::parse(&String::from_utf8_lossy(&status));
        Ok(Self { tree, boot: boot.into(), status, block, state })
    }

    fn running(&self) -> Option<Image> {
        Image::of_file(self.status.get(boot_status::IMAGE)?)
    }

    fn has(&self, image: Image) -> bool {
        self.tree.is_file(&format!("{}/{}", self.boot, image.on_boot()))
            || self.tree.is_file(&format!("{}/{}", paths::RW, image.on_data()))
    }

    /// Tells whether a write would change nothing.
    fn holds(&self, op: &Op) -> bool {
        let Op::Overwrite { path, at, content } = op else { return false };
        let old = self.tree.read(path, MAX_TEXT).unwrap_or_default();
        usize::try_from(*at).is_ok_and(|at| old.get(at..).is_some_and(|old| old.starts_with(content)))
    }

    /// Makes a state the recorded one; answers the exit status.
    fn make(self, state: BootState) -> i32 {
        let mut plan = write(&self.boot, &self.block, &state);
        if let Some(slot) = link_slot(&self.tree, &self.boot, state.good()) {
            plan.insert(0, slot);
        }
        // Why: every boot asks, and a partition is not made writable for nothing.
        plan.retain(|step| !self.holds(&step.op));
        if plan.is_empty() {
            return 0;
        }
        let plan = on_writable(&self.boot, plan, is_read_only(&self.boot));
        let mut exec = Executor { tree: self.tree, log: Log::stderr(), modules: None };
        i32::from(exec.run_all(&plan) > 0)
    }
}

/// Puts a plan between the remounts that it needs on a boot partition that is mounted read-only.
pub(super) fn on_writable(boot: &str, mut plan: Vec<Step>, is_read_only: bool) -> Vec<Step> {
    let remount = |writable| Step::new(Fault::Report, Op::Remount { target: boot.into(), writable });
    if is_read_only {
        plan.insert(0, remount(true));
        plan.push(remount(false));
    }
    plan
}

/// Makes the running image the good one; once more changes nothing.
pub(super) fn mark_good(boot: Option<&str>) -> i32 {
    let here = match Here::open(boot) {
        Ok(here) => here,
        Err(code) => return code,
    };
    let Some(image) = here.running() else {
        Log::stderr().error(format_args!("{} does not say which image runs", paths::BOOT_STATUS));
        return 1;
    };
    let (before, after) = (here.state, here.state.mark_good(image));
    let name = image.on_boot();
    if after != before {
        let code = here.make(after);
        if code == 0 {
            print(&format!(
                "{name} is the good image now; the one before it is {}\n",
                before.good().on_boot()
            ));
        }
        return code;
    }
    if image == before.good() {
        print(&format!("{name} is the good image already\n"));
        return here.make(after);
    }
    print(&format!("{name} runs, but is not on trial; the good image stays {}\n", before.good().on_boot()));
    0
}

/// Selects the image before for the next boot.
pub(super) fn rollback(boot: Option<&str>) -> i32 {
    let here = match Here::open(boot) {
        Ok(here) => here,
        Err(code) => return code,
    };
    let Some(after) = here.state.rollback(|image| here.has(image)) else {
        Log::stderr()
            .error(format_args!("there is no image before {} to go back to", here.state.good().on_boot()));
        return 3;
    };
    let code = here.make(after);
    if code == 0 {
        print(&format!("{} starts at the next boot\n", after.good().on_boot()));
    }
    code
}

/// Starts the machine anew when the image that runs is still on trial: the loader then tries it again, or goes back.
pub(super) fn retry() -> i32 {
    let here = match Here::open(None) {
        Ok(here) => here,
        Err(code) => return code,
    };
    let running = here.running();
    let Some(trial) = here.state.trial().filter(|trial| Some(trial.image) == running) else { return 0 };
    let mut exec = Executor { tree: here.tree, log: Log::stderr(), modules: None };
    exec.log.error(format_args!("{} was not found good, starting the machine anew", trial.image.on_boot()));
    i32::from(exec.run_all(&[run(&["/usr/bin/systemctl", "--no-block", "reboot"])]) > 0)
}

/// Plans an outside program of a running system.
fn run(argv: &[&str]) -> Step {
    let mut op = Op::run(argv, HOOK_SECONDS);
    if let Op::Run { environment, .. } = &mut op {
        environment.push("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into());
    }
    Step::new(Fault::Report, op)
}

/// Asks the health hooks; the exit status is 1 when one of them fails, is late or cannot be started.
pub(super) fn health() -> i32 {
    let Ok(tree) = Tree::open("/") else { return 1 };
    let status = tree.text(paths::BOOT_STATUS, MAX_STATUS);
    let entries = match tree.list(HEALTH) {
        Ok(entries) => entries,
        Err(Errno::NOENT) => Vec::new(),
        Err(e) => return super::cannot("list", HEALTH, e),
    };
    let mut paths = Vec::new();
    for entry in &entries {
        paths.push(format!("{HEALTH}/{}", entry.name));
    }
    insertion_sort(&mut paths);
    let mut plan = Vec::new();
    for path in paths.iter().filter(|path| tree.is_executable(path)) {
        plan.push(run(&[path]));
    }
    let mut exec = Executor { tree, log: Log::stderr(), modules: None };
    let is_bad = exec.run_all(&plan) > 0;
    // Why: an image that is good already is not started anew, whatever the hooks say of it.
    if is_bad && BootStatus::parse(&status).number(boot_status::TRIAL).is_some() {
        retry();
    }
    i32::from(is_bad)
}

/// Puts what the record says into the lines of `status`.
fn add_record(status: &mut BootStatus, state: &BootState) {
    let name = |image: Option<Image>| image.map_or("", Image::on_boot);
    status.set("good_image", state.good().on_boot());
    status.set("previous_image", name(state.prev()));
    status.set("next_image", name(state.trial().map(|trial| trial.image)));
    status.set_number("next_tries", u64::from(state.trial().map_or(0, |trial| trial.tries)));
    status.set("given_up", &given_up(state));
}

/// Says in a sentence which image runs and what comes next.
fn sentence(status: &BootStatus, state: &BootState) -> String {
    let running = status.get(boot_status::IMAGE).unwrap_or_default();
    let image = Image::of_file(running);
    let mut text = match state.trial() {
        Some(trial) if Some(trial.image) == image => format!(
            "{running} runs on trial: {} more attempts, then {} boots again. 'genpack-init mark-good' keeps it.\n",
            trial.tries,
            state.good().on_boot()
        ),
        Some(trial) => {
            format!("{running} runs; {} is to be tried at the next boot.\n", trial.image.on_boot())
        }
        None if image == Some(state.good()) => format!("{running} runs and is the good image.\n"),
        None => format!("{running} runs in place of {}, the good image.\n", state.good().on_boot()),
    };
    let given_up = given_up(state);
    if !given_up.is_empty() {
        text.extend([&given_up, ".\n"]);
    }
    text
}

/// Prints how this machine booted and which image comes next.
pub(super) fn status(boot: Option<&str>, as_json: bool) -> i32 {
    let tree = match Tree::open("/") {
        Ok(tree) => tree,
        Err(e) => return super::cannot("open", "/", e),
    };
    let bytes = match tree.read(paths::BOOT_STATUS, MAX_STATUS) {
        Ok(bytes) => bytes,
        Err(_) if boot.is_some() => Vec::new(),
        Err(e) => return super::cannot("read", paths::BOOT_STATUS, e),
    };
    let mut status = BootStatus::parse(&String::from_utf8_lossy(&bytes));
    if let Some((_, state)) = read(&tree, boot.unwrap_or(paths::BOOT)) {
        add_record(&mut status, &state);
        if !as_json {
            print(&sentence(&status, &state));
        }
    }
    print(&if as_json { json(&status) } else { status.emit() });
    0
}

fn json(status: &BootStatus) -> String {
    let mut text = "{".to_string();
    for (i, (key, value)) in status.lines().enumerate() {
        text.push_str(if i > 0 { "," } else { "" });
        // Why: writing into a String cannot fail.
        let _ = write_string(key, &mut text);
        text.push(':');
        let _ = write_string(value, &mut text);
    }
    text.push_str("}\n");
    text
}

#[cfg(test)]
mod tests;
