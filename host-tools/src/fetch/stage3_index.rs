//! `latest-stage3-*.txt` of a mirror: which stage3 is the newest.
//!
//! A text with comments, clear-signed by OpenPGP (RFC 9580, 7); its first line with two words is `PATH SIZE`.

/// The newest stage3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newest {
    /// Path, relative to the index.
    pub path: String,
    /// Bytes, when the index says them.
    pub size: Option<u64>,
}

const BEGIN: &str = "-----BEGIN PGP SIGNED MESSAGE-----";
const SIGNATURE: &str = "-----BEGIN PGP SIGNATURE-----";

/// Tells whether a text is clear-signed.
#[must_use]
pub fn is_signed(text: &str) -> bool {
    text.lines().any(|l| l.trim_end() == BEGIN)
}

/// Returns the newest stage3 that an index names; nothing when it names none, or a path that leads elsewhere.
#[must_use]
pub fn parse(text: &str) -> Option<Newest> {
    let mut lines = text.lines();
    if is_signed(text) {
        lines.by_ref().find(|l| l.trim_end() == BEGIN)?;
        // Headers of the signature end with an empty line.
        lines.by_ref().find(|l| l.trim().is_empty())?;
    }
    for line in lines.take_while(|l| l.trim_end() != SIGNATURE) {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        if let (Some(path), Some(size)) = (words.next(), words.next()) {
            let plain = |c: char| c.is_ascii_alphanumeric() || "._-+/".contains(c);
            let good = path.chars().all(plain)
                && !path.starts_with('/')
                && !path.split('/').any(|part| part.is_empty() || part == "..");
            return good.then(|| Newest { path: path.to_owned(), size: size.parse().ok() });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_line_with_two_words_counts() {
        let newest = |path: &str, size| Some(Newest { path: path.into(), size });
        for (text, expected) in [
            (
                "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512 x\n\n# Latest as of\n# ts=1\n20250101T0/stage3-amd64.tar.xz 280 # c\nother 1\n-----BEGIN PGP SIGNATURE-----\nx y\n",
                newest("20250101T0/stage3-amd64.tar.xz", Some(280)),
            ),
            ("a/b.tar.xz 7\n", newest("a/b.tar.xz", Some(7))),
            ("a/b.tar.xz big\n", newest("a/b.tar.xz", None)),
            ("# only\n\nword\n", None),
            ("../../etc/passwd 1\n", None),
            ("/etc/passwd 1\n", None),
            ("a//b 1\n", None),
            ("", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
