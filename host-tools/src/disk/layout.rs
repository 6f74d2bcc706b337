//! Where the partitions of a genpack disk lie.
//!
//! One boot partition (FAT) from 1 MiB on, sized for the image, two more versions of it while it is updated, and the
//! loaders; behind it the data partition up to the last whole MiB. Everything is aligned to 1 MiB. Not handled:
//! disks that keep a partition, BIOS boot partitions on GPT.

use std::fmt;

use super::size::Size;

/// Bytes of a mebibyte, to which everything is aligned.
pub const MIB: u64 = 1 << 20;
/// Bytes of a gibibyte.
pub const GIB: u64 = 1 << 30;
/// Largest image that is a file on FAT; larger ones lie on the data partition.
pub const MAX_IMAGE_ON_FAT: u64 = (1 << 32) - 1;
/// Start of the boot partition: room for an MBR or GPT and GRUB's core.
const BOOT_START: u64 = MIB;
/// Smallest boot partition.
const MIN_BOOT: u64 = 512 * MIB;
/// Boot partition beside an image that lies on the data partition.
const BOOT_WITHOUT_IMAGE: u64 = GIB;
/// Room on the boot partition for what the owner and the firmware put there.
const BOOT_SLACK: u64 = 64 * MIB;
/// Boot partitions are multiples of this.
const BOOT_STEP: u64 = 64 * MIB;
/// Data partition of a disk file whose size nobody gave.
const DEFAULT_DATA: u64 = GIB;
/// The backup of a GPT: 32 sectors of entries and the header, in sectors of up to 4096 bytes.
const GPT_TAIL: u64 = MIB;
/// Sectors of 512 bytes that an MBR can count.
const MBR_LIMIT: u64 = (1 << 32) * 512;

/// Which partition table a disk has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Master boot record: BIOS and UEFI.
    Mbr,
    /// GUID partition table: UEFI.
    Gpt,
    /// None: the whole disk is the boot file system.
    Superfloppy,
}

impl Table {
    /// Returns the word for JSON and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mbr => "mbr",
            Self::Gpt => "gpt",
            Self::Superfloppy => "superfloppy",
        }
    }
}

/// What a layout is made from.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// The table; without it an MBR where it can count the sectors, else a GPT.
    pub table: Option<Table>,
    /// Marks the boot partition of an MBR as EFI system partition.
    pub esp: bool,
    /// Makes a data partition.
    pub data: bool,
    /// Bytes of the system image.
    pub image_bytes: u64,
    /// Bytes of all other files on the boot partition.
    pub boot_file_bytes: u64,
    /// Bytes of the disk; without them as many as it takes.
    pub disk_bytes: Option<u64>,
    /// Bytes of a logical sector of the disk.
    pub sector_bytes: u32,
    /// Bytes of the boot partition, when somebody says so; else what the files and their successors need.
    pub boot_bytes: Option<u64>,
    /// Smallest data partition.
    pub least_data: u64,
}

/// A range of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// First byte.
    pub start: u64,
    /// Length in bytes.
    pub len: u64,
}

/// A legal layout: everything is aligned, inside the disk, and nothing overlaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Bytes of the disk.
    pub disk_bytes: u64,
    /// Bytes of a logical sector.
    pub sector_bytes: u32,
    /// The table.
    pub table: Table,
    /// The boot partition is marked as EFI system partition.
    pub esp: bool,
    /// The boot partition; the whole disk without a table.
    pub boot: Partition,
    /// The data partition.
    pub data: Option<Partition>,
}

/// Why there is no layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The disk has `found` bytes and needs `needed`.
    TooSmall {
        /// Bytes that are needed.
        needed: u64,
        /// Bytes of the disk.
        found: u64,
    },
    /// An MBR needs sectors of 512 bytes.
    MbrSector(u32),
    /// The disk is larger than an MBR can count.
    MbrSize(u64),
    /// The image does not fit on FAT and there is no data partition for it.
    ImageNeedsData(u64),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TooSmall { needed, found } => {
                write!(f, "{} are needed and {} are there", Size(needed), Size(found))
            }
            Self::MbrSector(bytes) => {
                write!(f, "an MBR needs sectors of 512 bytes and the disk has {bytes}")
            }
            Self::MbrSize(bytes) => {
                write!(f, "an MBR can count 2 TiB and the disk has {}", Size(bytes))
            }
            Self::ImageNeedsData(bytes) => {
                write!(f, "an image of {} does not fit on FAT and needs a data partition", Size(bytes))
            }
        }
    }
}

