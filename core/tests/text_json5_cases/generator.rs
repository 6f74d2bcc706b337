//! Documents made by the grammar of the specification and then damaged, the same in every run.

use std::fmt::Write as _;

use super::{INVALID, VALID};

/// Documents that are made.
pub(crate) const GENERATED: usize = 10_000;

/// Returns the documents: those of the cases, then generated ones, of which every other is damaged.
pub(crate) fn documents() -> Vec<String> {
    let mut generator = Generator(0x5EED_0F05);
    let cases = VALID.iter().chain(INVALID).map(ToString::to_string);
    let generated = (0..GENERATED).map(|i| {
        let document = generator.document();
        if i % 2 == 0 { document } else { generator.damaged(&document) }
    });
    cases.chain(generated).collect()
}

struct Generator(u64);

/// What text of a document is made of when it is damaged: every sign of the grammar and what looks like one.
const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "'",
    "\"",
    "\\",
    "/",
    "*",
    "//",
    "/*",
    "*/",
    "+",
    "-",
    ".",
    "0",
    "1",
    "9",
    "e",
    "E",
    "x",
    "0x",
    "u",
    "\\u",
    "\\x",
    "\\u0041",
    "\\ud83d",
    "\\\n",
    "\n",
    "\r",
    "\t",
    " ",
    "\0",
    "\u{b}",
    "\u{a0}",
    "\u{85}",
    "\u{200b}",
    "\u{2028}",
    "\u{feff}",
    "\u{180e}",
    "null",
    "true",
    "NaN",
    "Infinity",
    "a",
    "$",
    "_",
    "\u{e9}",
    "\u{301}",
    "\u{660}",
    "\u{1f600}",
    "\u{1d4b3}",
    "#",
    ";",
    "(",
    "`",
    "__proto__",
];

const BLANKS: &[&str] = &[
    " ",
    "\n",
    "\t",
    "\r\n",
    "\u{b}",
    "\u{c}",
    "\u{a0}",
    "\u{feff}",
    "\u{2028}",
    "\u{2029}",
    "\u{3000}",
    "\u{1680}",
    "// c\n",
    "//\u{2029}",
    "/**/",
    "/* * / \n ** /***/",
];

const NUMBERS: &[&str] = &[
    "0",
    "1",
    "42",
    "1.5",
    ".5",
    "5.",
    "0.1",
    "1e3",
    "1E-7",
    "5.e2",
    ".5e+3",
    "0x0",
    "0xFF",
    "0XdeadBEEF",
    "Infinity",
    "NaN",
    "9007199254740993",
    "18446744073709551616",
    "123456789012345678901234567890",
    "1e22",
    "1e23",
    "1e400",
    "1e-400",
    "4.9e-324",
    "2.4703282292062327e-324",
    "1.7976931348623157e308",
    "1.7976931348623159e308",
    "9007199254740992e3",
    "0.000001234567890123456789",
    "8.41e21",
    "6.631236846766476e-316",
    "0x20000000000001",
    "0x20000000000003",
    "0x3fffffffffffff1",
    "0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF",
];

const STRING_PARTS: &[&str] = &[
    "a",
    "Z",
    " ",
    "é",
    "名",
    "\u{1F600}",
    "\u{2028}",
    "\u{0}",
    "\t",
    "\u{7f}",
    "//",
    "/*",
    "{",
    "\\n",
    "\\t",
    "\\b",
    "\\f",
    "\\r",
    "\\v",
    "\\0",
    "\\\\",
    "\\/",
    "\\'",
    "\\\"",
    "\\a",
    "\\é",
    "\\\u{1F600}",
    "\\x41",
    "\\xfF",
    "\\u00e9",
    "\\uFFFF",
    "\\ud83d\\ude00",
    "\\ud83d",
    "\\ude00",
    "\\ud83d\\u0041",
    "\\ud83d\\ud83d\\ude00",
    "\\\n",
    "\\\r\n",
    "\\\r",
    "\\\u{2028}",
    "\\\u{2029}",
];

