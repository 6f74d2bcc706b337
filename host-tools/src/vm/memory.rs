//! Memory sizes as people write them: MiB, or a number with `M`, `G` or `T`.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A size of memory in MiB, at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory(u32);

impl Memory {
    /// Returns the size of this many MiB, `None` for 0.
    #[must_use]
    pub const fn of_mib(mib: u32) -> Option<Self> {
        if mib == 0 { None } else { Some(Self(mib)) }
    }

    /// Returns the size in MiB.
    #[must_use]
    pub const fn mib(self) -> u32 {
        self.0
    }
}

impl FromStr for Memory {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
            "" | "m" | "mib" => 0,
            "g" | "gib" => 10,
            "t" | "tib" => 20,
            _ => return Err("the unit is M, G or T"),
        };
        let number: u32 = digits.parse().map_err(|_| "not a number of MiB, as 2048 or 2G")?;
        match number.checked_mul(1 << shift) {
            Some(0) => Err("a machine needs memory"),
            Some(mib) => Ok(Self(mib)),
            None => Err("more memory than a machine can have"),
        }
    }
}

impl std::fmt::Display for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_mib_or_has_a_unit() {
        for (text, mib) in [("2048", 2048), ("512m", 512), ("2G", 2048), ("1GiB", 1024), ("1t", 1 << 20)] {
            assert_eq!(text.parse::<Memory>().map(Memory::mib), Ok(mib), "{text}");
        }
        for text in ["", "G", "0", "-1", "1.5G", "4K", "1 G", "5000000000", "4096T", "2Gé"] {
            assert!(text.parse::<Memory>().is_err(), "{text}");
        }
    }
}
