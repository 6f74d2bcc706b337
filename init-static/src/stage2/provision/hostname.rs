//! `hostname`: `/etc/hostname` and the running kernel.

use alloc::format;
use alloc::vec::Vec;

use crate::op::{Op, Step};
use crate::stage2::plan::{step, write};

/// Plans the host name; without one the image's stays.
#[must_use]
pub fn plan(hostname: Option<&str>) -> Vec<Step> {
    let Some(name) = hostname else { return Vec::new() };
    [write("/etc/hostname", 0o644, &format!("{name}\n")), step(Op::SetHostname { name: name.into() })].into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn hostname_goes_to_disk_and_kernel() {
        let lines: Vec<_> = plan(Some("web-1")).iter().map(|s| s.op.to_string()).collect();
        assert_eq!(lines, ["write /etc/hostname mode 0644 (6 bytes)", "set host name web-1"]);
        assert_eq!(plan(None), []);
    }
}
