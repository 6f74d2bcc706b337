//! Dependency cycles: what Portage says about them, and what to turn off for a while so that they open.
//!
//! Portage resolves, we read what it prints: no part of its programming interface is used, which changed with 3.0.82.
//! Its words are those of `_emerge/resolver/circular_dependency.py`. Portage reports only the first cycle that it
//! meets, and which ones it can see depends on the binary packages there are; so the whole [`TABLE`] is tried first,
//! and what Portage itself proposes is added while cycles remain.

use std::collections::BTreeMap;

/// Where the flags are written while a cycle is opened.
pub const FILE: &str = "/etc/portage/package.use/zz-genpack-circulardep-breaker";

/// How often a proposal of Portage is added before we give up.
pub const MAX_ROUNDS: usize = 8;

/// Flags that close known cycles of the tree.
///
/// An entry must never turn off what something else needs without a choice: therefore no freetype here.
pub const TABLE: [(&str, &[&str]); 7] = [
    ("media-libs/harfbuzz", &["cairo"]),
    ("dev-libs/glib", &["sysprof"]),
    ("media-libs/tiff", &["webp"]),
    ("media-libs/libwebp", &["tiff"]),
    ("dev-python/pillow", &["truetype", "tiff", "webp", "avif"]),
    ("media-libs/libavif", &["gdk-pixbuf"]),
    ("media-video/ffmpeg", &["sdl", "v4l", "svg", "pulseaudio", "libass", "truetype", "harfbuzz"]),
];

/// What emerge answered to `--pretend`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// It met a cycle.
    pub circular: bool,
    /// Packages that it would merge, as `category/name`.
    pub merges: Vec<String>,
    /// What it proposes to change: package, and flags with their sign.
    pub proposals: Vec<(String, Vec<String>)>,
    /// Packages of the cycle.
    pub cycle: Vec<String>,
}

/// Reads the answer.
#[must_use]
pub fn read(output: &str) -> Answer {
    let mut answer = Answer::default();
    for line in output.lines() {
        let line = line.trim();
        if line.contains("circular dependencies") {
            answer.circular = true;
        } else if let Some(rest) = line.strip_prefix('[') {
            if let Some((kind, rest)) = rest.split_once(']')
                && ["ebuild", "binary"].iter().any(|k| kind.starts_with(k))
                && let Some(name) = rest.split_whitespace().next().and_then(package_name)
            {
                push(&mut answer.merges, name);
            }
        } else if let Some((package, change)) =
            line.strip_prefix("- ").and_then(|l| l.split_once(" (Change USE: "))
        {
            let flags = change.trim_end_matches(')').split([' ', ',']).filter(|f| f.len() > 1);
            if let Some(name) = package_name(package) {
                answer.proposals.push((name, flags.map(str::to_owned).collect()));
            }
        } else if answer.circular
            && let Some((package, _)) = line.strip_prefix('(').and_then(|l| l.split_once(", "))
            && let Some(name) = package_name(package)
        {
            push(&mut answer.cycle, name);
        }
    }
    answer
}

fn push(list: &mut Vec<String>, name: String) {
    if !list.contains(&name) {
        list.push(name);
    }
}

/// Returns `category/name` of `category/name-version:slot::repository`.
fn package_name(word: &str) -> Option<String> {
    let word = word.split(':').next()?;
    let (category, rest) = word.split_once('/')?;
    let (name, _) = genpack_core::gentoo::version::split_name(rest)?;
    Some(format!("{category}/{name}"))
}

/// Flags that are off while a cycle is opened, by package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags(BTreeMap<String, Vec<String>>);

impl Flags {
    /// Returns those of the table.
    #[must_use]
    pub fn table() -> Self {
        let mut flags = Self::default();
        for (package, off) in TABLE {
            flags.0.insert(package.to_owned(), off.iter().map(|f| format!("-{f}")).collect());
        }
        flags
    }

    /// Adds the first proposal that turns something off and says something new; tells whether there was one.
    pub fn add(&mut self, proposals: &[(String, Vec<String>)]) -> bool {
        for (package, flags) in proposals {
            let known = self.0.entry(package.clone()).or_default();
            // Why: turning a flag on may pull in more than the cycle had.
            if flags.iter().all(|f| f.starts_with('-')) && flags.iter().any(|f| !known.contains(f)) {
                known.extend(flags.iter().filter(|f| !known.contains(f)).cloned().collect::<Vec<_>>());
                return true;
            }
        }
        self.0.retain(|_, flags| !flags.is_empty());
        false
    }

