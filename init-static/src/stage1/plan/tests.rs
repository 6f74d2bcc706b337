//! The rows of the contract as inputs and operations: every flavour of a boot and every fault.

use super::*;
use alloc::vec;
use genpack_core::contract::boot_state::BootState;

fn device(name: &str, kind: Option<Kind>, uuid: &str, label: &str) -> Device {
    let some = |s: &str| (!s.is_empty()).then(|| String::from(s));
    // vda1 is on vda, nvme0n1p2 on nvme0n1, vda on itself
    let disk = match name {
        _ if name.starts_with("nvme0n1p") => "nvme0n1",
        _ if name.starts_with("nvme") => name,
        _ => name.trim_end_matches(|c: char| c.is_ascii_digit()),
    };
    Device {
        name: name.into(),
        disk: disk.into(),
        kind,
        uuid: some(uuid),
        label: some(label),
        ..Device::default()
    }
}

fn fat(name: &str, uuid: &str) -> Device {
    device(name, Some(Kind::Fat), uuid, "")
}

fn with_image(mut device: Device, has_image: bool) -> Device {
    device.has_image = Some(has_image);
    device
}

fn lines(plan: &[Step]) -> Vec<String> {
    plan.iter().map(|step| step.op.to_string()).collect()
}

fn names(files: &[&str]) -> Vec<String> {
    files.iter().map(ToString::to_string).collect()
}

#[test]
fn boot_partition_is_found_by_uuid_and_by_nothing_else() {
    let root = Root::BootPartition("1234-ABCD".into());
    let ours = fat("sda1", "1234-ABCD");
    let other = fat("sdb1", "9999-9999");
    for (seen, expected) in [
        (vec![], Choice::Wait),
        // another FAT is never taken in its place
        (vec![other.clone()], Choice::Wait),
        (vec![other.clone(), ours.clone()], Choice::Boot(ours.clone(), false)),
        // a cloned disk is said aloud
        (vec![ours.clone(), fat("sdb1", "1234-ABCD")], Choice::Boot(ours.clone(), true)),
        (vec![fat("sda1", "1234-abcd")], Choice::Boot(fat("sda1", "1234-abcd"), false)),
    ] {
        assert_eq!(choose(&root, &seen), expected, "{seen:?}");
    }
    let iso = device("sr0", Some(Kind::Iso9660), "2026-11-21-03-00-00-00", "GENPACK");
    let root = Root::BootPartition("2026-11-21-03-00-00-00".into());
    assert_eq!(choose(&root, core::slice::from_ref(&iso)), Choice::Boot(iso, false));
}

#[test]
fn auto_looks_into_every_fat_and_takes_the_one_with_an_image() {
    let (a, b) = (fat("sda1", "AAAA-AAAA"), fat("sdb1", "BBBB-BBBB"));
    let data_of_a = device("sda2", Some(Kind::Btrfs), "x", "data-AAAA-AAAA");
    let (yes, no) = (true, false);
    for (seen, expected) in [
        (vec![], Choice::Wait),
        (vec![a.clone(), b.clone()], Choice::Look(names(&["sda1", "sdb1"]))),
        (vec![with_image(a.clone(), no), b.clone()], Choice::Look(names(&["sdb1"]))),
        (
            vec![with_image(a.clone(), no), with_image(b.clone(), yes)],
            Choice::Boot(with_image(b.clone(), yes), false),
        ),
        (
            vec![with_image(a.clone(), yes), with_image(b.clone(), yes)],
            Choice::Boot(with_image(a.clone(), yes), true),
        ),
        (vec![with_image(a.clone(), no)], Choice::Wait),
        // a large image lies on the data partition: the FAT is known by its partner
        (vec![with_image(a.clone(), no), data_of_a], Choice::Boot(with_image(a.clone(), no), false)),
        (vec![device("vda", Some(Kind::Squashfs), "", "")], Choice::Wait),
    ] {
        assert_eq!(choose(&Root::Auto, &seen), expected, "{seen:?}");
    }
}

