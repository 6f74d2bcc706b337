//! The verbs on a boot partition that is a directory.

use super::*;
use genpack_core::contract::boot_slots;
use genpack_core::contract::boot_state::GRUBENV;
use std::fs;
use std::path::PathBuf;

fn boot(name: &str, state: &BootState) -> PathBuf {
    let boot = std::env::temp_dir().join(format!("genpack-init-boot-{}-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&boot);
    fs::create_dir_all(boot.join("boot/grub")).unwrap();
    fs::write(boot.join(GRUBENV), state.emit(&Block::new()).unwrap().emit()).unwrap();
    boot
}

fn here(boot: &std::path::Path, image: &str) -> Here {
    let mut here = Here::open(boot.to_str()).ok().unwrap();
    here.status.set(boot_status::IMAGE, image);
    here
}

fn recorded(boot: &std::path::Path) -> BootState {
    let bytes = fs::read(boot.join(GRUBENV)).unwrap();
    BootState::parse(&Block::parse(bytes.first_chunk().unwrap()).unwrap())
}

#[test]
fn change_is_written_in_place_and_once() {
    let staged = BootState::default().try_new(Image::New, 3).unwrap().boot_attempt().unwrap();
    let boot = boot("record", &staged);
    let before = fs::metadata(boot.join(GRUBENV)).unwrap();
    let good = staged.mark_good(here(&boot, "system.new").running().unwrap());
    assert_eq!(here(&boot, "system.new").make(good), 0);
    assert_eq!(recorded(&boot), good);
    let after = fs::metadata(boot.join(GRUBENV)).unwrap();
    use std::os::unix::fs::MetadataExt as _;
    assert_eq!((before.ino(), before.len()), (after.ino(), after.len()));
    fs::remove_dir_all(boot).unwrap();
}

#[test]
fn slot_of_the_good_image_is_linked_before_the_record_changes() {
    let staged = BootState::default().try_new(Image::New, 1).unwrap();
    for (path, config) in [
        (boot_slots::CONFIG, "# mine\r\nos_prefix=slot-a/\r\n"),
        (boot_slots::EXTLINUX, "default slot-a/\nlabel slot-b/\nlabel slot-a/\n"),
    ] {
        let boot = boot("slot", &staged);
        let other = config.replacen("slot-a", "slot-b", 1);
        fs::create_dir(boot.join("extlinux")).unwrap();
        fs::write(boot.join(path), config).unwrap();
        for (slot, image) in [("slot-a", "system.img"), ("slot-b", "system.new")] {
            fs::create_dir(boot.join(slot)).unwrap();
            let line = format!("quiet genpack.image={image}\n");
            fs::write(boot.join(slot).join("cmdline.txt"), line).unwrap();
        }
        let text = || fs::read_to_string(boot.join(path)).unwrap();
        assert_eq!(here(&boot, "system.new").make(staged.mark_good(Image::New)), 0);
        assert_eq!(text(), other);
        // What stage 1 of an image on trial does.
        let mut exec = Executor { tree: Tree::open("/").unwrap(), log: Log::stderr(), modules: None };
        let step = link_slot(&exec.tree, boot.to_str().unwrap(), Image::Img).unwrap();
        assert_eq!(exec.run_all(&[step]), 0);
        assert_eq!(text(), config);
        assert_eq!(here(&boot, "system.new").make(recorded(&boot)), 0);
        assert_eq!(text(), other);
        let back = recorded(&boot).rollback(|_| true).unwrap();
        assert_eq!(here(&boot, "system.new").make(back), 0);
        assert_eq!((text().as_str(), recorded(&boot).good()), (config, Image::Img));
        fs::remove_dir_all(boot).unwrap();
    }
}

#[test]
fn write_on_a_read_only_partition_stands_between_two_remounts() {
    let state = BootState::default();
    let lines = |read_only| {
        let plan = on_writable("/b", write("/b", &Block::new(), &state), read_only);
        plan.iter().map(|step| step.op.to_string()).collect::<Vec<_>>()
    };
    let overwrite = "overwrite /b/boot/grub/grubenv at 0 (1024 bytes)";
    assert_eq!(lines(false), [overwrite]);
    assert_eq!(lines(true), ["remount /b writable", overwrite, "remount /b read-only"]);
}

#[test]
fn status_says_in_words_what_runs_and_what_was_given_up() {
    let staged = BootState::default().try_new(Image::New, 2).unwrap();
    let inside = staged.boot_attempt().unwrap().entered(Image::New);
    let status = |image: &str| BootStatus::parse(&format!("image={image}\n"));
    for (image, state, text) in [
        ("system.img", BootState::default(), "system.img runs and is the good image.\n"),
        ("system.img", staged, "system.img runs; system.new is to be tried at the next boot.\n"),
        (
            "system.new",
            inside,
            "system.new runs on trial: 1 more attempts, then system.img boots again. 'genpack-init mark-good' keeps it.\n",
        ),
        (
            "system.img",
            staged.boot_attempt().unwrap().boot_attempt().unwrap().entered(Image::Img),
            "system.img runs and is the good image.\n\
             system.new was given up: its kernel never came as far as the init.\n",
        ),
        ("system.old", BootState::default(), "system.old runs in place of system.img, the good image.\n"),
    ] {
        assert_eq!(sentence(&status(image), &state), text);
    }
    let mut lines = status("system.img");
    add_record(&mut lines, &staged);
    assert_eq!(
        json(&lines),
        "{\"image\":\"system.img\",\"good_image\":\"system.img\",\"previous_image\":\"\",\
         \"next_image\":\"system.new\",\"next_tries\":\"2\",\"given_up\":\"\"}\n"
    );
}
