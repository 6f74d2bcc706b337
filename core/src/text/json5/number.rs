//! Numbers stay text; this says what the text means and how JSON spells it.
//!
//! The functions take what [`super::Event::Number`] or [`super::value::Value::Number`] hold; for any other text they
//! answer `None` or an arbitrary number, and never fail otherwise.

use core::fmt;

use super::Mode;
use super::error::{Error, ErrorKind, Expected, Json5Only};
use super::lexer::Lexer;
use super::unicode::is_identifier_start;

/// Hexadecimal digits up to which a number is below 2^1024, so that a double can be near it.
const MAX_HEX_DIGITS: usize = 256;

/// Decimal digits whose value fits 64 bits whatever they are.
const MAX_SHORT_DIGITS: usize = 19;

/// How [`write_json`] spelled a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// With all its digits.
    Exact,
    /// As `null`: JSON has no number that comes near.
    Null,
}

/// Returns the number when it is whole, without exponent, and fits.
#[must_use]
pub fn to_i64(text: &str) -> Option<i64> {
    let (negative, magnitude) = whole(text)?;
    match i64::try_from(magnitude) {
        Ok(value) if negative => value.checked_neg(),
        Ok(value) => Some(value),
        Err(_) if negative && magnitude == i64::MIN.unsigned_abs() => Some(i64::MIN),
        Err(_) => None,
    }
}

/// Returns the number when it is whole, without exponent, not negative, and fits.
#[must_use]
pub fn to_u64(text: &str) -> Option<u64> {
    match whole(text)? {
        (true, 1..) => None,
        (_, magnitude) => Some(magnitude),
    }
}

/// Returns the nearest double; beyond the largest one it is infinite, as in JavaScript.
#[must_use]
pub fn to_f64(text: &str) -> Option<f64> {
    let (negative, rest) = split_sign(text);
    let magnitude = match rest {
        "Infinity" => f64::INFINITY,
        "NaN" => f64::NAN,
        _ => match hex_digits(rest) {
            Some(digits) => hex_to_f64(digits)?,
            None if rest.starts_with(|c: char| c.is_ascii_digit() || c == '.') => match short_decimal(rest) {
                Some(value) => value,
                None => rest.parse().ok()?,
            },
            None => return None,
        },
    };
    Some(if negative { -magnitude } else { magnitude })
}

/// Writes the number as RFC 8259 wants it: no plus sign, digits around the point, decimal.
///
/// # Errors
/// Those of `out`.
pub fn write_json(text: &str, out: &mut impl fmt::Write) -> Result<Spelling, fmt::Error> {
    let (negative, rest) = split_sign(text);
    let hex = hex_digits(rest).map(|digits| digits.trim_start_matches('0'));
    // Why: many readers of JSON refuse 1e400; it is Infinity to JSON5, so it becomes null as the word does.
    let is_finite = to_f64(text).is_some_and(f64::is_finite);
    if !is_finite || hex.is_some_and(|digits| digits.len() > MAX_HEX_DIGITS) {
        out.write_str("null")?;
        return Ok(Spelling::Null);
    }
    if negative {
        out.write_char('-')?;
    }
    if let Some(digits) = hex {
        Limbs::from_hex(digits).write_decimal(out)?;
        return Ok(Spelling::Exact);
    }
    let (mantissa, exponent) = match rest.find(['e', 'E']).and_then(|at| rest.split_at_checked(at)) {
        Some((mantissa, exponent)) => (mantissa, exponent),
        None => (rest, ""),
    };
    let (int, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    out.write_str(if int.is_empty() { "0" } else { int })?;
    if !fraction.is_empty() {
        out.write_char('.')?;
        out.write_str(fraction)?;
    }
    out.write_str(exponent)?;
    Ok(Spelling::Exact)
}

/// Reads a number whose sign, digit or point is the next byte.
#[inline]
pub(super) fn scan<'a>(lexer: &mut Lexer<'a>) -> Result<&'a str, Error> {
    let start = lexer.position();
    match scan_short(lexer) {
        Some(_) => Ok(lexer.text_from(start)),
        None => scan_any(lexer),
    }
}

/// Reads a number and returns its value when it has a few decimal digits, nothing else, and plainly ends; else reads
/// nothing.
#[inline]
pub(super) fn scan_short(lexer: &mut Lexer<'_>) -> Option<u64> {
    let bytes = lexer.rest_bytes();
    let (mut value, mut length) = (0_u64, 0_usize);
    for byte in bytes.iter().take(MAX_SHORT_DIGITS) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        length = length.wrapping_add(1);
    }
    let leading_zero = length > 1 && bytes.first() == Some(&b'0');
    match bytes.get(length) {
        Some(b',' | b']' | b'}' | b' ' | b'\n' | b'\r') if length > 0 && !leading_zero => {
            lexer.advance(length);
            Some(value)
        }
        _ => None,
    }
}