/// Decides where the partitions lie.
///
/// # Errors
/// When the disk is too small or the table does not suit it.
pub fn plan(request: &Request) -> Result<Layout, Problem> {
    let on_data = request.image_bytes > MAX_IMAGE_ON_FAT;
    // A superfloppy is one file system: nothing lies behind it.
    let superfloppy = request.table == Some(Table::Superfloppy);
    let data = request.data && !superfloppy;
    if on_data && !data {
        return Err(Problem::ImageNeedsData(request.image_bytes));
    }
    let copies = three_copies(request.image_bytes);
    let boot_len = if let Some(bytes) = request.boot_bytes {
        round_up(bytes, MIB)
    } else if on_data {
        BOOT_WITHOUT_IMAGE
    } else {
        let wanted = request.boot_file_bytes.saturating_add(copies).saturating_add(BOOT_SLACK);
        round_up(wanted, BOOT_STEP).max(MIN_BOOT)
    };
    let least_data = if on_data { copies.max(request.least_data) } else { request.least_data };
    let default_data = if on_data { round_up(copies, GIB).saturating_add(GIB) } else { DEFAULT_DATA };
    let table_end = |table: Table| if table == Table::Gpt { GPT_TAIL } else { 0 };
    let start = if superfloppy { 0 } else { BOOT_START };
    let size_with = |data_len: u64, table: Table| {
        let data_len = if data { data_len } else { 0 };
        start.saturating_add(boot_len).saturating_add(data_len).saturating_add(table_end(table))
    };
    let guess = request.disk_bytes.unwrap_or_else(|| size_with(default_data, Table::Mbr));
    let table = match request.table {
        Some(table) => table,
        None if request.sector_bytes == 512 && guess <= MBR_LIMIT => Table::Mbr,
        None => Table::Gpt,
    };
    let disk_bytes = request.disk_bytes.unwrap_or_else(|| size_with(default_data, table));
    if table == Table::Mbr && request.sector_bytes != 512 {
        return Err(Problem::MbrSector(request.sector_bytes));
    }
    if table == Table::Mbr && disk_bytes > MBR_LIMIT {
        return Err(Problem::MbrSize(disk_bytes));
    }
    let needed = size_with(least_data, table);
    if disk_bytes < needed {
        return Err(Problem::TooSmall { needed, found: disk_bytes });
    }
    let end = round_down(disk_bytes.saturating_sub(table_end(table)), MIB);
    let boot_end = if superfloppy { disk_bytes } else { start.saturating_add(boot_len) };
    Ok(Layout {
        disk_bytes,
        sector_bytes: request.sector_bytes,
        table,
        esp: request.esp,
        boot: Partition { start, len: boot_end.saturating_sub(start) },
        data: data.then(|| Partition { start: boot_end, len: end.saturating_sub(boot_end) }),
    })
}

/// Returns the bytes of the image, its predecessor and its successor, each a quarter larger than today.
fn three_copies(image_bytes: u64) -> u64 {
    image_bytes.saturating_mul(15).div_ceil(4)
}

fn round_up(bytes: u64, step: u64) -> u64 {
    bytes.checked_next_multiple_of(step).unwrap_or(bytes)
}

