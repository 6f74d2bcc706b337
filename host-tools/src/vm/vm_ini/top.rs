//! Keys of `vm.ini` that stand before the first section.

use std::path::PathBuf;
use std::str::FromStr;

use clap::ValueEnum;
use genpack_core::text::ini::{Property, parse_integer};

use super::Reading;
use crate::vm::identity::FIRST_CID;
use crate::vm::memory::Memory;
use crate::vm::options::{Accel, Options, Tri};
use crate::vm::words::{FirmwareWords, parse_uuid};

/// A guest with less does not boot.
const MIN_MEMORY_MIB: u32 = 256;

/// Keys of the section without a header.
pub(super) const TOP_KEYS: [&str; 44] = [
    "name",
    "memory",
    "cpu",
    "type",
    "usb",
    "append",
    "display",
    "spice",
    "vnc",
    "accel",
    "gpu_max_outputs",
    "rendernode",
    "resolution",
    "wayland-display",
    "x11-display",
    "qga",
    "uefi",
    "secure-boot",
    "firmware",
    "nvram",
    "tpm",
    "tpm-state",
    "kvm",
    "vsock",
    "cid",
    "uuid",
    "hvc",
    "rng",
    "sound",
    "network",
    "fs",
    "system",
    "data",
    "swap",
    "cdrom",
    "volatile-data",
    "ephemeral",
    "sata",
    "no-shutdown",
    "serial-log",
    "application-ini",
    "log-items",
    "trace",
    "log-file",
];

impl Reading {
    /// Takes a value that is parsed as on the command line.
    fn take<T: FromStr<Err: std::fmt::Display>>(
        &mut self,
        property: &Property,
        set: impl FnOnce(&mut Options, T),
    ) {
        match property.value.parse() {
            Ok(value) => set(&mut self.options, value),
            Err(why) => self.error(property.value_span, format!("{}: {why}", property.key)),
        }
    }

    /// Returns what a switch means: yes is "where the host can", `required` is an error where it cannot.
    fn tri(&mut self, property: &Property) -> Tri {
        if property.value.eq_ignore_ascii_case("required") {
            return Tri::On;
        }
        if property.value.eq_ignore_ascii_case("auto") || self.bool(property, true) {
            Tri::Auto
        } else {
            Tri::Off
        }
    }

