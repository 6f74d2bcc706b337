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

/// One key: its name, then whether it counts at the top, in a variant, in an arch.
struct Key(&'static str, bool, bool, bool);

const KEYS: &[Key] = &[
    Key("name", true, true, false),
    Key("base", true, false, false),
    Key("profile", true, true, false),
    Key("outfile", true, true, false),
    Key("compression", true, true, false),
    Key("devel", true, true, false),
    Key("packages", true, true, true),
    Key("buildtime_packages", true, true, true),
    Key("buildtime_packages_first", true, true, true),
    Key("accept_keywords", true, true, true),
    Key("use", true, true, true),
    Key("mask", true, true, true),
    Key("license", true, true, true),
    Key("env", true, true, true),
    Key("binpkg_excludes", true, true, true),
    Key("users", true, true, false),
    Key("groups", true, true, false),
    Key("services", true, true, true),
    Key("setup_commands", true, true, true),
    Key("arch", true, true, false),
    Key("variants", true, false, false),
    Key("default_variant", true, false, false),
    Key("lower-layer-capacity", true, false, false),
    Key("independent_binpkgs", true, false, false),
    Key("circulardep_breaker", true, true, false),
];

/// Spellings of earlier versions and what they are called now.
const DEPRECATED: &[(&str, &str)] = &[
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
    match KEYS.iter().find(|k| k.0 == key) {
        Some(Key(_, top, variant, arch)) => {
            let counts = match level {
                Level::Top => *top,
                Level::Variant => *variant,
                Level::Arch => *arch,
            };
            if counts { Standing::Known } else { Standing::Misplaced }
        }
        None => Standing::Unknown(nearest(key, KEYS.iter().map(|k| k.0))),
    }
}

/// Returns the candidate with the smallest edit distance, when it is near enough to be meant.
pub(super) fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
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
