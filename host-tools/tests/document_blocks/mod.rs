//! The commands in a document.

use std::path::Path;

/// A block of commands.
pub(crate) struct Block {
    pub(crate) line: usize,
    pub(crate) text: String,
    /// Why it is not run.
    pub(crate) reason: Option<String>,
}

/// Returns the blocks of commands.
pub(crate) fn blocks(path: &Path, text: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let (mut is_open, mut last) = (false, "");
    for (number, line) in text.lines().enumerate() {
        match line.strip_prefix("```") {
            Some(_) if is_open => is_open = false,
            Some("sh") => {
                found.push(Block { line: number + 1, text: String::new(), reason: None });
                is_open = true;
            }
            Some("sh,not-run") => {
                let reason = last.strip_prefix("<!-- not run: ").and_then(|rest| rest.strip_suffix(" -->"));
                let reason = reason.filter(|r| r.len() > 4).map(str::to_owned);
                assert!(reason.is_some(), "{}:{}: no reason", path.display(), number + 1);
                found.push(Block { line: number + 1, text: String::new(), reason });
                is_open = true;
            }
            Some(info) => assert!(!info.starts_with("sh"), "{}:{}: {info}", path.display(), number + 1),
            None if is_open => {
                let block = found.last_mut().unwrap();
                block.text.push_str(line);
                block.text.push('\n');
            }
            None => {}
        }
        last = line;
    }
    found
}
