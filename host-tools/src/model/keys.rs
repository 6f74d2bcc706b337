//! The keys of a definition: where each may stand, old spellings, and the nearest known key.

/// Where a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// At the top.
    Top,
    /// In a member of `variants`.
    Variant,
    /// In a member of `arch`.
    Arch,
}

/// One key of a definition.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// Where it counts: [`TOP`], [`VARIANT`], [`ARCH`].
    pub levels: u8,
    /// What its value is.
    pub kind: Kind,
    /// What it is for, in one clause.
    pub help: &'static str,
}

/// What the value of a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// A string or null.
    TextOrNull,
    /// A compressor, perhaps with a level.
    Compression,
    /// true or false.
    Bool,
    /// A whole number.
    Number,
    /// An array of strings.
    Words,
    /// A string or an array of strings.
    WordOrWords,
    /// Package to null, a string or an array of strings.
    AtomMap,
    /// An array of user names and objects.
    Users,
    /// An array of group names and objects.
    Groups,
    /// `{packages, use}`.
    Breaker,
    /// A base's name, or an object with its settings.
    Base,
    /// Architectures to layers.
    Arches,
    /// Names to layers.
    Variants,
}

/// A key counts at the top.
pub const TOP: u8 = 1;
/// A key counts in a variant.
pub const VARIANT: u8 = 2;
/// A key counts in an arch.
pub const ARCH: u8 = 4;

const fn key(name: &'static str, levels: u8, kind: Kind, help: &'static str) -> Key {
    Key { name, levels, kind, help }
}

/// All keys, in the order in which the reference lists them. The parser, the warnings and the JSON Schema read it.
pub const KEYS: &[Key] = &[
    key("name", TOP | VARIANT, Kind::Text, "artifact name: host name of the image, name of the output"),
    key("base", TOP, Kind::Base, "what the lower image is made of"),
    key("profile", TOP | VARIANT, Kind::TextOrNull, "what kind of machine: a profile of the base"),
    key("outfile", TOP | VARIANT, Kind::Text, "the image file"),
    key(
        "compression",
        TOP | VARIANT,
        Kind::Compression,
        "gzip, xz, lzo, zstd, lz4 or none; a level may follow, as in zstd:19",
    ),
    key("devel", TOP | VARIANT, Kind::Bool, "accepted for old definitions; has no effect"),
    key("packages", TOP | VARIANT | ARCH, Kind::Words, "packages of the image; -name takes one away"),
    key("buildtime_packages", TOP | VARIANT | ARCH, Kind::Words, "packages that only the lower image has"),
    key(
        "buildtime_packages_first",
        TOP | VARIANT | ARCH,
        Kind::Bool,
        "install them in a pass of their own, before the others",
    ),
    key(
        "accept_keywords",
        TOP | VARIANT | ARCH,
        Kind::AtomMap,
        "package.accept_keywords; null accepts the testing keyword",
    ),
    key(
        "use",
        TOP | VARIANT | ARCH,
        Kind::AtomMap,
        "package.use; flags of groups are written as GROUP: flag",
    ),
    key("mask", TOP | VARIANT | ARCH, Kind::Words, "package.mask"),
    key("license", TOP | VARIANT | ARCH, Kind::AtomMap, "package.license"),
    key("env", TOP | VARIANT | ARCH, Kind::AtomMap, "package.env: names of files in env/"),
    key(
        "binpkg_excludes",
        TOP | VARIANT | ARCH,
        Kind::WordOrWords,
        "packages that binary packages are neither taken nor made of",
    ),
    key("users", TOP | VARIANT, Kind::Users, "users to add"),
    key("groups", TOP | VARIANT, Kind::Groups, "groups to add, before the users"),
    key("services", TOP | VARIANT | ARCH, Kind::Words, "units to enable"),
    key("setup_commands", TOP | VARIANT | ARCH, Kind::Words, "shell commands, run after files/build.d"),
    key("arch", TOP | VARIANT, Kind::Arches, "changes for some architectures: \"x86_64|aarch64\": {…}"),
    key("variants", TOP, Kind::Variants, "named changes, chosen with --variant"),
    key("default_variant", TOP, Kind::TextOrNull, "the variant that is built when none is named"),
    key(
        "lower-layer-capacity",
        TOP,
        Kind::Number,
        "accepted for old definitions, GiB; the lower image is a directory and takes what it needs",
    ),
    key("independent_binpkgs", TOP, Kind::Bool, "keep binary packages to this artifact"),
    key(
        "circulardep_breaker",
        TOP | VARIANT,
        Kind::Breaker,
        "packages that are installed first, with other USE flags, to break a cycle",
    ),
];

/// Spellings of earlier versions and what they are called now.
pub const DEPRECATED: &[(&str, &str)] = &[
    ("buildtime-packages", "buildtime_packages"),
    ("binpkg-exclude", "binpkg_excludes"),
    ("circulardep-breaker", "circulardep_breaker"),
];

/// What a key is at a level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It counts.
    Known,
    /// It is a key, but has no effect here.
    Misplaced,
    /// It is an old spelling of this key.
    Deprecated(&'static str),
    /// Nobody knows it; perhaps this was meant.
    Unknown(Option<&'static str>),
}

/// Returns what `key` is at `level`.
pub(super) fn standing(key: &str, level: Level) -> Standing {
    if let Some((_, new)) = DEPRECATED.iter().find(|(old, _)| *old == key) {
        return Standing::Deprecated(new);
    }
    match KEYS.iter().find(|k| k.name == key) {
        Some(known) => {
            let here = match level {
                Level::Top => TOP,
                Level::Variant => VARIANT,
                Level::Arch => ARCH,
            };
            if known.levels & here == 0 { Standing::Misplaced } else { Standing::Known }
        }
        None => Standing::Unknown(nearest(key, KEYS.iter().map(|k| k.name))),
    }
}

/// Returns the candidate with the smallest edit distance, when it is near enough to be meant.
pub(crate) fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).clamp(1, 3);
    candidates
        .map(|c| (edit_distance(word, c), c))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, c)| c)
}

/// Returns the Levenshtein distance, letter case and `-`/`_` not counted.
fn edit_distance(a: &str, b: &str) -> usize {
    let fold = |s: &str| -> Vec<char> {
        s.chars().take(64).map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect()
    };
    let (a, b) = (fold(a), fold(b));
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (y, up) in b.iter().zip(row.iter().skip(1)) {
            let cost = (diagonal + usize::from(x != y)).min(left + 1).min(up + 1);
            diagonal = *up;
            left = cost;
            next.push(cost);
        }
        row = next;
    }
    row.last().copied().unwrap_or(a.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standing_tells_known_misplaced_old_and_unknown() {
        for (key, level, expected) in [
            ("packages", Level::Arch, Standing::Known),
            ("users", Level::Arch, Standing::Misplaced),
            ("variants", Level::Variant, Standing::Misplaced),
            ("binpkg-exclude", Level::Arch, Standing::Deprecated("binpkg_excludes")),
            ("package", Level::Top, Standing::Unknown(Some("packages"))),
            ("lower_layer_capacity", Level::Top, Standing::Unknown(Some("lower-layer-capacity"))),
            ("color", Level::Top, Standing::Unknown(None)),
        ] {
            assert_eq!(standing(key, level), expected, "{key}");
        }
    }

    #[test]
    fn edit_distance_counts_single_changes() {
        for (a, b, distance) in
            [("", "abc", 3), ("abc", "abc", 0), ("servces", "services", 1), ("use", "mask", 3)]
        {
            assert_eq!(edit_distance(a, b), distance, "{a} {b}");
        }
    }
}
