//! Boot slots of a Raspberry Pi: folders of the boot partition with what its firmware loads for one image each.
//!
//! Raspberry Pi documentation, "config.txt": `os_prefix` goes before the names of kernel, initramfs, device trees,
//! overlays and `cmdline.txt`; `tryboot.txt` is read once in place of `config.txt` after a reboot with the argument
//! `0 tryboot`. The rules are in `docs/adr/0007-boot-state.md`. Not handled: `autoboot.txt`, which chooses partitions.

use super::boot_state::Image;
use super::cmdline_keys;
use crate::loader::config_txt;
use crate::text::kernel_cmdline;

/// The slots, as values of [`OS_PREFIX`]; their lengths are equal and one byte differs.
pub const SLOTS: [&str; 2] = ["slot-a/", "slot-b/"];
/// The place of that byte.
const DIFFERS: usize = 5;
/// What the firmware reads, and where the link to the good slot is.
pub const CONFIG: &str = "config.txt";
/// What U-Boot reads, for boards that it starts; the link is its first line, see [`DEFAULT`].
pub const EXTLINUX: &str = "extlinux/extlinux.conf";
/// Begins the first line of an `extlinux.conf` of ours: the label that boots, which has the name of a slot.
pub const DEFAULT: &str = "default ";
/// What the firmware reads once instead.
pub const TRYBOOT: &str = "tryboot.txt";
/// The kernel command line of a slot, in its folder.
pub const CMDLINE: &str = "cmdline.txt";
/// The setting that links the slot.
pub const OS_PREFIX: &str = "os_prefix";
/// Argument of the reboot that makes the firmware read [`TRYBOOT`].
pub const TRYBOOT_ARGUMENT: &str = "0 tryboot";

/// Returns the image that a slot's command line names.
#[must_use]
pub fn image_of(cmdline: &str) -> Option<Image> {
    kernel_cmdline::value(cmdline.trim_end(), cmdline_keys::IMAGE).and_then(Image::of_file)
}

/// Returns the slot that a `config.txt`, or an `extlinux.conf` of ours, links.
#[must_use]
pub fn linked(config: &str) -> Option<&'static str> {
    let (_, value) = value_at(config)?;
    SLOTS.into_iter().find(|slot| *slot == value)
}

/// Returns what may be the name of a slot, and its place.
fn value_at(config: &str) -> Option<(usize, &str)> {
    match config.strip_prefix(DEFAULT) {
        Some(rest) => Some((DEFAULT.len(), rest.get(..SLOTS[0].len())?)),
        None => config_txt::value_at(config, OS_PREFIX),
    }
}

/// Returns the one byte of such a text that links another slot, and its place; `None` when no slot is linked.
///
/// One byte lies in one sector: the write is done or not done, whenever power fails.
#[must_use]
pub fn link(config: &str, slot: &str) -> Option<(usize, u8)> {
    let (at, value) = value_at(config)?;
    let is_slot = SLOTS.contains(&value) && slot.len() == value.len();
    let byte = slot.as_bytes().get(DIFFERS).copied().filter(|_| is_slot)?;
    Some((at.checked_add(DIFFERS)?, byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;
    use std::vec::Vec;

    #[test]
    fn link_is_one_byte_of_the_owners_file() {
        let config =
            "# mine\r\nos_prefix=slot-b/\narm_64bit=1\n[pi4]\nos_prefix=other/\n[all]\nos_prefix=slot-a/\r\n";
        assert_eq!(linked(config), Some("slot-a/"));
        let (at, byte) = link(config, "slot-b/").unwrap();
        let mut bytes = config.as_bytes().to_vec();
        bytes[at] = byte;
        let after = String::from_utf8(bytes).unwrap();
        assert_eq!(linked(&after), Some("slot-b/"));
        assert_eq!(after, config.replacen("slot-a/", "slot-b/", 1));
        assert_eq!(link(&after, "slot-b/"), Some((at, byte)));
        for config in
            ["", "arm_64bit=1\n", "os_prefix=slot-c/\n", "[pi5]\nos_prefix=slot-a/\n", "os_prefix=slot-a\n"]
        {
            assert_eq!((linked(config), link(config, "slot-b/")), (None, None), "{config:?}");
        }
        assert_eq!(link(config, "x"), None);
    }

    #[test]
    fn first_line_of_a_menu_is_the_link_of_a_board_with_u_boot() {
        let menu = "default slot-a/\nfallback slot-b/\nlabel slot-b/\n";
        assert_eq!((linked(menu), link(menu, "slot-b/")), (Some("slot-a/"), Some((13, b'b'))));
        for menu in ["default genpack\n", "default slot", "prompt 1\ndefault slot-a/\n", "default slot-ä/\n"]
        {
            assert_eq!((linked(menu), link(menu, "slot-b/")), (None, None), "{menu}");
        }
    }

    #[test]
    fn slots_differ_in_one_byte() {
        let [a, b] = SLOTS.map(str::as_bytes);
        let differing: Vec<usize> = (0..a.len()).filter(|at| a[*at] != b[*at]).collect();
        assert_eq!((differing, a.len()), ([DIFFERS].into(), b.len()));
    }

    #[test]
    fn slot_belongs_to_the_image_of_its_command_line() {
        assert_eq!(image_of("root=systemimg:1234-ABCD genpack.image=system.new\n"), Some(Image::New));
        assert_eq!(image_of("root=systemimg:auto\n"), None);
        assert_eq!(image_of("genpack.image=x\n"), None);
    }
}
