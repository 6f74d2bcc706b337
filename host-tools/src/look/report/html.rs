//! The parts of a page that needs nothing else: no network, no script.

use std::fmt::Write as _;

const STYLE: &str = include_str!("report.css");
/// Rows of a table that are shown at once; the rest is folded away.
const ROWS: usize = 15;

/// Puts the head of a page and opens its header.
pub(crate) fn begin(html: &mut String, title: &str) {
    let title = escape(title);
    let _ = write!(
        html,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{title}</h1>\n"
    );
}

/// Ends the header; what follows are sections.
pub(crate) fn main(html: &mut String) {
    html.push_str("</header>\n<main>\n");
}

/// Ends the page.
pub(crate) fn end(html: &mut String) {
    html.push_str("</main>\n</body>\n</html>\n");
}

/// Puts a part of the page under a heading.
pub(crate) fn section(html: &mut String, id: &str, title: &str, body: &dyn Fn(&mut String)) {
    let _ = writeln!(html, "<section id=\"{id}\">\n<h2>{}</h2>", escape(title));
    body(html);
    html.push_str("</section>\n");
}

/// Puts the numbers that a reader looks for first.
pub(crate) fn tiles(html: &mut String, tiles: &[(&str, String)]) {
    html.push_str("<dl class=\"tiles\">\n");
    for (name, value) in tiles {
        let _ = writeln!(html, "<div><dt>{}</dt><dd>{}</dd></div>", escape(name), escape(value));
    }
    html.push_str("</dl>\n");
}

/// Puts a table whose last `numbers` columns are numbers. What is beyond [`ROWS`] is folded away. In a cell a line break
/// is one, and what follows a tab is a remark.
pub(crate) fn table(html: &mut String, head: &[&str], numbers: usize, rows: Vec<Vec<String>>) {
    let class = |at: usize| if at + numbers >= head.len() { " class=\"n\"" } else { "" };
    let cells = |html: &mut String, row: &[String]| {
        html.push_str("<tr>");
        for (at, cell) in row.iter().enumerate() {
            let _ = write!(html, "<td{}>{}</td>", class(at), marked_up(cell));
        }
        html.push_str("</tr>\n");
    };
    let begin = |html: &mut String| {
        html.push_str("<div class=\"wide\"><table>\n<thead><tr>");
        for (at, name) in head.iter().enumerate() {
            let _ = write!(html, "<th{}>{}</th>", class(at), escape(name));
        }
        html.push_str("</tr></thead>\n<tbody>\n");
    };
    begin(html);
    rows.iter().take(ROWS).for_each(|row| cells(html, row));
    html.push_str("</tbody></table></div>\n");
    if rows.len() > ROWS {
        let _ = writeln!(html, "<details><summary>{} more</summary>", rows.len() - ROWS);
        begin(html);
        rows.iter().skip(ROWS).for_each(|row| cells(html, row));
        html.push_str("</tbody></table></div></details>\n");
    }
}

fn marked_up(cell: &str) -> String {
    let text = |text: &str| escape(text).replace('\n', "<br>");
    match cell.split_once('\t') {
        Some((cell, remark)) => format!("{} <small>{}</small>", text(cell), text(remark)),
        None => text(cell),
    }
}

/// Returns the share in percent.
pub(crate) fn percent(part: u64, of: u64) -> String {
    if of == 0 { "-".into() } else { format!("{:.1} %", part as f64 * 100.0 / of as f64) }
}

/// Returns the bytes in the unit that a person would take.
pub(crate) fn human(bytes: u64) -> String {
    let mut size = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if size < 1024.0 || unit == "GiB" {
            return if unit == "B" { format!("{bytes} B") } else { format!("{size:.1} {unit}") };
        }
        size /= 1024.0;
    }
    String::new()
}

/// Returns by how much a size grew; the minus sign is the typographer's, as wide as the plus.
pub(crate) fn growth(bytes: i128) -> String {
    let size = human(u64::try_from(bytes.unsigned_abs()).unwrap_or(u64::MAX));
    match bytes {
        0 => "=".into(),
        1.. => format!("+{size}"),
        _ => format!("\u{2212}{size}"),
    }
}

/// Returns the number with its digits in threes.
pub(crate) fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202F}');
        }
        text.push(digit);
    }
    text
}

/// Returns the text as HTML shows it, in an element or an attribute.
pub(crate) fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_for_elements_and_attributes() {
        assert_eq!(escape("<a href='x'>\"&"), "&lt;a href=&#39;x&#39;&gt;&quot;&amp;");
    }

    #[test]
    fn numbers_read_well() {
        for (n, text) in [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 << 40, "5120.0 GiB")] {
            assert_eq!(human(n), text);
        }
        assert_eq!((thousands(999), thousands(1_234_567)), ("999".into(), "1\u{202F}234\u{202F}567".into()));
        assert_eq!((percent(1, 3), percent(1, 0)), ("33.3 %".into(), "-".into()));
    }

    #[test]
    fn growth_has_a_sign() {
        for (bytes, text) in
            [(0, "="), (1536, "+1.5 KiB"), (-7, "\u{2212}7 B"), (i128::MIN, "\u{2212}17179869184.0 GiB")]
        {
            assert_eq!(growth(bytes), text);
        }
    }
}
