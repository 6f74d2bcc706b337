//! `diff --html`: one page about what changed between two images that needs nothing else: no network, no script.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::Value;

use crate::look::report::html::{self, escape, growth, human, section, table, thousands, tiles};
use crate::look::sbom::packages::of_portage;
use crate::look::space::packages::Owners;

/// Most paths of one kind on the page, the ones that weigh most; a browser would take long to show a million.
const MAX_PATHS: usize = 2000;
/// Most bars.
const MAX_BARS: usize = 16;
/// A bar is of the directory so deep below the root.
const DEPTH: usize = 2;

/// One of the two images.
#[derive(Debug, Default)]
pub struct Side {
    /// Name of the file.
    pub name: String,
    /// Its bytes.
    pub bytes: u64,
    /// What `inspect --json` prints.
    pub facts: Value,
    /// Versions of its packages, by name.
    pub versions: BTreeMap<String, String>,
    /// Which package a path belongs to.
    pub owners: Owners,
}

/// A path that is not the same in both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Absolute, as it is.
    pub path: Vec<u8>,
    /// Printable.
    pub shown: String,
    /// Bytes of content in the old image; `None` when it is new.
    pub before: Option<u64>,
    /// Bytes of content in the new image; `None` when it is gone.
    pub after: Option<u64>,
    /// What is different.
    pub what: Vec<&'static str>,
}

impl Row {
    fn growth(&self) -> i128 {
        i128::from(self.after.unwrap_or(0)) - i128::from(self.before.unwrap_or(0))
    }
}

/// What changed below a directory, or in a package.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    added: u64,
    removed: u64,
    changed: u64,
    growth: i128,
}

impl Sum {
    fn add(&mut self, row: &Row) {
        match (row.before, row.after) {
            (None, _) => self.added += 1,
            (_, None) => self.removed += 1,
            _ => self.changed += 1,
        }
        self.growth = self.growth.saturating_add(row.growth());
    }
}

/// Returns the page.
#[must_use]
pub fn page(old: &Side, new: &Side, rows: &[Row]) -> String {
    let mut html = String::new();
    let mut total = Sum::default();
    rows.iter().for_each(|row| total.add(row));
    html::begin(&mut html, &format!("{} \u{2192} {}", old.name, new.name));
    tiles(
        &mut html,
        &[
            ("image", human(new.bytes)),
            ("image growth", growth(i128::from(new.bytes) - i128::from(old.bytes))),
            ("content growth", growth(total.growth)),
            ("paths added", thousands(total.added)),
            ("paths removed", thousands(total.removed)),
            ("paths changed", thousands(total.changed)),
        ],
    );
    html::main(&mut html);
    if rows.is_empty() {
        html.push_str("<p>Every path is the same in both images.</p>\n");
    }
    packages(&mut html, old, new, rows);
    directories(&mut html, rows);
    paths(
        &mut html,
        "changed",
        "Changed paths",
        rows.iter().filter(|r| r.before.is_some() && r.after.is_some()),
    );
    paths(&mut html, "added", "Added paths", rows.iter().filter(|r| r.before.is_none()));
    paths(&mut html, "removed", "Removed paths", rows.iter().filter(|r| r.after.is_none()));
    facts(&mut html, old, new);
    html::end(&mut html);
    html
}

