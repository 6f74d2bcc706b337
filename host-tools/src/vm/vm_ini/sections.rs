//! Sections of `vm.ini`, and the files beside it.

use std::os::unix::fs::FileTypeExt;

use genpack_core::text::ini::{Document, Property, Section};

use super::top::whole_integer;
use super::{Reading, beginning, ten};
use crate::vm::hostfwd::HostForward;
use crate::vm::options::Tri;
use crate::vm::usb::Query;
use crate::vm::words::{
    Credential, DiskWords, KeyValue, NetWords, PciWords, ShareTransport, ShareWords, check_credential,
    check_fw_key, check_serial, check_tag, parse_mac, parse_pci_id,
};

pub(super) const NET_KEYS: [&str; 6] = ["interface", "bridge", "mac", "vhost", "restrict", "hostfwd"];
pub(super) const DISK_KEYS: [&str; 6] = ["path", "virtio", "serial", "format", "read-only", "snapshot"];
pub(super) const PCI_KEYS: [&str; 4] = ["id", "multifunction", "vga", "romfile"];
pub(super) const SHARE_KEYS: [&str; 5] = ["path", "tag", "read-only", "transport", "mount"];
pub(super) const VIRTIOFS_KEYS: [&str; 3] = ["rlimit-nofile", "cache", "inode-file-handles"];