    pub(super) fn top(&mut self, property: &Property) {
        let value = property.value.as_str();
        let text = || Some(value.to_owned()).filter(|text| !text.is_empty());
        match property.key.as_str() {
            "name" => self.take(property, |options, name| options.name = Some(name)),
            "memory" => match memories(value) {
                Ok((memory, max)) => (self.options.memory, self.options.max_memory) = (Some(memory), max),
                Err(why) => self.error(property.value_span, format!("memory: {why}")),
            },
            "cpu" => match cpus(value) {
                Ok((cpus, max)) => (self.options.cpus, self.options.max_cpus) = (cpus, max),
                Err(why) => self.error(property.value_span, format!("cpu: {why}")),
            },
            "type" => match value {
                "genpack" => self.options.bios = false,
                "bios" => self.options.bios = true,
                _ => self.error(property.value_span, "type: write genpack or bios".into()),
            },
            "usb" if matches!(value, "no" | "off") => self.options.no_usb = true,
            "usb" => self.usb_query(property),
            "append" => self.options.append = text(),
            "display" => self.display.window = text(),
            "spice" => self.display.spice = text(),
            "vnc" => self.display.vnc = text(),
            "accel" => match Accel::from_str(value, true) {
                Ok(accel) => self.display.accel = accel,
                Err(_) => self.error(property.value_span, "accel: write 2d, qxl, opengl or vulkan".into()),
            },
            "gpu_max_outputs" => {
                match whole_integer(value)
                    .and_then(|n| u16::try_from(n).ok())
                    .filter(|n| (1..=16).contains(n))
                {
                    Some(outputs) => self.display.outputs = outputs,
                    None => {
                        self.error(property.value_span, "gpu_max_outputs: not a number from 1 to 16".into())
                    }
                }
            }
            "rendernode" => self.display.render_node = text(),
            "resolution" => match value.parse() {
                Ok(resolution) => self.display.resolution = Some(resolution),
                Err(why) => self.error(property.value_span, format!("resolution: {why}")),
            },
            "wayland-display" => self.display.wayland_display = text(),
            "x11-display" => self.display.x11_display = text(),
            "qga" => self.options.no_agent = !self.bool(property, true),
            "uefi" => self.options.uefi = Some(self.tri(property)),
            "secure-boot" => self.options.secure_boot = self.bool(property, false),
            "firmware" => match value.parse::<FirmwareWords>() {
                Ok(FirmwareWords { code, vars }) => {
                    let here = |path: PathBuf| self.directory.join(path);
                    self.options.firmware = Some(FirmwareWords { code: here(code), vars: vars.map(here) });
                }
                Err(why) => self.error(property.value_span, format!("firmware: {why}")),
            },
            "nvram" => self.options.nvram = Some(self.path(value)),
            "tpm" => self.options.tpm = self.bool(property, false),
            "tpm-state" => self.options.tpm_state = Some(self.path(value)),
            "kvm" => self.options.kvm = self.tri(property),
            "vsock" => self.options.vsock = self.tri(property),
            "cid" => match whole_integer(value)
                .and_then(|n| u32::try_from(n).ok())
                .filter(|n| (FIRST_CID..u32::MAX).contains(n))
            {
                Some(cid) => self.options.cid = Some(cid),
                None => self.error(property.value_span, "cid: not a number from 3 to 4294967294".into()),
            },
            "uuid" => match parse_uuid(value) {
                Ok(uuid) => self.options.uuid = Some(uuid),
                Err(why) => self.error(property.value_span, format!("uuid: {why}")),
            },
            "hvc" => self.options.hvc = self.bool(property, false),
            "rng" => self.options.no_rng = !self.bool(property, true),
            "sound" => self.options.no_sound = !self.bool(property, true),
            "network" => self.has_network = self.bool(property, true),
            "fs" => self.shares_fs = self.bool(property, true),
            "system" => self.options.image = Some(self.path(value)),
            "data" => self.options.data = Some(self.path(value)),
            "swap" => self.options.swap = Some(self.path(value)),
            "cdrom" => self.options.cdrom = Some(self.path(value)),
            "volatile-data" => self.options.volatile_data = self.bool(property, false),
            "ephemeral" => self.options.ephemeral = self.bool(property, false),
            "sata" => self.options.bios_sata = self.bool(property, false),
            "no-shutdown" => self.options.no_shutdown = self.bool(property, false),
            "serial-log" => self.options.serial_log = Some(self.path(value)),
            "application-ini" => self.options.application_ini = Some(self.path(value)),
            "log-items" => self.options.log_items = text(),
            "trace" => self.options.trace = text(),
            "log-file" => self.options.log_file = Some(self.path(value)),
            _ => self.unknown(property, &TOP_KEYS),
        }
    }
}

/// Reads a number with nothing behind it.
pub(super) fn whole_integer(value: &str) -> Option<i64> {
    parse_integer(value).filter(|(_, rest)| rest.trim().is_empty()).map(|(number, _)| number)
}

/// Reads memory, and how much it may become.
fn memories(value: &str) -> Result<(Memory, Option<Memory>), String> {
    let Some((now, max)) = value.split_once(':') else { return Ok((memory(value)?, None)) };
    let (now, max) = (memory(now)?, memory(max)?);
    if max.mib() < now.mib() {
        return Err("the maximum is less than what it begins with".to_owned());
    }
    Ok((now, Some(max)))
}

/// Reads a number of processors, and how many they may become; without that 0.
fn cpus(value: &str) -> Result<(u16, u16), String> {
    let number = |text: &str| {
        let number = whole_integer(text).and_then(|n| u16::try_from(n).ok());
        number.filter(|n| (1..=255).contains(n)).ok_or_else(|| "not a number from 1 to 255".to_owned())
    };
    match value.split_once(':') {
        None => Ok((number(value)?, 0)),
        Some((now, max)) => match (number(now)?, number(max)?) {
            (now, max) if max < now => Err("the maximum is less than what it begins with".to_owned()),
            both => Ok(both),
        },
    }
}

/// Reads memory: MiB as C reads a number, or with a unit.
fn memory(value: &str) -> Result<Memory, String> {
    let mib = match whole_integer(value) {
        Some(number) => u32::try_from(number).ok().and_then(Memory::of_mib),
        None => Some(value.trim().parse::<Memory>().map_err(str::to_owned)?),
    };
    mib.filter(|memory| memory.mib() >= MIN_MEMORY_MIB)
        .ok_or_else(|| format!("a machine needs {MIN_MEMORY_MIB} MiB at least"))
}
