//! What stage 1 is told: the kernel command line.
//!
//! Words and defaults are those of `genpack_core::contract::cmdline_keys`; the last of several equal keys wins.
//! `root=PARTUUID=` and `root=PARTLABEL=` name no file system that we could probe: they mean the virtual machine's
//! first disk, as they always did.

use alloc::string::{String, ToString};

use super::plan::{Request, Root};
use genpack_core::contract::{cmdline_keys as keys, paths};
use genpack_core::text::kernel_cmdline;

/// Reads the request off the kernel command line.
#[must_use]
pub fn request(cmdline: &str) -> Request {
    let value = |key| kernel_cmdline::value(cmdline, key);
    let switch = |key| kernel_cmdline::switch(cmdline, key, false);
    let timeout = value(keys::RD_TIMEOUT).and_then(|v| v.parse().ok());
    Request {
        root: root(value(keys::ROOT).unwrap_or_default(), value("rootfstype")),
        timeout_s: timeout
            .filter(|t| (1..=keys::RD_TIMEOUT_MAX).contains(t))
            .unwrap_or(keys::RD_TIMEOUT_DEFAULT),
        transient: switch(keys::TRANSIENT),
        image: value(keys::IMAGE).filter(|name| is_base_name(name)).map(ToString::to_string),
        init: value("init").filter(|path| path.starts_with('/')).map(ToString::to_string),
        shell: switch(keys::SHELL),
        debug: switch(keys::DEBUG),
    }
}

/// Tells whether a name stays in its directory.
fn is_base_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains('/')
}

fn root(value: &str, fstype: Option<&str>) -> Root {
    if let Some(boot) = value.strip_prefix(keys::ROOT_SYSTEMIMG) {
        return if boot == keys::ROOT_AUTO { Root::Auto } else { Root::BootPartition(boot.into()) };
    }
    if let Some(tag) = value.strip_prefix("virtiofs:") {
        return Root::Virtiofs(tag.into());
    }
    let value = value.strip_prefix("block:").unwrap_or(value);
    if let Some(name) = value.strip_prefix("/dev/") {
        let by = |prefix: &str| name.strip_prefix(prefix).map(String::from);
        return match (by("disk/by-uuid/"), by("disk/by-label/")) {
            (Some(uuid), _) => Root::DeviceUuid(uuid),
            (_, Some(label)) => Root::DeviceLabel(label),
            _ => Root::Device(name.into()),
        };
    }
    if let Some(uuid) = value.strip_prefix("UUID=") {
        return Root::DeviceUuid(uuid.into());
    }
    if let Some(label) = value.strip_prefix("LABEL=") {
        return Root::DeviceLabel(label.into());
    }
    match (value, fstype) {
        // Why: a disk with nothing said about it is most likely one of ours.
        ("", None) => Root::Auto,
        ("", Some("virtiofs")) => Root::Virtiofs(paths::VIRTIOFS_TAG.into()),
        (tag, Some("virtiofs")) => Root::Virtiofs(tag.into()),
        _ => Root::Device("vda".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uuid(s: &str) -> Root {
        Root::BootPartition(s.into())
    }

    #[test]
    fn root_names_every_flavour() {
        for (cmdline, expected) in [
            ("root=systemimg:1234-ABCD ro", uuid("1234-ABCD")),
            ("root=systemimg:2026-11-21-03-00-00-00", uuid("2026-11-21-03-00-00-00")),
            ("root=systemimg:auto", Root::Auto),
            ("quiet", Root::Auto),
            ("root=/dev/vda", Root::Device("vda".into())),
            ("root=block:/dev/vda", Root::Device("vda".into())),
            ("root=/dev/disk/by-uuid/AA-BB", Root::DeviceUuid("AA-BB".into())),
            ("root=UUID=abc", Root::DeviceUuid("abc".into())),
            ("root=LABEL=images", Root::DeviceLabel("images".into())),
            ("root=PARTUUID=abc", Root::Device("vda".into())),
            ("root=fs rootfstype=virtiofs", Root::Virtiofs("fs".into())),
            ("root=virtiofs:tree", Root::Virtiofs("tree".into())),
            ("root=/dev/vdz root=systemimg:auto", Root::Auto),
        ] {
            assert_eq!(request(cmdline).root, expected, "{cmdline}");
        }
    }

    #[test]
    fn timeout_outside_its_range_is_the_default() {
        for (cmdline, expected) in [
            ("", 15),
            ("rd.timeout=1", 1),
            ("rd.timeout=180", 180),
            ("rd.timeout=0", 15),
            ("rd.timeout=181", 15),
            ("rd.timeout=x", 15),
            ("rd.timeout", 15),
            ("rd.timeout=5 rd.timeout=7", 7),
        ] {
            assert_eq!(request(cmdline).timeout_s, expected, "{cmdline}");
        }
    }

    #[test]
    fn flag_is_on_unless_its_value_says_no() {
        for (cmdline, expected) in [
            ("", false),
            ("genpack.transient", true),
            ("genpack.transient=1", true),
            ("genpack.transient=false", true),
            ("genpack.transient=0", false),
            ("genpack.transient=no", false),
            ("genpack.transient=off", false),
            ("genpack.transient=1 genpack.transient=0", false),
        ] {
            assert_eq!(request(cmdline).transient, expected, "{cmdline}");
        }
    }

    #[test]
    fn image_is_a_base_name_only() {
        for (cmdline, expected) in [
            ("genpack.image=system.old", Some("system.old")),
            ("genpack.image=../etc/shadow", None),
            ("genpack.image=..", None),
            ("genpack.image=", None),
            ("genpack.image=a/b", None),
        ] {
            assert_eq!(request(cmdline).image.as_deref(), expected, "{cmdline}");
        }
    }
}
