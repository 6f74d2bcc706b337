//! `cmdline.txt` as we write it: one line, the owner's words in their order, ours put right.
//!
//! Raspberry Pi documentation, "The kernel command line": the firmware reads the first line only, so words behind a line
//! break would be lost without a word; they are taken into the line. Not handled: quotes, which the kernel knows and a
//! boot partition does not need.

use alloc::format;
use alloc::string::String;

use genpack_core::contract::boot_state::Image;
use genpack_core::contract::cmdline_keys;

/// Words that are added when no word has their key.
const DEFAULTS: [(&str, &str); 2] = [("panic", "30"), ("systemd.firstboot", "0")];

/// Returns the line for an image on the boot partition with this UUID.
#[must_use]
pub fn line(text: &str, uuid: &str, image: Image) -> String {
    let key = |word: &str| -> String { word.split('=').next().unwrap_or_default().into() };
    let ours = [
        format!("{}={}{uuid}", cmdline_keys::ROOT, cmdline_keys::ROOT_SYSTEMIMG),
        format!("{}={}", cmdline_keys::IMAGE, image.on_boot()),
    ];
    let mut line = String::new();
    let mut add = |word: &str| {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    };
    let is_ours = |word: &str| ours.iter().any(|our| key(our) == key(word));
    for word in text.split_ascii_whitespace() {
        // Why: the kernel takes the last of a key, and a file system type of old is none of this root.
        if !is_ours(word) && key(word) != "rootfstype" {
            add(word);
        }
    }
    for word in &ours {
        add(word);
    }
    for (name, value) in DEFAULTS {
        if !text.split_ascii_whitespace().any(|word| key(word) == name) {
            add(&format!("{name}={value}"));
        }
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_words_stay_in_order_and_ours_are_there_once() {
        let ours = "root=systemimg:1234-ABCD genpack.image=system.new";
        for (text, wanted) in [
            ("", format!("{ours} panic=30 systemd.firstboot=0\n")),
            (
                "console=serial0,115200 root=/dev/mmcblk0p2 rootfstype=ext4 rootwait panic=5\r\nquiet\n",
                format!("console=serial0,115200 rootwait panic=5 quiet {ours} systemd.firstboot=0\n"),
            ),
            (
                "root=systemimg:auto genpack.image=system.img nfsroot=x",
                format!("nfsroot=x {ours} panic=30 systemd.firstboot=0\n"),
            ),
        ] {
            assert_eq!(line(text, "1234-ABCD", Image::New), wanted);
            assert_eq!(
                line(&wanted, "1234-ABCD", Image::New).split_whitespace().count(),
                wanted.split_whitespace().count()
            );
        }
    }
}
