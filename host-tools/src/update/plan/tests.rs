use super::*;
use crate::command_error::Kind;

const MIB: u64 = 1 << 20;

fn facts(files: &[(&str, u64)], free: u64) -> Facts {
    let files = files.iter().map(|(name, size)| ((*name).to_owned(), *size)).collect();
    Facts {
        boot: Partition { free, cluster: 4096, files },
        data: None,
        state: BootState::default(),
        loader: Loader::Record,
        running: Some(Image::Img),
    }
}

fn with_data(mut facts: Facts, files: &[(&str, u64)], free: u64) -> Facts {
    let files = files.iter().map(|(name, size)| ((*name).to_owned(), *size)).collect();
    facts.data = Some(Partition { free, cluster: 4096, files });
    facts
}

fn image(bytes: u64) -> NewImage {
    NewImage { bytes, ..NewImage::default() }
}

const WISH: Wish = Wish { tries: 3, stage_only: false };

fn lines(plan: &Plan) -> Vec<String> {
    plan.ops.iter().map(ToString::to_string).collect()
}

fn refused(facts: &Facts, new: &NewImage) -> String {
    let error = plan(facts, new, &WISH).unwrap_err();
    assert_eq!(error.kind, Kind::Refused);
    error.to_string()
}

#[test]
fn image_is_written_before_anything_links_it() {
    let plan = plan(&facts(&[("system.img", 100 * MIB)], 500 * MIB), &image(100 * MIB), &WISH).unwrap();
    assert_eq!(
        lines(&plan),
        [
            "record: system.img is good",
            "write the image to system.new on the boot partition (100.0 MiB)",
            "record: system.img is good, system.new is on trial (3 attempts)",
        ]
    );
    assert_eq!(plan.bytes(&image(100 * MIB)), 100 * MIB);
    let staged = super::plan(
        &facts(&[("system.img", 100 * MIB)], 500 * MIB),
        &image(100 * MIB),
        &Wish { stage_only: true, ..WISH },
    );
    assert_eq!(staged.unwrap().ops.len(), 2);
}

#[test]
fn staged_image_is_kept_and_not_written_again() {
    let facts = facts(&[("system.img", 9), ("system.old", 5), ("system.new", 5)], 0);
    let new = NewImage { already: vec![At::boot("system.old")], ..image(5) };
    let plan = plan(&facts, &new, &WISH).unwrap();
    assert_eq!(
        lines(&plan)[1..],
        [
            "keep system.old on the boot partition: it is the image already",
            "record: system.img is good, system.old is on trial (3 attempts)",
        ]
    );
    // Not what runs, not what is good, not the name that stage 1 renames.
    for name in ["system.img", "system.cur"] {
        let new = NewImage { already: vec![At::boot(name)], ..image(5) };
        assert_eq!(
            super::plan(
                &Facts { boot: Partition { free: MIB, ..facts.boot.clone() }, ..facts.clone() },
                &new,
                &WISH
            )
            .unwrap()
            .image,
            Image::New
        );
    }
}

#[test]
fn large_image_goes_to_the_data_partition_and_shadows_are_removed() {
    let small = facts(&[("system.img", MIB), ("system.new", MIB)], 10 * MIB);
    let large = image(5 << 30);
    assert!(refused(&small, &large).contains("files below 4 GiB only"));
    let both = with_data(small, &[("system.new", MIB)], 10 << 30);
    let plan = plan(&both, &large, &WISH).unwrap();
    assert_eq!(plan.place, Place::Data);
    assert_eq!(
        lines(&plan)[1..4],
        [
            "remove system.new on the boot partition",
            "remove system.new on the data partition",
            "write the image to system.new on the data partition (5.0 GiB)",
        ]
    );
    // A small one that does not fit on the boot partition goes there, too.
    assert_eq!(super::plan(&both, &image(20 * MIB), &WISH).unwrap().place, Place::Data);
    let limit = super::plan(
        &with_data(facts(&[("system.img", 1)], 9 << 30), &[], 9 << 30),
        &image(FAT_FILE_LIMIT - 1),
        &WISH,
    );
    assert_eq!(limit.unwrap().place, Place::Boot);
}

#[test]
fn room_is_made_by_what_nothing_needs_and_then_by_the_image_before() {
    let files = [
        ("system.img", 40 * MIB),
        ("system.old", 40 * MIB),
        ("system.new", 40 * MIB),
        ("system.cur", 40 * MIB),
    ];
    let mut facts = facts(&files, MIB);
    facts.state = BootState::default().try_new(Image::New, 1).unwrap().mark_good(Image::New);
    facts.running = Some(Image::New);
    // The name that is neither good nor the one before is enough.
    let first = plan(&facts, &image(40 * MIB), &WISH).unwrap();
    assert_eq!((first.image, first.warnings.len()), (Image::Old, 0));
    assert!(!lines(&first).contains(&"remove system.cur on the boot partition".to_owned()));
    let second = plan(&facts, &image(70 * MIB), &WISH).unwrap();
    assert!(lines(&second).contains(&"remove system.cur on the boot partition".to_owned()));
    assert_eq!(second.warnings.len(), 0);
    let third = plan(&facts, &image(110 * MIB), &WISH).unwrap();
    assert_eq!(lines(&third)[0], "record: system.new is good");
    assert!(third.warnings[0].starts_with("system.img is removed to make room"), "{:?}", third.warnings);
    assert_eq!(refused(&facts, &image(130 * MIB)), "the boot partition has room for 121.0 MiB of 131.3 MiB");
    for plan in [first, second, third] {
        assert!(!plan.ops.contains(&Op::Remove(At::boot("system.new"))), "the good one stays");
    }
}