fn scan_any<'a>(lexer: &mut Lexer<'a>) -> Result<&'a str, Error> {
    let start = lexer.position();
    let strict = lexer.mode() == Mode::Json;
    match lexer.byte() {
        Some(b'+') if strict => return Err(lexer.error_char(ErrorKind::NotJson(Json5Only::PlusSign))),
        Some(b'+' | b'-') => lexer.advance(1),
        _ => {}
    }
    let word = match lexer.rest_bytes() {
        [b'I', b'n', b'f', b'i', b'n', b'i', b't', b'y', ..] => 8,
        [b'N', b'a', b'N', ..] => 3,
        _ => 0,
    };
    if word > 0 {
        lexer.advance(word);
        if strict {
            return Err(lexer.error_from(start, ErrorKind::NotJson(Json5Only::NotFinite)));
        }
    } else if let [b'0', b'x' | b'X', ..] = lexer.rest_bytes() {
        lexer.advance(2);
        if strict {
            return Err(lexer.error_from(start, ErrorKind::NotJson(Json5Only::Hexadecimal)));
        }
        if skip_while(lexer, u8::is_ascii_hexdigit) == 0 {
            return Err(lexer.unexpected(Expected::HexDigit));
        }
    } else {
        scan_decimal(lexer)?;
    }
    match lexer.char() {
        Some(c) if c == '\\' || is_identifier_start(c) || c.is_ascii_digit() => {
            Err(lexer.error_char(ErrorKind::BadNumberEnd(c)))
        }
        _ => Ok(lexer.text_from(start)),
    }
}

fn scan_decimal(lexer: &mut Lexer<'_>) -> Result<(), Error> {
    let start = lexer.position();
    let strict = lexer.mode() == Mode::Json;
    let zero = lexer.byte() == Some(b'0');
    let int = skip_while(lexer, u8::is_ascii_digit);
    if zero && int > 1 {
        return Err(lexer.error_from(start, ErrorKind::LeadingZero));
    }
    if lexer.byte() == Some(b'.') {
        lexer.advance(1);
        let fraction = skip_while(lexer, u8::is_ascii_digit);
        if strict && (int == 0 || fraction == 0) {
            return Err(lexer.error_from(start, ErrorKind::NotJson(Json5Only::BareDecimalPoint)));
        }
        if int == 0 && fraction == 0 {
            return Err(lexer.unexpected(Expected::Digit));
        }
    } else if int == 0 {
        return Err(lexer.unexpected(Expected::Number));
    }
    if matches!(lexer.byte(), Some(b'e' | b'E')) {
        lexer.advance(1);
        if matches!(lexer.byte(), Some(b'+' | b'-')) {
            lexer.advance(1);
        }
        if skip_while(lexer, u8::is_ascii_digit) == 0 {
            return Err(lexer.unexpected(Expected::Digit));
        }
    }
    Ok(())
}

fn skip_while(lexer: &mut Lexer<'_>, wanted: impl Fn(&u8) -> bool) -> usize {
    let rest = lexer.rest_bytes();
    let length = rest.iter().position(|b| !wanted(b)).unwrap_or(rest.len());
    lexer.advance(length);
    length
}

fn split_sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

fn hex_digits(unsigned: &str) -> Option<&str> {
    unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0X"))
}

/// Returns sign and magnitude of a number without exponent whose fraction is zero.
fn whole(text: &str) -> Option<(bool, u64)> {
    let (negative, rest) = split_sign(text);
    if let Some(digits) = hex_digits(rest) {
        return Some((negative, u64::from_str_radix(digits, 16).ok()?));
    }
    let (int, fraction) = rest.split_once('.').unwrap_or((rest, ""));
    // Why: `from_str` of an integer takes a sign of its own.
    if !rest.starts_with(|c: char| c.is_ascii_digit()) || fraction.bytes().any(|b| b != b'0') {
        return None;
    }
    Some((negative, int.parse().ok()?))
}

