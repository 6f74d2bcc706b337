//! What build scripts of artifacts call in the container of a build. The name it is called by selects the tool.
//!
//! genpack-host shows this program to containers below `/run`, so no package of the lower image brings it and nothing
//! of it reaches an image. It is static: it runs in any userland. The network is curl's or wget's, with the
//! certificates of that userland.

mod download;
mod elf;
mod fetch;
mod github;
mod image;
mod installed;
mod mysql;
mod rpm;
mod touch;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// Why a tool did not do its work: the exit status and the words.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    code: u8,
    words: String,
}

pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub(crate) fn new(words: impl Into<String>) -> Self {
        Self { code: 1, words: words.into() }
    }

    pub(crate) fn usage(words: impl Into<String>) -> Self {
        Self { code: 2, words: words.into() }
    }
}

/// Gives an error of the system its place.
pub(crate) trait At<T> {
    fn at(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> At<T> for std::io::Result<T> {
    fn at(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|e| Failure::new(format!("{}: {e}", what())))
    }
}

type Tool = (&'static str, fn(&[String]) -> Result<()>);

const TOOLS: [Tool; 10] = [
    ("download", download::run),
    ("findelf", elf::find),
    ("genpack-create-image", image::create),
    ("get-github-download-url", github::run),
    ("get-rpm-download-url", rpm::run),
    ("recursive-touch", touch::run),
    ("remove-binpkg", installed::remove_binpkg),
    ("require-installed", installed::require),
    ("unmerge-masked-packages", installed::unmerge_masked),
    ("with-mysql", mysql::run),
];

fn main() -> ExitCode {
    let mut args: Vec<String> = std::env::args_os().map(|a| a.to_string_lossy().into_owned()).collect();
    let mut name = String::new();
    // The second word serves where there is no link: `genpack-tools download URL`.
    while !args.is_empty() && !TOOLS.iter().any(|(tool, _)| *tool == name) {
        let first = args.remove(0);
        name = Path::new(&first).file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name != "genpack-tools" && !TOOLS.iter().any(|(tool, _)| *tool == name) {
            break;
        }
    }
    let Some((_, tool)) = TOOLS.iter().find(|(tool, _)| *tool == name) else {
        let names: Vec<_> = TOOLS.iter().map(|(tool, _)| *tool).collect();
        return told(&Failure::usage(format!("usage: genpack-tools TOOL …\ntools: {}", names.join(" "))));
    };
    match tool(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let words = format!("{name}: {}", failure.words);
            told(&Failure { words, ..failure })
        }
    }
}

fn told(failure: &Failure) -> ExitCode {
    // Why: a closed stderr leaves no place to complain; the status says it, too.
    let _ = writeln!(std::io::stderr(), "{}", failure.words);
    ExitCode::from(failure.code)
}

/// Writes an answer.
pub(crate) fn say(bytes: &[u8]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).at(|| "writing the answer".to_owned())
}

/// Options with a value, and the other words.
pub(crate) struct Words {
    options: Vec<(String, String)>,
    flags: Vec<String>,
    /// Words that are no options, in order.
    pub(crate) rest: Vec<String>,
}

impl Words {
    /// Reads words: `--name VALUE`, `--name=VALUE` for these names, `--flag` for those.
    pub(crate) fn read(args: &[String], with_value: &[&str], flags: &[&str]) -> Result<Self> {
        let mut words = Self { options: Vec::new(), flags: Vec::new(), rest: Vec::new() };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let (name, value) = arg.split_once('=').map_or((arg.as_str(), None), |(n, v)| (n, Some(v)));
            if arg == "--" {
                words.rest.extend(args.by_ref().cloned());
            } else if with_value.contains(&name) {
                let value = value.map(str::to_owned).or_else(|| args.next().cloned());
                let value = value.ok_or_else(|| Failure::usage(format!("{name} takes a value")))?;
                words.options.push((name.to_owned(), value));
            } else if flags.contains(&arg.as_str()) {
                words.flags.push(arg.clone());
            } else if arg.starts_with("--") {
                return Err(Failure::usage(format!("there is no option {arg}")));
            } else {
                words.rest.push(arg.clone());
            }
        }
        Ok(words)
    }

    /// Returns the last value of an option.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.values(name).last()
    }

    /// Returns all values of an option.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.options.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// Tells whether a flag was given.
    pub(crate) fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|f| f == flag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_options_flags_and_the_rest() {
        let args = ["--a", "1", "x", "--b=2", "--c", "--a", "3", "--", "--d"].map(str::to_owned);
        let words = Words::read(&args, &["--a", "--b"], &["--c"]).unwrap();
        assert_eq!((words.value("--a"), words.value("--b")), (Some("3"), Some("2")));
        assert!(words.has("--c"));
        assert_eq!(words.rest, ["x", "--d"]);
        assert_eq!(Words::read(&args, &["--a"], &["--c"]).err().unwrap().code, 2);
    }
}
