//! `config.txt` as we write it: the owner's lines stay, ours are added at the end under `[all]`.
//!
//! The format and its limits are `genpack_core::loader::config_txt`. Not handled: taking an owner's setting away; one
//! that says otherwise is outvoted by ours, since the last one counts.

use alloc::string::String;

use genpack_core::contract::boot_slots::OS_PREFIX;
use genpack_core::loader::config_txt::{Error, emit_with_setting};

/// What every card of ours needs, whatever the owner wrote.
///
/// Never `os_check=0`: it hides the message that tells an owner what is wrong, and the boot fails all the same.
pub const NEEDED: [(&str, &str); 2] = [("arm_64bit", "1"), ("auto_initramfs", "1")];

/// Returns the text with what a card needs and with the link to a slot.
///
/// # Errors
/// When the firmware would not read a setting as it is meant; never for our own slots.
pub fn with_slot(text: &str, slot: &str) -> Result<String, Error> {
    let mut text = String::from(text);
    for (key, value) in NEEDED.into_iter().chain([(OS_PREFIX, slot)]) {
        text = with_setting(&text, key, value)?;
    }
    Ok(text)
}

/// Returns the text with a setting that holds on every board.
///
/// # Errors
/// As [`with_slot`].
pub fn with_setting(text: &str, key: &str, value: &str) -> Result<String, Error> {
    let mut new = String::new();
    emit_with_setting(text, key, value, &mut new)?;
    Ok(new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use genpack_core::contract::boot_slots::{SLOTS, linked};

    #[test]
    fn owners_lines_stay_and_ours_come_once() {
        for text in
            ["", "# mine\r\ndtparam=audio=on\r\n", "[pi4]\narm_64bit=0\n[pi5]\nkernel=x", "os_prefix=mine/\n"]
        {
            let first = with_slot(text, SLOTS[0]).unwrap();
            assert!(first.starts_with(text), "{first:?}");
            assert_eq!(linked(&first), Some(SLOTS[0]));
            assert_eq!(with_slot(&first, SLOTS[0]).unwrap(), first);
            let second = with_slot(&first, SLOTS[1]).unwrap();
            assert!(second.starts_with(&first));
            assert_eq!(linked(&second), Some(SLOTS[1]));
        }
        let fresh = with_slot("", SLOTS[0]).unwrap();
        assert_eq!(fresh, "arm_64bit=1\nauto_initramfs=1\nos_prefix=slot-a/\n");
    }
}