#[test]
fn named_device_is_an_image_or_a_boot_partition() {
    let image = device("vda", Some(Kind::Squashfs), "", "");
    let boot = fat("vda1", "1234-ABCD");
    let blank = device("vda", None, "", "");
    let vda = Root::Device("vda".into());
    for (root, seen, expected) in [
        (vda.clone(), vec![image.clone()], Choice::Image(image.clone())),
        (vda.clone(), vec![blank], Choice::Wait),
        (vda, vec![boot.clone()], Choice::Wait),
        (Root::Device("vda1".into()), vec![image, boot.clone()], Choice::Boot(boot.clone(), false)),
        (Root::DeviceUuid("1234-abcd".into()), vec![boot.clone()], Choice::Boot(boot, false)),
        (Root::Virtiofs("fs".into()), vec![], Choice::Tree("fs".into())),
    ] {
        assert_eq!(choose(&root, &seen), expected, "{root:?}");
    }
    let labelled = device("sdb", Some(Kind::Squashfs), "", "images");
    let root = Root::DeviceLabel("images".into());
    assert_eq!(choose(&root, core::slice::from_ref(&labelled)), Choice::Image(labelled));
}

#[test]
fn data_partition_is_the_labelled_one_and_never_a_guess() {
    let boot = fat("nvme0n1p1", "1234-ABCD");
    let data = |name: &str, prefix: &str| device(name, Some(Kind::Btrfs), "x", &format!("{prefix}1234-ABCD"));
    for (seen, expected) in [
        (vec![], None),
        // partition 2 without the label is somebody else's
        (vec![device("nvme0n1p2", Some(Kind::Ext), "x", "home")], None),
        (vec![device("nvme0n1p2", Some(Kind::Ext), "x", "data-9999-9999")], None),
        (vec![data("nvme0n1p2", "data-")], Some("nvme0n1p2")),
        (vec![data("nvme0n1p3", "d-"), data("nvme0n1p2", "wbdata-")], Some("nvme0n1p3")),
        (vec![data("nvme0n1p3", "d-"), data("nvme0n1p2", "data-")], Some("nvme0n1p2")),
        // of two equal labels the one on the boot disk
        (vec![data("sda1", "data-"), data("nvme0n1p2", "data-")], Some("nvme0n1p2")),
        (vec![data("sda1", "data-")], Some("sda1")),
        // a label on something that cannot hold data says nothing
        (vec![device("sda1", Some(Kind::Fat), "x", "d-1234-ABCD")], None),
    ] {
        let found = data_device(&boot, &seen).map(|d| d.name.as_str());
        assert_eq!(found, expected, "{seen:?}");
    }
}

#[test]
fn data_of_a_bare_image_is_the_second_virtual_disk() {
    let image = device("vda", Some(Kind::Squashfs), "", "");
    for (name, vdb, expected) in [
        ("vda", Some(Kind::Btrfs), Some("vdb")),
        ("vda", Some(Kind::Xfs), Some("vdb")),
        // the launcher's blank dummy
        ("vda", None, None),
        ("sda", Some(Kind::Btrfs), None),
    ] {
        let image = Device { name: name.into(), ..image.clone() };
        let seen = [device("vdb", vdb, "", "")];
        assert_eq!(data_device_of_image(&image, &seen).map(|d| d.name.as_str()), expected, "{name} {vdb:?}");
    }
}

#[test]
fn images_are_tried_from_the_newest_to_the_oldest() {
    let all = names(&["system.img", "system.cur", "system.old", "system.ini"]);
    let data = names(&["system", "system.old", "root", "work"]);
    let order = BootState::default().choose();
    let paths = |wanted, boot: Option<&[String]>, data: Option<&[String]>| -> Vec<String> {
        candidates(wanted, order, boot.map(|f| ("/b", f)), data.map(|f| ("/d", f)))
            .iter()
            .map(Candidate::path)
            .collect()
    };
    assert_eq!(
        paths(None, Some(&all), Some(&data)),
        ["/b/system.img", "/d/system", "/b/system.cur", "/b/system.old", "/d/system.old"]
    );
    assert_eq!(paths(Some("system.old"), Some(&all), None)[..2], ["/b/system.old", "/b/system.img"]);
    assert_eq!(paths(Some("missing"), Some(&all), None)[0], "/b/system.img");
    // power was lost between the two renames of an update
    assert_eq!(
        paths(None, Some(&names(&["system.cur", "system.new"])), None),
        ["/b/system.cur", "/b/system.new"]
    );
    assert_eq!(paths(None, Some(&names(&["SYSTEM.IMG"])), None), ["/b/system.img"]);
    assert_eq!(paths(None, Some(&[]), None), [""; 0]);
    assert_eq!(paths(None, None, None), [""; 0]);
}

