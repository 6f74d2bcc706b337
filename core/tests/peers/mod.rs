//! What the tests against foreign tools share: running one, and what blkid says.
#![allow(dead_code, reason = "each test binary uses some of it")]

use std::path::Path;
use std::process::{Command, Stdio};

use genpack_core::fs::probe::Filesystem;

/// Runs a program and returns its stdout; `None` when it is missing, which is allowed outside CI only.
pub(crate) fn run(program: &str, args: &[&str]) -> Option<String> {
    let output = match Command::new(program).args(args).stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            assert!(std::env::var_os("CI").is_none(), "{program} is not installed");
            println!("skipped: {program} is not installed");
            return None;
        }
        Err(e) => panic!("{program}: {e}"),
    };
    // blkid ends with 2 when it finds nothing, which is an answer.
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() || program == "blkid", "{program} {args:?}: {error}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// TYPE, UUID and LABEL.
pub(crate) type Tags = [Option<String>; 3];

/// Returns the tags by blkid.
pub(crate) fn blkid(image: &str) -> Option<Tags> {
    let mut answers = [None, None, None];
    for (answer, tag) in answers.iter_mut().zip(["TYPE", "UUID", "LABEL"]) {
        *answer = blkid_tag(image, tag)?;
    }
    Some(answers)
}

/// Returns one tag by blkid; the outer `None` when there is no blkid.
#[expect(clippy::option_option, reason = "no tool and no tag are two things")]
pub(crate) fn blkid_tag(image: &str, tag: &str) -> Option<Option<String>> {
    let text = run("blkid", &["-p", "-o", "value", "-s", tag, image])?;
    Some(Some(text.trim_end_matches('\n').to_owned()).filter(|t| !t.is_empty()))
}

/// Returns the tags of what we found; `name` is that of the kind.
pub(crate) fn tags<K: Copy>(found: Option<&Filesystem<K>>, name: impl Fn(K) -> &'static str) -> Tags {
    let Some(found) = found else { return [None, None, None] };
    let text = |s: &str| s.to_owned();
    [Some(text(name(found.kind))), found.uuid.as_deref().map(text), found.label.as_deref().map(text)]
}

/// Makes an empty sparse file where one may be, and returns its path as text.
///
/// Why a new file each time: some formatters refuse one with a file system.
pub(crate) fn sparse(path: &Path, bytes: u64) -> &str {
    let _ = std::fs::remove_file(path);
    std::fs::File::create(path).unwrap().set_len(bytes).unwrap();
    path.to_str().unwrap()
}

/// Writes bytes into a file that exists.
pub(crate) fn patch(path: &Path, offset: u64, bytes: &[u8]) {
    use std::os::unix::fs::FileExt;
    std::fs::File::options().write(true).open(path).unwrap().write_all_at(bytes, offset).unwrap();
}
