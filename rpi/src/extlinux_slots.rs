//! Boards that U-Boot starts by `extlinux.conf`: a menu with a section for each slot, and the steps of an update.
//!
//! U-Boot ("Generic Distro Configuration Concept", `doc/README.pxe`; `boot/pxe_utils.c`) starts the label that `default`
//! names; when one of its files cannot be loaded, the other labels in their order. It counts no attempts: a trial is one
//! start, because the new image's stage 1 links the good slot again before anything else, as a Raspberry Pi's firmware
//! forgets `tryboot.txt`. A kernel that never comes as far as stage 1 is started again and again, unless the board's U-Boot
//! has a boot count whose `altbootcmd` takes the label that `fallback` names. Not handled: menus with `include`, and with
//! directories of device trees.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use genpack_core::contract::boot_slots::{CMDLINE, DEFAULT, EXTLINUX, SLOTS, linked};
use genpack_core::contract::boot_state::{BootState, Image};
use genpack_core::contract::cmdline_keys;
use genpack_core::loader::extlinux::{self, Error, Line, emit_with_root, is_path_keyword, lines, paths};
use genpack_core::text::kernel_cmdline;

use crate::boot_slots::{Content, Placement, Step};

/// Attempts of a trial.
pub const TRIES: u8 = 1;
/// Ends the part of the menu that no slot has alone, and each slot's part.
const SECTION: &str = "# genpack: ";

/// What an image and its card say.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// The image's menu.
    pub menu: &'a str,
    /// UUID of the boot partition, or `auto`.
    pub uuid: &'a str,
}

/// Returns the files of a slot, its command line last: a slot that has one is complete.
///
/// # Errors
/// When the menu names what cannot be copied.
pub fn slot(inputs: &Inputs<'_>, slot: &str, image: Image) -> Result<Vec<Placement>, Error> {
    let mut placements: Vec<Placement> = Vec::new();
    for path in paths(inputs.menu) {
        let path = path?;
        let to = format!("{slot}{path}");
        if placements.iter().all(|placement| placement.path != to) {
            placements.push(Placement { path: to, content: Content::Image(path.to_owned()) });
        }
    }
    let mut words = append_of(inputs.menu, primary(inputs.menu)).map_or_else(String::new, ToOwned::to_owned);
    words = append(&words, inputs.uuid, image);
    words.push('\n');
    placements.push(Placement { path: format!("{slot}{CMDLINE}"), content: Content::Text(words) });
    Ok(placements)
}

/// Returns the menu of a new card, which boots `system.img` from the first slot.
#[must_use]
pub fn menu(inputs: &Inputs<'_>) -> String {
    let [first, _] = SLOTS;
    conf(first, None, inputs.menu, &[(first, section(inputs, first, Image::Img))])
}

/// Returns the steps that put a new image on trial at the next start.
///
/// `None` when the card's menu links no slot.
///
/// # Errors
/// As [`slot`].
pub fn stage(
    inputs: &Inputs<'_>,
    card: &str,
    state: BootState,
    running: Option<Image>,
) -> Result<Option<Vec<Step>>, Error> {
    let Some(current) = linked(card) else { return Ok(None) };
    let Some(other) = SLOTS.into_iter().find(|slot| *slot != current) else { return Ok(None) };
    let Some(kept) = section_of(card, current) else { return Ok(None) };
    let image = state.staging(running);
    let before = state.without(image);
    let Some(after) = before.try_new(image, TRIES) else { return Ok(None) };
    let mut steps = Vec::new();
    steps.push(Step::Record(before));
    steps.push(Step::Remove(format!("{other}{CMDLINE}")));
    steps.push(Step::Image(image));
    steps.extend(slot(inputs, other, image)?.into_iter().map(Step::Write));
    let sections = [(other, section(inputs, other, image)), (current, kept.to_owned())];
    let text = Content::Text(conf(other, Some(current), inputs.menu, &sections));
    steps.push(Step::Record(after));
    // Last: what makes the trial the next start.
    steps.push(Step::Write(Placement { path: EXTLINUX.to_owned(), content: text }));
    Ok(Some(steps))
}

fn conf(default: &str, fallback: Option<&str>, menu: &str, sections: &[(&str, String)]) -> String {
    let mut text = format!("{DEFAULT}{default}\n");
    if let Some(fallback) = fallback {
        text.push_str(&format!("fallback {fallback}\n"));
    }
    let globals = lines(menu).take_while(|line| !line.is("label"));
    globals
        .filter(|line| !line.is("default") && !line.is("fallback"))
        .for_each(|line| text.push_str(line.text));
    for (slot, section) in sections {
        end_line(&mut text);
        text.push_str(&format!("{SECTION}{slot}\n{section}"));
    }
    end_line(&mut text);
    text
}

