//! `inspect --html`: one page about an image that needs nothing else: no network, no script.
//!
//! Pictures are drawn here, once for wide and once for narrow screens; the tables say the same in numbers.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::space::{Space, Sum};

pub mod html;
pub mod treemap;

use html::{escape, human, percent, section, table, thousands, tiles};
use treemap::{Rect, squarified};

/// Colours in the style sheet, `c0` and so on.
const COLORS: usize = 8;
/// Rectangles with a smaller area say nothing and are left out, in square units of a picture.
const MIN_AREA: f64 = 30.0;

/// Sizes of the two pictures.
const WIDE: (f64, f64) = (1000.0, 520.0);
const NARROW: (f64, f64) = (340.0, 520.0);

/// Returns the page; `facts` is what `inspect --json` prints.
#[must_use]
pub fn page(name: &str, facts: &Value, space: &Space) -> String {
    let mut html = String::new();
    let bytes = facts.get("bytes_used").and_then(Value::as_u64).unwrap_or(0);
    html::begin(&mut html, name);
    let words: Vec<_> = [
        ("artifact", "/genpack/artifact"),
        ("", "/genpack/arch"),
        ("kernel", "/kernel/version"),
        ("made", "/made"),
    ]
    .iter()
    .filter_map(|(what, at)| Some(format!("{what} {}", escape(facts.pointer(at)?.as_str()?))))
    .collect();
    let _ = writeln!(html, "<p>{}</p>", words.join(", ").trim());
    tiles(
        &mut html,
        &[
            ("image", human(bytes)),
            ("content", human(space.total.size)),
            ("files", thousands(space.total.files)),
            ("compressor", facts.get("compressor").and_then(Value::as_str).unwrap_or("-").to_owned()),
        ],
    );
    html::main(&mut html);
    section(&mut html, "directories", "Space by directory", &|html| {
        let tree = Tree::of_directories(&space.directories);
        pictures(html, "Space by directory", &tree);
        let rows = sorted(space.directories.iter().filter(|(path, _)| path.as_str() != "/"));
        sums(html, "directory", &rows, &space.total);
    });
    if !space.packages.is_empty() {
        section(&mut html, "packages", "Space by package", &|html| {
            let rows = sorted(space.packages.iter());
            pictures(html, "Space by package", &Tree::flat(&rows));
            let rows: Vec<_> = rows
                .into_iter()
                .map(|(name, sum)| (if name.is_empty() { "(no package)" } else { name }, sum))
                .collect();
            sums(html, "package", &rows, &space.total);
        });
    }
    section(&mut html, "kinds", "Compression by kind of file", &|html| {
        let rows = sorted(space.kinds.iter().map(|(kind, sum)| (*kind, sum)));
        sums(html, "kind", &rows, &space.total);
    });
    section(&mut html, "largest", "Largest files", &|html| {
        let rows = space.largest.iter().map(|f| vec![f.path.clone(), human(f.size), human(f.stored)]);
        table(html, &["file", "size", "in the image"], 2, rows.collect());
    });
    if !space.boot.is_empty() {
        section(&mut html, "boot", "Boot files", &|html| {
            let rows = space.boot.iter().map(|f| vec![f.path.clone(), human(f.size), human(f.stored)]);
            table(html, &["file", "size", "in the image"], 2, rows.collect());
        });
    }
    section(&mut html, "duplicates", "Stored once for several files", &|html| {
        if space.duplicates.is_empty() {
            html.push_str("<p>No two files have the same content.</p>\n");
            return;
        }
        let rows = space.duplicates.iter();
        let rows = rows.map(|(size, paths)| vec![paths.join("\n"), human(*size), paths.len().to_string()]);
        table(html, &["files", "size", "times"], 2, rows.collect());
    });
    section(&mut html, "facts", "What the image says of itself", &|html| {
        let mut lines = Vec::new();
        super::inspect::text("", facts, &mut lines);
        // What is in the image is asked for more often than how it was packed, and must not be folded away.
        lines.sort_by_key(|(name, _)| !["genpack.", "kernel."].iter().any(|begin| name.starts_with(begin)));
        table(
            html,
            &["fact", "value"],
            0,
            lines.into_iter().map(|(name, value)| vec![name, value]).collect(),
        );
    });
    html::end(&mut html);
    html
}

