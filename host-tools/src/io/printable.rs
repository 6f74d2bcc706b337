//! Bytes for a person: what a terminal may be shown of a name.

use std::fmt::Write as _;

/// Returns the text as it is, but control characters and bytes that are no UTF-8 as `\ooo`: an image from elsewhere
/// must not speak to the terminal.
#[must_use]
pub fn printable(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    push_printable(&mut text, name);
    text
}

/// As [`printable`], at the end of `text`.
pub fn push_printable(text: &mut String, name: &[u8]) {
    for chunk in name.utf8_chunks() {
        if chunk.valid().bytes().all(|b| (b' '..=b'~').contains(&b)) {
            text.push_str(chunk.valid());
        } else {
            push_chars(text, chunk.valid());
        }
        octal(text, chunk.invalid());
    }
}

fn push_chars(text: &mut String, chars: &str) {
    for c in chars.chars() {
        if c.is_control() {
            let mut utf8 = [0; 4];
            octal(text, c.encode_utf8(&mut utf8).as_bytes());
        } else {
            text.push(c);
        }
    }
}

fn octal(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "\\{byte:03o}");
    }
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn name_with_terminal_codes_is_escaped() {
        assert_eq!(printable(b"a\x1b[2J"), "a\\033[2J");
        assert_eq!(printable(b"\xff\n"), "\\377\\012");
        assert_eq!(printable("grün\\x2d".as_bytes()), "grün\\x2d");
        assert_eq!(printable("grün\u{9b}2J".as_bytes()), "grün\\302\\2332J");
    }
}