/// Puts the packages that have another version, came or went, and those whose files changed.
fn packages(html: &mut String, old: &Side, new: &Side, rows: &[Row]) {
    let mut sums: BTreeMap<String, Sum> = BTreeMap::new();
    let has_owners = !old.owners.is_empty() || !new.owners.is_empty();
    for row in rows.iter().filter(|_| has_owners) {
        let path = row.path.strip_prefix(b"/").unwrap_or(&row.path);
        let owner = new.owners.of(path).or_else(|| old.owners.of(path)).unwrap_or_default();
        let name = of_portage(owner).map_or_else(|| owner.to_owned(), |(name, _)| name);
        sums.entry(name).or_default().add(row);
    }
    let is_other = |name: &&String| old.versions.get(*name) != new.versions.get(*name);
    let names: BTreeSet<&String> =
        old.versions.keys().chain(new.versions.keys()).filter(is_other).chain(sums.keys()).collect();
    if names.is_empty() {
        return;
    }
    let mut cells: Vec<(u8, i128, Vec<String>)> = Vec::new();
    for name in names {
        let (before, after) = (old.versions.get(name), new.versions.get(name));
        let order = match (before, after) {
            (Some(a), Some(b)) if a != b => 0,
            (None, Some(_)) => 1,
            (Some(_), None) => 2,
            _ => 3,
        };
        let shown = if name.is_empty() { "(no package)" } else { name };
        let version = |version: Option<&String>| version.map_or("\u{2013}", String::as_str).to_owned();
        let mut row = vec![shown.to_owned(), version(before), version(after)];
        let sum = sums.get(name).copied().unwrap_or_default();
        if has_owners {
            row.push(thousands(sum.added + sum.removed + sum.changed));
            row.push(growth(sum.growth));
        }
        cells.push((order, sum.growth, row));
    }
    // Of one kind, what weighs most comes first; those of equal weight stay in the order of their names.
    cells.sort_by_key(|(order, growth, _)| (*order, std::cmp::Reverse(growth.unsigned_abs())));
    let number = |wanted: u8| cells.iter().filter(|(order, ..)| *order == wanted).count();
    let told = format!("{} with another version, {} added, {} removed.", number(0), number(1), number(2));
    section(html, "packages", "Packages", &|html| {
        let _ = writeln!(html, "<p>{told}</p>");
        let head = ["package", "before", "after", "paths", "growth"];
        let columns = if has_owners { 5 } else { 3 };
        let numbers = if has_owners { 2 } else { 0 };
        let head = head.get(..columns).unwrap_or(&head);
        table(html, head, numbers, cells.iter().map(|(.., row)| row.clone()).collect());
    });
}

/// Puts what the images say differently of themselves.
fn facts(html: &mut String, old: &Side, new: &Side) {
    let of = |side: &Side| {
        let mut lines = Vec::new();
        crate::look::inspect::text("", &side.facts, &mut lines);
        lines.into_iter().collect::<BTreeMap<_, _>>()
    };
    let (before, after) = (of(old), of(new));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let value = |facts: &BTreeMap<String, String>, name: &String| {
        facts.get(name).map_or("\u{2013}", String::as_str).to_owned()
    };
    let rows: Vec<_> = names
        .into_iter()
        .filter(|name| before.get(*name) != after.get(*name))
        .map(|name| vec![name.clone(), value(&before, name), value(&after, name)])
        .collect();
    if !rows.is_empty() {
        section(html, "facts", "What the images say of themselves", &|html| {
            table(html, &["fact", "before", "after"], 0, rows.clone());
        });
    }
}

fn directories(html: &mut String, rows: &[Row]) {
    let mut sums: BTreeMap<&str, Sum> = BTreeMap::new();
    for row in rows {
        sums.entry(above(&row.shown)).or_default().add(row);
    }
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by_key(|(_, sum)| std::cmp::Reverse(sum.growth.unsigned_abs()));
    if sums.is_empty() {
        return;
    }
    section(html, "directories", "By directory", &|html| {
        bars(html, &sums);
        let row = |(name, sum): &(&str, Sum)| {
            let numbers = [sum.added, sum.removed, sum.changed].map(thousands);
            [vec![(*name).to_owned(), growth(sum.growth)], numbers.to_vec()].concat()
        };
        let head = ["directory", "growth", "added", "removed", "changed"];
        table(html, &head, 4, sums.iter().map(row).collect());
    });
}

/// Returns the directory that a path is counted for.
fn above(path: &str) -> &str {
    let mut ends = path.char_indices().filter(|(at, c)| *c == '/' && *at > 0).map(|(at, _)| at);
    let end = ends.by_ref().take(DEPTH).last();
    end.and_then(|end| path.get(..end)).unwrap_or("/")
}