#[test]
fn replaced_image_becomes_the_old_one_only_when_the_new_one_is_mounted() {
    let both = names(&["system.img", "system.cur"]);
    let on = |directory: &str, name: &str| Candidate { name: name.into(), directory: directory.into() };
    for (booted, files, expected) in [
        (on("/b", "system.img"), &both[..], &["rename /b/system.cur to /b/system.old"][..]),
        (on("/d", "system"), &names(&["system", "system.cur"]), &["rename /d/system.cur to /d/system.old"]),
        (on("/b", "system.img"), &names(&["system.img"]), &[]),
        (on("/b", "system.cur"), &both, &[]),
        (on("/b", "system.old"), &both, &[]),
        (on("/dev", "vda"), &[], &[]),
    ] {
        assert_eq!(lines(&promote(&booted, files)), expected, "{booted:?}");
    }
}

#[test]
fn early_plan_mounts_what_every_process_expects() {
    let mounts: Vec<String> = lines(&early()).into_iter().filter(|l| l.starts_with("mount")).collect();
    assert_eq!(
        mounts,
        [
            "mount proc on /proc type proc (nosuid,nodev,noexec)",
            "mount sysfs on /sys type sysfs (nosuid,nodev,noexec)",
            "mount devtmpfs on /dev type devtmpfs (nosuid,mode=0755)",
            "mount devpts on /dev/pts type devpts (nosuid,noexec,gid=5,mode=620,ptmxmode=000)",
            "mount tmpfs on /dev/shm type tmpfs (nosuid,nodev,mode=1777)",
            "mount tmpfs on /run type tmpfs (nosuid,nodev,noexec,mode=0755)",
            "mount tmpfs on /run/initramfs type tmpfs (nosuid,nodev,mode=0755,size=4m)",
        ]
    );
    assert!(lines(&early()).contains(&"copy program /init to /run/initramfs/shutdown".into()));
    assert!(early().iter().all(|step| step.fault == Fault::Housekeeping));
}

#[test]
fn fat_is_mounted_writable_and_private_and_an_iso_read_only() {
    assert_eq!(
        lines(&mount_boot(&fat("sda1", "1"), true)),
        [
            "mkdir /run/initramfs/boot mode 0755",
            "load module vfat",
            "load module nls_cp437",
            "load module nls_ascii",
            "load module nls_iso8859-1",
            "load module nls_utf8",
            "mount /dev/sda1 on /run/initramfs/boot type vfat (nosuid,nodev,noexec,fmask=0177,dmask=0077,flush)",
        ]
    );
    assert_eq!(
        lines(&mount_boot(&device("sr0", Some(Kind::Iso9660), "1", ""), false)),
        [
            "mkdir /run/initramfs/boot mode 0755",
            "load module isofs",
            "mount /dev/sr0 on /run/initramfs/boot type iso9660 (ro,nosuid,nodev,noexec)",
        ]
    );
    assert!(boot_is_writable(&fat("sda1", "1")));
    assert!(!boot_is_writable(&device("sr0", Some(Kind::Iso9660), "1", "")));
}

#[test]
fn running_system_marks_its_boot_partition_with_the_time() {
    let plan = mark_running(1_795_239_416);
    let Op::Write { path, mode, content, .. } = &plan[0].op else { panic!("{plan:?}") };
    assert_eq!((path.as_str(), *mode), ("/run/initramfs/boot/boottime.txt", 0o600));
    assert_eq!(String::from_utf8_lossy(content), "2026-11-21 05:36:56 UTC\r\n");
    assert_eq!(plan[0].fault.policy(), crate::fault::Policy::Continue);
}

#[test]
fn fat_that_cannot_be_written_to_is_still_private() {
    let plan = mount_boot(&fat("sda1", "1"), false);
    assert_eq!(
        plan.last().unwrap().op.to_string(),
        "mount /dev/sda1 on /run/initramfs/boot type vfat (ro,nosuid,nodev,noexec,fmask=0177,dmask=0077,flush)"
    );
    assert_eq!(plan.last().unwrap().fault, Fault::BootFs);
}

#[test]
fn data_is_writable_or_only_lends_its_image() {
    let data = device("vdb", Some(Kind::Btrfs), "x", "");
    assert_eq!(
        lines(&mount_data(&data, false)),
        [
            "mkdir /run/initramfs/rw mode 0755",
            "load module btrfs",
            "mount /dev/vdb on /run/initramfs/rw type btrfs"
        ]
    );
    assert_eq!(
        lines(&mount_data(&data, true)).last().map(String::as_str),
        Some("mount /dev/vdb on /run/initramfs/store type btrfs (ro)")
    );
    // data that cannot be mounted degrades the boot, it does not end it
    assert_eq!(mount_data(&data, false).last().map(|s| s.fault), Some(Fault::DataFs));
}

