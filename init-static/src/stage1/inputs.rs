//! What stage 1 is told: the kernel command line.
//!
//! Words and defaults are those of `genpack_core::contract::cmdline_keys`; the last of several equal keys wins.
//! Not handled: `rd.break=STAGE` (there is one place to stop at), `rd.debug`, `rd.retry`, `rd.udev.*`; a `root=` that names
//! nothing means the virtual machine's first disk, as it always did.

use alloc::string::{String, ToString};

use super::plan::{Request, Root};
use crate::exitrd::plan::Verb;
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
        shell: switch(keys::SHELL) && kernel_cmdline::switch(cmdline, keys::RD_SHELL, true),
        stop: kernel_cmdline::switch(cmdline, keys::RD_BREAK, false),
        last: match value(keys::RD_EMERGENCY) {
            Some("poweroff") => Verb::PowerOff,
            Some("halt") => Verb::Halt,
            _ => Verb::Reboot,
        },
        debug: switch(keys::DEBUG),
    }
}

/// Tells whether a name stays in its directory.
fn is_base_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/'])
}

/// A way to name a device: prefix of the value, directory of udev's links below `/dev`, what it means.
type Naming = (&'static str, &'static str, fn(String) -> Root);

const NAMES: [Naming; 4] = [
    ("UUID=", "disk/by-uuid/", Root::DeviceUuid),
    ("LABEL=", "disk/by-label/", Root::DeviceLabel),
    ("PARTUUID=", "disk/by-partuuid/", Root::PartUuid),
    ("PARTLABEL=", "disk/by-partlabel/", Root::PartLabel),
];

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
        let link = NAMES.iter().find_map(|(_, directory, make)| by(directory).map(make));
        return link.unwrap_or_else(|| Root::Device(name.into()));
    }
    if let Some(root) =
        NAMES.iter().find_map(|(prefix, _, make)| Some(make(value.strip_prefix(prefix)?.into())))
    {
        return root;
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
            ("root=PARTUUID=abc", Root::PartUuid("abc".into())),
            ("root=/dev/disk/by-partuuid/abc-01", Root::PartUuid("abc-01".into())),
            ("root=PARTLABEL=boot", Root::PartLabel("boot".into())),
            ("root=block:LABEL=x", Root::DeviceLabel("x".into())),
            ("root=nonsense", Root::Device("vda".into())),
            ("root=virtiofs", Root::Device("vda".into())),
            ("rootfstype=virtiofs", Root::Virtiofs("fs".into())),
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
    fn words_of_dracut_mean_what_an_operator_expects() {
        for (cmdline, shell, stop, last) in [
            ("", false, false, Verb::Reboot),
            ("rd.break", false, true, Verb::Reboot),
            ("genpack.shell rd.break=pre-pivot", true, true, Verb::Reboot),
            ("genpack.shell rd.shell=0", false, false, Verb::Reboot),
            ("rd.shell=1", false, false, Verb::Reboot),
            ("rd.emergency=poweroff", false, false, Verb::PowerOff),
            ("rd.emergency=halt", false, false, Verb::Halt),
            ("rd.emergency=nonsense", false, false, Verb::Reboot),
        ] {
            let request = request(cmdline);
            assert_eq!((request.shell, request.stop, request.last), (shell, stop, last), "{cmdline}");
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
