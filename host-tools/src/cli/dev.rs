//! The verb group `dev`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::command_error::{Context, Result};
use crate::ctx::Ctx;
use crate::dev::{docs, loaders};
use crate::initramfs;

/// Verbs of the group.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Makes the boot loader files that go into an image
    ///
    /// GRUB as an EFI program (bootx64.efi, bootaa64.efi or bootriscv64.efi) and, for x86_64, as boot.img and core.img
    /// for a BIOS, with the script that finds and starts a system image.
    Loaders {
        /// Directory for the files; created when it does not exist
        #[arg(value_name = "DIR")]
        directory: PathBuf,
        /// Where GRUB's modules are, one directory per platform
        #[arg(long, value_name = "DIR", default_value = loaders::GRUB_DIRECTORY)]
        grub: PathBuf,
    },
    /// Prints the JSON Schema of genpack.json5, for editors
    Schema,
    /// Writes the documents that are made from tables: keys.md and the default system.ini
    Docs {
        /// The directory, which exists
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
    /// Makes the initramfs of a kernel in a tree, as a build does
    Initramfs {
        /// Tree with usr/lib/modules/VERSION and boot/config-VERSION
        #[arg(value_name = "ROOT")]
        root: PathBuf,
        /// The kernel's version
        #[arg(value_name = "VERSION")]
        kernel_version: String,
        /// The file to write
        #[arg(value_name = "OUT")]
        out: PathBuf,
        /// The program that becomes /init
        #[arg(long, value_name = "FILE")]
        init: PathBuf,
    },
}

impl Verb {
    /// Does what the verb says.
    pub(super) fn run(self, ctx: &Ctx) -> Result<ExitCode> {
        match self {
            Self::Loaders { directory, grub } => make_loaders(ctx, &ctx.path(&grub), &ctx.path(&directory)),
            Self::Schema => {
                ctx.ui.text(&crate::model::schema::text());
                Ok(ExitCode::SUCCESS)
            }
            Self::Docs { directory } => write_docs(ctx, &ctx.path(&directory)),
            Self::Initramfs { root, kernel_version, out, init } => {
                let (root, out, init) = (ctx.path(&root), ctx.path(&out), ctx.path(&init));
                let inputs = initramfs::Inputs {
                    root: &root,
                    init: &init,
                    out: &out,
                    kernel_version: &kernel_version,
                    kept: None,
                };
                make_initramfs(ctx, inputs)
            }
        }
    }
}

fn make_loaders(ctx: &Ctx, grub: &Path, directory: &Path) -> Result<ExitCode> {
    if ctx.dry_run {
        ctx.ui.answer(format!("would make the loaders for {} in {}", ctx.arch, directory.display()));
        return Ok(ExitCode::SUCCESS);
    }
    let made = loaders::build(ctx, ctx.arch, grub, directory)?;
    if ctx.ui.is_json() {
        let files = made.iter().map(|l| serde_json::json!({"name": l.name, "bytes": l.bytes}));
        ctx.ui.document(&serde_json::json!({"loaders": files.collect::<Vec<_>>()}));
    }
    for loader in made {
        ctx.ui.answer(format!("{:>9} {}", loader.bytes, loader.name));
    }
    Ok(ExitCode::SUCCESS)
}

fn write_docs(ctx: &Ctx, directory: &Path) -> Result<ExitCode> {
    for (name, text) in docs::all() {
        let path = directory.join(name);
        if !ctx.dry_run {
            std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        }
        ctx.ui.answer(path.display());
    }
    Ok(ExitCode::SUCCESS)
}

fn make_initramfs(ctx: &Ctx, inputs: initramfs::Inputs<'_>) -> Result<ExitCode> {
    if ctx.dry_run {
        ctx.ui.answer(format!("would make {}", inputs.out.display()));
        return Ok(ExitCode::SUCCESS);
    }
    let made = initramfs::make(ctx, inputs)?;
    if ctx.ui.is_json() {
        ctx.ui.document(&serde_json::json!({
            "bytes": made.bytes, "modules": made.modules, "compression": made.compression.to_string(),
        }));
    }
    ctx.ui.answer(format!("{} bytes, {} modules, {}", made.bytes, made.modules, made.compression));
    Ok(ExitCode::SUCCESS)
}