#[test]
fn image_with_its_own_menu_takes_the_name_that_grub_looks_at() {
    let own = NewImage { own_menu: true, ..image(5) };
    let mut facts = facts(&[("system.img", 5)], MIB);
    let exchanged = plan(&facts, &own, &WISH).unwrap();
    assert_eq!(
        lines(&exchanged),
        [
            "write the image to system.new on the boot partition (5 bytes)",
            "exchange system.new on the boot partition with system.img",
            "rename system.new on the boot partition to system.cur",
        ]
    );
    facts.state = BootState::default().try_new(Image::New, 1).unwrap().mark_good(Image::New);
    facts.running = Some(Image::New);
    let plan = plan(&facts, &own, &WISH).unwrap();
    assert_eq!(plan.image, Image::Img);
    assert!(plan.ops.contains(&Op::Remove(At::boot("system.img"))));
}

#[test]
fn old_loader_gets_the_exchange_of_names() {
    let mut old = facts(&[("system.img", 5), ("system.cur", 5)], MIB);
    old.loader = Loader::Old;
    let second = plan(&old, &image(5), &WISH).unwrap();
    assert_eq!(
        lines(&second)[1..],
        [
            "exchange system.new on the boot partition with system.img",
            "remove system.new on the boot partition"
        ]
    );
    assert_eq!(second.warnings.len(), 1);
    assert!(refused(&old, &NewImage { twins: true, ..image(5) }).contains("may share their clusters"));
    assert!(
        refused(&Facts { boot: Partition { free: MIB, ..Partition::default() }, ..old.clone() }, &image(5))
            .contains("no system.img")
    );
    assert!(refused(&old, &image(5 << 30)).contains("files below 4 GiB only"));
    let data = with_data(Facts { boot: Partition::default(), ..old }, &[("system", 5)], 9 << 30);
    let plan = plan(&data, &image(5 << 30), &WISH).unwrap();
    assert_eq!(
        lines(&plan)[1..],
        [
            "exchange system.new on the data partition with system",
            "rename system.new on the data partition to system.cur"
        ]
    );
}

#[test]
fn compression_that_grub_cannot_read_is_refused_unless_firmware_boots() {
    let new = NewImage { unreadable_by_grub: Some("zstd"), ..image(5) };
    assert!(refused(&facts(&[("system.img", 5)], MIB), &new).contains("zstd"));
}

#[test]
fn slots_are_filled_before_the_record_and_old_kernels_go() {
    let mut card =
        facts(&[("system.img", 5), ("slot-b/kernel_2712.img", 4096), ("slot-b/cmdline.txt", 9)], 90 * MIB);
    card.loader = Loader::Slots(Slots {
        config: "os_prefix=slot-a/\n".into(),
        cmdline: "root=systemimg:1234-ABCD quiet\n".into(),
        uuid: "1234-ABCD".into(),
    });
    let boot_files = [("kernel8.img", 8000), ("config.txt", 5), ("start4.elf", 9)];
    let boot_files = boot_files.map(|(path, size)| (path.to_owned(), size)).into();
    let new = NewImage { unreadable_by_grub: Some("zstd"), boot_files, ..image(5) };
    let plan = plan(&card, &new, &WISH).unwrap();
    assert_eq!(
        lines(&plan)[..6],
        [
            "record: system.img is good",
            "remove tryboot.txt on the boot partition",
            "remove slot-b/cmdline.txt on the boot partition",
            "remove slot-b/kernel_2712.img on the boot partition",
            "write the image to system.new on the boot partition (5 bytes)",
            "write slot-b/kernel8.img on the boot partition from the image's /boot/kernel8.img",
        ]
    );
    let written = |op: &Op| if let Op::Write { to, .. } = op { Some(to.path.clone()) } else { None };
    let written: Vec<String> = plan.ops.iter().filter_map(written).collect();
    assert_eq!(written, ["system.new", "slot-b/kernel8.img", "slot-b/cmdline.txt", "tryboot.txt"]);
    assert_eq!(
        lines(&plan).last().unwrap(),
        "record: system.img is good, system.new is on trial (1 attempts)"
    );
    assert_eq!(plan.reboot_argument, Some("0 tryboot"));

    // The commit moves one letter, then the record.
    let state = card.state.try_new(Image::New, 1).unwrap();
    card.state = state;
    let ops = link(&card, state.mark_good(Image::New), |slot| (slot == "slot-b/").then_some(Image::New));
    assert_eq!(ops[0], Op::Overwrite { at: At::boot("config.txt"), offset: 15, bytes: b"b".to_vec() });
    assert!(matches!(ops[1..], [Op::Record(_)]));
    assert_eq!(link(&card, state, |_| None), []);
}

#[test]
fn clean_up_spares_what_is_good_runs_or_was_before() {
    let files = [("system.img", 1), ("system.old", 1), ("system.new", 1), ("system.cur", 1)];
    let mut facts = facts(&files, 0);
    facts.state = BootState::default().try_new(Image::New, 1).unwrap().mark_good(Image::New);
    facts.running = Some(Image::Old);
    let removed = |all| {
        lines(&Plan {
            image: Image::Img,
            place: Place::Boot,
            ops: collect(&facts, all),
            warnings: vec![],
            reboot_argument: None,
        })
    };
    assert_eq!(removed(false), ["remove system.cur on the boot partition"]);
    assert_eq!(
        removed(true),
        [
            "record: system.new is good",
            "remove system.img on the boot partition",
            "remove system.cur on the boot partition"
        ]
    );
    facts.loader = Loader::Old;
    assert_eq!(collect(&facts, false), []);
}
