//! Boot partitions of boards without GRUB: which files of the image's `/boot` stand on it, and which texts; pure.
//!
//! Both kinds get the slots of `docs/adr/0007-boot-state.md`: a Raspberry Pi all that is the kernel's, a board with U-Boot
//! what its extlinux menu names. Not handled: menus that name a directory of device trees.

use genpack_core::contract::boot_slots::{CONFIG, SLOTS};
use genpack_core::contract::boot_state::Image;
use genpack_rpi::boot_slots::{self, Content, Placement};
use genpack_rpi::{check, extlinux_slots};

use super::image::EXTLINUX_CONF;
use crate::command_error::{CommandError, Result};

/// The texts of `/boot` that an owner may edit, and the names of all its files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    /// `config.txt` of a Raspberry Pi, or the extlinux menu.
    pub config: String,
    /// `cmdline.txt` of a Raspberry Pi.
    pub cmdline: String,
}

/// A board and what it lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoardReport {
    /// Its name.
    pub name: &'static str,
    /// Files and settings that are missing; none when it boots.
    pub missing: Vec<String>,
}

/// Returns the files of a new card for the Raspberry Pi and what each board says to it.
///
/// # Errors
/// When `config.txt` cannot carry our settings, or no board boots; then every board's wants are listed.
pub fn raspberry_pi(files: &[&str], texts: &Texts, uuid: &str) -> Result<(Vec<Placement>, Vec<BoardReport>)> {
    let inputs = boot_slots::Inputs { files, config: &texts.config, cmdline: &texts.cmdline, uuid };
    let placements = boot_slots::card(&inputs)
        .map_err(|e| CommandError::failed(e.to_string()).context("writing config.txt"))?;
    let config = placements.iter().find_map(|placement| match &placement.content {
        Content::Text(text) if placement.path == CONFIG => Some(text.as_str()),
        _ => None,
    });
    let is_there = |path: &str| placements.iter().any(|placement| placement.path == path);
    let boards: Vec<BoardReport> = check::report(config.unwrap_or_default(), is_there)
        .into_iter()
        .map(|(board, missing)| BoardReport { name: board.name, missing })
        .collect();
    if boards.iter().all(|board| !board.missing.is_empty()) {
        let lacks: Vec<String> = boards
            .iter()
            .map(|board| format!("Raspberry Pi {} lacks {}", board.name, board.missing.join(", ")))
            .collect();
        return Err(CommandError::refused(format!("no board would boot: {}", lacks.join("; ")))
            .hint("the files belong into /boot of the image: firmware, kernels, device trees, initramfs"));
    }
    Ok((placements, boards))
}

/// Returns the files of a boot partition that U-Boot reads by its extlinux menu.
///
/// # Errors
/// When the menu names nothing, a directory, or a file that the image does not have.
pub fn extlinux(files: &[&str], menu: &str, uuid: &str) -> Result<Vec<Placement>> {
    let refused = |what: String| {
        CommandError::refused(what)
            .context(format!("reading /boot/{EXTLINUX_CONF} of the image"))
            .hint("correct the menu and build the image again")
    };
    let inputs = extlinux_slots::Inputs { menu, uuid };
    let [first, _] = SLOTS;
    let mut placements =
        extlinux_slots::slot(&inputs, first, Image::Img).map_err(|e| refused(e.to_string()))?;
    let named = placements.iter().filter_map(|placement| match &placement.content {
        Content::Image(path) => Some(path),
        Content::Text(_) => None,
    });
    if let Some(path) = named.clone().find(|path| !files.contains(&path.as_str())) {
        return Err(refused(format!("it names {path}, and the image has no /boot/{path}")));
    }
    if named.count() == 0 {
        return Err(refused("it names no kernel".to_owned()));
    }
    // Last: a menu that is there has all its files.
    let text = Content::Text(extlinux_slots::menu(&inputs));
    placements.push(Placement { path: EXTLINUX_CONF.to_owned(), content: text });
    Ok(placements)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PI_4: [&str; 6] =
        ["start4.elf", "fixup4.dat", "kernel8.img", "initramfs8", "bcm2711-rpi-4-b.dtb", "kernel7.img"];

    #[test]
    fn card_boots_the_boards_that_have_their_files_and_names_what_others_lack() {
        let texts = Texts { config: "# mine\n".into(), cmdline: "quiet root=/dev/sda\n".into() };
        let (placements, boards) = raspberry_pi(&PI_4, &texts, "1234-ABCD").unwrap();
        let paths: Vec<&str> = placements.iter().map(|p| p.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "start4.elf",
                "fixup4.dat",
                "slot-a/kernel8.img",
                "slot-a/initramfs8",
                "slot-a/bcm2711-rpi-4-b.dtb",
                "slot-a/cmdline.txt",
                "config.txt"
            ]
        );
        let text = |path: &str| {
            placements.iter().find_map(|p| match &p.content {
                Content::Text(text) if p.path == path => Some(text.as_str()),
                _ => None,
            })
        };
        assert_eq!(
            text("slot-a/cmdline.txt"),
            Some("quiet root=systemimg:1234-ABCD genpack.image=system.img panic=30 systemd.firstboot=0\n")
        );
        assert!(text("config.txt").unwrap().starts_with("# mine\n"));
        let missing = |name: &str| &boards.iter().find(|board| board.name == name).unwrap().missing;
        assert!(missing("4").is_empty());
        assert_eq!(missing("400"), &["slot-a/bcm2711-rpi-400.dtb"]);
        assert_eq!(missing("3"), &["bootcode.bin", "start.elf", "fixup.dat", "slot-a/bcm2710-rpi-3-b.dtb"]);
    }

    #[test]
    fn card_that_no_board_boots_is_refused_with_every_boards_wants() {
        let error = raspberry_pi(&["config.txt", "kernel8.img"], &Texts::default(), "0000-0001").unwrap_err();
        assert!(error.to_string().contains("Raspberry Pi 4 lacks start4.elf, fixup4.dat, "), "{error}");
    }

    #[test]
    fn extlinux_menu_brings_its_files_and_the_uuid() {
        let menu = "label genpack\r\n  KERNEL /kernel\r\n  initrd initramfs\r\n  fdt dtb/a.dtb\r\n  \
                    append root=systemimg:auto quiet\r\nlabel transient\r\n  kernel kernel\r\n";
        let files = ["dtb/a.dtb", "extlinux/extlinux.conf", "initramfs", "kernel", "other"];
        let placements = extlinux(&files, menu, "1234-ABCD").unwrap();
        let paths: Vec<&str> = placements.iter().map(|p| p.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "slot-a/kernel",
                "slot-a/initramfs",
                "slot-a/dtb/a.dtb",
                "slot-a/cmdline.txt",
                "extlinux/extlinux.conf"
            ]
        );
        let Content::Text(text) = &placements[4].content else { panic!() };
        assert!(
            text.contains("append root=systemimg:1234-ABCD quiet genpack.image=system.img\r\n"),
            "{text}"
        );
        for (menu, why) in [
            ("label x\n", "names no kernel"),
            ("kernel vmlinuz\n", "has no /boot/vmlinuz"),
            ("kernel kernel\nfdtdir dtb\n", "line 2"),
        ] {
            let error = extlinux(&files, menu, "0000-0001").unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
