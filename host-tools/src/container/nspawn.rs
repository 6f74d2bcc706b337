//! The argument vector of systemd-nspawn(1).
//!
//! The flags also work where there is no udev; `--keep-unit` is for machines where systemd is not PID 1. `--timezone`, `--link-journal` and
//! `--resolv-conf` are all set, because nspawn's defaults copy settings of the host into the root.

use std::path::Path;

use crate::runner::Run;

/// One command for a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// User, with its groups and home; root when absent.
    pub user: Option<String>,
}

/// Where a command runs.
#[derive(Debug)]
pub struct Place<'a> {
    /// The root.
    pub root: &'a Path,
    /// Host directories and where they appear.
    pub binds: &'a [(&'a Path, &'a str)],
    /// Host files and directories that appear read-only.
    pub read_only: &'a [(&'a Path, &'a str)],
    /// Capabilities beyond those that nspawn gives.
    pub capabilities: &'a [&'a str],
    /// 32-bit programs are to see a 32-bit machine.
    pub personality: Option<&'a str>,
    /// Variables.
    pub environment: &'a [(String, String)],
    /// Not on a terminal.
    pub piped: bool,
    /// systemd is PID 1 here and can be asked for a scope.
    pub systemd: bool,
}

impl Payload {
    /// Returns a command of root.
    pub fn new<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Self {
        Self { argv: argv.into_iter().map(Into::into).collect(), user: None }
    }

    /// Returns the program's name for messages.
    #[must_use]
    pub fn name(&self) -> String {
        match self.argv.as_slice() {
            [shell, flag, command, ..] if flag == "-c" && shell.ends_with("sh") => format!("{command:?}"),
            [program, ..] => program.clone(),
            [] => String::new(),
        }
    }
}

/// Returns the command that runs `payload` in `place`.
#[must_use]
pub fn command(place: &Place<'_>, payload: &Payload) -> Run {
    let mut run = Run::new("systemd-nspawn").package("systemd-container").args([
        "-q",
        "--register=no",
        "--as-pid2",
        "--suppress-sync=true",
        "--timezone=off",
        "--link-journal=no",
        "--resolv-conf=off",
        "--chdir=/",
    ]);
    if !place.systemd {
        run = run.arg("--keep-unit");
    }
    run = run.arg(format!("--machine=genpack-{}", std::process::id()));
    run = run.arg(format!("--directory={}", place.root.display()));
    if place.piped {
        run = run.arg("--console=pipe");
        run.merge_output = true;
    } else {
        run = run.arg("--console=autopipe");
    }
    let binds = place.binds.iter().map(|bind| ("--bind", bind));
    if !place.capabilities.is_empty() {
        run = run.arg(format!("--capability={}", place.capabilities.join(",")));
    }
    if let Some(personality) = place.personality {
        run = run.arg(format!("--personality={personality}"));
    }
    for (option, (from, to)) in binds.chain(place.read_only.iter().map(|bind| ("--bind-ro", bind))) {
        run = run.arg(format!("{option}={}:{}", escape(&from.display().to_string()), escape(to)));
    }
    for (key, value) in place.environment {
        run = run.arg(format!("--setenv={key}={value}"));
    }
    if let Some(user) = &payload.user {
        run = run.arg(format!("--user={user}"));
    }
    run.arg("--").args(&payload.argv)
}

/// A colon ends a path, a backslash protects it.
fn escape(path: &str) -> String {
    path.replace('\\', "\\\\").replace(':', "\\:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_keeps_host_settings_out_and_names_the_user() {
        let run = command(
            &Place {
                root: Path::new("/r"),
                binds: &[(Path::new("/a:b"), "/mnt/host")],
                read_only: &[(Path::new("/h/resolv.conf"), "/run/r")],
                capabilities: &["CAP_NET_ADMIN"],
                personality: Some("x86"),
                environment: &[("ARTIFACT".into(), "x y".into())],
                piped: true,
                systemd: false,
            },
            &Payload { argv: vec!["id".into()], user: Some("u".into()) },
        );
        let argv: Vec<_> = run.argv.iter().map(|a| a.to_string_lossy().into_owned()).collect();
        assert_eq!(
            argv[..8],
            [
                "systemd-nspawn",
                "-q",
                "--register=no",
                "--as-pid2",
                "--suppress-sync=true",
                "--timezone=off",
                "--link-journal=no",
                "--resolv-conf=off",
            ]
        );
        assert_eq!(
            argv[11..],
            [
                "--directory=/r",
                "--console=pipe",
                "--capability=CAP_NET_ADMIN",
                "--personality=x86",
                "--bind=/a\\:b:/mnt/host",
                "--bind-ro=/h/resolv.conf:/run/r",
                "--setenv=ARTIFACT=x y",
                "--user=u",
                "--",
                "id",
            ]
        );
    }

    #[test]
    fn name_of_a_shell_command_is_the_command() {
        assert_eq!(Payload::new(["/bin/sh", "-c", "false x"]).name(), "\"false x\"");
        assert_eq!(Payload::new(["useradd", "u"]).name(), "useradd");
    }
}