/// Returns the sums, those that take most first.
fn sorted<'s, N: AsRef<str> + ?Sized + 's>(
    sums: impl Iterator<Item = (&'s N, &'s Sum)>,
) -> Vec<(&'s str, &'s Sum)> {
    let mut rows: Vec<_> = sums.map(|(name, sum)| (name.as_ref(), sum)).collect();
    rows.sort_by(|a, b| b.1.stored.cmp(&a.1.stored).then_with(|| a.0.cmp(b.0)));
    rows
}

fn sums(html: &mut String, what: &str, rows: &[(&str, &Sum)], total: &Sum) {
    let row = |(name, sum): &(&str, &Sum)| {
        let share = percent(sum.stored, total.stored);
        let ratio = percent(sum.stored, sum.size);
        vec![(*name).to_owned(), thousands(sum.files), human(sum.size), human(sum.stored), share, ratio]
    };
    let head = [what, "files", "size", "in the image", "of the image", "compressed to"];
    html.push_str("<div class=\"sums\">\n");
    table(html, &head, 5, rows.iter().map(row).collect());
    html.push_str("</div>\n");
}

/// What a treemap shows.
struct Tree {
    name: String,
    sum: Sum,
    children: Vec<Tree>,
}

impl Tree {
    /// Returns the tree of these directories; `/` is the root. What stands in a directory itself is left as its ground.
    fn of_directories(directories: &BTreeMap<String, Sum>) -> Self {
        fn below(path: &str, directories: &BTreeMap<String, Sum>) -> Vec<Tree> {
            let prefix = if path == "/" { "/".to_owned() } else { format!("{path}/") };
            let is_child = |name: &str| {
                name.len() > prefix.len() && !name.get(prefix.len()..).is_none_or(|n| n.contains('/'))
            };
            let range = directories.range(prefix.clone()..).take_while(|(name, _)| name.starts_with(&prefix));
            let mut children: Vec<_> = range
                .filter(|(name, _)| is_child(name))
                .map(|(name, sum)| Tree { name: name.clone(), sum: *sum, children: below(name, directories) })
                .collect();
            children.sort_by_key(|child| std::cmp::Reverse(child.sum.stored));
            children
        }
        let sum = directories.get("/").copied().unwrap_or_default();
        Self { name: "/".into(), sum, children: below("/", directories) }
    }

    /// Returns a tree of one level; the rows are in falling order.
    fn flat(rows: &[(&str, &Sum)]) -> Self {
        let leaf = |(name, sum): &(&str, &Sum)| {
            let name = if name.is_empty() { "(no package)" } else { name };
            Self { name: name.to_owned(), sum: **sum, children: Vec::new() }
        };
        let children: Vec<_> = rows.iter().map(leaf).collect();
        let stored = children.iter().map(|c| c.sum.stored).sum();
        Self { name: String::new(), sum: Sum { stored, ..Sum::default() }, children }
    }
}

/// Puts the picture twice: for wide and for narrow screens.
fn pictures(html: &mut String, title: &str, tree: &Tree) {
    for (class, (w, h)) in [("on-wide", WIDE), ("on-narrow", NARROW)] {
        let _ = writeln!(
            html,
            "<svg class=\"map {class}\" viewBox=\"0 0 {w} {h}\" role=\"img\" aria-label=\"{}\">",
            escape(title)
        );
        draw(html, tree, Rect { w, h, ..Rect::default() }, 0, None);
        html.push_str("</svg>\n");
    }
}

/// Height of the line with the name of a directory that has parts.
const HEAD: f64 = 16.0;
/// Fewest characters of a label that is cut.
const MIN_LABEL: usize = 5;
/// Width of a character of a label.
const CHARACTER: f64 = 6.6;