fn end_line(text: &mut String) {
    if !text.ends_with('\n') {
        text.push('\n');
    }
}

/// Returns the part of a card's menu that belongs to a slot.
fn section_of<'a>(card: &'a str, slot: &str) -> Option<&'a str> {
    let (_, rest) = card.split_once(&format!("{SECTION}{slot}\n"))?;
    Some(rest.split_once(SECTION).map_or(rest, |(section, _)| section))
}

/// Returns the label that boots when nobody chooses.
fn primary(menu: &str) -> &str {
    let default = lines(menu).find(|line| line.is("default")).map(|line| line.rest);
    let named = default.filter(|default| extlinux::labels(menu).any(|label| label == *default));
    named.or_else(|| extlinux::labels(menu).next()).unwrap_or_default()
}

/// Returns the lines behind a label.
fn entry<'a>(menu: &'a str, label: &str) -> impl Iterator<Item = Line<'a>> {
    let from = lines(menu).skip_while(move |line| !(line.is("label") && line.rest == label));
    from.skip(1).take_while(|line| !line.is("label"))
}

fn append_of<'a>(menu: &'a str, label: &str) -> Option<&'a str> {
    entry(menu, label).find(|line| line.is("append")).map(|line| line.rest)
}

/// Returns the words for the kernel with the boot partition and the image.
fn append(words: &str, uuid: &str, image: Image) -> String {
    let root = format!("{}={}{uuid}", cmdline_keys::ROOT, cmdline_keys::ROOT_SYSTEMIMG);
    let mut text = String::new();
    // Writing to a String cannot fail. The keyword makes it a line of a menu.
    let _ = emit_with_root(&format!("append {words}"), &root, &mut text);
    let mut text = text.strip_prefix("append ").map(ToOwned::to_owned).unwrap_or_default();
    if kernel_cmdline::value(&text, cmdline_keys::ROOT).is_none() {
        text.push_str(if text.is_empty() { "" } else { " " });
        text.push_str(&root);
    }
    format!("{text} {}={}", cmdline_keys::IMAGE, image.on_boot())
}

/// Returns the entries of an image's menu as those of a slot: the one that boots has the slot's name, the others begin
/// with it.
fn section(inputs: &Inputs<'_>, slot: &str, image: Image) -> String {
    let (menu, first) = (inputs.menu, primary(inputs.menu));
    let mut text = String::new();
    for line in lines(menu).skip_while(|line| !line.is("label")) {
        let end = if line.text.ends_with("\r\n") { "\r\n" } else { "\n" };
        let indent = line.text.get(..line.text.len().saturating_sub(line.text.trim_ascii_start().len()));
        let indent = indent.unwrap_or_default();
        match &line {
            Line { keyword, rest, .. } if line.is("label") => {
                let name = if *rest == first { "" } else { rest };
                text.push_str(&format!("{indent}{keyword} {slot}{name}{end}"));
                if append_of(menu, rest).is_none() {
                    text.push_str(&format!("  append {}{end}", append("", inputs.uuid, image)));
                }
            }
            Line { keyword, rest, .. } if line.is("append") => {
                text.push_str(&format!("{indent}{keyword} {}{end}", append(rest, inputs.uuid, image)));
            }
            Line { keyword, rest, .. } if is_path_keyword(keyword) => {
                text.push_str(&format!("{indent}{keyword}"));
                for path in rest.split_ascii_whitespace() {
                    text.push_str(&format!(" /{slot}{}", path.trim_start_matches('/')));
                }
                text.push_str(end);
            }
            // Texts end in a line end: another section follows.
            line => text.push_str(line.text),
        }
    }
    end_line(&mut text);
    text
}

/// What U-Boot loads: the label, its files, and the words for the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The label.
    pub label: String,
    /// Its files, from the root of the partition.
    pub files: Vec<String>,
    /// The words.
    pub append: String,
}