impl Reading {
    pub(super) fn virtiofs(&mut self, property: &Property) {
        match property.key.as_str() {
            "rlimit-nofile" => {
                match whole_integer(&property.value).and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0) {
                    Some(limit) => self.options.virtiofs.rlimit_nofile = Some(limit),
                    None => self.error(property.value_span, "rlimit-nofile: not a number above 0".into()),
                }
            }
            "cache" => self.options.virtiofs.cache = Some(property.value.clone()),
            "inode-file-handles" => self.options.virtiofs.inode_file_handles = Some(property.value.clone()),
            _ => {}
        }
    }

    pub(super) fn firmware_string(&mut self, property: &Property) {
        match check_fw_key(&property.key) {
            Ok(()) => self.options.fw_strings.push(KeyValue(property.key.clone(), property.value.clone())),
            Err(why) => self.error(property.key_span, why.into()),
        }
    }

    pub(super) fn credential(&mut self, property: &Property) {
        match check_credential(&property.key) {
            Ok(()) => {
                self.options.credentials.push(Credential(property.key.clone(), property.value.clone()));
            }
            Err(why) => self.error(property.key_span, why.into()),
        }
    }

    pub(super) fn usb_query(&mut self, property: &Property) {
        match property.value.parse::<Query>() {
            Ok(query) => self.options.usb.push(query),
            Err(why) => self.error(property.value_span, format!("usb: {why}")),
        }
    }

    pub(super) fn shares(&mut self, document: &Document) {
        if self.shares_fs {
            self.options.shares.push(ShareWords {
                path: self.path("fs"),
                tag: "fs".into(),
                read_only: false,
                transport: None,
                mount_point: None,
            });
        }
        for (number, section) in ten(document, "share") {
            let (Some(path), Some(tag)) = (section.get("path"), section.get("tag")) else {
                self.error(beginning(section), format!("[share{number}] needs a path and a tag"));
                continue;
            };
            let read_only = section.get("read-only").is_some_and(|property| self.bool(property, false));
            let transport = match section.get("transport").map(|p| (p, p.value.as_str())) {
                None => None,
                Some((_, "9p")) => Some(ShareTransport::NineP),
                Some((_, "virtiofs")) => Some(ShareTransport::Virtiofs),
                Some((property, _)) => {
                    self.error(property.value_span, "transport: write 9p or virtiofs".into());
                    None
                }
            };
            if let Err(why) = check_tag(&tag.value) {
                self.error(tag.value_span, format!("tag: {why}"));
            }
            let mount_point = section.get("mount").map(|p| p.value.clone());
            let (path, tag) = (self.path(&path.value), tag.value.clone());
            self.options.shares.push(ShareWords { path, tag, read_only, transport, mount_point });
        }
    }

    pub(super) fn networks(&mut self, document: &Document, default_net: Option<&str>) {
        for (number, section) in ten(document, "net") {
            let named = section.get("interface").or_else(|| section.get("bridge")).map(|p| p.value.as_str());
            let Some(interface) = named.or(default_net.filter(|_| number == 0)) else {
                self.error(beginning(section), format!("[net{number}] has no interface"));
                continue;
            };
            let mut net = NetWords::plain(interface);
            if let Some(mac) = section.get("mac") {
                match parse_mac(&mac.value) {
                    Ok(mac) => net.mac = Some(mac),
                    Err(why) => self.error(mac.value_span, format!("mac: {why}")),
                }
            }
            if let Some(vhost) = section.get("vhost") {
                net.vhost = self.bool(vhost, true);
            }
            net.restrict = section.get("restrict").is_some_and(|property| self.bool(property, false));
            if let Some(rules) = section.get("hostfwd") {
                for rule in rules.value.split(',').map(str::trim).filter(|rule| !rule.is_empty()) {
                    match rule.parse::<HostForward>() {
                        Ok(rule) => self.options.hostfwd.push(rule),
                        Err(why) => self.error(rules.value_span, format!("hostfwd: {rule:?}: {why}")),
                    }
                }
            }
            self.options.nets.push(net);
        }
        self.options.no_net = !self.has_network && self.options.nets.is_empty();
        if self.options.nets.is_empty() && self.has_network {
            self.options.nets.push(NetWords::plain(default_net.unwrap_or("user")));
        }
    }

    pub(super) fn pci(&mut self, document: &Document) {
        for (number, section) in ten(document, "pci") {
            let Some(id) = section.get("id") else {
                self.error(beginning(section), format!("[pci{number}] has no id"));
                continue;
            };
            let mut flag = |key: &str| section.get(key).is_some_and(|property| self.bool(property, false));
            let (multifunction, vga) = (flag("multifunction"), flag("vga"));
            let romfile = section.get("romfile").map(|p| p.value.clone());
            match parse_pci_id(&id.value) {
                Ok(id) => self.options.pci.push(PciWords { id, multifunction, vga, romfile }),
                Err(why) => self.error(id.value_span, format!("id: {why}")),
            }
        }
    }

    /// Takes what lies in the directory under names of its own, unless the file names another place.
    pub(super) fn directory(&mut self, document: &Document) {
        let directory = self.directory.clone();
        let there = |name: &str| Some(directory.join(name)).filter(|path| path.exists());
        let mut disks: Vec<DiskWords> = ["docker", "mysql"]
            .into_iter()
            .filter_map(|name| Some(DiskWords::plain(there(name)?, Some(name))))
            .collect();
        let sections = ten(document, "disk");
        for number in 0..10 {
            let section = sections.iter().find(|(n, _)| *n == number).map(|(_, section)| *section);
            disks.extend(self.disk(&format!("disk{number}"), section));
        }
        self.options.cdrom = self.options.cdrom.take().or_else(|| there("cdrom"));
        self.options.usb_paths = (0..10)
            .filter_map(|number| there(&format!("usb{number}")))
            .filter(|path| std::fs::metadata(path).is_ok_and(|m| m.file_type().is_char_device()))
            .collect();
        if self.options.bios {
            self.options.append = None;
            if self.options.image.is_none() && !disks.is_empty() {
                let first = disks.remove(0);
                self.options.bios_sata |= first.sata;
                self.options.image = Some(first.path);
            }
        } else {
            let options = &mut self.options;
            options.image = options.image.take().or_else(|| there("system"));
            if !options.volatile_data {
                options.data = options.data.take().or_else(|| there("data"));
            }
            options.swap = options.swap.take().or_else(|| there("swapfile"));
            if options.uefi.is_none() {
                options.uefi = Some(Tri::Auto);
            }
        }
        self.options.disks = disks;
        // What is to last as long as the machine lies beside its disks.
        let has_tpm = self.options.tpm;
        let tpm = || Some(directory.join("tpm")).filter(|_| has_tpm);
        self.options.tpm_state = self.options.tpm_state.take().or_else(tpm);
        let nvram = directory.join("nvram");
        let is_kept = self.options.secure_boot || nvram.exists();
        self.options.nvram = self.options.nvram.take().or(Some(nvram).filter(|_| is_kept));
    }

    /// Returns a further disk: the file of this name in the directory, or the one that its section names.
    fn disk(&mut self, name: &str, section: Option<&Section>) -> Option<DiskWords> {
        let get = |key: &str| section.and_then(|section| section.get(key));
        let path = match get("path") {
            Some(path) => self.path(&path.value),
            None => self.path(name),
        };
        if get("path").is_none() && !path.exists() {
            if let Some(property) = section.and_then(|section| section.properties().first()) {
                self.warn(property.key_span, format!("[{name}] has no file {name} beside it"), None);
            }
            return None;
        }
        let mut disk = DiskWords::plain(path, None);
        disk.sata = get("virtio").is_some_and(|virtio| !self.bool(virtio, true));
        disk.read_only = get("read-only").is_some_and(|property| self.bool(property, false));
        disk.snapshot = get("snapshot").is_some_and(|property| self.bool(property, false));
        match get("format").map(|p| (p, p.value.as_str())) {
            None | Some((_, "raw")) => {}
            Some((_, "qcow2")) => disk.qcow2 = true,
            Some((property, _)) => self.error(property.value_span, "format: write raw or qcow2".into()),
        }
        if let Some(serial) = get("serial") {
            match check_serial(&serial.value) {
                Ok(()) => disk.serial = Some(serial.value.clone()),
                Err(why) => self.error(serial.value_span, format!("serial: {why}")),
            }
        }
        Some(disk)
    }
}
