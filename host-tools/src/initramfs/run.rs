//! Makes an initramfs: reads what the plan names, decompresses modules, packs and compresses the archive.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::io::{Read, Write};
use std::path::Path;

use genpack_core::archive::cpio_newc::{EmitError, Entry, Writer};
use genpack_core::contract::paths::FSCK_FAT;

use crate::command_error::{CommandError, Context, Result};
use crate::ctx::Ctx;
use crate::io::atomic_file;

use super::kept;
use super::modules::Tables;
use super::plan::{Plan, plan};
use super::program;

/// Level of zstd. Its last but one step finds a tenth more than level 15 in three times its time, which is spent once for
/// a kernel and an init where the result is kept.
const ZSTD_LEVEL: i32 = 19;
/// Largest module after decompression, bytes; the largest real ones have some 10 MB.
const MAX_MODULE_SIZE: u64 = 256 << 20;

/// What an initramfs is made from.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// Tree with `usr/lib/modules/<version>` and, to choose the compression, `boot/config-<version>`.
    pub root: &'a Path,
    /// The program that becomes `/init`: genpack-init for the kernel's architecture.
    pub init: &'a Path,
    /// The file to write.
    pub out: &'a Path,
    /// The kernel's version, as `uname -r` prints it.
    pub kernel_version: &'a str,
    /// File that keeps the compressed archive for the next run.
    pub kept: Option<&'a Path>,
}

/// How an initramfs is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// zstd.
    Zstd,
    /// gzip.
    Gzip,
    /// Not at all.
    None,
}

impl Compression {
    /// Returns the best one that a kernel with this configuration reads; without a configuration gzip, which every
    /// distribution's kernel does.
    #[must_use]
    pub fn of_kernel(config: Option<&str>) -> Self {
        let Some(config) = config else { return Self::Gzip };
        let has = |key: &str| config.lines().any(|line| line.trim_end().strip_prefix(key) == Some("=y"));
        if has("CONFIG_RD_ZSTD") {
            Self::Zstd
        } else if has("CONFIG_RD_GZIP") {
            Self::Gzip
        } else {
            Self::None
        }
    }
}

impl std::fmt::Display for Compression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
            Self::None => "none",
        })
    }
}

/// An initramfs that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    /// Size of the file, bytes.
    pub bytes: u64,
    /// Number of modules in it.
    pub modules: usize,
    /// How it is compressed.
    pub compression: Compression,
}

/// Makes the initramfs of a kernel. The file appears complete or not at all.
///
/// # Errors
/// When the tree has no such kernel, the kernel lacks a module that every image needs, the init is not a program, or
/// a file cannot be read or written.
pub fn make(ctx: &Ctx, inputs: Inputs<'_>) -> Result<Made> {
    let version = inputs.kernel_version;
    make_archive(ctx, inputs).context(format!("making the initramfs of kernel {version}"))
}

fn make_archive(ctx: &Ctx, inputs: Inputs<'_>) -> Result<Made> {
    let version = inputs.kernel_version;
    let init = read_init(inputs.init)?;
    let directory = inputs.root.join("usr/lib/modules").join(version);
    let required = |name: &str| {
        let path = directory.join(name);
        std::fs::read_to_string(&path)
            .with_context(|| format!("reading {}", path.display()))
            .map_err(|e| e.hint(format!("depmod -b {} {version}", inputs.root.display())))
    };
    let (dep, builtin) = (required("modules.dep")?, required("modules.builtin")?);
    let (alias, softdep) = (required("modules.alias")?, optional(&directory.join("modules.softdep"))?);
    let tables = Tables::parse(&dep, &builtin, &alias, softdep.as_deref().unwrap_or(""));
    let plan = plan(version, &tables).map_err(|missing| {
        CommandError::failed(format!("it has no {}", missing.join(", no ")))
            .hint("every image needs these, built in or as modules: take another kernel")
    })?;
    if !plan.absent.is_empty() {
        ctx.ui.detail(format!("not in kernel {version}: {}", plan.absent.join(" ")));
    }
    let fsck = program::files(inputs.root, FSCK_FAT.trim_start_matches('/')).unwrap_or_default();
    if fsck.is_empty() {
        ctx.ui.detail("no fsck.fat in the tree: a damaged boot partition is only reported".to_owned());
    }
    let archive =
        pack(&plan, &Content { version, modules: &directory, init: &init, builtin: &builtin, fsck })?;
    let config = config(inputs.root, version)?;
    let compression = Compression::of_kernel(config.as_deref());
    let bytes = match inputs.kept {
        Some(path) => {
            let make = || compress(&archive, compression).map(Cow::into_owned);
            kept::or_make(path, &archive, compression, make)?.into()
        }
        None => compress(&archive, compression)?,
    };
    atomic_file::write(inputs.out, &bytes)?;
    Ok(Made { bytes: bytes.len() as u64, modules: plan.modules.len(), compression })
}

fn read_init(path: &Path) -> Result<Vec<u8>> {
    let init = std::fs::read(path)
        .with_context(|| format!("reading {}", path.display()))
        .map_err(|e| e.hint("make init builds genpack-init"))?;
    if init.starts_with(b"\x7fELF") {
        Ok(init)
    } else {
        Err(CommandError::failed(format!("{} is not a program", path.display())))
    }
}

/// Returns how the kernel was configured: where Debian keeps that, and where Gentoo does.
fn config(root: &Path, version: &str) -> Result<Option<String>> {
    let places = [
        format!("boot/config-{version}"),
        format!("usr/lib/modules/{version}/config"),
        format!("usr/src/linux-{version}/.config"),
    ];
    for place in places {
        if let Some(text) = optional(&root.join(place))? {
            return Ok(Some(text));
        }
    }
    Ok(None)
}