fn draw(html: &mut String, tree: &Tree, place: Rect, depth: usize, inherited: Option<usize>) {
    let parts: u64 = tree.children.iter().map(|c| c.sum.stored).sum();
    // What stands beside the parts is a part without a name.
    let rest = tree.sum.stored.saturating_sub(parts);
    let mut weights: Vec<_> = tree.children.iter().map(|c| c.sum.stored).collect();
    let at = weights.partition_point(|w| *w >= rest);
    weights.insert(at, rest);
    let mut rects = squarified(&weights, place);
    rects.remove(at);
    for (index, (child, rect)) in tree.children.iter().zip(rects).enumerate() {
        if rect.w * rect.h < MIN_AREA {
            continue;
        }
        let color = inherited.unwrap_or((index + depth) % COLORS);
        let r = rect.inset(0.75);
        let _ = write!(
            html,
            "<g><title>{}: {}</title><rect class=\"c{color} d{}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"2\"/>",
            escape(&child.name),
            human(child.sum.stored),
            depth.min(3),
            r.x,
            r.y,
            r.w,
            r.h
        );
        let name = child.name.rsplit('/').next().unwrap_or(&child.name);
        let label = label(name, r.w - 8.0).filter(|_| r.h > HEAD);
        let fits = label.is_some();
        if let Some(label) = label {
            let _ = write!(
                html,
                "<text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                r.x + 4.0,
                r.y + 12.0,
                escape(&label)
            );
            let size = human(child.sum.stored);
            if child.children.is_empty() && r.h > 2.0 * HEAD && r.w > size.len() as f64 * CHARACTER + 8.0 {
                let _ = write!(
                    html,
                    "<text class=\"size\" x=\"{:.1}\" y=\"{:.1}\">{size}</text>",
                    r.x + 4.0,
                    r.y + 26.0
                );
            }
        }
        html.push_str("</g>\n");
        let head = if fits { HEAD } else { 0.0 };
        let inner = Rect { y: r.y + head, h: (r.h - head).max(0.0), ..r }.inset(1.5);
        if !child.children.is_empty() && inner.w > 12.0 && inner.h > 12.0 {
            // Why: where one directory is nearly all, as /usr mostly is, the colours tell its parts apart.
            let is_nearly_all = inherited.is_none() && child.sum.stored > tree.sum.stored / 2;
            draw(html, child, inner, depth + 1, (!is_nearly_all).then_some(color));
        }
    }
}

/// Returns what of a name has room, `None` where that would be too little to know it by.
fn label(name: &str, room: f64) -> Option<String> {
    let fits = |count: usize| count as f64 * CHARACTER < room;
    let count = name.chars().count();
    if fits(count) {
        return Some(name.to_owned());
    }
    let kept = (MIN_LABEL..count).rev().find(|kept| fits(kept + 1))?;
    Some(name.chars().take(kept).chain(['\u{2026}']).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_is_cut_where_enough_of_it_is_left() {
        for (room, expected) in [
            (100.0, Some("linux-image")),
            (60.0, Some("linux-im\u{2026}")),
            (50.0, Some("linux-\u{2026}")),
            (20.0, None),
        ] {
            assert_eq!(label("linux-image", room).as_deref(), expected, "{room}");
        }
        assert_eq!(label("a", 7.0).as_deref(), Some("a"));
    }

    #[test]
    fn text_of_an_image_cannot_become_markup() {
        let mut space = Space::default();
        space.directories.insert("/".into(), Sum { files: 1, size: 9, stored: 9 });
        space.directories.insert("/<script>".into(), Sum { files: 1, size: 9, stored: 9 });
        let page = page("<script>", &Value::Null, &space);
        assert!(!page.contains("<script") && page.contains("&lt;script&gt;"), "{page}");
    }

    #[test]
    fn tree_of_directories_has_each_under_its_parent() {
        let sum = |stored| Sum { files: 1, size: stored, stored };
        let directories = [("/", 10), ("/usr", 7), ("/usr/lib", 5), ("/usr-old", 1), ("/boot", 2)];
        let directories = directories.map(|(name, stored)| (name.to_owned(), sum(stored))).into();
        let tree = Tree::of_directories(&directories);
        let names: Vec<_> = tree.children.iter().map(|c| (c.name.as_str(), c.children.len())).collect();
        assert_eq!(names, [("/usr", 1), ("/boot", 0), ("/usr-old", 0)]);
    }
}