/// Powers of ten that a double holds exactly.
const POWERS_OF_TEN: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// Returns the value of a decimal number whose digits and whose power of ten are exact doubles: one operation on them
/// rounds once, which is correct (Clinger, "How to Read Floating Point Numbers Accurately", 1990).
fn short_decimal(unsigned: &str) -> Option<f64> {
    const MAX_EXACT: u64 = 1 << 53;
    if unsigned.len() > MAX_SHORT_DIGITS {
        return None;
    }
    let (mut digits, mut exponent, mut fraction) = (0_u64, 0_i32, false);
    let mut bytes = unsigned.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'0'..=b'9' => {
                digits = digits.wrapping_mul(10).wrapping_add(u64::from(byte.wrapping_sub(b'0')));
                exponent = exponent.wrapping_sub(i32::from(fraction));
            }
            b'.' if !fraction => fraction = true,
            b'e' | b'E' => {
                let written = unsigned.get(unsigned.len().checked_sub(bytes.len())?..)?;
                exponent = exponent.checked_add(written.parse().ok()?)?;
                break;
            }
            _ => return None,
        }
    }
    if digits > MAX_EXACT {
        return None;
    }
    let power = *POWERS_OF_TEN.get(usize::try_from(exponent.unsigned_abs()).ok()?)?;
    let digits = double(digits)?;
    Some(if exponent < 0 { digits / power } else { digits * power })
}

/// Returns the nearest double.
fn double(bits: u64) -> Option<f64> {
    let high = u32::try_from(bits >> 32).ok()?;
    let low = u32::try_from(bits & 0xFFFF_FFFF).ok()?;
    Some(f64::from(high) * 4_294_967_296.0 + f64::from(low))
}

/// Rounds once: the first 16 digits hold at least 61 bits, and a last bit that says whether anything follows is
/// enough to round the rest correctly.
fn hex_to_f64(digits: &str) -> Option<f64> {
    let significant = digits.trim_start_matches('0');
    let (head, tail) = significant.split_at_checked(16).unwrap_or((significant, ""));
    if head.is_empty() {
        return (!digits.is_empty()).then_some(0.0);
    }
    let mut bits = u64::from_str_radix(head, 16).ok()?;
    if tail.bytes().any(|b| b != b'0') {
        bits |= 1;
    }
    let mut value = double(bits)?;
    for _ in 0..tail.len().min(MAX_HEX_DIGITS) {
        value *= 16.0;
    }
    Some(value)
}

/// An unsigned integer below 2^1024, the least significant limb first.
struct Limbs([u32; MAX_HEX_DIGITS / 8]);

/// Decimal digits that are taken out at a time.
const CHUNK_DIGITS: usize = 9;
const CHUNK: u64 = 1_000_000_000;
/// 1024 bits have 309 decimal digits.
const MAX_CHUNKS: usize = 35;

impl Limbs {
    fn from_hex(digits: &str) -> Self {
        let mut limbs = [0_u32; MAX_HEX_DIGITS / 8];
        for (limb, chunk) in limbs.iter_mut().zip(digits.as_bytes().rchunks(8)) {
            for byte in chunk {
                *limb = limb.wrapping_shl(4) | char::from(*byte).to_digit(16).unwrap_or(0);
            }
        }
        Self(limbs)
    }

    /// Divides by [`CHUNK`] and returns the remainder.
    fn divide(&mut self) -> u32 {
        let mut remainder: u64 = 0;
        for limb in self.0.iter_mut().rev() {
            let value = remainder.wrapping_shl(32) | u64::from(*limb);
            // Why: the remainder is below CHUNK, so the quotient fits a limb.
            *limb = u32::try_from(value.checked_div(CHUNK).unwrap_or(0)).unwrap_or(u32::MAX);
            remainder = value.checked_rem(CHUNK).unwrap_or(0);
        }
        u32::try_from(remainder).unwrap_or(0)
    }

