//! Power cuts while a disk is written over one that boots: whatever is kept, all of the old disk boots, or nothing, or
//! all of the new one.

use std::cell::RefCell;
use std::collections::BTreeMap;

use genpack_core::disk::gpt::Gpt;
use genpack_core::disk::mbr::{self, Mbr};
use genpack_core::fs::fat::FileSystem;
use genpack_core::kernel::arch::Arch;
use genpack_core::source::{ReadAt, ReadError, Window};

use super::super::plan::tests::{self as plans, GIB};
use super::super::plan::{self, Inputs};
use super::*;
use crate::disk::layout::Table;
use crate::disk::medium::SECTOR_BYTES;

const DISK_BYTES: u64 = GIB;
/// Ways in which a disk may keep some of what was written since the last flush, tried for each flush.
const TORN: u32 = 40;

/// A disk of which most is zeros.
#[derive(Clone, Default)]
struct Sectors(BTreeMap<u64, [u8; SECTOR_BYTES]>);

impl Sectors {
    fn apply(&mut self, op: &Op, mut keeps: impl FnMut() -> bool) {
        let mut put = |sector: u64, bytes: Option<[u8; SECTOR_BYTES]>| match bytes {
            _ if !keeps() => {}
            Some(bytes) => drop(self.0.insert(sector, bytes)),
            None => drop(self.0.remove(&sector)),
        };
        match op {
            Op::Write(offset, bytes) => {
                assert_eq!(offset % 512, 0);
                for (sector, part) in (offset / 512..).zip(bytes.chunks(SECTOR_BYTES)) {
                    let mut bytes = [0; SECTOR_BYTES];
                    bytes[..part.len()].copy_from_slice(part);
                    put(sector, Some(bytes));
                }
            }
            Op::Zero(offset, len) => {
                (offset / 512..(offset + len).div_ceil(512)).for_each(|sector| put(sector, None))
            }
            Op::Sync => {}
        }
    }
}

impl ReadAt for Sectors {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        let mut done = 0;
        while done < buf.len() {
            let at = offset + done as u64;
            let from = (at % 512) as usize;
            let len = (SECTOR_BYTES - from).min(buf.len() - done);
            match self.0.get(&(at / 512)) {
                Some(sector) => buf[done..done + len].copy_from_slice(&sector[from..from + len]),
                None => buf[done..done + len].fill(0),
            }
            done += len;
        }
        Ok(())
    }

    fn size(&self) -> Result<u64, ReadError> {
        Ok(DISK_BYTES)
    }
}

enum Op {
    Write(u64, Vec<u8>),
    Zero(u64, u64),
    Sync,
}

/// Keeps what reaches it, in order.
#[derive(Default)]
struct Recorder {
    ops: RefCell<Vec<Op>>,
    now: RefCell<Sectors>,
}

impl Recorder {
    fn add(&self, op: Op) {
        self.now.borrow_mut().apply(&op, || true);
        self.ops.borrow_mut().push(op);
    }
}

impl Medium for Recorder {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> std::io::Result<()> {
        self.add(Op::Write(offset, bytes.to_vec()));
        Ok(())
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
        ReadAt::read_exact_at(&*self.now.borrow(), offset, buffer)
            .map_err(|e| std::io::Error::other(e.to_string()))
    }

    fn zero(&self, offset: u64, len: u64) -> bool {
        self.add(Op::Zero(offset, len));
        true
    }

    fn sync(&self) -> std::io::Result<()> {
        self.add(Op::Sync);
        Ok(())
    }

    fn forget(&self, _: u64, _: u64) {}

    fn old_sector(&self, _: u64) -> Option<[u8; SECTOR_BYTES]> {
        None
    }
}

/// A disk as it should be: its files, and what a BIOS starts.
struct Wanted {
    files: Vec<(String, Vec<u8>)>,
    core: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Boots {
    Nothing,
    Old,
    New,
}

fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed | 1;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    })
    .take(len)
    .collect()
}

/// A plan for a disk whose every file and number follows from `seed`.
fn plan_of(seed: u64, table: Table) -> plan::Plan {
    let mut inputs = Inputs {
        target: plans::target(Kind::Device, DISK_BYTES),
        table: Some(table),
        data: false,
        image: Source::Bytes(noise(seed, 20_000).into()),
        ..plans::inputs()
    };
    inputs.identity.serial = seed as u32;
    if let plan::Boot::Grub(loaders) = &mut inputs.boot {
        loaders.files.insert("bootx64.efi".into(), noise(seed + 1, 3000));
        loaders.files.get_mut("core.img").unwrap()[512..].fill(seed as u8);
    }
    plan::plan(&inputs).unwrap()
}

