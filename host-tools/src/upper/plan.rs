//! Decides the steps of the upper phase.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use genpack_core::contract::paths;
use genpack_core::text::diagnostic::Span;

use crate::command_error::{CommandError, Result};
use crate::container::nspawn::Payload;
use crate::lower::machine::Machine;
use crate::model::Effective;
use crate::runner::quote;
use crate::upper::artifact_files::ArtifactFiles;
use crate::upper::init_binary::{self, InitBinary};
use crate::upper::{accounts, boot_assessment, fixups};

/// Where packages put scripts that finish an image: one directory per package.
pub const PACKAGE_SCRIPTS: &str = "/usr/lib/genpack/package-scripts";
/// Where the shutdown stage is looked for; it is the init under another name.
const SHUTDOWN: &str = "/usr/libexec/genpack-shutdown";

/// The packages whose service manager our units are for, of Debian and of Gentoo.
const SYSTEMD: [&str; 2] = ["systemd", "sys-apps/systemd"];
/// The packages that bring `/usr/bin/python3`, of Debian and of Gentoo.
const PYTHON: [&str; 2] = ["python3-minimal", "dev-lang/python"];
/// Gives Python modules of an image their functions.
const PYTHON_RUNNER: &str = include_str!("../../../init-static/python/genpack_init.py");

/// What the plan must know of the lower image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LowerFacts {
    /// The runtime set.
    pub packages: BTreeSet<String>,
    /// Executable package scripts of the runtime set, in the order in which they run.
    pub package_scripts: Vec<String>,
    /// Version of the kernel of Debian that the image boots, as `uname -r` prints it.
    pub kernel: Option<String>,
    /// What the image is to boot on.
    pub machine: Option<Machine>,
    /// Kernels that are copied to where boot loaders look for them.
    pub kernels: Vec<BootKernel>,
    /// The lower image is one of Gentoo.
    pub gentoo: bool,
}

/// A kernel of a lower image, and the initramfs that it needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BootKernel {
    /// Version, as `uname -r` prints it.
    pub version: String,
    /// The file; none when firmware finds it where it is.
    pub image: Option<String>,
    /// Where its initramfs goes.
    pub initramfs: String,
}

/// One step: what it does in words, and the doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// For the log and `--dry-run`.
    pub title: String,
    /// The doing.
    pub action: Action,
    /// What in the definition asks for it.
    pub span: Option<Span>,
}

/// What a step does. Paths are in the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Runs a command in the container.
    Run(Payload),
    /// Writes a file.
    Write {
        /// The file.
        path: String,
        /// Its content.
        content: String,
        /// Permission bits.
        mode: u32,
    },
    /// Writes a file where there is none.
    WriteIfAbsent {
        /// The file.
        path: String,
        /// Its content.
        content: String,
        /// Permission bits.
        mode: u32,
    },
    /// Makes a symbolic link.
    Link {
        /// The link.
        path: String,
        /// Its target.
        target: PathBuf,
    },
    /// Removes a file or a tree.
    Remove {
        /// What.
        path: String,
    },
    /// Removes the files of a directory whose names begin so.
    RemovePrefix {
        /// The directory.
        directory: String,
        /// The beginning.
        prefix: String,
    },
    /// Copies `files/` of the artifact to the root.
    CopyFiles,
    /// Copies a file within the image; links of the first path are followed.
    Copy {
        /// From.
        from: String,
        /// To.
        to: String,
    },
    /// Copies a program of the host.
    Install {
        /// On the host.
        from: PathBuf,
        /// In the image.
        to: String,
    },
    /// Makes the initramfs of a kernel.
    Initramfs {
        /// Version of the kernel.
        kernel: String,
        /// The init.
        init: PathBuf,
        /// The file.
        to: String,
    },
    /// Makes the loader files.
    Loaders,
    /// Writes the list of packages.
    Packages,
    /// Removes what containers leave.
    Tidy,
    /// Sets the time of `/usr` to now: systemd takes that as "this is a new system".
    TouchUsr,
}

impl Step {
    pub(super) fn new(title: impl Into<String>, action: Action) -> Self {
        Self { title: title.into(), action, span: None }
    }

    fn at(mut self, span: Span) -> Self {
        self.span = Some(span);
        self
    }

    fn command(title: impl Into<String>, argv: Vec<String>) -> Self {
        Self::new(title, Action::Run(Payload { argv, user: None }))
    }

    pub(super) fn enable(unit: &str) -> Self {
        Self::command(
            format!("enable {unit}"),
            ["systemctl", "enable", "--", unit].map(str::to_owned).to_vec(),
        )
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.title)?;
        if let Action::Run(payload) = &self.action {
            let words: Vec<_> = payload.argv.iter().map(|w| quote(w)).collect();
            write!(f, " [{}]", words.join(" "))?;
        }
        Ok(())
    }
}

