//! What the program does for a person or a script, when it is not PID 1.
//!
//! Exit status: 0 done, 1 failed, 2 usage, 3 findings, or refused. Not handled: a
//! reset without a restart.

mod boot;

use alloc::format;

use crate::report::{BootStatus, Log, print};
use crate::run::Executor;
use crate::stage2::inputs::{Configuration, read_configuration};
use crate::stage2::{
    desired,
    provision::{fw_cfg, ssh_key},
};
use crate::stage2::{finding_line, plan, random};
use crate::tree::Tree;
use genpack_core::contract::system_ini::choose;
use genpack_core::contract::{boot_status, paths};
use rustix::io::Errno;

/// Longest boot-status that is printed, bytes.
const MAX_STATUS: usize = 256 * 1024;

const USAGE: &str = "usage: genpack-init check FILE
       genpack-init apply --root DIR --ini FILE [--dry-run]
       genpack-init status [--json] [--boot DIR]
       genpack-init mark-good|rollback [--boot DIR]
       genpack-init health|retry|reset
       genpack-init --version

check   prints what a boot would find in a system.ini; exit status 3 when something needs a repair
apply   does to a tree what a boot would do to the system, or prints it
status  prints how this machine booted, and which image boots next
mark-good  keeps the image that runs on trial; does nothing else, nor twice
rollback   goes back to the image before it at the next boot; exit status 3 when there is none
health     runs the executables in /usr/lib/genpack-init/health.d, one minute each; exit status 1 when one fails
retry      starts the machine anew when the image that runs is still on trial
reset      has everything that was stored emptied at the next start; exit status 3 when nothing is kept anyway

As PID 1 it is the initramfs stage, or the stage that configures the image and becomes /sbin/init.
";

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Call<'a> {
    Check(&'a str),
    Apply { root: &'a str, ini: &'a str, dry_run: bool },
    Status { json: bool, boot: Option<&'a str> },
    MarkGood(Option<&'a str>),
    Rollback(Option<&'a str>),
    Health,
    Retry,
    Reset,
    ImportKey,
    Version,
    Help,
}

/// Runs a verb; the result is the exit status.
#[must_use]
pub fn run(args: &[&[u8]]) -> i32 {
    let mut words = alloc::vec::Vec::new();
    for arg in args.iter().skip(1) {
        // Why: a word that is no text is none that we know.
        words.push(core::str::from_utf8(arg).unwrap_or("\u{FFFD}"));
    }
    let Some(call) = parse(&words) else {
        Log::stderr().error(format_args!("the call is not understood\n{}", USAGE.trim_end()));
        return 2;
    };
    match call {
        Call::Help => print(USAGE),
        Call::Version => print(concat!("genpack-init ", env!("CARGO_PKG_VERSION"), "\n")),
        Call::Check(file) => return check(file),
        Call::Status { json, boot } => return boot::status(boot, json),
        Call::MarkGood(boot) => return boot::mark_good(boot),
        Call::Rollback(boot) => return boot::rollback(boot),
        Call::Health => return boot::health(),
        Call::Retry => return boot::retry(),
        Call::Reset => return reset(),
        Call::ImportKey => return import_key(),
        Call::Apply { root, ini, dry_run } => return apply(root, ini, dry_run),
    }
    0
}

fn parse<'a>(words: &[&'a str]) -> Option<Call<'a>> {
    match words {
        ["check", file] => Some(Call::Check(file)),
        [verb @ ("status" | "mark-good" | "rollback"), rest @ ..] => {
            let (json, rest) = match rest {
                ["--json", rest @ ..] if *verb == "status" => (true, rest),
                _ => (false, rest),
            };
            let boot = match rest {
                [] => None,
                ["--boot", directory] => Some(*directory),
                _ => return None,
            };
            Some(match *verb {
                "status" => Call::Status { json, boot },
                "mark-good" => Call::MarkGood(boot),
                _ => Call::Rollback(boot),
            })
        }
        ["health"] => Some(Call::Health),
        ["retry"] => Some(Call::Retry),
        ["reset"] => Some(Call::Reset),
        ["import-fw-ssh-key"] => Some(Call::ImportKey),
        ["--version" | "-V"] => Some(Call::Version),
        ["--help" | "-h" | "help"] => Some(Call::Help),
        ["apply", rest @ ..] => {
            let (mut root, mut ini, mut dry_run) = (None, None, false);
            let mut rest = rest.iter();
            while let Some(word) = rest.next() {
                match *word {
                    "--dry-run" => dry_run = true,
                    "--root" => root = Some(*rest.next()?),
                    "--ini" => ini = Some(*rest.next()?),
                    _ => return None,
                }
            }
            Some(Call::Apply { root: root?, ini: ini?, dry_run })
        }
        _ => None,
    }
}

/// Reads a `system.ini` that must exist, wherever the caller's working directory is.
fn read(file: &str) -> Result<Configuration, Errno> {
    let (directory, name) = match file.rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some((directory, name)) => (directory, name),
        None => (".", file),
    };
    let tree = Tree::open(directory)?;
    if tree.stat(name).is_none() && tree.read_link(name).is_none() {
        return Err(Errno::NOENT);
    }
    let mut configuration = read_configuration(&tree, name)?;
    configuration.find_first(choose(&mut [name].into_iter()).finding());
    Ok(configuration)
}

