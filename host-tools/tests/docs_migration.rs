//! The page for who comes from the older tools: each of their commands, options and keys is on it, and what it says is
//! still there is there.

use std::collections::BTreeSet;
use std::os::unix::process::CommandExt;
use std::process::Command;

use genpack_core::contract::system_ini::GROUPS;
use genpack_host::model::keys::{DEPRECATED, KEYS};

const PAGE: &str = include_str!("../../docs/migration.md");

/// Options of the older command lines: the name of the program, the verb, and what it took.
const OPTIONS: &[(&str, &str, &str)] = &[
    (
        "genpack",
        "",
        "--debug --arch --overlay-override --independent-binpkgs --deep-depclean --break-circular-deps --parallel \
         --compression --devel --variant",
    ),
    (
        "genpack-install",
        "",
        "--disk --system-cfg --system-ini --label --gpt --superfloppy --no-esp --additional-boot-files \
         --require-clean-commit -y --debug",
    ),
    (
        "vm",
        "run",
        "-n --name -m --memory -c --cpu --bios --no-virtio-for-bios-disks -d --data-file --volatile-data --cdrom -i --net \
         --hostfwd --guestfwd --sock-forward --virtiofs-path --9p --no-kvm --append --display --spice --vnc --accel \
         --gpu-max-outputs --rendernode --resolution --hvc --pci --usb --no-shutdown --application-ini --logging-items \
         --trace --logfile --detach --wait-ssh --wait-ssh-timeout",
    ),
    ("vm", "service", "-i --default-net -n --name"),
    ("vm", "stop", "-c --console -f --force -w --wait --wait-timeout"),
    ("vm", "stopall", "-w --wait -f --force"),
    ("vm", "usb", "--query"),
];
/// What they did, and what build scripts and people called beside them.
const COMMANDS: &[&str] = &[
    "build lower upper pack bash upper-bash upper-clean archive",
    "genpack-helper genpack-mkiso genpack-mkzip --cdrom --zip --add",
    "run service console stop stopall show list allocate expand usb cid ssh scp mirrortap",
    "download get-github-download-url get-rpm-download-url recursive-touch with-mysql require-installed findelf \
     remove-binpkg unmerge-masked-packages genpack-create-image",
];
/// Keys that are no row of a table of ours: of users in `genpack.json5`, of `vm.ini`, and the files of a service.
const OTHER_KEYS: &[&str] = &[
    "create-home initial-group additional-groups empty-password",
    "memory cpu type usb append display spice vnc accel gpu_max_outputs rendernode resolution wayland-display x11-display \
     qga uefi [netN] interface bridge mac vhost hostfwd [diskN] virtio serial [pciN] id multifunction vga romfile [virtiofs] \
     rlimit-nofile cache inode-file-handles [firmware-string] [application]",
    "vm.ini system data swapfile docker mysql disk0 disk9 cdrom fs usb0 usb9",
];

/// Returns the words that stand between backticks.
fn words() -> BTreeSet<&'static str> {
    let code = PAGE.split('`').skip(1).step_by(2);
    code.flat_map(|code| code.split([' ', '=', ',', ':', '(', ')', '\n'])).collect()
}

fn all<'t>(lists: impl IntoIterator<Item = &'t str>) -> impl Iterator<Item = &'t str> {
    lists.into_iter().flat_map(str::split_whitespace)
}

#[test]
fn every_command_option_and_key_of_old_is_on_the_page() {
    let words = words();
    let options = all(OPTIONS.iter().map(|(.., options)| *options));
    let keys = KEYS.iter().map(|key| key.name).filter(|name| *name != "base");
    let spellings = DEPRECATED.iter().flat_map(|(old, new)| [*old, *new]);
    let others = all(COMMANDS.iter().chain(OTHER_KEYS).copied());
    let missing: Vec<_> =
        options.chain(keys).chain(spellings).chain(others).filter(|word| !words.contains(word)).collect();
    assert!(missing.is_empty(), "docs/migration.md does not tell {missing:?}");
    // The keys of system.ini are on a page of their own, those of old without a version.
    let of_old = GROUPS.iter().flat_map(|group| group.keys).filter(|key| key.since.is_empty()).count();
    let rows = include_str!("../../docs/keys.md").lines().filter(|line| line.ends_with(" | – |")).count();
    assert!(of_old > 20 && rows == of_old, "{of_old} keys of old, {rows} rows");
}

#[test]
fn options_of_old_are_understood_under_the_names_of_old() {
    for (name, verb, options) in OPTIONS {
        let mut command = Command::new(env!("CARGO_BIN_EXE_genpack-host"));
        command.arg0(name);
        if !verb.is_empty() {
            command.arg(verb);
        }
        let output = command.arg("--help").output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        let known: BTreeSet<&str> = help.split([' ', ',', '\n', '[', ']', '=']).collect();
        for option in options.split_whitespace() {
            assert!(known.contains(option), "{name} {verb} {option}\n{help}");
        }
    }
}
