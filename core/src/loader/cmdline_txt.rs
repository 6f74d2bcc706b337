//! `cmdline.txt`: the kernel command line on a Raspberry Pi's boot partition.
//!
//! Raspberry Pi documentation, "The kernel command line": one line; the firmware reads no other. Not handled: what the
//! firmware adds to it from the device tree.

use core::fmt;

use crate::bytes;

/// Writes the first line with `root` in place of every `root=` word and without `rootfstype=` words.
///
/// Without a `root=` word none is added: the line is the owner's.
///
/// # Errors
/// Only those of `out`.
pub fn emit_with_root(text: &str, root: &str, out: &mut impl fmt::Write) -> fmt::Result {
    let words = bytes::lines(text).next().unwrap_or("").split_ascii_whitespace();
    let kept = words.filter(|word| !word.starts_with("rootfstype="));
    let mut blank = "";
    for word in kept {
        write!(out, "{blank}{}", if word.starts_with("root=") { root } else { word })?;
        blank = " ";
    }
    out.write_char('\n')
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    #[test]
    fn first_line_gets_the_root_and_loses_its_type() {
        for (text, wanted) in [
            ("", "\n"),
            (
                "console=tty1  root=/dev/mmcblk0p2 rootfstype=ext4 rootwait\nroot=x\n",
                "console=tty1 R rootwait\n",
            ),
            ("quiet\r\n", "quiet\n"),
            ("nfsroot=x root=PARTUUID=1", "nfsroot=x R\n"),
        ] {
            let mut out = String::new();
            emit_with_root(text, "R", &mut out).unwrap();
            assert_eq!(out, wanted);
        }
    }
}
