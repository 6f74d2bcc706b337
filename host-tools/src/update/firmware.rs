//! The firmware's own files on the card of a Raspberry Pi are renewed, when someone asks for it: those of the good image.
//!
//! They are shared by both slots, and some only work together, so they cannot be exchanged one by one. While they are
//! written the card starts by copies of the old ones, which `config.txt` names for that time
//! (`genpack_rpi::firmware_renewal`); the copies stay. Nothing tries the new ones once and goes back. Not handled: files
//! that the image does not have any more.

use std::collections::BTreeMap;

use genpack_core::contract::boot_slots::CONFIG;
use genpack_rpi::board::PAIRS;
use genpack_rpi::boot_slots::is_shared;
use genpack_rpi::firmware_renewal::{choice_of_the_owner, copy_of, with_copies, without_copies};

use super::loaders::{self, Renewal, make};
use super::op::{At, Op};
use crate::command_error::{CommandError, Result};

/// What the board's ROM reads first; it works with the firmware of before and after.
const BOOTCODE: &str = "bootcode.bin";

/// The files of a card that are the firmware's, their copies, and the texts; what cannot be read is empty.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Returns the names of all files that are looked at, for an image with these files below `/boot`.
pub fn names<'a>(new: impl Iterator<Item = &'a str>) -> Vec<String> {
    let shared =
        new.filter(|path| is_shared(path)).chain(PAIRS.iter().flat_map(|pair| [pair.start, pair.fixup]));
    let with_copy = shared.chain([CONFIG]).flat_map(|name| [name.to_owned(), copy_of(name)]);
    let mut names: Vec<String> = with_copy.collect();
    names.sort();
    names.dedup();
    names
}

/// Decides what is done: nothing when the files are those of the image already. Each operation may be the last one.
///
/// # Errors
/// When the owner chose another firmware, or a power cut has left what only fsck can tell apart.
pub fn plan(card: &Files, new: &Files) -> Result<Vec<Op>> {
    let bytes = card.get(CONFIG).cloned().unwrap_or_default();
    let config = String::from_utf8(bytes).map_err(|_| {
        CommandError::refused(format!("{CONFIG} is not UTF-8")).hint("save it as UTF-8 and try again")
    })?;
    let cleaned = without_copies(&config);
    let is_begun = cleaned.is_some();
    let cleaned = cleaned.unwrap_or_else(|| config.clone());
    if let Some(key) = choice_of_the_owner(&cleaned) {
        return Err(CommandError::refused(format!("{CONFIG} chooses the firmware itself, by {key}"))
            .hint("replace its files by hand, or flash the card anew"));
    }
    if card.get(&copy_of(CONFIG)).is_some_and(|other| *other == config.as_bytes()) {
        return Err(CommandError::refused(format!(
            "{CONFIG} and {} have the same bytes, and may share their clusters: power failed when the firmware was renewed",
            copy_of(CONFIG)
        ))
        .hint("check the boot partition from another system (fsck.fat -a), then try again"));
    }
    let changed: Vec<(&String, &Vec<u8>)> =
        new.iter().filter(|(path, bytes)| *path != BOOTCODE && card.get(*path) != Some(bytes)).collect();
    let mut ops = Vec::new();
    if !changed.is_empty() && !is_begun {
        for file in PAIRS.iter().flat_map(|pair| [pair.start, pair.fixup]) {
            if let Some(bytes) = card.get(file) {
                let copy = copy_of(file);
                let there = card.get(&copy).map(Vec::as_slice);
                ops.extend(make(At::boot(copy), there, bytes));
            }
        }
        let with = with_copies(&cleaned, |file| card.contains_key(file));
        ops.extend(replace_config(card.get(&copy_of(CONFIG)), &with));
    }
    for (path, bytes) in &changed {
        ops.extend(make(At::boot(path.as_str()), card.get(*path).map(Vec::as_slice), bytes));
    }
    if is_begun {
        ops.extend(replace_config(card.get(&copy_of(CONFIG)), &cleaned));
    } else if !changed.is_empty() {
        // The other name has the settings of before, as they are wanted.
        ops.push(exchange_config());
    }
    if let (Some(new), Some(now)) = (new.get(BOOTCODE), card.get(BOOTCODE)) {
        let other = card.get(&Renewal::other_path(BOOTCODE)).cloned();
        ops.extend(loaders::plan(&Renewal {
            path: BOOTCODE.to_owned(),
            now: now.clone(),
            other,
            new: new.clone(),
        })?);
    }
    if !ops.is_empty() || card.contains_key(&copy_of(CONFIG)) {
        ops.push(Op::Remove(At::boot(copy_of(CONFIG))));
    }
    Ok(ops)
}

