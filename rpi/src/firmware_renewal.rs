//! The lines of `config.txt` that keep the old firmware in use while its files are replaced one by one.
//!
//! `start4.elf` and `fixup4.dat` only work together, and no card can replace two files at once. So the old two are copied
//! under other names, `config.txt` names the copies as long as the others are written, and is then as it was. Raspberry Pi
//! documentation, "config.txt", "start_file, fixup_file": "a matched pair"; "[pi4]" holds on the Pi 4, 400 and CM4, and
//! what stands behind the setting for all boards overrules it there. Not handled: firmware that the owner chose.

use alloc::format;
use alloc::string::String;

use genpack_core::loader::config_txt::{Content, lines};

use crate::board::PAIRS;

/// The setting that names the firmware.
pub const START_FILE: &str = "start_file";
/// The setting that names what fits it to the memory.
pub const FIXUP_FILE: &str = "fixup_file";

/// Settings by which an owner chooses another firmware.
const CHOICES: [&str; 4] = [START_FILE, FIXUP_FILE, "start_x", "start_debug"];
/// Settings of the memory for graphics begin so; with [`CUT_DOWN`] they choose a firmware too.
const GPU_MEM: &str = "gpu_mem";
const CUT_DOWN: &str = "16";

/// First and last line of what stands in `config.txt` for that time.
const BEGIN: &str = "# genpack: the firmware is being renewed, until then its copies are used\n";
const END: &str = "# genpack: end of the copies\n";

/// Returns the name of a file's copy: its directory entry is as long as that of the file.
#[must_use]
pub fn copy_of(file: &str) -> String {
    format!("{}.alt", file.rsplit_once('.').map_or(file, |(stem, _)| stem))
}

/// Returns the settings with those that name the copies; `is_there` tells which files the card has.
#[must_use]
pub fn with_copies(config: &str, is_there: impl Fn(&str) -> bool) -> String {
    let mut text = String::from(config);
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(BEGIN);
    for pair in PAIRS.iter().filter(|pair| is_there(pair.start) && is_there(pair.fixup)) {
        text.push_str(&format!("[{}]\n", pair.filter));
        text.push_str(&format!(
            "{START_FILE}={}\n{FIXUP_FILE}={}\n",
            copy_of(pair.start),
            copy_of(pair.fixup)
        ));
    }
    text.push_str("[all]\n");
    text.push_str(END);
    text
}

/// Returns the settings without those that name the copies; `None` when they name none.
#[must_use]
pub fn without_copies(config: &str) -> Option<String> {
    let (before, rest) = config.split_once(BEGIN)?;
    let (_, behind) = rest.split_once(END)?;
    Some(format!("{before}{behind}"))
}

/// Returns the setting by which the owner chose another firmware than the usual one.
#[must_use]
pub fn choice_of_the_owner(config: &str) -> Option<&str> {
    lines(config).find_map(|line| match line.content {
        Content::Setting { key, value } => {
            let chooses = CHOICES.contains(&key) || (key.starts_with(GPU_MEM) && value == CUT_DOWN);
            chooses.then_some(key)
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::BOARDS;
    use crate::config_txt::with_slot;
    use crate::firmware::load;
    use std::borrow::ToOwned;
    use std::string::ToString;

    #[test]
    fn every_board_loads_the_copies_as_long_as_they_are_named() {
        let owners = "# mine\n[pi5]\ndtparam=x";
        let config = with_slot(owners, "slot-a/").unwrap();
        for board in &BOARDS {
            let loaded = |config: &str| {
                let text = |_: &str| Some(config.to_owned());
                load(board, false, text, |_| true).unwrap().firmware.map(|(start, fixup)| [start, fixup])
            };
            let usual = board.family.pair.map(|pair| [pair.start, pair.fixup]);
            assert_eq!(loaded(&config), usual.map(|pair| pair.map(ToString::to_string)));
            let with = with_copies(&config, |_| true);
            assert_eq!(loaded(&with), usual.map(|pair| pair.map(copy_of)));
            assert_eq!(without_copies(&with).as_ref(), Some(&config));
            // A card without the files of a family names none of them.
            let without = with_copies(&config, |file| !file.contains('4'));
            assert!(!without.contains("[pi4]") && without.contains("start_file=start.alt\n"), "{without}");
        }
        let with = with_copies(owners, |_| true);
        assert_eq!(without_copies(&with).unwrap(), "# mine\n[pi5]\ndtparam=x\n");
        assert_eq!(without_copies(owners), None);
    }

    #[test]
    fn firmware_that_the_owner_chose_is_known() {
        for (config, choice) in [
            ("start_x=1\n", Some("start_x")),
            ("[pi4]\nstart_file=start4x.elf\n", Some("start_file")),
            ("gpu_mem_1024=16\n", Some("gpu_mem_1024")),
            ("gpu_mem=64\n#start_x=1\n", None),
        ] {
            assert_eq!(choice_of_the_owner(config), choice, "{config}");
        }
    }
}