    /// Returns the text of [`FILE`].
    #[must_use]
    pub fn text(&self) -> String {
        let lines = self.0.iter().filter(|(_, flags)| !flags.is_empty());
        lines.map(|(package, flags)| format!("{package} {}\n", flags.join(" "))).collect()
    }

    /// Returns those packages that are among `merges`, in its order.
    #[must_use]
    pub fn needed(&self, merges: &[String]) -> Vec<String> {
        merges.iter().filter(|m| self.0.get(*m).is_some_and(|f| !f.is_empty())).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CIRCULAR: &str = "\
These are the packages that would be merged, in order:

Calculating dependencies... done!

[nomerge       ] app-misc/demo-1::gentoo
[ebuild  N     ]  media-libs/libwebp-1.5::gentoo  USE=\"tiff -static-libs\" 0 KiB
[ebuild  N     ]   media-libs/tiff-4.7-r1::gentoo  USE=\"webp -static-libs\" 0 KiB
[binary   R    ] sys-apps/x-1_p2-r3:0/5::gentoo

 * Error: circular dependencies:

(media-libs/libwebp-1.5:0/0::gentoo, ebuild scheduled for merge) depends on
 (media-libs/tiff-4.7-r1:0/0::gentoo, ebuild scheduled for merge) (buildtime)
  (media-libs/libwebp-1.5:0/0::gentoo, ebuild scheduled for merge) (buildtime)

It might be possible to break this cycle
by applying any of the following changes:
- media-libs/tiff-4.7-r1 (Change USE: -webp)
- media-libs/libwebp-1.5 (Change USE: +x -tiff)
";

    #[test]
    fn answer_of_portage_is_read() {
        let answer = read(CIRCULAR);
        assert!(answer.circular);
        assert_eq!(answer.merges, ["media-libs/libwebp", "media-libs/tiff", "sys-apps/x"]);
        assert_eq!(answer.cycle, ["media-libs/libwebp", "media-libs/tiff"]);
        assert_eq!(
            answer.proposals,
            [
                ("media-libs/tiff".to_owned(), vec!["-webp".to_owned()]),
                ("media-libs/libwebp".to_owned(), vec!["+x".to_owned(), "-tiff".to_owned()]),
            ]
        );
        assert_eq!(read("emerge: there are no ebuilds to satisfy \"x\"."), Answer::default());
    }

    #[test]
    fn recorded_answer_of_portage_opens_by_what_it_proposes() {
        // Of Portage 3.0.81.3, on the tree of tests/gentoo.
        let answer = read(include_str!("../../../tests/fixtures/portage-circular.txt"));
        assert!(answer.circular);
        assert_eq!(answer.merges, ["media-libs/tiff", "media-libs/libwebp"]);
        assert_eq!(answer.cycle, answer.merges);
        let mut flags = Flags::default();
        assert!(flags.add(&answer.proposals));
        assert_eq!(flags.text(), "media-libs/libwebp -tiff\n");
        assert_eq!(flags.needed(&answer.merges), ["media-libs/libwebp"]);
    }

    #[test]
    fn table_is_written_whole_and_only_merged_packages_are_needed() {
        let flags = Flags::table();
        assert!(flags.text().contains("media-libs/tiff -webp\n"), "{}", flags.text());
        assert_eq!(flags.text().lines().count(), TABLE.len());
        let merges = ["a/b", "media-libs/tiff", "dev-libs/glib"].map(str::to_owned);
        assert_eq!(flags.needed(&merges), ["media-libs/tiff", "dev-libs/glib"]);
    }

    #[test]
    fn proposals_are_added_until_they_say_nothing_new() {
        let mut flags = Flags::default();
        let proposals = read(CIRCULAR).proposals;
        assert!(flags.add(&proposals));
        assert_eq!(flags.text(), "media-libs/tiff -webp\n");
        assert!(!flags.add(&proposals), "the other one turns a flag on");
        assert_eq!(flags.text(), "media-libs/tiff -webp\n");
    }
}
