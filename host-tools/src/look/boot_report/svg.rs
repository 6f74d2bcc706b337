//! The timeline as a picture: the whole boot, then a closer look at stage 1 and stage 2.

use std::fmt::Write as _;

use super::text::{around, seconds, short};
use super::timeline::{Span, Timeline};
use crate::io::printable::printable;
use crate::look::report::html::escape;

/// Sizes in the picture's own units, which a browser takes for pixels.
const WIDTH: f64 = 1000.0;
const LEFT: f64 = 300.0;
const RIGHT: f64 = 16.0;
const ROW: f64 = 20.0;
const HEAD: f64 = 56.0;
/// Room for the number beside a bar.
const NUMBER: f64 = 90.0;
/// Longest name beside a bar, in characters.
const NAME: usize = 42;
/// Units and targets that are drawn; all of them are in the JSON.
const MOST: usize = 20;
/// Most lines of the scale.
const TICKS: u64 = 8;

const STYLE: &str = "svg { color-scheme: light dark; background: #fff; max-width: 100%; height: auto; } text { font: 12px system-ui, sans-serif; fill: #1c2024; } \
    .head { font-size: 15px; font-weight: 600; } .dim { fill: #60676e; } text.on { fill: #15181b; } .grid { stroke: #d9dde1; } \
    .phase { fill: #5b9bc9; } .step { fill: #c98a3d; } .module { fill: #4f9d78; } .unit { fill: #9a89d0; } .target { fill: #c05c5c; } \
    @media (prefers-color-scheme: dark) { svg { background: #15181b; } text { fill: #e6e8ea; } .dim { fill: #98a0a8; } \
    .grid { stroke: #31373d; } }";

/// Rows that share a scale.
struct Panel<'t> {
    title: &'static str,
    within: (u64, u64),
    rows: Vec<(&'static str, &'t Span)>,
}

impl<'t> Panel<'t> {
    /// `within` is what the scale spans, if not just the rows.
    fn new(title: &'static str, parts: &[(&'static str, &'t Vec<Span>)], within: Option<(u64, u64)>) -> Self {
        let part = |(class, spans): &(&'static str, &'t Vec<Span>)| {
            let class = *class;
            spans.iter().take(MOST).map(move |span| (class, span))
        };
        let rows: Vec<_> = parts.iter().flat_map(part).collect();
        let spans: Vec<_> = rows.iter().map(|(_, span)| *span).collect();
        Self { title, within: within.unwrap_or_else(|| around(&spans)), rows }
    }
}

/// Returns the picture.
#[must_use]
pub fn picture(timeline: &Timeline) -> String {
    let whole = [("phase", &timeline.phases), ("target", &timeline.targets), ("unit", &timeline.units)];
    let init = [("step", &timeline.steps), ("module", &timeline.modules)];
    let panels = [
        Panel::new("The boot, from the kernel's start", &whole, Some((0, timeline.end()))),
        Panel::new("Stage 1 and stage 2", &init, None),
    ];
    let shown: Vec<_> = panels.iter().filter(|panel| !panel.rows.is_empty()).collect();
    let height: f64 = shown.iter().map(|panel| HEAD + panel.rows.len() as f64 * ROW + ROW).sum();
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         role=\"img\">\n<title>Boot of {}</title>\n<style>{STYLE}</style>\n",
        escape(&printable(timeline.image.as_bytes()))
    );
    let mut top = 0.0;
    for panel in shown {
        top = draw(&mut svg, panel, top);
    }
    svg.push_str("</svg>\n");
    svg
}

/// Draws a panel and returns where the next one begins.
fn draw(svg: &mut String, panel: &Panel<'_>, top: f64) -> f64 {
    let (from, to) = panel.within;
    let scale = (WIDTH - LEFT - RIGHT) / to.saturating_sub(from).max(1) as f64;
    let x = |at: u64| LEFT + at.saturating_sub(from) as f64 * scale;
    let bottom = top + HEAD + panel.rows.len() as f64 * ROW;
    // Writing to a String cannot fail.
    let _ = writeln!(svg, "<text class=\"head\" x=\"12\" y=\"{:.0}\">{}</text>", top + 24.0, panel.title);
    let step = step(to.saturating_sub(from));
    let mut tick = from.div_ceil(step) * step;
    while tick <= to {
        let (x, y) = (x(tick), top + HEAD - 8.0);
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{y:.1}\" y2=\"{bottom:.1}\"/>\
             <text class=\"dim\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            y - 4.0,
            label(tick, step)
        );
        let Some(next) = tick.checked_add(step) else { break };
        tick = next;
    }
    for (at, (class, span)) in panel.rows.iter().enumerate() {
        let y = top + HEAD + at as f64 * ROW;
        let (start, width) = (x(span.start), (x(span.end) - x(span.start)).max(2.0));
        let is_mark = *class == "target";
        let told = if is_mark { seconds(span.end) } else { seconds(span.took()) };
        let name = printable(span.name.as_bytes());
        // A number that would leave the picture stands before its bar, or inside when there is no room before it.
        let (text_x, anchor, on) = match (start + width > WIDTH - NUMBER, start < LEFT + NUMBER) {
            (false, _) => (start + width + 5.0, "start", "dim"),
            (true, false) => (start - 5.0, "end", "dim"),
            (true, true) => (start + width - 5.0, "end", "on"),
        };
        let _ = writeln!(
            svg,
            "<g><title>{}: from {}, {}</title><text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
             <rect class=\"{class}\" x=\"{start:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{:.1}\" rx=\"2\"/>\
             <text class=\"{on}\" x=\"{text_x:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{told}</text></g>",
            escape(&name),
            seconds(span.start),
            told,
            LEFT - 10.0,
            y + 14.0,
            escape(&short(&name, NAME)),
            y + 3.0,
            ROW - 6.0,
            y + 14.0
        );
    }
    bottom + ROW
}

/// Returns the distance of the scale's lines: 1, 2 or 5 of a power of ten, so that there are few.
fn step(whole: u64) -> u64 {
    let mut unit = 1000_u64;
    loop {
        for factor in [1, 2, 5] {
            let step = unit.saturating_mul(factor);
            if whole / step <= TICKS {
                return step;
            }
        }
        unit = unit.saturating_mul(10);
    }
}

fn label(at: u64, step: u64) -> String {
    if step >= 1_000_000 {
        return format!("{} s", at / 1_000_000);
    }
    seconds(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scale_has_few_round_lines() {
        for (whole, expected) in
            [(0, 1000), (8999, 1000), (9000, 2000), (42_000_000, 5_000_000), (91_000_000, 20_000_000)]
        {
            assert_eq!(step(whole), expected, "{whole}");
        }
        assert!(step(u64::MAX) > 0);
        assert_eq!(
            (label(5_000_000, 1_000_000), label(1_500_000, 500_000)),
            ("5 s".into(), "1.500 s".into())
        );
    }

    #[test]
    fn names_of_a_log_cannot_become_markup() {
        let bad = Span { name: "<script>".into(), start: 1, end: 2 };
        let timeline = Timeline {
            image: "<b>".into(),
            units: vec![bad.clone()],
            steps: vec![bad],
            ..Timeline::default()
        };
        let svg = picture(&timeline);
        assert!(!svg.contains("<script") && !svg.contains("<b>"), "{svg}");
    }
}