/// Returns what U-Boot loads by a menu: the default, else the first label whose files are all there. A model, for proofs.
pub fn load(menu: &str, is_there: impl Fn(&str) -> bool) -> Option<Loaded> {
    let default = lines(menu).find(|line| line.is("default")).map(|line| line.rest);
    let labels = default.into_iter().chain(extlinux::labels(menu));
    let loaded = |label: &str| {
        let files = entry(menu, label)
            .filter(|line| is_path_keyword(line.keyword))
            .flat_map(|line| line.rest.split_ascii_whitespace());
        let files: Vec<String> = files.map(|path| path.trim_start_matches('/').to_owned()).collect();
        let append = append_of(menu, label).unwrap_or_default().to_owned();
        (!files.is_empty() && files.iter().all(|file| is_there(file))).then(|| Loaded {
            label: label.to_owned(),
            files,
            append,
        })
    };
    { labels }.find_map(loaded)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MENU: &str = "# ours\r\nprompt 1\r\ndefault main\r\nfallback other\r\nlabel other\r\n  kernel /kernel\r\nlabel main\r\n  \
        KERNEL /kernel\r\n  initrd initramfs\r\n  fdt dtb/a.dtb\r\n  append root=systemimg:auto quiet";
    const INPUTS: Inputs<'_> = Inputs { menu: MENU, uuid: "1234-ABCD" };

    #[test]
    fn menu_of_a_new_card_boots_the_first_slot() {
        let wanted = "default slot-a/\n# ours\r\nprompt 1\r\n# genpack: slot-a/\nlabel slot-a/other\r\n  append \
            root=systemimg:1234-ABCD genpack.image=system.img\r\n  kernel /slot-a/kernel\r\nlabel slot-a/\r\n  KERNEL \
            /slot-a/kernel\r\n  initrd /slot-a/initramfs\r\n  fdt /slot-a/dtb/a.dtb\r\n  append root=systemimg:1234-ABCD quiet \
            genpack.image=system.img\n";
        assert_eq!(menu(&INPUTS), wanted);
        assert_eq!(linked(wanted), Some("slot-a/"));
        let placements = slot(&INPUTS, "slot-a/", Image::Img).unwrap();
        let paths: Vec<&str> = placements.iter().map(|placement| placement.path.as_str()).collect();
        assert_eq!(paths, ["slot-a/kernel", "slot-a/initramfs", "slot-a/dtb/a.dtb", "slot-a/cmdline.txt"]);
        let loaded = load(wanted, |_| true).unwrap();
        assert_eq!((loaded.label.as_str(), loaded.files.len()), ("slot-a/", 3));
        let Content::Text(words) = &placements[3].content else { panic!() };
        assert_eq!(words.trim_end(), loaded.append);
        // A file that is not there: the next label.
        assert_eq!(load(wanted, |file| !file.ends_with("dtb")).unwrap().label, "slot-a/other");
    }

    #[test]
    fn trial_is_the_next_start_and_the_old_slot_stays_in_the_menu() {
        let card = menu(&INPUTS);
        let new = Inputs { menu: "label x\n linux /Image\n append console=ttyS0\n", ..INPUTS };
        let steps = stage(&new, &card, BootState::default(), Some(Image::Img)).unwrap().unwrap();
        let [
            Step::Record(before),
            Step::Remove(removed),
            Step::Image(Image::New),
            ..,
            Step::Record(after),
            Step::Write(last),
        ] = &steps[..]
        else {
            panic!("{steps:?}");
        };
        assert_eq!(
            (before.trial(), after.trial().unwrap().tries, removed.as_str()),
            (None, 1, "slot-b/cmdline.txt")
        );
        let Content::Text(text) = &last.content else { panic!() };
        assert!(text.ends_with(section_of(&card, "slot-a/").unwrap()), "{text}");
        assert_eq!((last.path.as_str(), linked(text)), (EXTLINUX, Some("slot-b/")));
        let loaded = load(text, |_| true).unwrap();
        assert_eq!(loaded.files, ["slot-b/Image"]);
        assert_eq!(loaded.append, "console=ttyS0 root=systemimg:1234-ABCD genpack.image=system.new");
        assert_eq!(load(text, |file| !file.starts_with("slot-b")).unwrap().label, "slot-a/other");
        for (slot, image) in [("slot-a/", "system.img"), ("slot-b/", "system.new")] {
            let (at, byte) = genpack_core::contract::boot_slots::link(text, slot).unwrap();
            let mut bytes = text.clone().into_bytes();
            bytes[at] = byte;
            let loaded = load(&String::from_utf8(bytes).unwrap(), |_| true).unwrap();
            assert!(loaded.label == slot && loaded.append.ends_with(image), "{loaded:?}");
        }
        assert_eq!(stage(&new, MENU, BootState::default(), None), Ok(None));
    }
}