    fn write_decimal(mut self, out: &mut impl fmt::Write) -> fmt::Result {
        let mut chunks = heapless::Vec::<u32, MAX_CHUNKS>::new();
        while self.0.iter().any(|limb| *limb != 0) {
            let chunk = self.divide();
            if chunks.push(chunk).is_err() {
                return Err(fmt::Error);
            }
        }
        let mut chunks = chunks.iter().rev();
        write!(out, "{}", chunks.next().copied().unwrap_or(0))?;
        for chunk in chunks {
            write!(out, "{chunk:0width$}", width = CHUNK_DIGITS)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::string::String;

    fn json(text: &str) -> (String, Spelling) {
        let mut out = String::new();
        let spelling = write_json(text, &mut out).unwrap();
        (out, spelling)
    }

    #[test]
    fn number_is_respelled_as_json() {
        for (text, wanted) in [
            ("0", "0"),
            ("-0", "-0"),
            ("+1", "1"),
            (".5", "0.5"),
            ("-.5e3", "-0.5e3"),
            ("5.", "5"),
            ("5.e-1", "5e-1"),
            ("1e+10", "1e+10"),
            ("1e308", "1e308"),
            ("1e-400", "1e-400"),
            ("1.50E2", "1.50E2"),
            ("0xFF", "255"),
            ("-0Xff", "-255"),
            ("+0x0", "0"),
            ("0xFFFFFFFFFFFFFFFF", "18446744073709551615"),
            ("0x10000000000000000", "18446744073709551616"),
            ("0xDEADBEEFDEADBEEFDEADBEEF", "68915718021581205938132336367"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
        ] {
            assert_eq!(json(text), (wanted.into(), Spelling::Exact), "{text}");
        }
        for text in ["NaN", "-NaN", "Infinity", "-Infinity", "+Infinity", "1e400", "-1e309"] {
            assert_eq!(json(text), ("null".into(), Spelling::Null), "{text}");
        }
    }

    #[test]
    fn hexadecimal_of_1024_bits_keeps_every_digit() {
        let (text, spelling) = json(&format!("0xFFFFFFFFFFFFF8{}", "0".repeat(242)));
        assert_eq!((text.len(), spelling), (309, Spelling::Exact));
        assert!(
            text.starts_with("17976931348623157081452742373170435679807056752584499659891747680315726078")
        );
        assert!(text.ends_with("858368"));
        assert_eq!(json(&format!("0x{}", "F".repeat(256))), ("null".into(), Spelling::Null));
        assert_eq!(json(&format!("0x1{}", "0".repeat(256))), ("null".into(), Spelling::Null));
        assert_eq!(json(&format!("0x{}1", "0".repeat(5000))), ("1".into(), Spelling::Exact));
    }

    #[test]
    fn integers_are_exact_or_none() {
        for (text, signed, unsigned) in [
            ("0", Some(0), Some(0)),
            ("-0", Some(0), Some(0)),
            ("+7", Some(7), Some(7)),
            ("5.", Some(5), Some(5)),
            ("5.00", Some(5), Some(5)),
            ("5.5", None, None),
            ("1e3", None, None),
            (".0", None, None),
            ("0x7fffffffffffffff", Some(i64::MAX), Some(0x7fff_ffff_ffff_ffff)),
            ("-0x8000000000000000", Some(i64::MIN), None),
            ("-9223372036854775808", Some(i64::MIN), None),
            ("-9223372036854775809", None, None),
            ("18446744073709551615", None, Some(u64::MAX)),
            ("18446744073709551616", None, None),
            ("Infinity", None, None),
            ("NaN", None, None),
            ("-1", Some(-1), None),
            ("+-1", None, None),
            ("", None, None),
        ] {
            assert_eq!((to_i64(text), to_u64(text)), (signed, unsigned), "{text}");
        }
    }

    #[test]
    fn doubles_are_the_nearest() {
        for (text, wanted) in [
            ("0", 0.0),
            (".5", 0.5),
            ("-5.", -5.0),
            ("+1e3", 1000.0),
            ("1e999", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
            ("0x10", 16.0),
            ("-0x1F", -31.0),
            ("0x20000000000001", 9_007_199_254_740_992.0),
            ("0x20000000000003", 9_007_199_254_740_996.0),
            ("0x200000000000010000000000000001", 2.0_f64.powi(117) + 2.0_f64.powi(65)),
        ] {
            assert_eq!(to_f64(text), Some(wanted), "{text}");
        }
        assert!(to_f64("NaN").is_some_and(f64::is_nan));
        assert!(to_f64("-0").is_some_and(|v| v == 0.0 && v.is_sign_negative()));
        assert_eq!(to_f64(""), None);
        assert_eq!(to_f64("--1"), None);
        assert_eq!(to_f64("inf"), None);
        assert_eq!(to_f64(&format!("0x1{}", "0".repeat(300))), Some(f64::INFINITY));
    }

    #[test]
    fn short_decimal_rounds_as_the_library_does() {
        for digits in [
            "0",
            "1",
            "3",
            "0.1",
            ".7",
            "5.",
            "0.000123",
            "123456.789",
            "9007199254740991",
            "9007199254740992",
        ] {
            for exponent in -45..45 {
                for text in [format!("{digits}e{exponent}"), format!("{digits}E{exponent:+}")] {
                    let wanted: f64 = text.parse().unwrap();
                    assert_eq!(to_f64(&text).map(f64::to_bits), Some(wanted.to_bits()), "{text}");
                }
            }
        }
        assert_eq!(short_decimal("9007199254740993"), None);
        assert_eq!(short_decimal("1e23"), None);
        assert_eq!(short_decimal("1e22"), Some(1e22));
        assert_eq!(short_decimal("5e-22"), Some(5e-22));
    }
}
