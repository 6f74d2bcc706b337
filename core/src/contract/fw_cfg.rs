//! What the host of a virtual machine hands to its guest through QEMU's fw_cfg device.
//!
//! Documents: QEMU's `docs/specs/fw_cfg.rst` (names below `opt/` are the user's) and systemd.system-credentials(7), whose
//! names other launchers use as well. Not handled: reading them, and what an artifact makes of its own.

/// Directory of the entries; each is a directory of its name with the file [`RAW`].
pub const DIRECTORY: &str = "/sys/firmware/qemu_fw_cfg/by_name";
/// The content of an entry.
pub const RAW: &str = "raw";
/// Name of the machine; that it is there tells a guest that `vm` runs it.
pub const VM_NAME: &str = "opt/vmname";
/// Settings of whatever the artifact runs; nothing of ours reads it.
pub const APPLICATION_INI: &str = "opt/application.ini";
/// A whole `system.ini`, the best name first. It counts where the machine has no file of its own.
pub const SYSTEM_INI: &[&str] = &["opt/system.ini", "opt/io.systemd.credentials/genpack.system.ini"];
/// Longest entry that is read, bytes: what `vm` lets in at most.
pub const MAX_BYTES: usize = 4 << 20;

/// A key of `system.ini` that may come from the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Input {
    /// The key; a value of it in `system.ini` is stronger.
    pub key: &'static str,
    /// Entries that have its value, the strongest first.
    pub names: &'static [&'static str],
}

const fn input(key: &'static str, names: &'static [&'static str]) -> Input {
    Input { key, names }
}

/// Every key that may come from the host.
pub const INPUTS: &[Input] = &[
    input("hostname", &["opt/io.systemd.credentials/system.hostname"]),
    input("timezone", &["opt/timezone", "opt/io.systemd.credentials/firstboot.timezone"]),
    input("locale", &["opt/lang", "opt/io.systemd.credentials/firstboot.locale"]),
    input("keymap", &["opt/io.systemd.credentials/firstboot.keymap"]),
    input("ssh_pubkey", &["opt/ssh-public-key", "opt/io.systemd.credentials/ssh.authorized_keys.root"]),
    input("root_password", &["opt/io.systemd.credentials/passwd.hashed-password.root"]),
    input("dns", &["opt/io.systemd.credentials/network.dns"]),
    input("search_domain", &["opt/io.systemd.credentials/network.search_domains"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ones_that_qemu_takes() {
        let names = INPUTS.iter().flat_map(|input| input.names).chain(SYSTEM_INI);
        for name in names.chain([&VM_NAME, &APPLICATION_INI]) {
            // FW_CFG_MAX_FILE_PATH of QEMU, with the NUL at the end.
            assert!(name.starts_with("opt/") && name.len() < 56 && !name.contains(','), "{name}");
        }
    }

    #[cfg(feature = "alloc")]
    #[test]
    fn every_input_is_a_key_of_system_ini() {
        for input in INPUTS {
            assert!(crate::contract::system_ini::find(input.key).is_some(), "{}", input.key);
        }
    }
}