#[test]
fn overlay_has_explicit_options_and_honours_the_old_layout() {
    assert_eq!(
        lines(&overlay(Fault::Overlay, false, true)),
        [
            "load module overlay",
            "mkdir /run/initramfs/rw/root mode 0755",
            "mkdir /run/initramfs/rw/work mode 0755",
            "copy modification time of /run/initramfs/ro/usr to /run/initramfs/rw/root/usr",
            "mkdir /sysroot mode 0755",
            "mount overlay on /sysroot type overlay (lowerdir=/run/initramfs/ro,\
             upperdir=/run/initramfs/rw/root,workdir=/run/initramfs/rw/work,index=off,metacopy=off,\
             redirect_dir=off,xino=auto)",
        ]
    );
    let legacy = lines(&overlay(Fault::Overlay, true, false));
    assert_eq!(legacy[1], "mkdir /run/initramfs/rw/rw/root mode 0755");
    assert!(legacy[4].contains("upperdir=/run/initramfs/rw/rw/root,workdir=/run/initramfs/rw/rw/work"));
    assert_eq!(
        lines(&give_up_data()),
        [
            "unmount /run/initramfs/rw",
            "mkdir /run/initramfs/rw mode 0755",
            "mount tmpfs on /run/initramfs/rw type tmpfs (mode=0755)"
        ]
    );
}

#[test]
fn switch_gives_back_modprobe_and_moves_every_mount() {
    let plan = lines(&switch("/sbin/modprobe"));
    assert_eq!(plan[0], "set kernel/modprobe to /sbin/modprobe");
    for name in ["dev", "proc", "sys", "run"] {
        assert!(plan.contains(&format!("move mount /{name} to /sysroot/{name}")), "{name}");
    }
    assert_eq!(plan.last().map(String::as_str), Some("switch root to /sysroot"));
    assert_eq!(lines(&switch(""))[0], "mkdir /sysroot/dev mode 0755");
}

#[test]
fn programs_end_with_the_system_init() {
    assert_eq!(programs(None), ["/usr/bin/genpack-init", "/sbin/init"]);
    assert_eq!(programs(Some("/bin/sh")), ["/bin/sh", "/usr/bin/genpack-init", "/sbin/init"]);
    assert_eq!(programs(Some("/sbin/init")), ["/sbin/init", "/usr/bin/genpack-init"]);
}

/// What a choice is about, as short words.
fn words(choice: &Choice) -> String {
    match choice {
        Choice::Wait => "wait".into(),
        Choice::Look(names) => format!("look {}", names.join(" ")),
        Choice::Boot(device, _) => format!("boot {}", device.name),
        Choice::Image(device) => format!("image {}", device.name),
        Choice::Tree(tag) => format!("tree {tag}"),
    }
}

#[test]
fn every_flavour_boots_from_its_device() {
    let card = fat("mmcblk0p1", "1234-ABCD");
    let iso = device("sr0", Some(Kind::Iso9660), "2026-11-21-03-00-00-00", "GENPACK");
    let vda = device("vda", Some(Kind::Squashfs), "", "");
    let vdb = device("vdb", Some(Kind::Btrfs), "x", "");
    let named = Device {
        part_uuid: Some("0a1b2c3d-01".into()),
        part_label: Some("BOOT".into()),
        ..fat("sda1", "AAAA-AAAA")
    };
    let all = [card.clone(), named, iso, vda, vdb];
    for (cmdline, expected) in [
        // disk, USB, SD, RPi, SBC
        ("root=systemimg:1234-ABCD", "boot mmcblk0p1"),
        ("root=systemimg:auto", "look mmcblk0p1 sda1"),
        // ISO
        ("root=systemimg:2026-11-21-03-00-00-00", "boot sr0"),
        // paravirt, its writable layer is vdb or a directory of the host
        ("root=/dev/vda", "image vda"),
        ("root=block:/dev/vda", "image vda"),
        // a tree that the host shares
        ("root=fs rootfstype=virtiofs", "tree fs"),
        ("root=virtiofs:tree", "tree tree"),
        // other names of the same things
        ("root=UUID=1234-ABCD", "boot mmcblk0p1"),
        ("root=LABEL=GENPACK", "boot sr0"),
        ("root=PARTUUID=0A1B2C3D-01", "boot sda1"),
        ("root=PARTLABEL=BOOT", "boot sda1"),
        ("root=/dev/disk/by-partlabel/BOOT", "boot sda1"),
        ("root=PARTUUID=ffffffff-01", "wait"),
        ("root=/dev/vdc", "wait"),
    ] {
        let request = super::super::inputs::request(cmdline);
        assert_eq!(words(&choose(&request.root, &all)), expected, "{cmdline}");
    }
    assert_eq!(
        lines(&mount_tree("fs")).last().map(String::as_str),
        Some("mount fs on /sysroot type virtiofs")
    );
    assert_eq!(
        lines(&mount_shared_data()).last().map(String::as_str),
        Some("mount fs on /run/initramfs/rw type virtiofs")
    );
}

