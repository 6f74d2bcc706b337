//! Time stamps of directory entries: two seconds resolution, 1980 to 2107, no time zone.
//!
//! Source: the FAT specification 1.03, "Date and Time Formats". Times are taken as UTC, as Linux does with `tz=UTC`.
//! Not handled: time zones, leap seconds, and the ten milliseconds of the time of making.

/// A date and time as FAT stores it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DosTime {
    date: u16,
    time: u16,
}

/// 1980-01-01 00:00:00 UTC.
const EPOCH: u64 = 315_532_800;
/// 2107-12-31 23:59:58 UTC.
const LAST: u64 = 4_354_819_198;
const DAY: u64 = 86_400;

impl DosTime {
    /// Returns the stamp of a Unix time; times outside the range become its nearest end.
    #[must_use]
    pub fn from_unix(seconds: u64) -> Self {
        let seconds = seconds.clamp(EPOCH, LAST);
        let (year, month, day) = civil(seconds / DAY);
        let clock = seconds % DAY;
        let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
        let date =
            pack(year.saturating_sub(1980), 512).saturating_add(pack(month, 32)).saturating_add(pack(day, 1));
        let time = pack(hour, 2048).saturating_add(pack(minute, 32)).saturating_add(pack(second / 2, 1));
        Self { date, time }
    }

    /// Returns the stamp of the two words that a directory entry has; nothing is judged.
    #[must_use]
    pub const fn from_words(date: u16, time: u16) -> Self {
        Self { date, time }
    }

    /// Returns the Unix time in seconds, `None` for a stamp that is no date, as the zeros of an entry without one.
    #[must_use]
    pub fn to_unix(self) -> Option<u64> {
        let (year, month, day) =
            (u64::from(self.date >> 9).saturating_add(1980), self.date >> 5 & 15, self.date & 31);
        let (hour, minute, second) =
            (self.time >> 11, self.time >> 5 & 63, (self.time & 31).saturating_mul(2));
        let length = match month {
            2 if year.is_multiple_of(4) && year != 2100 => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            _ => 0,
        };
        if !(1..=length).contains(&day) || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let days = days_from_civil(year, u64::from(month), u64::from(day));
        let clock = u64::from(hour)
            .saturating_mul(3600)
            .saturating_add(u64::from(minute).saturating_mul(60))
            .saturating_add(u64::from(second));
        Some(days.saturating_mul(DAY).saturating_add(clock))
    }

    /// Returns the date word.
    #[must_use]
    pub const fn date(self) -> u16 {
        self.date
    }

    /// Returns the time word.
    #[must_use]
    pub const fn time(self) -> u16 {
        self.time
    }
}

/// Values come clamped, so that every field fits its bits.
fn pack(value: u64, unit: u16) -> u16 {
    u16::try_from(value).unwrap_or(0).saturating_mul(unit)
}

/// Returns year, month and day of a day number since 1970, by the proleptic Gregorian calendar with years that
/// begin in March (the leap day is then the last of its year).
fn civil(days: u64) -> (u64, u64, u64) {
    // 719 468 days lie between 0000-03-01 and 1970-01-01; 146 097 days are 400 years.
    let days = days.saturating_add(719_468);
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = day_of_era
        .saturating_sub(day_of_era / 1460)
        .saturating_add(day_of_era / 36_524)
        .saturating_sub(day_of_era / 146_096)
        / 365;
    let before_year =
        year_of_era.saturating_mul(365).saturating_add(year_of_era / 4).saturating_sub(year_of_era / 100);
    let day_of_year = day_of_era.saturating_sub(before_year);
    let month = day_of_year.saturating_mul(5).saturating_add(2) / 153;
    let day = day_of_year.saturating_sub(month.saturating_mul(153).saturating_add(2) / 5).saturating_add(1);
    let january_next = month >= 10;
    let month = if january_next { month.saturating_sub(9) } else { month.saturating_add(3) };
    let year = era.saturating_mul(400).saturating_add(year_of_era).saturating_add(u64::from(january_next));
    (year, month, day)
}

/// Returns the day number since 1970 of a date from then on; the inverse of [`civil`].
fn days_from_civil(year: u64, month: u64, day: u64) -> u64 {
    // The year begins in March here too.
    let (year, month) = if month > 2 {
        (year, month.saturating_sub(3))
    } else {
        (year.saturating_sub(1), month.saturating_add(9))
    };
    let day_of_year = (month.saturating_mul(153).saturating_add(2) / 5).saturating_add(day).saturating_sub(1);
    year.saturating_mul(365)
        .saturating_add(year / 4)
        .saturating_sub(year / 100)
        .saturating_add(year / 400)
        .saturating_add(day_of_year)
        .saturating_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamp_of_known_instants_is_exact() {
        let stamp = |y: u16, mo: u16, d: u16, h: u16, mi: u16, s: u16| DosTime {
            date: ((y - 1980) << 9) | (mo << 5) | d,
            time: (h << 11) | (mi << 5) | (s / 2),
        };
        let cases = [
            (0, stamp(1980, 1, 1, 0, 0, 0)),
            (951_782_399, stamp(2000, 2, 28, 23, 59, 58)),
            (951_782_400, stamp(2000, 2, 29, 0, 0, 0)),
            (1_709_210_096, stamp(2024, 2, 29, 12, 34, 56)),
            (1_795_220_541, stamp(2026, 11, 21, 0, 22, 20)),
            (u64::MAX, stamp(2107, 12, 31, 23, 59, 58)),
        ];
        for (unix, expected) in cases {
            assert_eq!(DosTime::from_unix(unix), expected, "{unix}");
        }
    }

    #[test]
    fn every_day_survives_the_way_there_and_back() {
        for day in EPOCH / DAY..=LAST / DAY {
            let unix = day * DAY + (day % 43_200) * 2;
            assert_eq!(DosTime::from_unix(unix).to_unix(), Some(unix), "day {day}");
        }
    }

    #[test]
    fn stamp_that_is_no_date_has_no_unix_time() {
        let date = |y: u16, m: u16, d: u16| (y - 1980) << 9 | m << 5 | d;
        for (date, time) in [
            (0, 0),
            (date(2000, 13, 1), 0),
            (date(2000, 4, 31), 0),
            (date(2001, 2, 29), 0),
            (date(2100, 2, 29), 0),
            (date(2000, 1, 1), 24 << 11),
            (date(2000, 1, 1), 60 << 5),
            (date(2000, 1, 1), 30),
        ] {
            assert_eq!(DosTime::from_words(date, time).to_unix(), None, "{date:#x} {time:#x}");
        }
        assert_eq!(DosTime::from_words(date(2000, 2, 29), 0).to_unix(), Some(951_782_400));
    }
}
