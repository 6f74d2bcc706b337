//! `install`: puts a system image onto a disk of this machine. What is written is [`crate::flash`]'s plan; here is which
//! image that is when nobody names one.

use std::path::{Path, PathBuf};

use genpack_core::contract::boot_state::Image;
use genpack_core::contract::paths::{BOOT, BOOT_STATUS, RW};

use crate::command_error::{CommandError, Result};

/// Returns the image that this system runs from.
///
/// # Errors
/// When it runs from none.
pub fn running_image() -> Result<PathBuf> {
    // A system without the file was started by an older initramfs.
    let status = std::fs::read_to_string(BOOT_STATUS).unwrap_or_default();
    choose(&status, Path::is_file).ok_or_else(|| {
        CommandError::failed("this system does not run from an image").hint("name the image to install")
    })
}

/// Returns the image that a `boot-status` names, else the one under the name of old; on the boot partition first.
fn choose(status: &str, is_file: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let named = status.lines().find_map(|line| line.strip_prefix("image=")).and_then(Image::of_file);
    let images = named.into_iter().chain([Image::Img]);
    images
        .flat_map(|image| [Path::new(BOOT).join(image.on_boot()), Path::new(RW).join(image.on_data())])
        .find(|path| is_file(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_image_is_the_one_that_was_booted() {
        let here =
            |names: &'static [&'static str]| move |path: &Path| names.iter().any(|n| path == Path::new(n));
        let boot = "/run/initramfs/boot/system.img";
        let cases: [(&str, &'static [&'static str], Option<&str>); 5] = [
            (
                "stage1_ms=1\nimage=system.new\n",
                &["/run/initramfs/boot/system.new", "/run/initramfs/boot/system.img"],
                Some("/run/initramfs/boot/system.new"),
            ),
            ("", &["/run/initramfs/boot/system.img", "/run/initramfs/rw/system"], Some(boot)),
            ("image=nonsense\n", &["/run/initramfs/boot/system.img"], Some(boot)),
            ("", &["/run/initramfs/rw/system"], Some("/run/initramfs/rw/system")),
            ("image=system.img\n", &[], None),
        ];
        for (status, files, wanted) in cases {
            assert_eq!(choose(status, here(files)).as_deref(), wanted.map(Path::new), "{status:?} {files:?}");
        }
    }
}