/// Returns the steps in order.
///
/// # Errors
/// When nothing says how a build script is to be run.
pub fn plan(
    effective: &Effective,
    facts: &LowerFacts,
    files: &ArtifactFiles,
    init: Option<&InitBinary>,
) -> Result<Vec<Step>> {
    let mut steps: Vec<Step> = facts
        .package_scripts
        .iter()
        .map(|path| Step::command(format!("package script {path}"), vec![path.clone()]))
        .collect();
    steps.extend(fixups::steps(&facts.packages, files, &effective.name));
    for group in &effective.groups {
        let title = format!("group {}", group.value.name);
        steps.push(Step::command(title, accounts::groupadd(&group.value)).at(group.span));
    }
    for user in &effective.users {
        let title = format!("user {}", user.value.name);
        steps.push(Step::command(title, accounts::useradd(&user.value)).at(user.span));
    }
    if !files.entries.is_empty() {
        steps.push(Step::new(format!("copy files/ ({} entries)", files.entries.len()), Action::CopyFiles));
    }
    let scripts = files.scripts()?;
    for script in &scripts {
        let path = script.argv.last().cloned().unwrap_or_default();
        let by = script.user.as_ref().map_or_else(String::new, |u| format!(" as {u}"));
        let payload = Payload { argv: script.argv.clone(), user: script.user.clone() };
        steps.push(Step::new(format!("build script {path}{by}"), Action::Run(payload)));
    }
    if !scripts.is_empty() {
        for path in ["/build", "/build.d"] {
            steps.push(Step::new(format!("remove {path}"), Action::Remove { path: path.into() }));
        }
    }
    for command in &effective.setup_commands {
        let argv = ["/bin/sh", "-c", &command.value].map(str::to_owned).to_vec();
        steps.push(Step::command("setup command", argv).at(command.span));
    }
    for service in &effective.services {
        steps.push(Step::enable(&service.value).at(service.span));
    }
    steps.extend(image_steps(effective, facts, init)?);
    Ok(steps)
}

/// What makes a tree an image.
fn image_steps(effective: &Effective, facts: &LowerFacts, init: Option<&InitBinary>) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    if facts.gentoo {
        steps.push(Step::command("find shared libraries", ["ldconfig"].map(str::to_owned).to_vec()));
    }
    if facts.machine.is_some() && !facts.kernels.is_empty() && init.is_none() {
        return Err(
            CommandError::failed(format!("no genpack-init for {}", effective.arch)).hint(init_binary::HINT)
        );
    }
    if let Some(init) = init {
        let from = init.path.clone();
        steps.push(Step::new(
            format!("install {} from {}", paths::STAGE2, from.display()),
            Action::Install { from, to: paths::STAGE2.to_owned() },
        ));
        steps.push(Step::new(
            format!("link {SHUTDOWN} to it"),
            Action::Link { path: SHUTDOWN.into(), target: PathBuf::from("../bin/genpack-init") },
        ));
        if SYSTEMD.iter().any(|name| facts.packages.contains(*name)) {
            steps.extend(boot_assessment::steps());
        }
        if PYTHON.iter().any(|name| facts.packages.contains(*name)) {
            let (path, content) = (paths::PYTHON_RUNNER.to_owned(), PYTHON_RUNNER.to_owned());
            steps.push(Step::new(format!("write {path}"), Action::Write { path, content, mode: 0o644 }));
        }
    }
    if let (Some(kernel), Some(init)) = (&facts.kernel, init) {
        steps.push(Step::new(
            format!("link {} to kernel {kernel}", paths::IMAGE_KERNEL),
            Action::Link {
                path: paths::IMAGE_KERNEL.into(),
                target: PathBuf::from(format!("vmlinuz-{kernel}")),
            },
        ));
        steps.push(Step::new(
            format!("make {} for kernel {kernel}", paths::IMAGE_INITRAMFS),
            Action::Initramfs {
                kernel: kernel.clone(),
                init: init.path.clone(),
                to: paths::IMAGE_INITRAMFS.to_owned(),
            },
        ));
    }
    for kernel in &facts.kernels {
        let Some(init) = init else { break };
        if let Some(image) = &kernel.image {
            steps.push(Step::new(
                format!("copy kernel {} to {}", kernel.version, paths::IMAGE_KERNEL),
                Action::Copy { from: image.clone(), to: paths::IMAGE_KERNEL.to_owned() },
            ));
        }
        steps.push(Step::new(
            format!("make {} for kernel {}", kernel.initramfs, kernel.version),
            Action::Initramfs {
                kernel: kernel.version.clone(),
                init: init.path.clone(),
                to: kernel.initramfs.clone(),
            },
        ));
    }
    if facts.machine == Some(Machine::Baremetal) {
        steps.push(Step::new(format!("make loaders in {}", paths::IMAGE_LOADERS), Action::Loaders));
    }
    for (name, value) in [
        (genpack_core::contract::image_meta::ARCH, Some(effective.arch.name().to_owned())),
        (genpack_core::contract::image_meta::ARTIFACT, Some(effective.name.clone())),
        (genpack_core::contract::image_meta::PROFILE, effective.profile.as_ref().map(|p| p.value.clone())),
        (genpack_core::contract::image_meta::VARIANT, effective.variant.clone()),
    ] {
        if let Some(content) = value {
            let path = format!("{}/{name}", paths::IMAGE_META);
            steps.push(Step::new(format!("write {path}"), Action::Write { path, content, mode: 0o644 }));
        }
    }
    steps.push(Step::new("list the packages in /.genpack/packages", Action::Packages));
    steps.push(Step::new("remove what containers leave", Action::Tidy));
    steps.push(Step::new("touch /usr", Action::TouchUsr));
    Ok(steps)
}

#[cfg(test)]
mod tests;
