//! `timezone`: `/etc/localtime`, a symbolic link into the zone database.
//!
//! A link to a zone that is not there would make every program fall back to UTC, so the old one stays then.

use alloc::format;
use alloc::vec::Vec;

use crate::op::{Op, Step};
use crate::stage2::plan::step;

/// Plans the time zone.
#[must_use]
pub fn plan(timezone: Option<&str>, zone_exists: bool) -> Vec<Step> {
    match timezone {
        Some(zone) if zone_exists => {
            let target = format!("/usr/share/zoneinfo/{zone}");
            [step(Op::Symlink { target, link: "/etc/localtime".into() })].into()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn timezone_is_linked_only_when_it_exists() {
        let lines: Vec<_> = plan(Some("Asia/Tokyo"), true).iter().map(|s| s.op.to_string()).collect();
        assert_eq!(lines, ["symlink /etc/localtime -> /usr/share/zoneinfo/Asia/Tokyo"]);
        assert_eq!(plan(Some("Mars/Base"), false), []);
        assert_eq!(plan(None, true), []);
    }
}
