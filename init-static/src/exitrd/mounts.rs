//! The mount table: `/proc/self/mountinfo` (Documentation/filesystems/proc.rst, section 3.5).
//!
//! Not handled: peer groups and optional fields; nothing here depends on them.

use alloc::string::String;
use alloc::vec::Vec;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Mount point, relative to our root.
    pub target: String,
    /// File system type.
    pub fstype: String,
}

/// Reads the table in the kernel's order, in which a mount stands after the one it lies in; odd lines are left out.
#[must_use]
pub fn parse(text: &str) -> Vec<Mount> {
    let mut mounts = Vec::new();
    for text in text.lines() {
        if let Some(mount) = line(text) {
            mounts.push(mount);
        }
    }
    mounts
}

fn line(line: &str) -> Option<Mount> {
    // 36 35 98:0 /root /point rw,noatime master:1 - ext3 /dev/root rw
    let mut words = line.split(' ');
    let target = unescape(words.nth(4)?);
    words.by_ref().find(|word| *word == "-")?;
    let fstype = words.next()?.into();
    Some(Mount { target, fstype })
}

/// Turns `\040` and its like into what they stand for.
fn unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let (byte, after) = match after {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..] if byte == b'\\' => {
                (((a & 7) << 6) | ((b & 7) << 3) | (c & 7), after)
            }
            _ => (byte, after),
        };
        out.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_gives_mount_points_with_their_escapes_resolved() {
        let text = "22 1 0:20 / / rw - tmpfs tmpfs rw\n\
            25 22 8:1 /a /mnt/my\\040disk\\134x rw,noatime shared:1 master:2 - ext4 /dev/sda1 rw\n\
            nonsense\n\
            26 22 0:5 / /dev rw - devtmpfs devtmpfs rw\n";
        let found: Vec<(String, String)> = parse(text).into_iter().map(|m| (m.target, m.fstype)).collect();
        let expected = [("/", "tmpfs"), ("/mnt/my disk\\x", "ext4"), ("/dev", "devtmpfs")];
        assert_eq!(found, expected.map(|(t, f)| (t.into(), f.into())));
    }

    #[test]
    fn any_text_is_read_without_a_fault() {
        for text in ["", " - ", "a b c d \\04 - ", "a b c d \\0 e - x", "a b c d \\999\\377 - x", " - - - "] {
            let _ = parse(text);
        }
        assert_eq!(parse("a b c d \\04 - x")[0].target, "\\04");
    }
}