fn wanted(plan: &plan::Plan) -> Wanted {
    let bytes = |what: &str| {
        let write = plan.body.iter().find(|write| write.what == what);
        write.map(|write| write.source.to_vec(1 << 20).unwrap())
    };
    let files = plan.files.iter().map(|file| (file.path.clone(), bytes(&file.path).unwrap())).collect();
    Wanted { files, core: bytes("the BIOS loader") }
}

fn write(plan: &plan::Plan, disk: &Recorder) {
    let ctx = Ctx::quiet(".", Arch::X86_64);
    let steps = Steps {
        disable: &plan.disable,
        wipe: &plan.wipe,
        body: &plan.body,
        enable: &plan.enable,
        disk_bytes: DISK_BYTES,
    };
    fill(&ctx, Path::new("disk"), &steps, disk, true, &Interrupt::default()).unwrap();
}

/// Returns where the boot partition begins, as firmware finds it.
fn boot_start(disk: &Sectors) -> Option<u64> {
    let sector = disk.read_array_at::<512>(0).unwrap().unwrap();
    if let Ok(Some(gpt)) = Gpt::open(disk) {
        return gpt.partitions().next().map(|partition| partition.unwrap().first_lba * 512);
    }
    if FileSystem::open(Window::new(disk, 0, DISK_BYTES)).is_ok() {
        return Some(0);
    }
    let table = Mbr::parse(mbr::Raw::new(&sector)).ok()?;
    let (_, partition) = table.numbered().find(|(_, partition)| partition.os_type != 0xEE)?;
    Some(u64::from(partition.start_lba) * 512)
}

/// Tells what a disk boots; what it boots must be whole.
fn boots(disk: &Sectors, old: &Wanted, new: &Wanted) -> Boots {
    let Some(start) = boot_start(disk) else { return Boots::Nothing };
    let Ok(mut fat) = FileSystem::open(Window::new(disk, start, DISK_BYTES - start)) else {
        return Boots::Nothing;
    };
    let mut read = |path: &str| {
        let mut file = fat.lookup(path).ok().flatten()?.file()?;
        let mut bytes = vec![0; file.size() as usize];
        let n = file.read_at(&mut fat, 0, &mut bytes).ok()?;
        (n == bytes.len()).then_some(bytes)
    };
    let first = read("efi/boot/bootx64.efi");
    let whose = [(Boots::Old, old), (Boots::New, new)].into_iter().find(|(_, wanted)| {
        wanted.files.iter().any(|(path, bytes)| path.ends_with(".efi") && first.as_ref() == Some(bytes))
    });
    let Some((boots, wanted)) = whose else {
        panic!("a boot partition whose loader is {:?}", first.map(|bytes| bytes.len()));
    };
    for (path, bytes) in &wanted.files {
        assert!(read(path).as_ref() == Some(bytes), "{boots:?}: {path} is not whole");
    }
    if let Some(core) = &wanted.core {
        let mut found = vec![0; core.len()];
        disk.read_exact_at(512, &mut found).unwrap();
        assert!(found == *core, "{boots:?}: the BIOS loader is not whole");
    }
    boots
}

#[test]
fn power_cut_leaves_the_old_disk_or_none_or_the_new_one() {
    let tables = [Table::Mbr, Table::Gpt, Table::Superfloppy];
    let mut states = 0_u32;
    for (before, after) in tables.into_iter().flat_map(|before| tables.map(|after| (before, after))) {
        let disk = Recorder::default();
        let (old_plan, new_plan) = (plan_of(0x0111_1111, before), plan_of(0x0222_2223, after));
        let (old, new) = (wanted(&old_plan), wanted(&new_plan));
        write(&old_plan, &disk);
        let case = format!("{before:?} -> {after:?}");
        assert_eq!(boots(&disk.now.borrow(), &old, &new), Boots::Old, "{case}");
        disk.ops.borrow_mut().clear();
        let mut kept = disk.now.borrow().clone();
        write(&new_plan, &disk);

        let ops = disk.ops.borrow();
        let mut order = vec![Boots::Old];
        let mut coin = noise(u64::from(states) + 77, 1 << 20).into_iter().cycle();
        for interval in ops.split(|op| matches!(op, Op::Sync)) {
            let mut now = kept.clone();
            for op in interval {
                now.apply(op, || true);
                order.push(boots(&now, &old, &new));
                states += 1;
            }
            for _ in 0..if interval.is_empty() { 0 } else { TORN } {
                let mut torn = kept.clone();
                // Each sector by itself, of some operations; others are kept or lost as a whole.
                for op in interval {
                    let whole = coin.next().unwrap();
                    torn.apply(op, || if whole < 128 { whole < 64 } else { coin.next().unwrap() < 128 });
                }
                let _ = boots(&torn, &old, &new);
                states += 1;
            }
            kept = now;
        }
        order.dedup();
        assert_eq!(order, [Boots::Old, Boots::Nothing, Boots::New], "{case}");
    }
    assert!(states > 1000, "{states}");
}
