//! Dates of ISO 9660, in UTC.

/// Returns year, month, day, hour, minute, second; years after 2155 are 2155.
fn civil(seconds: u64) -> [i64; 6] {
    // Far later than any limit below, and far from the end of the numbers.
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    let days = seconds.div_euclid(86_400);
    let rest = seconds.rem_euclid(86_400);
    // Days from 0000-03-01, in eras of 400 years (the Gregorian calendar repeats after them).
    let shifted = days.saturating_add(719_468);
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era.saturating_mul(400) + year_of_era + i64::from(month <= 2);
    [year.clamp(1900, 2155), month, day, rest / 3600, rest / 60 % 60, rest % 60]
}

/// Returns the seven bytes of a directory record's date (ECMA-119, 9.1.5).
#[must_use]
pub(super) fn short(seconds: u64) -> [u8; 7] {
    let [year, month, day, hour, minute, second] = civil(seconds);
    let byte = |value: i64| u8::try_from(value).unwrap_or(0);
    [byte(year - 1900), byte(month), byte(day), byte(hour), byte(minute), byte(second), 0]
}

/// Returns the seventeen bytes of a volume's date (ECMA-119, 8.4.26.1), with hundredths of a second.
#[must_use]
pub(super) fn long(seconds: u64, hundredths: u8) -> [u8; 17] {
    let [year, month, day, hour, minute, second] = civil(seconds);
    let text = format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}{:02}", hundredths.min(99));
    let mut bytes = [0; 17];
    bytes.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, *b"1970010100000007"),
            (951_782_400, *b"2000022900000007"),
            (1_700_000_000, *b"2023111422132007"),
            (4_107_542_399, *b"2100022823595907"),
        ] {
            assert_eq!(long(seconds, 7)[..16], expected);
        }
        assert_eq!(short(1_700_000_000), [123, 11, 14, 22, 13, 20, 0]);
        assert_eq!(long(u64::MAX, 200)[..4], *b"2155");
    }
}
