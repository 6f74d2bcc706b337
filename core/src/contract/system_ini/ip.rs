//! Internet addresses as people write them: RFC 4291 section 2.2, and four decimal numbers.
//!
//! The same texts as those of `core::net::IpAddr`, whose parser is three times as long and of which PID 1 wants two
//! facts: which family it is, and the bits of IPv4. Not handled: zones (`%eth0`), and the bits of IPv6.

/// An address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ip {
    /// IPv4, its first number in the highest byte.
    V4(u32),
    /// IPv6.
    V6,
}

impl Ip {
    /// Reads an address.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.contains([':']) { is_v6(text).then_some(Self::V6) } else { v4(text).map(Self::V4) }
    }

    /// Tells whether it is IPv4.
    pub(super) const fn is_v4(self) -> bool {
        matches!(self, Self::V4(_))
    }
}

fn v4(text: &str) -> Option<u32> {
    let (mut bits, mut count) = (0_u32, 0_u32);
    for number in text.split('.') {
        // Why: other programs read a number that begins with 0 as octal, so it is none at all.
        let is_plain =
            number.bytes().all(|b| b.is_ascii_digit()) && (number == "0" || !number.starts_with('0'));
        bits = bits << 8 | number.parse::<u32>().ok().filter(|number| is_plain && *number <= 255)?;
        count = count.saturating_add(1);
    }
    (count == 4).then_some(bits)
}

/// Eight groups of hexadecimal digits; one `::` stands for what is missing, and the last two may be written as IPv4.
fn is_v6(text: &str) -> bool {
    let (mut inner, mut gaps) = (text, 0_u32);
    if let Some(rest) = inner.strip_prefix("::") {
        (inner, gaps) = (rest, 1);
    }
    if let Some(rest) = inner.strip_suffix("::") {
        (inner, gaps) = (rest, gaps.saturating_add(1));
    }
    // Why: nothing between two colons is a gap, but nothing before or behind a single one is a mistake.
    if inner.is_empty() || inner.starts_with(':') || inner.ends_with(':') {
        return inner.is_empty() && gaps == 1;
    }
    let mut groups = 0_u32;
    let mut pieces = inner.split(':').peekable();
    while let Some(piece) = pieces.next() {
        if piece.is_empty() {
            gaps = gaps.saturating_add(1);
        } else if piece.len() <= 4 && piece.bytes().all(|b| b.is_ascii_hexdigit()) {
            groups = groups.saturating_add(1);
        } else if pieces.peek().is_none() && text.ends_with(piece) && v4(piece).is_some() {
            groups = groups.saturating_add(2);
        } else {
            return false;
        }
    }
    matches!((gaps, groups), (0, 8) | (1, 0..=7))
}

#[cfg(test)]
mod tests {
    use super::Ip;
    use core::net::IpAddr;
    use std::format;
    use std::string::String;

    #[test]
    fn addresses_are_those_of_the_standard_library() {
        let pieces =
            ["", "0", "1", "01", "ab", "ABCD", "fffff", "g", "255", "256", "1.2.3.4", "1.2.3", "+1", " "];
        let check = |text: &str| {
            let expected = text.parse::<IpAddr>().ok().map(|ip| match ip {
                IpAddr::V4(ip) => Ip::V4(ip.to_bits()),
                IpAddr::V6(_) => Ip::V6,
            });
            assert_eq!(Ip::parse(text), expected, "{text}");
        };
        for separator in [":", "."] {
            // Every text of up to four pieces, and longer ones around a pair of them.
            for number in 0..pieces.len().pow(4) {
                let text = |len: usize| -> String {
                    let digit = |at: u32| pieces[number / pieces.len().pow(at) % pieces.len()];
                    (0..len as u32).map(digit).collect::<std::vec::Vec<_>>().join(separator)
                };
                (1..=4).for_each(|len| check(&text(len)));
                for more in ["1:2:3:4:5:6", "1:2:3:4:5", "1::", "::"] {
                    check(&format!("{more}:{}", text(2)));
                    check(&format!("{}:{more}", text(2)));
                }
            }
        }
    }
}