fn cannot(what: &str, file: &str, e: Errno) -> i32 {
    Log::stderr().error(format_args!("cannot {what} {file}: errno {}", e.raw_os_error()));
    1
}

fn print_findings(file: &str, configuration: &Configuration) {
    for i in 0..configuration.findings.len() {
        print(&format!("{file}:{}\n", finding_line(configuration, i)));
    }
}

fn check(file: &str) -> i32 {
    match read(file) {
        Ok(configuration) => {
            print_findings(file, &configuration);
            if configuration.errors() > 0 { 3 } else { 0 }
        }
        Err(e) => cannot("read", file, e),
    }
}

/// Leaves the request that stage 1 finds beside the writable layer.
fn reset() -> i32 {
    let tree = match Tree::open("/") {
        Ok(tree) => tree,
        Err(e) => return cannot("open", "/", e),
    };
    let status = BootStatus::parse(&tree.text(paths::BOOT_STATUS, MAX_STATUS));
    if status.get(boot_status::PERSISTENT) != Some("yes") {
        Log::stderr().error(format_args!("this system keeps nothing: there is nothing to be emptied"));
        return 3;
    }
    let [name, _] = paths::RESET_REQUESTS;
    let path = format!("{}/{name}", paths::RW);
    if let Err(e) = tree.write(&path, 0o644, None, b"") {
        return cannot("write", &path, e);
    }
    print(&format!("everything that was stored goes at the next start; remove {path} to keep it\n"));
    0
}

fn apply(root: &str, ini: &str, dry_run: bool) -> i32 {
    let mut configuration = match read(ini) {
        Ok(configuration) => configuration,
        Err(e) => return cannot("read", ini, e),
    };
    let tree = match Tree::open(root) {
        Ok(tree) => tree,
        Err(e) => return cannot("open", root, e),
    };
    let plan = plan::provision(&tree, &mut configuration, random());
    print_findings(ini, &configuration);
    let steps = plan.groups.iter().flat_map(|group| &group.steps);
    if dry_run {
        steps.for_each(|step| print(&format!("{}\n", step.op)));
        return 0;
    }
    // Why: mounts, programs and the host name are this machine's, not the tree's.
    let mut exec = Executor { tree, log: Log::stderr(), modules: None };
    exec.log.set_debug(true);
    let mut failed = 0;
    for step in steps.filter(|step| step.op.is_of_tree()) {
        failed += exec.run_all(core::slice::from_ref(step));
    }
    i32::from(failed > 0)
}

/// Adds the keys that the host offers: for everybody who can log in when root calls, else for the caller.
fn import_key() -> i32 {
    let tree = match Tree::open("/") {
        Ok(tree) => tree,
        Err(e) => return cannot("open", "/", e),
    };
    let Some(keys) = fw_cfg::read(&tree, fw_cfg::KEYS) else {
        Log::stderr()
            .error(format_args!("the host of this machine offers no SSH key (fw_cfg {})", fw_cfg::KEYS));
        return 1;
    };
    let (settings, _) = genpack_core::contract::system_ini::parse(&fw_cfg::lines("ssh_pubkey", &keys));
    let mut exec = Executor { tree, log: Log::stderr(), modules: None };
    let me = rustix::process::geteuid().as_raw();
    let mut failed = 0;
    for user in ssh_key::users(&settings, &exec.tree) {
        if (me == 0 || me == user.owner.uid)
            && let Some(ops) = ssh_key::import(&user)
        {
            failed += exec.run_all(&ops.map(desired::step));
            print(&format!("{}: added to {}/.ssh/authorized_keys\n", user.name, user.home));
        }
    }
    i32::from(failed > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn call_is_understood_or_refused() {
        let apply = |dry_run| Some(Call::Apply { root: "/t", ini: "f", dry_run });
        for (words, expected) in [
            (&["check", "f"][..], Some(Call::Check("f"))),
            (&["check"], None),
            (&["apply", "--root", "/t", "--ini", "f"], apply(false)),
            (&["apply", "--dry-run", "--ini", "f", "--root", "/t"], apply(true)),
            (&["apply", "--root"], None),
            (&["apply", "--ini", "f"], None),
            (&["status"], Some(Call::Status { json: false, boot: None })),
            (&["status", "--json", "--boot", "/b"], Some(Call::Status { json: true, boot: Some("/b") })),
            (&["mark-good", "--json"], None),
            (&["mark-good"], Some(Call::MarkGood(None))),
            (&["rollback", "--boot", "/b"], Some(Call::Rollback(Some("/b")))),
            (&["rollback", "--boot"], None),
            (&["health"], Some(Call::Health)),
            (&["retry"], Some(Call::Retry)),
            (&["reset"], Some(Call::Reset)),
            (&["reset", "now"], None),
            (&["health", "--json"], None),
            (&["--version"], Some(Call::Version)),
            (&["shutdown"], None),
            (&[], None),
        ] {
            assert_eq!(parse(words), expected, "{words:?}");
        }
    }
}
