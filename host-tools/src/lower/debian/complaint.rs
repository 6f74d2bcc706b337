//! Finds apt's complaints about packages in what mmdebstrap said, so that they can point into the definition.

/// A package that apt could not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// The package.
    pub package: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// Returns the first complaint about a package in a log.
#[must_use]
pub fn find(log: &str) -> Option<Complaint> {
    log.lines().find_map(complaint)
}

fn complaint(line: &str) -> Option<Complaint> {
    let line = line.get(line.find("E: ")?..)?.strip_prefix("E: ")?.trim();
    let found = |package: &str, reason| {
        let package = package.trim_matches(['\'', '"']).to_owned();
        Some(Complaint { package, reason })
    };
    if let Some(package) = line.strip_prefix("Unable to locate package ") {
        return found(package, "no such package");
    }
    if let Some(package) =
        line.strip_prefix("Package ").and_then(|l| l.strip_suffix(" has no installation candidate"))
    {
        return found(package, "the package has no installation candidate");
    }
    if let Some((_, package)) =
        line.strip_suffix(" was not found").and_then(|l| l.strip_prefix("Version ")?.split_once(" for "))
    {
        return found(package, "no such version of the package");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_read_off_the_log() {
        for (line, expected) in [
            ("E: Unable to locate package no-such", Some(("no-such", "no such package"))),
            ("apt-get: E: Unable to locate package x", Some(("x", "no such package"))),
            (
                "E: Package 'nethack' has no installation candidate",
                Some(("nethack", "the package has no installation candidate")),
            ),
            ("E: Version '9' for 'bash' was not found", Some(("bash", "no such version of the package"))),
            ("E: Sub-process returned an error code", None),
        ] {
            let found = find(&format!("I: running apt-get update...\n{line}\n"));
            let found = found.as_ref().map(|c| (c.package.as_str(), c.reason));
            assert_eq!(found, expected, "{line}");
        }
    }
}
