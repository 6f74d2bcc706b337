//! A new artifact, made from one of those that come with the program.

use std::path::{Path, PathBuf};

use crate::command_error::{CommandError, Context, Result};
use crate::ctx::Ctx;
use crate::io::atomic_file::AtomicFile;

/// Files of `artifacts/`: path, whether it is executable, content.
const FILES: &[(&str, bool, &[u8])] = include!(concat!(env!("OUT_DIR"), "/starters.rs"));

/// What builds leave beside a definition.
const IGNORED: &str = "/work/\n/*.squashfs\n/*.img\n/*.iso\n/*.tar.gz\n";

/// The definition.
const DEFINITION: &str = "genpack.json5";

/// A file of a new artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
struct NewFile {
    path: PathBuf,
    content: Vec<u8>,
    mode: u32,
}

/// Returns the names of the artifacts that can be begun with.
#[must_use]
pub fn names() -> Vec<&'static str> {
    let mut names: Vec<_> = FILES.iter().filter_map(|(path, ..)| path.split('/').next()).collect();
    names.dedup();
    names
}

/// Writes a new artifact into a directory of its name, or into the artifact's directory.
///
/// # Errors
/// When the name cannot be one, or a file is there already.
pub fn run(ctx: &Ctx, name: Option<&str>, from: &str) -> Result<()> {
    let directory = match name {
        Some(name) => {
            check_name(name)?;
            ctx.path(Path::new(name))
        }
        None => ctx.dir.clone(),
    };
    let own = directory_name(&directory);
    let files = plan(name.or(own.as_deref()).unwrap_or(from), from);
    if ctx.dry_run {
        for file in &files {
            ctx.ui.answer(format!("write {}", directory.join(&file.path).display()));
            ctx.ui.event("write", serde_json::json!({"path": directory.join(&file.path)}));
        }
        return Ok(());
    }
    // Everything is looked at before anything is written.
    if let Some(there) = files.iter().map(|f| directory.join(&f.path)).find(|p| p.symlink_metadata().is_ok())
    {
        return Err(CommandError::failed(format!("{} is there already", there.display()))
            .hint("give a NAME for a directory of its own"));
    }
    for file in &files {
        let path = directory.join(&file.path);
        let parent = path.parent().unwrap_or(&directory);
        std::fs::create_dir_all(parent).with_context(|| format!("creating {}", parent.display()))?;
        let new = AtomicFile::create(&path)?;
        std::io::Write::write_all(&mut new.file(), &file.content)
            .with_context(|| format!("writing {}", path.display()))?;
        new.commit(file.mode)?;
    }
    ctx.ui.step(format!("wrote {} files; next: genpack-host -C {} build", files.len(), directory.display()));
    ctx.ui.event("done", serde_json::json!({"directory": directory, "from": from}));
    Ok(())
}

fn directory_name(directory: &Path) -> Option<String> {
    let full = std::fs::canonicalize(directory).ok()?;
    Some(full.file_name()?.to_string_lossy().into_owned()).filter(|name| check_name(name).is_ok())
}

/// Names become names of files and of hosts.
fn check_name(name: &str) -> Result<()> {
    let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if !name.is_empty() && !name.starts_with(['-', '.']) && name.chars().all(good) {
        return Ok(());
    }
    Err(CommandError::usage(format!("{name:?} cannot be the name of an artifact"))
        .hint("letters, digits, - _ and ., with a letter or a digit at its begin"))
}

/// Returns the files of a new artifact, sorted; the definition gets its name.
fn plan(name: &str, from: &str) -> Vec<NewFile> {
    let mut files =
        vec![NewFile { path: ".gitignore".into(), content: IGNORED.as_bytes().to_vec(), mode: 0o644 }];
    for (path, executable, content) in FILES {
        let Some(inside) = path.strip_prefix(from).and_then(|p| p.strip_prefix('/')) else { continue };
        let content = match (inside, std::str::from_utf8(content)) {
            (DEFINITION, Ok(text)) => {
                let text = text.replacen(&format!("name: \"{from}\""), &format!("name: \"{name}\""), 1);
                // Comments name the image.
                text.replace(&format!("{from}-x86_64"), &format!("{name}-x86_64")).into_bytes()
            }
            _ => content.to_vec(),
        };
        // Why not the README: it speaks of the artifact that was copied.
        if inside != "README.md" {
            let mode = if *executable { 0o755 } else { 0o644 };
            files.push(NewFile { path: inside.into(), content, mode });
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Effective, Source};
    use genpack_core::kernel::arch::Arch;

    #[test]
    fn every_starter_loads_under_its_new_name_without_a_finding() {
        assert!(names().len() >= 7 && names().contains(&"hello"), "{:?}", names());
        for from in names() {
            let dir = tempfile::tempdir().unwrap();
            for file in plan("fresh", from) {
                let path = dir.path().join(&file.path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, &file.content).unwrap();
            }
            let source = Source::read(dir.path()).unwrap();
            let mut findings = Vec::new();
            let artifact = source.parse(&mut findings).unwrap();
            assert!(findings.is_empty(), "{from}: {findings:?}");
            for variant in
                std::iter::once(None).chain(artifact.variants.iter().map(|(n, _)| Some(n.as_str())))
            {
                let effective = Effective::merge(&artifact, variant, Arch::X86_64, "d").unwrap();
                assert_eq!(effective.name, "fresh", "{from}");
            }
        }
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for (name, good) in
            [("a", true), ("My_box-2.0", true), ("", false), (".x", false), ("a/b", false), ("-C", false)]
        {
            assert_eq!(check_name(name).is_ok(), good, "{name}");
        }
    }
}
