//! The boards, one row each: what their firmware has to find on the boot partition.
//!
//! Source: Raspberry Pi documentation, "Boot folder contents" and "Device trees"; the three families differ in who loads
//! the firmware: the ROM from the card (2837), the EEPROM with firmware on the card (2711), the EEPROM alone (2712).
//! Not handled: boards whose processor has 32 bits only, and the variants of the firmware for debugging and cameras.

/// What the boards of a processor have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// The processor, as device trees are named.
    pub soc: &'static str,
    /// Files that the firmware itself is made of; they cannot be in a slot.
    pub firmware: &'static [&'static str],
    /// Which of them only work together: the firmware, and what fits it to the memory.
    pub pair: Option<Pair>,
    /// Kernels in the order in which the firmware looks for them, each with its initramfs.
    pub kernels: &'static [(&'static str, &'static str)],
    /// The kernel is taken for a 32-bit one unless `arm_64bit=1` is set.
    pub needs_arm_64bit: bool,
}

/// Two files of the firmware that only work together ("start_file, fixup_file").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The filter of `config.txt` that holds on the boards which load it, `all` where the others overrule it.
    pub filter: &'static str,
    /// The firmware.
    pub start: &'static str,
    /// What fits it to the memory.
    pub fixup: &'static str,
}

const PAIR: Pair = Pair { filter: "all", start: "start.elf", fixup: "fixup.dat" };
const PAIR_4: Pair = Pair { filter: "pi4", start: "start4.elf", fixup: "fixup4.dat" };
/// All pairs, in the order in which settings for them have to stand.
pub const PAIRS: [Pair; 2] = [PAIR, PAIR_4];

const KERNEL8: (&str, &str) = ("kernel8.img", "initramfs8");
const KERNEL_2712: (&str, &str) = ("kernel_2712.img", "initramfs_2712");

/// Raspberry Pi 3 and Zero 2 W.
pub const BCM2837: Family = Family {
    soc: "bcm2710",
    firmware: &["bootcode.bin", PAIR.start, PAIR.fixup],
    pair: Some(PAIR),
    kernels: &[KERNEL8],
    needs_arm_64bit: true,
};
/// Raspberry Pi 4, 400 and CM4.
pub const BCM2711: Family = Family {
    soc: "bcm2711",
    firmware: &[PAIR_4.start, PAIR_4.fixup],
    pair: Some(PAIR_4),
    kernels: &[KERNEL8],
    needs_arm_64bit: false,
};
/// Raspberry Pi 5, 500 and CM5.
pub const BCM2712: Family = Family {
    soc: "bcm2712",
    firmware: &[],
    pair: None,
    kernels: &[KERNEL_2712, KERNEL8],
    needs_arm_64bit: false,
};

/// A board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Board {
    /// Its name in print.
    pub name: &'static str,
    /// Its processor's row.
    pub family: &'static Family,
    /// Its device trees; one of them must be there, the first is the one of the first revision.
    pub device_trees: &'static [&'static str],
}

/// All boards, oldest first.
pub const BOARDS: [Board; 9] = [
    Board { name: "3", family: &BCM2837, device_trees: &["bcm2710-rpi-3-b.dtb"] },
    Board { name: "3+", family: &BCM2837, device_trees: &["bcm2710-rpi-3-b-plus.dtb"] },
    Board {
        name: "Zero 2 W",
        family: &BCM2837,
        device_trees: &["bcm2710-rpi-zero-2-w.dtb", "bcm2710-rpi-zero-2.dtb"],
    },
    Board { name: "4", family: &BCM2711, device_trees: &["bcm2711-rpi-4-b.dtb"] },
    Board { name: "400", family: &BCM2711, device_trees: &["bcm2711-rpi-400.dtb"] },
    Board { name: "CM4", family: &BCM2711, device_trees: &["bcm2711-rpi-cm4.dtb"] },
    Board { name: "5", family: &BCM2712, device_trees: &["bcm2712-rpi-5-b.dtb", "bcm2712d0-rpi-5-b.dtb"] },
    Board { name: "500", family: &BCM2712, device_trees: &["bcm2712-rpi-500.dtb"] },
    Board {
        name: "CM5",
        family: &BCM2712,
        device_trees: &["bcm2712-rpi-cm5-cm5io.dtb", "bcm2712-rpi-cm5-cm4io.dtb"],
    },
];

/// Kernels for 32-bit processors, of no use to a 64-bit system.
pub const KERNELS_32: [&str; 3] = ["kernel.img", "kernel7.img", "kernel7l.img"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_board_has_trees_of_its_processor() {
        for board in BOARDS {
            assert!(!board.device_trees.is_empty() && !board.family.kernels.is_empty());
            assert!(
                board.device_trees.iter().all(|t| t.starts_with(board.family.soc) && t.ends_with(".dtb"))
            );
        }
    }
}