/// Puts a bar for each directory that grew or shrank, to the right or left of a line that they share.
fn bars(html: &mut String, sums: &[(&str, Sum)]) {
    let shown = sums.iter().filter(|(_, sum)| sum.growth != 0).take(MAX_BARS);
    let (least, most) = shown
        .clone()
        .fold((0_i128, 0_i128), |(least, most), (_, sum)| (least.min(sum.growth), most.max(sum.growth)));
    if least == most {
        return;
    }
    let scale = 100.0 / (most - least) as f64;
    let zero = -least as f64 * scale;
    html.push_str("<ul class=\"bars\">\n");
    for (name, sum) in shown {
        let width = sum.growth.unsigned_abs() as f64 * scale;
        let (class, left) = if sum.growth > 0 { ("more", zero) } else { ("less", zero - width) };
        let _ = writeln!(
            html,
            "<li><span>{}</span><span class=\"bar\"><i class=\"{class}\" style=\"left:{left:.2}%;width:{width:.2}%\">\
             </i></span><span class=\"n\">{}</span></li>",
            escape(name),
            growth(sum.growth)
        );
    }
    html.push_str("</ul>\n");
}

fn paths<'r>(html: &mut String, id: &str, title: &str, rows: impl Iterator<Item = &'r Row>) {
    let mut rows: Vec<&Row> = rows.collect();
    if rows.is_empty() {
        return;
    }
    // Also what kept its size: a path that changed without growing is no less changed.
    rows.sort_by_key(|row| std::cmp::Reverse(row.growth().unsigned_abs()));
    section(html, id, title, &|html| {
        let size = |size: Option<u64>| human(size.unwrap_or(0));
        let cells = |row: &&Row| match (row.before, row.after) {
            (Some(_), Some(_)) => vec![
                format!("{}\t{}", row.shown, row.what.join(", ")),
                size(row.before),
                size(row.after),
                growth(row.growth()),
            ],
            (before, after) => vec![row.shown.clone(), size(before.or(after))],
        };
        let (head, numbers): (&[&str], usize) = if id == "changed" {
            (&["path", "before", "after", "growth"], 3)
        } else {
            (&["path", "size"], 1)
        };
        table(html, head, numbers, rows.iter().take(MAX_PATHS).map(cells).collect());
        if let Some(left @ 1..) = rows.len().checked_sub(MAX_PATHS) {
            let left = thousands(left as u64);
            let _ = writeln!(
                html,
                "<p>{left} more, which weigh less, are not on this page; diff --json has all.</p>"
            );
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(path: &str, before: Option<u64>, after: Option<u64>) -> Row {
        Row { path: path.into(), shown: path.into(), before, after, what: Vec::new() }
    }

    #[test]
    fn path_counts_for_the_directory_two_below_the_root() {
        for (path, directory) in [
            ("/", "/"),
            ("/init", "/"),
            ("/etc/passwd", "/etc"),
            ("/usr/bin/ls", "/usr/bin"),
            ("/usr/lib/a/b/c", "/usr/lib"),
        ] {
            assert_eq!(above(path), directory);
        }
    }

    #[test]
    fn bars_share_a_line_and_are_as_long_as_the_growth() {
        let sum = |growth| Sum { growth, ..Sum::default() };
        let mut html = String::new();
        bars(&mut html, &[("/a", sum(300)), ("/b", sum(-100)), ("/c", sum(0))]);
        assert!(html.contains("<i class=\"more\" style=\"left:25.00%;width:75.00%\">"), "{html}");
        assert!(html.contains("<i class=\"less\" style=\"left:0.00%;width:25.00%\">"), "{html}");
        assert!(!html.contains("/c"), "{html}");
    }

    #[test]
    fn paths_beyond_the_limit_are_counted() {
        let rows: Vec<_> =
            (0..MAX_PATHS + 3).map(|n| row(&format!("/x/{n}"), None, Some(n as u64))).collect();
        let page = page(&Side::default(), &Side::default(), &rows);
        assert!(page.contains("<p>3 more, which weigh less,"), "{}", page.len());
        assert!(page.contains("<td>/x/2002</td>") && !page.contains("<td>/x/2</td>"));
    }

    #[test]
    fn names_of_an_image_cannot_become_markup() {
        let side = |version: &str| Side {
            name: "<script>".into(),
            versions: [("<script>".to_owned(), version.to_owned())].into(),
            ..Side::default()
        };
        let page = page(&side("1"), &side("<script>"), &[row("/<script>/x", Some(1), Some(2))]);
        assert!(!page.contains("<script") && page.contains("&lt;script&gt;"), "{page}");
    }
}
