//! Tests of the plan; `tests/flash_layout.rs` writes real disk files and asks foreign tools.

use std::path::Path;

use super::*;
use crate::command_error::Kind as ErrorKind;

pub(in crate::flash) const GIB: u64 = 1 << 30;

pub(in crate::flash) fn target(kind: Kind, bytes: u64) -> Facts {
    Facts {
        path: Path::new("disk.img").to_owned(),
        kind,
        bytes,
        sector_bytes: 512,
        read_only: false,
        partition: false,
        mounts: Vec::new(),
        swaps: Vec::new(),
        holders: Vec::new(),
        content: Vec::new(),
        loops: Vec::new(),
        model: None,
        serial: None,
        transport: None,
        removable: false,
        number: None,
        mode: None,
    }
}

fn core_img() -> Vec<u8> {
    let mut core = vec![0xC0; 4 * 512];
    core[500..512].copy_from_slice(&[2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0x20, 0x08]);
    core
}

fn boot_img() -> Vec<u8> {
    let mut boot = vec![0xB0; 512];
    boot[0x5C..0x65].copy_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0, 0xFF]);
    boot[510..].copy_from_slice(&[0x55, 0xAA]);
    boot
}

fn bytes(path: &str, len: usize) -> BootFile {
    BootFile { path: path.into(), source: Source::Bytes(vec![1; len].into()) }
}

pub(in crate::flash) fn inputs() -> Inputs {
    let files = [
        ("bootx64.efi", vec![0xEF; 3000]),
        ("boot.img", boot_img()),
        ("core.img", core_img()),
        ("grub.cfg", b"echo".to_vec()),
    ];
    Inputs {
        target: target(Kind::Missing, 0),
        size: None,
        table: None,
        esp: true,
        data: true,
        data_fs: DataFs::Btrfs,
        boot_bytes: None,
        label: Label::new("GENPACK"),
        image: Source::Zeros(100 * MIB),
        image_path: Path::new("image").to_owned(),
        arch: Some(Arch::X86_64),
        boot: Boot::Grub(Loaders {
            from: "here".into(),
            files: files.map(|(name, bytes)| (name.to_owned(), bytes)).into_iter().collect(),
        }),
        config: vec![bytes("system.ini", 20)],
        additions: Vec::new(),
        identity: Identity {
            serial: 0x1234_ABCD,
            disk_signature: 0xD15C,
            data_uuid: Guid::from_be_bytes([0xAB; 16]),
            guids: Guids {
                disk: Guid::from_be_bytes([1; 16]),
                boot: Guid::from_be_bytes([2; 16]),
                data: Guid::from_be_bytes([3; 16]),
            },
            now: 1_800_000_000,
        },
        warnings: Vec::new(),
    }
}

fn paths(plan: &Plan) -> Vec<&str> {
    plan.files.iter().map(|file| file.path.as_str()).collect()
}

#[test]
fn mbr_disk_boots_both_ways_and_its_table_is_last() {
    let plan = plan(&inputs()).unwrap();
    assert!(plan.bios);
    assert_eq!(
        paths(&plan),
        ["boot/grub/grub.cfg", "boot/grub/grubenv", "efi/boot/bootx64.efi", "system.ini", "system.img"]
    );
    assert_eq!(plan.boot_uuid, "1234-ABCD");
    let data = plan.data.as_ref().unwrap();
    assert_eq!(data.label, "data-1234-ABCD");
    assert_eq!(data.uuid, "abababab-abab-abab-abab-abababababab");
    assert!(plan.wipe.is_empty());
    let [Write { offset: 0, source: Source::Bytes(lba0), .. }] = plan.enable.as_slice() else {
        panic!("{:?}", plan.enable)
    };
    assert_eq!(lba0[0x66..0x68], [0x90, 0x90]);
    assert_eq!(lba0[0x1B8..0x1BC], 0xD15Cu32.to_le_bytes());
    assert_eq!((lba0[0x1BE], lba0[0x1C2], lba0[0x1CE], lba0[0x1D2]), (0x80, 0xEF, 0, 0x83));
    assert!(plan.body.iter().all(|write| write.offset >= 512));
    assert!(plan.body.iter().any(|write| write.offset == 512 && write.what == "the BIOS loader"));
}

