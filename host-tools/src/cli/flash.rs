//! `flash`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::command_error::Result;
use crate::ctx::Ctx;
use crate::disk::layout::Table;
use crate::disk::size::Size;
use crate::flash::data_fs::DataFs;
use crate::flash::{self, Confirm, Request, config, inputs};

/// Verbs that write disks.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Writes a system image to a disk or a disk file, ready to boot
    ///
    /// The disk gets a boot partition (FAT: the image, the boot loaders, system.ini) and a data partition.
    /// A file is made sparse and appears only when it is complete, with a block map (.bmap) beside it; neither root
    /// nor a loop device is needed for it. A raw disk is written as it is.
    /// Everything is checked before the first byte is written and read back afterwards.
    #[command(after_help = "Examples:\n  \
        genpack-host flash hello-x86_64.squashfs disk.img --size 4G\n  \
        genpack-host flash hello-x86_64.squashfs /dev/sdX --set hostname=kitchen --ssh-key ~/.ssh/id_ed25519.pub\n  \
        genpack-host flash --rpi kiosk-aarch64.squashfs /dev/sdX\n  \
        genpack-host flash hello-x86_64.squashfs disk.img --add wallpaper.png=art/sea.png --dry-run")]
    Flash(Args),
}

/// Arguments of `flash`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The system image (SquashFS) or a raw disk; either may be compressed by gzip, xz or zstd
    image: PathBuf,
    /// The disk (/dev/sdX) or file to write
    target: PathBuf,
    /// Size of a disk file, with K, M, G or T; default: what the image needs and 1 GiB for data
    #[arg(long, value_name = "SIZE")]
    size: Option<Size>,
    /// Sectors of a disk file; 4096 for disks that have no others
    #[arg(long, value_name = "BYTES", value_parser = sector_size())]
    sector_size: Option<u32>,
    /// Refuse a source that has another SHA-256
    #[arg(long, value_name = "HEX")]
    sha256: Option<String>,
    /// Insist that the image is for a Raspberry Pi, and name what each board lacks if it is not
    #[arg(long)]
    rpi: bool,
    /// Write a disk that looks like no card or stick, or a shape that not every board starts from
    #[arg(long)]
    force: bool,
    /// Overwrite what exists without asking
    #[arg(long, short = 'y')]
    yes: bool,
    #[command(flatten)]
    disk: DiskArgs,
}

/// What a disk is to be like.
#[derive(Debug, clap::Args)]
pub(super) struct DiskArgs {
    /// Use a GUID partition table, which only UEFI boots
    #[arg(long, conflicts_with = "superfloppy")]
    gpt: bool,
    /// Use no partition table: the whole disk is the boot file system
    #[arg(long)]
    superfloppy: bool,
    /// Volume label of the boot partition: up to 11 of A-Z, 0-9, _, - and blank
    #[arg(long, value_name = "LABEL")]
    label: Option<String>,
    /// Mark the boot partition as plain FAT32 instead of EFI system partition
    #[arg(long, conflicts_with = "superfloppy")]
    no_esp: bool,
    /// Make no data partition: the system forgets everything when it is switched off
    #[arg(long)]
    no_data: bool,
    /// File system of the data partition
    #[arg(long, value_name = "KIND", default_value = "btrfs", conflicts_with = "no_data")]
    data_fs: DataFs,
    /// Size of the boot partition, with K, M, G or T; default: room for three images a quarter larger
    #[arg(long, value_name = "SIZE")]
    boot_size: Option<Size>,
    /// Settings of the machine to put onto the boot partition
    #[arg(long, value_name = "FILE")]
    system_ini: Option<PathBuf>,
    /// GRUB script to put onto the boot partition
    #[arg(long, value_name = "FILE")]
    system_cfg: Option<PathBuf>,
    /// Put a setting into system.ini, for example hostname=web-1
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Put the public keys of this file into system.ini
    #[arg(long, value_name = "FILE")]
    ssh_key: Vec<PathBuf>,
    /// Put a file onto the boot partition
    #[arg(long, value_name = "DEST=SRC")]
    add: Vec<String>,
    /// Read everything back and compare
    #[arg(long, value_name = "HOW", default_value = "full")]
    verify: Verify,
    /// Refuse an image that was not built from a clean commit
    #[arg(long)]
    require_clean_commit: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Verify {
    /// All of it
    Full,
    /// Nothing
    Off,
}

fn sector_size() -> impl TypedValueParser<Value = u32> {
    PossibleValuesParser::new(["512", "4096"]).try_map(|text| text.parse::<u32>())
}

impl Verb {
    /// Does what the verb says.
    pub(super) fn run(self, ctx: &Ctx) -> Result<ExitCode> {
        let Self::Flash(args) = self;
        let confirm = if args.yes { Confirm::No } else { Confirm::Name };
        let request = args.disk.into_request(args.image, args.target, confirm)?;
        let request = Request {
            size: args.size,
            sector_bytes: args.sector_size,
            sha256: args.sha256,
            rpi: args.rpi,
            force: args.force,
            ..request
        };
        flash::flash(ctx, &request)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl DiskArgs {
    /// Returns the request to make such a disk.
    pub(super) fn into_request(self, image: PathBuf, target: PathBuf, confirm: Confirm) -> Result<Request> {
        let table = match (self.gpt, self.superfloppy) {
            (true, _) => Some(Table::Gpt),
            (_, true) => Some(Table::Superfloppy),
            _ => None,
        };
        Ok(Request {
            image,
            target,
            size: None,
            table,
            label: self.label,
            esp: !self.no_esp,
            data: !self.no_data,
            data_fs: self.data_fs,
            boot_size: self.boot_size,
            sector_bytes: None,
            sha256: None,
            system_ini: self.system_ini,
            system_cfg: self.system_cfg,
            settings: self.set.iter().map(|text| config::parse_setting(text)).collect::<Result<_>>()?,
            ssh_keys: self.ssh_key,
            additions: self.add.iter().map(|text| inputs::parse_addition(text)).collect::<Result<_>>()?,
            archive: None,
            verify: self.verify == Verify::Full,
            confirm,
            rpi: false,
            force: false,
            require_clean_commit: self.require_clean_commit,
        })
    }
}
