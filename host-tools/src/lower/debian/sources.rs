//! Lines of sources.list(5): from the definition's mirror, else from what the host's apt uses.

use std::collections::BTreeSet;

use crate::model::base::Debian;

/// The key that signs Debian's own archives.
pub const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Format for `apt-get indextargets`; [`host_releases`] reads it.
pub const INDEX_FORMAT: &str = "$(REPO_URI) $(RELEASE)";

/// A repository of the host's apt.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release {
    /// URL.
    pub uri: String,
    /// `bookworm`, `bookworm-updates`, …
    pub release: String,
}

/// Reads the answer of `apt-get indextargets` in [`INDEX_FORMAT`].
#[must_use]
pub fn host_releases(answer: &str) -> Vec<Release> {
    let mut seen = BTreeSet::new();
    answer
        .lines()
        .filter_map(|line| line.trim().rsplit_once(' '))
        .map(|(uri, release)| Release { uri: uri.to_owned(), release: release.to_owned() })
        .filter(|r| seen.insert(r.clone()))
        .collect()
}

/// Returns the lines of `sources.list`; nothing when neither the definition nor the host knows a mirror.
///
/// The host's mirror serves other releases of Debian too. `-updates` and `-security` are used when the host uses
/// them; a mirror of the definition is the only source.
#[must_use]
pub fn lines(debian: &Debian, host: &[Release], keyring: bool) -> Vec<String> {
    let suite = debian.suite.as_str();
    let mut sources = Vec::new();
    match &debian.mirror {
        Some(mirror) => sources.push((location(mirror), suite.to_owned())),
        None => {
            let base = |r: &&Release| !r.release.contains('-') && !r.release.contains('/');
            let main = host.iter().find(|r| r.release == suite).or_else(|| host.iter().find(base));
            if let Some(main) = main {
                sources.push((main.uri.clone(), suite.to_owned()));
                for tail in ["-updates", "-security"] {
                    if let Some(r) = host.iter().find(|r| r.release.ends_with(tail)) {
                        sources.push((r.uri.clone(), format!("{suite}{tail}")));
                    }
                }
            }
        }
    }
    let signed = if keyring { format!("[signed-by={KEYRING}] ") } else { String::new() };
    let components = debian.components.join(" ");
    sources.iter().map(|(uri, suite)| format!("deb {signed}{uri} {suite} {components}")).collect()
}

/// A path becomes what apt reads local files by.
fn location(mirror: &str) -> String {
    if mirror.starts_with('/') { format!("copy:{mirror}") } else { mirror.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "http://m/debian/ bookworm\nhttp://m/debian/ bookworm\nhttp://m/debian/ bookworm-updates\n\
                        http://s/debian-security/ bookworm-security\nhttp://x/tools ./\n";

    #[test]
    fn lines_come_from_the_host_or_from_the_definition_alone() {
        let host = host_releases(HOST);
        assert_eq!(host.len(), 4);
        let debian = Debian::default();
        assert_eq!(
            lines(&debian, &host, false),
            [
                "deb http://m/debian/ bookworm main",
                "deb http://m/debian/ bookworm-updates main",
                "deb http://s/debian-security/ bookworm-security main",
            ]
        );
        let trixie = Debian { suite: "trixie".into(), ..Debian::default() };
        assert_eq!(lines(&trixie, &host, false)[2], "deb http://s/debian-security/ trixie-security main");
        let own = Debian {
            mirror: Some("/srv/debian".into()),
            components: vec!["main".into(), "contrib".into()],
            ..Debian::default()
        };
        assert_eq!(
            lines(&own, &host, true),
            [format!("deb [signed-by={KEYRING}] copy:/srv/debian bookworm main contrib")]
        );
        assert_eq!(lines(&debian, &[], true), Vec::<String>::new());
    }
}