fn round_down(bytes: u64, step: u64) -> u64 {
    bytes.saturating_sub(bytes.checked_rem(step).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(image_mib: u64) -> Request {
        Request {
            table: None,
            esp: true,
            data: true,
            image_bytes: image_mib * MIB,
            boot_file_bytes: 4 * MIB,
            disk_bytes: None,
            sector_bytes: 512,
            boot_bytes: None,
            least_data: 256 * MIB,
        }
    }

    fn part(start_mib: u64, len_mib: u64) -> Partition {
        Partition { start: start_mib * MIB, len: len_mib * MIB }
    }

    #[test]
    fn new_disk_files_get_what_the_image_needs() {
        for (image, boot) in [(0, 512), (100, 512), (120, 576), (300, 1216), (1024, 3968), (4095, 15_488)] {
            let layout = plan(&request(image)).unwrap();
            assert_eq!(layout.boot, part(1, boot), "{image}");
            assert_eq!(layout.data, Some(part(1 + boot, 1024)), "{image}");
            assert_eq!(layout.disk_bytes, (1 + boot + 1024) * MIB, "{image}");
            assert_eq!(layout.table, Table::Mbr);
        }
    }

    #[test]
    fn data_ends_on_the_last_whole_mebibyte() {
        let disk = Some(4 * GIB + 5 * 512);
        let layout = plan(&Request { disk_bytes: disk, ..request(100) }).unwrap();
        assert_eq!(layout.data, Some(part(513, 4096 - 513)));
        let gpt = Request { disk_bytes: disk, table: Some(Table::Gpt), ..request(100) };
        assert_eq!(plan(&gpt).unwrap().data, Some(part(513, 4095 - 513)));
    }

    #[test]
    fn table_follows_the_disk() {
        let with = |disk_bytes, sector_bytes| {
            plan(&Request { disk_bytes: Some(disk_bytes), sector_bytes, ..request(1) }).unwrap().table
        };
        assert_eq!(with(2048 * GIB, 512), Table::Mbr);
        assert_eq!(with(2048 * GIB + MIB, 512), Table::Gpt);
        assert_eq!(with(64 * GIB, 4096), Table::Gpt);
    }

    #[test]
    fn small_and_unsuitable_disks_are_refused() {
        let mbr = Some(Table::Mbr);
        let cases = [
            (
                Request { disk_bytes: Some(10 * MIB), ..request(100) },
                Problem::TooSmall { needed: 769 * MIB, found: 10 * MIB },
            ),
            (
                Request { disk_bytes: Some(600 * MIB), data: false, ..request(200) },
                Problem::TooSmall { needed: 833 * MIB, found: 600 * MIB },
            ),
            (Request { sector_bytes: 4096, table: mbr, ..request(1) }, Problem::MbrSector(4096)),
            (
                Request { disk_bytes: Some(4096 * GIB), table: mbr, ..request(1) },
                Problem::MbrSize(4096 * GIB),
            ),
            (Request { data: false, ..request(4096) }, Problem::ImageNeedsData(4 * GIB)),
        ];
        for (request, problem) in cases {
            assert_eq!(plan(&request), Err(problem));
        }
    }

    #[test]
    fn size_of_the_boot_partition_can_be_said() {
        let said = Request { boot_bytes: Some(62 * MIB - 5), data: false, ..request(1) };
        let layout = plan(&Request { disk_bytes: Some(64 * MIB), ..said }).unwrap();
        assert_eq!((layout.boot, layout.data), (part(1, 62), None));
        let problem = plan(&Request { disk_bytes: Some(62 * MIB), ..said }).unwrap_err();
        assert_eq!(problem, Problem::TooSmall { needed: 63 * MIB, found: 62 * MIB });
    }

    #[test]
    fn superfloppy_is_the_whole_disk() {
        let floppy = Request { table: Some(Table::Superfloppy), ..request(100) };
        let layout = plan(&floppy).unwrap();
        assert_eq!((layout.boot, layout.data, layout.disk_bytes), (part(0, 512), None, 512 * MIB));
        let layout = plan(&Request { disk_bytes: Some(8 * GIB), ..floppy }).unwrap();
        assert_eq!(layout.boot, part(0, 8192));
    }

    #[test]
    fn large_image_lies_on_the_data_partition() {
        let layout = plan(&request(4096)).unwrap();
        assert_eq!(layout.boot, part(1, 1024));
        assert_eq!(layout.data, Some(part(1025, 16 * 1024)));
    }
}