const KEYS: &[&str] = &[
    "a",
    "b",
    "name",
    "$",
    "_",
    "$_1",
    "null",
    "true",
    "NaN",
    "Infinity",
    "if",
    "__proto__",
    "constructor",
    "toString",
    "é",
    "名前",
    "α1",
    "a\u{301}",
    "a\u{660}",
    "a\u{203f}b",
    "a\u{200c}",
    "Ⅷ",
    "\u{1d4b3}",
    "\\u0061",
    "n\\u0061me",
    "\\u03b1",
    "a\\u0301",
    "'a'",
    "\"b\"",
    "''",
    "'0'",
    "'10'",
    "\"-1\"",
    "'__proto__'",
    "'\\x61'",
    "'\\ud83d\\ude00'",
];

impl Generator {
    /// Returns a number below the limit (xorshift64*).
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(high).expect("31 bits") % limit
    }

    fn pick(&mut self, from: &[&'static str]) -> &'static str {
        from[self.below(from.len())]
    }

    fn blank(&mut self, out: &mut String) {
        while self.below(3) == 0 {
            out.push_str(self.pick(BLANKS));
        }
    }

    fn document(&mut self) -> String {
        let mut out = String::new();
        self.blank(&mut out);
        self.value(0, &mut out);
        self.blank(&mut out);
        out
    }

    fn value(&mut self, level: usize, out: &mut String) {
        // Why: the deeper, the fewer brackets, so that documents end.
        match self.below(if level > 4 { 8 } else { 12 }) {
            0 => out.push_str("null"),
            1 => out.push_str(["true", "false"][self.below(2)]),
            2 => {
                out.push_str(["", "", "-", "+"][self.below(4)]);
                self.random_number(out);
            }
            3..5 => {
                out.push_str(["", "", "-", "+"][self.below(4)]);
                out.push_str(self.pick(NUMBERS));
            }
            5..8 => self.string(out),
            8 | 9 => self.list(level, ['[', ']'], out, Self::value),
            _ => self.list(level, ['{', '}'], out, |this, level, out| {
                out.push_str(this.pick(KEYS));
                this.blank(out);
                out.push(':');
                this.blank(out);
                this.value(level, out);
            }),
        }
    }

    fn list(
        &mut self,
        level: usize,
        [open, close]: [char; 2],
        out: &mut String,
        item: fn(&mut Self, usize, &mut String),
    ) {
        out.push(open);
        self.blank(out);
        let items = self.below(5);
        for i in 0..items {
            item(self, level + 1, out);
            self.blank(out);
            if i + 1 < items || self.below(3) == 0 {
                out.push(',');
                self.blank(out);
            }
        }
        out.push(close);
    }

    fn random_number(&mut self, out: &mut String) {
        if self.below(3) == 0 {
            out.push_str("0x");
            for _ in 0..=self.below(34) {
                out.push(
                    char::from_digit(u32::try_from(self.below(16)).expect("a digit"), 16).expect("a digit"),
                );
            }
            return;
        }
        out.push(char::from(b'1' + u8::try_from(self.below(9)).expect("a digit")));
        self.digits(out);
        if self.below(2) == 0 {
            out.push('.');
            self.digits(out);
        }
        if self.below(2) == 0 {
            let _ = write!(out, "e{}{}", ["", "-", "+"][self.below(3)], self.below(330));
        }
    }

    fn digits(&mut self, out: &mut String) {
        for _ in 0..self.below(22) {
            out.push(char::from(b'0' + u8::try_from(self.below(10)).expect("a digit")));
        }
    }

    fn string(&mut self, out: &mut String) {
        let quote = ['\'', '"'][self.below(2)];
        out.push(quote);
        for _ in 0..self.below(8) {
            let part = self.pick(STRING_PARTS);
            out.push_str(part);
            // Why: a zero escape before a digit is none.
            if part == "\\0" {
                out.push('x');
            }
        }
        out.push(quote);
    }

    /// Returns the document with a few pieces taken out, put in, or doubled.
    fn damaged(&mut self, document: &str) -> String {
        let mut chars: Vec<char> = document.chars().collect();
        for _ in 0..=self.below(3) {
            let at = self.below(chars.len() + 1);
            let end = (at + 1 + self.below(3)).min(chars.len());
            match self.below(3) {
                0 => drop(chars.drain(at..end)),
                1 => drop(chars.splice(at..at, self.pick(PIECES).chars())),
                _ => drop(chars.splice(at..end, self.pick(PIECES).chars())),
            }
        }
        chars.into_iter().collect()
    }
}