fn replace_config(other: Option<&Vec<u8>>, config: &str) -> Vec<Op> {
    let mut ops = make(At::boot(copy_of(CONFIG)), other.map(Vec::as_slice), config.as_bytes());
    ops.push(exchange_config());
    ops
}

fn exchange_config() -> Op {
    Op::Exchange { a: At::boot(copy_of(CONFIG)), b: At::boot(CONFIG) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(files: &[(&str, &str)]) -> Files {
        files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect()
    }

    fn lines(card: &Files, new: &Files) -> Vec<String> {
        let short = |line: String| line.replace(" on the boot partition", "");
        plan(card, new).unwrap().iter().map(|op| short(op.to_string())).collect()
    }

    #[test]
    fn pair_is_replaced_while_its_copies_are_in_use() {
        let mut card = files(&[("start4.elf", "old"), ("fixup4.dat", "o"), ("config.txt", "arm_64bit=1\n")]);
        let new = files(&[("start4.elf", "new"), ("fixup4.dat", "n")]);
        let with = with_copies("arm_64bit=1\n", |file| card.contains_key(file));
        let wanted = [
            "write start4.alt (3 bytes)".to_owned(),
            "write fixup4.alt (1 bytes)".to_owned(),
            format!("write config.alt ({} bytes)", with.len()),
            "exchange config.alt with config.txt".to_owned(),
            "remove fixup4.dat".to_owned(),
            "write fixup4.dat (1 bytes)".to_owned(),
            "remove start4.elf".to_owned(),
            "write start4.elf (3 bytes)".to_owned(),
            "exchange config.alt with config.txt".to_owned(),
            "remove config.alt".to_owned(),
        ];
        assert_eq!(lines(&card, &new), wanted);
        // Cut while the files were written: what is left is done.
        card.insert("config.txt".to_owned(), with.into_bytes());
        card.insert("config.alt".to_owned(), b"arm_64bit=1\n".to_vec());
        card.remove("start4.elf");
        let rest = lines(&card, &new);
        assert_eq!(
            rest[..3],
            ["remove fixup4.dat", "write fixup4.dat (1 bytes)", "write start4.elf (3 bytes)"]
        );
        assert_eq!(
            rest[3..],
            [
                "keep config.alt: it is the image already",
                "exchange config.alt with config.txt",
                "remove config.alt"
            ]
        );
        assert_eq!(
            lines(&new.clone().into_iter().chain(files(&[("config.txt", "")])).collect(), &new),
            [""; 0]
        );
    }

    #[test]
    fn card_whose_firmware_nobody_can_tell_apart_is_refused() {
        let new = files(&[("start4.elf", "new"), ("fixup4.dat", "n")]);
        for (card, words) in [
            (files(&[("config.txt", "start_x=1\n")]), "chooses the firmware itself, by start_x"),
            (files(&[("config.txt", "a=1\n"), ("config.alt", "a=1\n")]), "may share their clusters"),
        ] {
            assert!(plan(&card, &new).unwrap_err().to_string().contains(words));
        }
    }
}