#[test]
fn every_fault_of_the_old_stage_has_a_way_on() {
    use crate::fault::Policy;
    let last = |plan: Vec<Step>| plan.last().map(|step| step.fault.policy());
    let boot = fat("sda1", "1234-ABCD");
    let data = device("sda2", Some(Kind::Btrfs), "x", "data-1234-ABCD");
    let image = Candidate::new(paths::BOOT, "system.img");
    // The UUID does not appear: nothing else is taken before the deadline, then only what has an image.
    assert_eq!(choose(&Root::BootPartition("9".into()), core::slice::from_ref(&boot)), Choice::Wait);
    assert_eq!(choose(&Root::Auto, &[with_image(boot.clone(), false)]), Choice::Wait);
    // A damaged FAT is repaired; one that cannot be mounted makes room for another boot partition.
    assert_eq!(repair_boot(&boot).to_string(), "run /usr/sbin/fsck.fat -a -w /dev/sda1");
    assert_eq!(last(mount_boot(&boot, true)), Some(Policy::Rescue));
    // Data that cannot be mounted, an upper layer that cannot be used: memory, and a word about it.
    assert_eq!(last(mount_data(&data, false)), Some(Policy::Degrade));
    assert_eq!(last(overlay(Fault::Overlay, false, false)), Some(Policy::Degrade));
    assert_eq!(lines(&motd("x")).last().unwrap(), "write /run/motd.d/10-genpack mode 0644 (57 bytes)");
    // An image that is missing, cut short or damaged: the one before.
    assert_eq!(last(mount_image(&image)), Some(Policy::Rescue));
    // No room for a layer in memory either: the machine starts anew.
    assert_eq!(last(mount_memory()), Some(Policy::Reboot));
    assert_eq!(last(overlay(Fault::MemoryOverlay, false, false)), Some(Policy::Reboot));
    // No shutdown stage: a boot without one.
    let copy = early().into_iter().find(|step| matches!(step.op, Op::CopyProgram { .. })).unwrap();
    assert_eq!(copy.fault.policy(), Policy::Continue);
}

#[test]
fn boot_that_failed_is_taken_apart_from_the_top() {
    let plan: Vec<String> = take_apart().iter().map(ToString::to_string).collect();
    assert_eq!(
        plan,
        [
            "unmount /sysroot",
            "unmount /run/initramfs/ro",
            "unmount /run/initramfs/rw",
            "unmount /run/initramfs/store",
            "unmount /run/initramfs/boot"
        ]
    );
}

#[test]
fn watchdog_is_handed_to_systemd_for_this_boot() {
    let plan = hand_over_watchdog();
    let Op::Write { path, content, .. } = &plan.last().unwrap().op else { panic!("{plan:?}") };
    assert_eq!(path, "/run/systemd/system.conf.d/10-genpack-watchdog.conf");
    assert_eq!(content, b"[Manager]\nRuntimeWatchdogSec=60s\n");
}

#[test]
fn every_fault_of_a_boot_has_its_policy() {
    use crate::fault::Policy;
    for (fault, policy) in [
        (Fault::Housekeeping, Policy::Continue),
        (Fault::BootFs, Policy::Rescue),
        (Fault::Image, Policy::Rescue),
        (Fault::DataFs, Policy::Degrade),
        (Fault::Overlay, Policy::Degrade),
        (Fault::NeededData, Policy::Reboot),
        (Fault::Trial, Policy::Reboot),
        (Fault::Reset, Policy::Degrade),
        (Fault::MemoryOverlay, Policy::Reboot),
        (Fault::Switch, Policy::Reboot),
        (Fault::Provision, Policy::Continue),
        (Fault::Report, Policy::Continue),
    ] {
        assert_eq!(fault.policy(), policy, "{fault:?}");
    }
}
