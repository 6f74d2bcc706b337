//! What emerge says about how far it is.

use std::fmt;

/// How far a pass of emerge is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// `Emerging`, `Installing`, `Completed`, …
    pub verb: String,
    /// Number of the package.
    pub at: u32,
    /// How many there are.
    pub of: u32,
    /// The package.
    pub package: String,
}

/// Reads `>>> Emerging (3 of 17) category/name-1::repository`.
#[must_use]
pub fn parse(line: &str) -> Option<Progress> {
    let rest = line.strip_prefix(">>> ")?;
    let (verb, rest) = rest.split_once(" (")?;
    let (count, rest) = rest.split_once(')')?;
    let (at, of) = count.split_once(" of ")?;
    let package = rest.split_whitespace().next()?.split("::").next()?;
    if !package.contains('/') {
        return None;
    }
    Some(Progress {
        verb: verb.to_owned(),
        at: at.parse().ok()?,
        of: of.parse().ok()?,
        package: package.to_owned(),
    })
}

impl Progress {
    /// Returns the fields of an event.
    #[must_use]
    pub fn event(&self) -> serde_json::Value {
        serde_json::json!({"package": self.package, "number": self.at, "of": self.of, "verb": self.verb})
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "package {} of {}: {} {}", self.at, self.of, self.verb.to_lowercase(), self.package)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_emerge_tell_how_far_it_is() {
        for (line, expected) in [
            (
                ">>> Emerging (3 of 17) app-misc/hello-2.10::gentoo",
                Some("package 3 of 17: emerging app-misc/hello-2.10"),
            ),
            (
                ">>> Emerging binary (1 of 2) a/b-1::gentoo for /",
                Some("package 1 of 2: emerging binary a/b-1"),
            ),
            (">>> Installing (1 of 1) a/b-1::g", Some("package 1 of 1: installing a/b-1")),
            (">>> Jobs: 1 of 3 complete", None),
            (">>> Emerging (x of 1) a/b-1", None),
            ("checking for x (1 of 2) a/b", None),
        ] {
            assert_eq!(parse(line).map(|p| p.to_string()).as_deref(), expected, "{line}");
        }
    }
}