#[test]
fn writes_never_overlap() {
    let mut plan = plan(&Inputs { target: target(Kind::Device, 4 * GIB), ..inputs() }).unwrap();
    let mut ranges: Vec<_> = plan
        .body
        .drain(..)
        .chain(plan.enable.drain(..))
        .map(|write| (write.offset, write.offset + write.source.len()))
        .collect();
    ranges.sort_unstable();
    assert!(ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{ranges:?}");
    assert_eq!((plan.disable[0].offset, plan.disable[0].source.len()), (0, 512));
    let ends: Vec<_> = plan.wipe.iter().take(2).map(|write| (write.offset, write.source.len())).collect();
    assert_eq!(ends, [(0, MIB), (4 * GIB - MIB, MIB)]);
}

#[test]
fn gpt_disk_gets_its_primary_table_last_and_no_bios_loader() {
    let plan = plan(&Inputs { table: Some(Table::Gpt), ..inputs() }).unwrap();
    assert!(!plan.bios);
    let offsets: Vec<_> = plan.enable.iter().map(|write| (write.offset, write.source.len())).collect();
    assert_eq!(offsets, [(plan.layout.disk_bytes - 33 * 512, 33 * 512), (0, 34 * 512)]);
}

#[test]
fn superfloppy_enables_by_its_boot_sector() {
    let plan = plan(&Inputs { table: Some(Table::Superfloppy), ..inputs() }).unwrap();
    assert!(!plan.bios && plan.data.is_none());
    assert_eq!(paths(&plan), ["boot/grub/grubenv", "efi/boot/bootx64.efi", "system.ini", "system.img"]);
    assert_eq!(plan.enable.len(), 1);
    assert_eq!((plan.enable[0].offset, plan.layout.boot.start), (0, 0));
}

#[test]
fn additions_win_with_a_warning_and_the_image_stays_last() {
    let additions = vec![bytes("EFI/boot/bootx64.efi", 5), bytes("memtest/mt.efi", 7)];
    let plan = plan(&Inputs { additions, ..inputs() }).unwrap();
    assert_eq!(plan.files.last().unwrap().path, "system.img");
    assert_eq!(plan.warnings.len(), 1);
    assert!(plan.files.iter().any(|file| file.path == "EFI/boot/bootx64.efi" && file.bytes == 5));
}

#[test]
fn large_image_goes_to_the_data_file_system() {
    let plan = plan(&Inputs { image: Source::Zeros(5 * GIB), ..inputs() }).unwrap();
    assert_eq!(plan.data.as_ref().unwrap().image.as_deref(), Some(Path::new("image")));
    assert_eq!(plan.image_on_data_bytes(), 5 * GIB);
    assert!(!paths(&plan).contains(&"system.img"));
    assert_eq!(plan.layout.boot.len, GIB);
}

#[test]
fn impossible_disks_are_refused_before_anything_happens() {
    let small = Inputs { target: target(Kind::File, 10 * MIB), ..inputs() };
    let error = plan(&small).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert_eq!(error.to_string(), "disk.img is too small: 769.0 MiB are needed and 10.0 MiB are there");
    assert_eq!(error.hint.as_deref(), Some("give --size 769M or more"));

    let mut foreign = inputs();
    foreign.arch = Some(Arch::Aarch64);
    assert!(plan(&foreign).unwrap_err().to_string().contains("bootaa64.efi"));

    let clash = Inputs { additions: vec![bytes("system.ini/x", 1)], ..inputs() };
    assert!(
        plan(&clash).unwrap_err().to_string().starts_with("placing system.ini/x on the boot partition: ")
    );
}

#[test]
fn huge_boot_partition_keeps_its_clusters_countable_for_the_checker() {
    const TIB: u64 = 1 << 40;
    for (bytes, sector_bytes, cluster) in [
        (2 * TIB, 512, 16 << 10),
        (15 * TIB, 512, 16 << 10),
        (2 * TIB, 4096, 16 << 10),
        (3 * TIB, 4096, 32 << 10),
        (8 * TIB, 4096, 64 << 10),
    ] {
        let target = Facts { sector_bytes, ..target(Kind::Device, bytes) };
        let floppy = Inputs { target, table: Some(Table::Superfloppy), ..inputs() };
        let plan = plan(&floppy).unwrap();
        assert_eq!(plan.volume.geometry().cluster_bytes(), cluster, "{bytes} {sector_bytes}");
        assert!(plan.volume.geometry().clusters() <= 1 << 27, "{bytes} {sector_bytes}");
    }
}