/// Returns a file's text, `None` when there is no such file.
fn optional(path: &Path) -> Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        result => result.map(Some).with_context(|| format!("reading {}", path.display())),
    }
}

/// What an archive has beside its plan.
struct Content<'a> {
    version: &'a str,
    modules: &'a Path,
    init: &'a [u8],
    builtin: &'a str,
    /// Files of fsck.fat by their paths.
    fsck: BTreeMap<String, Vec<u8>>,
}

/// Returns the archive.
fn pack(plan: &Plan, content: &Content<'_>) -> Result<Vec<u8>> {
    let Content { version, modules, init, builtin, fsck } = content;
    let mut archive = Vec::new();
    let mut writer = Writer::new(|b: &[u8]| {
        archive.extend_from_slice(b);
        Ok::<(), Infallible>(())
    });
    let emit_error = |e: EmitError<Infallible>| CommandError::failed(e.to_string());
    for directory in &plan.directories {
        writer.entry(&Entry::directory(directory.as_bytes())).map_err(emit_error)?;
    }
    // Why: the kernel opens /dev/console for PID 1 before PID 1 can mount a /dev.
    let small = [
        Entry::char_device(b"dev/console", 5, 1),
        Entry::char_device(b"dev/null", 1, 3),
        Entry::symlink(b"lib", b"usr/lib"),
        Entry::file(b"init", 0o755, init),
    ];
    for entry in small {
        writer.entry(&entry).map_err(emit_error)?;
    }
    let mut made: BTreeSet<&str> = plan.directories.iter().map(String::as_str).collect();
    for (path, content) in fsck {
        for (at, _) in path.match_indices('/') {
            let directory = path.get(..at).unwrap_or("");
            if made.insert(directory) {
                writer.entry(&Entry::directory(directory.as_bytes())).map_err(emit_error)?;
            }
        }
        writer.entry(&Entry::file(path.as_bytes(), 0o755, content)).map_err(emit_error)?;
    }
    let target = format!("usr/lib/modules/{version}");
    let tables =
        [("modules.alias", plan.alias.as_str()), ("modules.builtin", *builtin), ("modules.dep", &plan.dep)];
    for (name, text) in tables {
        let name = format!("{target}/{name}");
        writer.entry(&Entry::file(name.as_bytes(), 0o644, text.as_bytes())).map_err(emit_error)?;
    }
    for module in &plan.modules {
        let content = read_module(&modules.join(&module.source))?;
        let name = format!("{target}/{}", module.target);
        writer.entry(&Entry::file(name.as_bytes(), 0o644, &content)).map_err(emit_error)?;
    }
    writer.finish().map_err(emit_error)?;
    Ok(archive)
}

/// Returns a module, decompressed: the init loads it as it is, and the whole archive is compressed anyway.
fn read_module(path: &Path) -> Result<Vec<u8>> {
    let what = || format!("reading {}", path.display());
    let stored = std::fs::read(path).with_context(what)?;
    let mut content = Vec::new();
    let reader: Box<dyn Read + '_> = match path.extension().and_then(|e| e.to_str()) {
        Some("xz") => Box::new(liblzma::read::XzDecoder::new(stored.as_slice())),
        Some("zst") => Box::new(zstd::Decoder::new(stored.as_slice()).with_context(what)?),
        Some("gz") => Box::new(flate2::read::GzDecoder::new(stored.as_slice())),
        _ => return Ok(stored),
    };
    reader.take(MAX_MODULE_SIZE.saturating_add(1)).read_to_end(&mut content).with_context(what)?;
    if content.len() as u64 > MAX_MODULE_SIZE {
        return Err(CommandError::failed(format!("{} is larger than any module", path.display())));
    }
    Ok(content)
}

fn compress(archive: &[u8], compression: Compression) -> Result<Cow<'_, [u8]>> {
    let what = || format!("compressing the initramfs with {compression}");
    Ok(match compression {
        Compression::Zstd => Cow::Owned(zstd::encode_all(archive, ZSTD_LEVEL).with_context(what)?),
        Compression::Gzip => {
            // No name and no time in the header: the same archive gives the same bytes.
            let mut encoder = flate2::GzBuilder::new().write(Vec::new(), flate2::Compression::best());
            encoder.write_all(archive).with_context(what)?;
            Cow::Owned(encoder.finish().with_context(what)?)
        }
        Compression::None => Cow::Borrowed(archive),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compression_is_what_the_kernel_reads() {
        for (config, expected) in [
            (Some("CONFIG_RD_GZIP=y\nCONFIG_RD_ZSTD=y\n"), Compression::Zstd),
            (Some("CONFIG_RD_GZIP=y\n# CONFIG_RD_ZSTD is not set\n"), Compression::Gzip),
            (Some("CONFIG_RD_ZSTD=n\nCONFIG_RD_ZSTD_X=y\n"), Compression::None),
            (None, Compression::Gzip),
        ] {
            assert_eq!(Compression::of_kernel(config), expected, "{config:?}");
        }
    }

    #[test]
    fn compressed_modules_are_unpacked() {
        let directory = tempfile::tempdir().unwrap();
        let mut xz = Vec::new();
        liblzma::read::XzEncoder::new(&b"module"[..], 6).read_to_end(&mut xz).unwrap();
        let mut gz = Vec::new();
        flate2::read::GzEncoder::new(&b"module"[..], flate2::Compression::fast())
            .read_to_end(&mut gz)
            .unwrap();
        let zst = zstd::encode_all(&b"module"[..], 1).unwrap();
        for (name, bytes) in
            [("a.ko", b"module".to_vec()), ("a.ko.xz", xz), ("a.ko.gz", gz), ("a.ko.zst", zst)]
        {
            let path = directory.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(read_module(&path).unwrap(), b"module", "{name}");
        }
    }
}
