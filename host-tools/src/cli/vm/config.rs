//! Arguments of `vm config`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::run::RunArgs;
use crate::command_error::{CommandError, Kind, Result};
use crate::ctx::Ctx;
use crate::vm::identity::Name;
use crate::vm::options::Options;
use crate::vm::supervise::ServiceDirectory;
use crate::vm::vm_ini::dump;
use crate::vm::{service, wait};

/// Verbs of the group.
#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Verb {
    /// Prints the vm.ini that asks for the same machine: of a command line, a directory, or one that runs
    ///
    /// Paths are absolute, so the file stands in any directory. What vm.ini cannot say is a comment and exit code 3. With
    /// --json the options themselves.
    #[command(after_help = "Examples:\n  \
        genpack-host vm config dump run web.squashfs -m 4G -d data.img > /var/vm/web/vm.ini\n  \
        genpack-host vm config dump service /var/vm/web\n  \
        genpack-host vm config dump machine web")]
    Dump {
        #[command(subcommand)]
        of: Of,
    },
}

/// Whose options.
#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Of {
    /// Prints that of a command line of `vm run`
    #[command(after_help = "Examples:\n  genpack-host vm config dump run web.squashfs --net br0")]
    Run(Box<RunArgs>),
    /// Prints that of a machine's directory: vm.ini and what lies beside it
    #[command(after_help = "Examples:\n  genpack-host vm config dump service /var/vm/web")]
    Service {
        /// The machine's directory
        #[arg(value_name = "DIR")]
        directory: PathBuf,
        /// Network of a machine that names none
        #[arg(short = 'i', long, value_name = "INTERFACE")]
        default_net: Option<String>,
    },
    /// Prints that of a machine in the background
    #[command(after_help = "Examples:\n  genpack-host vm config dump machine web")]
    Machine {
        /// Name of the machine
        name: Name,
    },
}

impl Of {
    /// Returns the options and the directory where their paths begin.
    fn options(self, ctx: &Ctx) -> Result<(Options, PathBuf)> {
        match self {
            Self::Run(args) => Ok((args.options()?, ctx.dir.clone())),
            Self::Service { directory, default_net } => {
                let of = ServiceDirectory { path: ctx.path(&directory), default_net };
                let options = service::options(ctx, &of, None)?;
                // Its paths begin where it does.
                Ok((options, PathBuf::from(".")))
            }
            Self::Machine { name } => {
                let (_, record) = wait::running(&name)?;
                let order = record.order.ok_or_else(|| {
                    CommandError::failed(format!("nobody noted what {name} was started with"))
                        .hint("only machines in the background have that; `vm show` tells the rest")
                })?;
                let from = order.from.map_or_else(|| PathBuf::from("."), |(dir, _)| dir);
                Ok((order.options, from))
            }
        }
    }
}

impl Verb {
    /// Does what the verb says.
    pub(in crate::cli) fn run(self, ctx: &Ctx) -> Result<ExitCode> {
        let Self::Dump { of } = self;
        let (options, from) = of.options(ctx)?;
        if ctx.ui.is_json() {
            let options = serde_json::to_value(&options).map_err(|e| CommandError::failed(e.to_string()))?;
            ctx.ui.document(&options);
            return Ok(ExitCode::SUCCESS);
        }
        let at = |path: &Path| {
            let path = from.join(path);
            // It fails for an empty path only, which stays what it is.
            std::path::absolute(&path).unwrap_or(path)
        };
        let dump = dump(&options, &at);
        ctx.ui.text(&dump.text);
        for what in &dump.left_out {
            ctx.ui.warning(format!("vm.ini cannot say this: {what}"), None);
        }
        Ok(ExitCode::from(if dump.left_out.is_empty() { 0 } else { Kind::Refused.exit_code() }))
    }
}
