//! What a virtual machine's host says through QEMU's fw_cfg, for keys that `system.ini` leaves open.
//!
//! Names: those of the `vm` launcher, and the credentials of systemd (systemd.system-credentials(7)). The values are read
//! as if they stood in a `system.ini`, so they are checked as these are. Not handled: the driver, which must be in the
//! kernel or be loaded before.

use alloc::format;
use alloc::string::String;

use crate::tree::Tree;
use genpack_core::bytes::push;
use genpack_core::contract::system_ini::{self, Settings};

const BY_NAME: &str = "/sys/firmware/qemu_fw_cfg/by_name";
/// Longest value that is taken, bytes.
const MAX_VALUE: usize = 64 * 1024;
/// Names before `/raw`, and the key they stand in for; the first that is there counts.
const NAMES: [(&str, &str); 8] = [
    ("opt/io.systemd.credentials/system.hostname", "hostname"),
    ("opt/io.systemd.credentials/firstboot.hostname", "hostname"),
    ("opt/timezone", "timezone"),
    ("opt/io.systemd.credentials/firstboot.timezone", "timezone"),
    ("opt/lang", "locale"),
    ("opt/io.systemd.credentials/firstboot.locale", "locale"),
    ("opt/io.systemd.credentials/firstboot.keymap", "keymap"),
    ("opt/io.systemd.credentials/passwd.hashed-password.root", "root_password"),
];
/// Public keys for everybody.
pub const KEYS: &str = "opt/ssh-public-key";
/// Public keys for root.
const ROOT_KEYS: &str = "opt/io.systemd.credentials/ssh.authorized_keys.root";

/// Returns a value; empty ones are none.
#[must_use]
pub fn read(tree: &Tree, name: &str) -> Option<String> {
    let text = tree.read_text(&format!("{BY_NAME}/{name}/raw"), MAX_VALUE)?;
    let text = text.trim_matches(['\0', '\n', '\r', ' ']);
    (!text.is_empty()).then(|| text.into())
}

/// Tells whether the `vm` launcher started this machine.
#[must_use]
pub fn is_vm(tree: &Tree) -> bool {
    tree.is_dir(&format!("{BY_NAME}/opt/vmname"))
}

/// Tells whether QEMU's firmware data could be there, but no driver shows them.
#[must_use]
pub fn needs_driver(tree: &Tree) -> bool {
    let is_qemu =
        |path: &str, word: &str| tree.read_text(path, 4096).is_some_and(|text| text.starts_with(word));
    !tree.is_dir(BY_NAME)
        && (is_qemu("/sys/class/dmi/id/sys_vendor", "QEMU")
            || is_qemu("/sys/firmware/devicetree/base/compatible", "linux,dummy-virt")
            || is_qemu("/sys/firmware/devicetree/base/compatible", "riscv-virtio"))
}

/// Returns lines as the value of a key of `system.ini`.
#[must_use]
pub fn lines(key: &str, text: &str) -> String {
    let mut ini = format!("{key} =\n");
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        push(&mut ini, &["  ", line, "\n"]);
    }
    ini
}

/// Fills in what `system.ini` leaves open; answers whether there are keys that are not taken, because the machine keeps
/// what it has.
pub fn fill(settings: &mut Settings, tree: &Tree, is_persistent: bool) -> bool {
    let mut ini = String::new();
    // Why backwards: in a system.ini the last one counts.
    for (name, key) in NAMES.iter().rev() {
        if let Some(value) = read(tree, name) {
            ini.push_str(&format!("{key} = {}\n", value.lines().next().unwrap_or_default()));
        }
    }
    let keys = read(tree, KEYS);
    let is_left = keys.is_some() && is_persistent;
    if let Some(keys) = keys.filter(|_| !is_persistent) {
        ini.push_str(&lines("ssh_pubkey", &keys));
    }
    if let Some(keys) = read(tree, ROOT_KEYS) {
        ini.push_str("[sakuravps]\n");
        ini.push_str(&lines("ssh_pubkey", &keys));
    }
    if ini.is_empty() {
        return false;
    }
    let (other, _) = system_ini::parse(&ini);
    for (own, other) in [
        (&mut settings.hostname, other.hostname),
        (&mut settings.timezone, other.timezone),
        (&mut settings.locale, other.locale),
        (&mut settings.keymap, other.keymap),
        (&mut settings.root_password, other.root_password),
    ] {
        if own.is_none() {
            *own = other;
        }
    }
    settings.ssh_pubkey.extend(other.ssh_pubkey);
    settings.sakuravps.ssh_pubkey.extend(other.sakuravps.ssh_pubkey);
    is_left
}
