//! `genpack-create-image UPPER PREFIX [--compression gzip|xz|lzo|none]`: packs a tree with the userland's own programs.
//!
//! genpack-host packs by itself; this is for scripts that were written against the builder before it. Makes
//! `PREFIX.squashfs` and, where loaders are installed, `PREFIX.img`: a FAT without a partition table that firmware
//! starts and that holds the image.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{At, Failure, Result, Words};

/// Loaders of EFI firmware.
const LOADERS: &str = "/usr/lib/genpack-install";
/// FAT holds no larger file.
const MAX_FILE: u64 = (4 << 30) - 1;
/// Room for the loaders and the tables of the FAT.
const ROOM: u64 = 100 << 20;
const MIB: u64 = 1 << 20;
/// What no image has.
const EXCLUDED: [&str; 5] = ["build", "build.d", "build.d/*", "var/log/*.log", "var/tmp/*"];

pub(crate) fn create(args: &[String]) -> Result<()> {
    let words = Words::read(args, &["--compression"], &[])?;
    let [upper, prefix] = words.rest.as_slice() else {
        return Err(Failure::usage(
            "usage: genpack-create-image UPPER PREFIX [--compression gzip|xz|lzo|none]",
        ));
    };
    let compression = options(words.value("--compression").unwrap_or("gzip"))?;
    pack(Path::new(upper), prefix, compression, Path::new(LOADERS))
}

/// Returns the options of mksquashfs for a compression.
fn options(name: &str) -> Result<&'static [&'static str]> {
    Ok(match name {
        "gzip" => &["-Xcompression-level", "1"],
        "xz" => &["-comp", "xz", "-b", "1M"],
        "lzo" => &["-comp", "lzo"],
        "none" => &["-no-compression"],
        _ => return Err(Failure::usage(format!("{name} is no compression: gzip, xz, lzo or none"))),
    })
}

fn pack(upper: &Path, prefix: &str, compression: &[&str], loaders: &Path) -> Result<()> {
    let image = PathBuf::from(format!("{prefix}.squashfs"));
    let mut mksquashfs = Command::new("mksquashfs");
    mksquashfs.arg(upper).arg(&image).args(["-wildcards", "-noappend", "-no-exports"]);
    run(mksquashfs.args(compression).arg("-e").args(EXCLUDED))?;
    let loaders = loaders_of(loaders)?;
    let bytes = std::fs::metadata(&image).at(|| format!("reading {}", image.display()))?.len();
    if loaders.is_empty() {
        return Ok(());
    }
    if bytes > MAX_FILE {
        return Err(Failure::new(format!(
            "{} is complete, but too large for a FAT: no .img",
            image.display()
        )));
    }
    let partial = PathBuf::from(format!("{prefix}.img.tmp"));
    let made = fat(&partial, (bytes + ROOM).next_multiple_of(MIB), &image, &loaders).and_then(|()| {
        std::fs::rename(&partial, format!("{prefix}.img")).at(|| format!("naming {prefix}.img"))
    });
    if made.is_err() {
        // The failure is what is told.
        let _ = std::fs::remove_file(&partial);
    }
    made
}

fn loaders_of(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if dir.is_dir() {
        for entry in std::fs::read_dir(dir).at(|| format!("reading {}", dir.display()))? {
            let path = entry.at(|| format!("reading {}", dir.display()))?.path();
            if path.extension().is_some_and(|e| e == "efi") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn fat(file: &Path, bytes: u64, image: &Path, loaders: &[PathBuf]) -> Result<()> {
    File::create(file).and_then(|f| f.set_len(bytes)).at(|| format!("writing {}", file.display()))?;
    let tool = |name: &str| {
        let mut command = Command::new(name);
        command.arg("-i").arg(file);
        command
    };
    run(tool("mformat").args(["-F", "-h", "255", "-t", "4096", "-n", "32", "::"]))?;
    run(tool("mmd").args(["::/EFI", "::/EFI/BOOT"]))?;
    run(tool("mcopy").args(loaders).arg("::/EFI/BOOT/"))?;
    run(tool("mcopy").arg(image).arg("::/system.img"))
}

fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    match command.status().at(|| format!("running {name}"))? {
        status if status.success() => Ok(()),
        status => Err(Failure::new(format!("{name} failed: {status}"))),
    }
}

#[cfg(test)]
#[path = "../../tests/needs.rs"]
mod needs;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compression_that_is_none_is_a_usage_error() {
        assert_eq!(options("none").unwrap(), ["-no-compression"]);
        assert_eq!(options("zstd").unwrap_err().code, 2);
        assert_eq!(create(&["one".to_owned()]).unwrap_err().code, 2);
    }

    #[test]
    fn image_and_fat_are_made_of_a_tree_and_its_loaders() {
        if !needs::programs(&["mksquashfs", "unsquashfs", "mformat", "mcopy", "mdir"]) {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for (file, text) in [
            ("tree/etc/x", "x"),
            ("tree/build.d/a.sh", ""),
            ("tree/var/log/y.log", ""),
            ("loaders/bootx64.efi", "MZ"),
        ] {
            std::fs::create_dir_all(path(file).parent().unwrap()).unwrap();
            std::fs::write(path(file), text).unwrap();
        }
        let prefix = path("out").display().to_string();
        pack(&path("tree"), &prefix, options("gzip").unwrap(), &path("none")).unwrap();
        assert!(!path("out.img").exists());
        pack(&path("tree"), &prefix, options("gzip").unwrap(), &path("loaders")).unwrap();
        let output = |program: &str, args: &[&str], file: &str| {
            let output = Command::new(program)
                .args(args)
                .arg(path(file))
                .args(["::/EFI/BOOT"].iter().filter(|_| program == "mdir"))
                .output();
            String::from_utf8_lossy(&output.unwrap().stdout).into_owned()
        };
        let listing = output("unsquashfs", &["-l"], "out.squashfs");
        assert!(
            listing.contains("/etc/x") && !listing.contains("a.sh") && !listing.contains("y.log"),
            "{listing}"
        );
        let listing = output("mdir", &["-b", "-i"], "out.img");
        assert_eq!(listing.trim(), "::/EFI/BOOT/bootx64.efi");
        let bytes = std::fs::metadata(path("out.img")).unwrap().len();
        assert!(bytes.is_multiple_of(MIB) && bytes >= ROOM && !path("out.img.tmp").exists());
    }
}
