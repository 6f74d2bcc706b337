//! `/etc/machine-id`: made once, from random bytes, when the image brings none.
//!
//! Format: machine-id(5), including the version and variant bits of a random UUID.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use crate::op::Op;
use crate::op::Step;
use crate::stage2::desired::step;

/// Plans the machine id.
#[must_use]
pub fn plan(now: Option<&str>, mut random: [u8; 16]) -> Vec<Step> {
    let is_set = now.is_some_and(|id| !matches!(id.trim(), "" | "uninitialized"));
    if is_set {
        return Vec::new();
    }
    random[6] = random[6] & 0x0F | 0x40;
    random[8] = random[8] & 0x3F | 0x80;
    let mut id = String::new();
    for byte in random {
        // Why: writing into a String cannot fail.
        let _ = write!(id, "{byte:02x}");
    }
    id.push('\n');
    let path = "/etc/machine-id".into();
    [step(Op::Write { path, mode: 0o444, owner: None, content: id.into_bytes() })].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machine_id_is_made_when_there_is_none() {
        for (now, is_made) in [
            (None, true),
            (Some(""), true),
            (Some("\n"), true),
            (Some("uninitialized\n"), true),
            (Some("b08dfa6083e7567a1921a715000001fb\n"), false),
        ] {
            assert_eq!(!plan(now, [0xFF; 16]).is_empty(), is_made, "{now:?}");
        }
        let steps = plan(None, [0xFF; 16]);
        let Op::Write { content, mode, .. } = &steps[0].op else { panic!() };
        assert_eq!(content, b"ffffffffffff4fffbfffffffffffffff\n");
        assert_eq!(*mode, 0o444);
    }
}
