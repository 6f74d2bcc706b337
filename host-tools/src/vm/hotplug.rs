//! Changes a machine while it runs: disks, cards and USB devices come and go; memory and processors grow.
//!
//! Disks and cards go to the empty ports that every machine has. Not handled: macvtap and passt, whose descriptors
//! QEMU must inherit.

use std::path::Path;
use std::time::Duration;

use genpack_qemu::argv::{blockdevs, netdev, usb_host};
use genpack_qemu::deadline::Deadline;
use genpack_qemu::machine::{Backend, Disk, UserNetwork};
use genpack_qemu::qmp::Qmp;
use serde_json::{Value, json};

use super::host::{BRIDGE_HELPERS, Host};
use super::identity::Name;
use super::media;
use super::memory::Memory;
use super::network::Interface;
use super::plan::HOTPLUG_PORTS;
use super::stop::control;
use super::usb::{self, Query};
use super::words::{DiskWords, NetWords};
use crate::command_error::{CommandError, Context, Result};
use crate::ctx::Ctx;

/// One question to QEMU.
const ANSWER: Duration = Duration::from_secs(30);
/// A guest lets go of a device within this time.
const LET_GO: Duration = Duration::from_secs(15);
/// Memory is plugged in multiples of this.
const MODULE_MIB: u32 = 128;

fn execute(qmp: &mut Qmp, command: &str, arguments: Value) -> Result<Value> {
    qmp.execute(command, arguments, Deadline::after(ANSWER)).map_err(|e| CommandError::failed(e.to_string()))
}

/// Attaches a disk and returns the name by which it is detached.
///
/// # Errors
/// When the machine does not run, the file is not there, or no port is free.
pub fn attach_disk(ctx: &Ctx, name: &Name, words: &DiskWords) -> Result<String> {
    let (_, _, mut qmp) = control(name)?;
    let path = ctx.path(&words.path);
    let path = std::fs::canonicalize(&path).with_context(|| format!("opening {}", path.display()))?;
    in_a_port(&mut qmp, |qmp, id, bus| {
        let serial = words.serial.clone().unwrap_or_else(|| id.to_owned());
        let mut disk = Disk::new(serial, media::medium(&path)?);
        disk.format = words.format();
        disk.read_only = words.read_only;
        for node in blockdevs(id, &disk) {
            execute(qmp, "blockdev-add", node)?;
        }
        let device =
            json!({"driver": "virtio-blk-pci", "id": id, "drive": id, "serial": disk.serial, "bus": bus});
        let added = execute(qmp, "device_add", device);
        undo_on_error(qmp, added, "blockdev-del", json!({"node-name": id}))
    })
}

/// Attaches a card.
///
/// # Errors
/// When the machine does not run, the interface means nothing, or no port is free.
pub fn attach_net(name: &Name, words: &NetWords) -> Result<String> {
    let (_, _, mut qmp) = control(name)?;
    let host = Host::default();
    let backend = backend(words, &host)?;
    in_a_port(&mut qmp, |qmp, id, bus| {
        execute(qmp, "netdev_add", netdev(id, &backend))?;
        // Numbers below are those of the cards that it was started with.
        let port = id.chars().filter_map(|c| c.to_digit(10)).fold(0, |n, digit| n * 10 + digit as usize);
        let mac = words.mac.clone().unwrap_or_else(|| name.mac(100 + port));
        let device = json!({"driver": "virtio-net-pci", "id": id, "netdev": id, "mac": mac, "romfile": "", "bus": bus});
        let added = execute(qmp, "device_add", device);
        undo_on_error(qmp, added, "netdev_del", json!({"id": id}))
    })
}

fn backend(words: &NetWords, host: &Host) -> Result<Backend> {
    let interface = Interface::of(&words.interface, &host.sys)?;
    let vhost = words.vhost && interface.can_vhost() && host.opens("vhost-net").is_ok();
    Ok(match interface {
        Interface::User => Backend::User(UserNetwork::default()),
        Interface::Bridge(bridge) => {
            let helper = host.first_of(&BRIDGE_HELPERS);
            let helper =
                helper.ok_or_else(|| CommandError::failed("QEMU's bridge helper is not installed"))?;
            Backend::Bridge { bridge, helper, vhost }
        }
        Interface::Tap(interface) => Backend::Tap { interface, vhost },
        Interface::Multicast(group) => Backend::Multicast(group),
        Interface::Vde(directory) => Backend::Vde(directory),
        Interface::Macvtap(_) | Interface::Passt | Interface::SrIov { .. } => {
            return Err(CommandError::usage(format!(
                "{} can be given to a machine only when it is started",
                words.interface
            )));
        }
    })
}

/// Attaches the USB devices that a query means.
///
/// # Errors
/// When the machine does not run or no device is meant.
pub fn attach_usb(name: &Name, query: &Query) -> Result<Vec<String>> {
    let (_, _, mut qmp) = control(name)?;
    let devices = usb::devices(Path::new("/sys"))?;
    let chosen = query.choose(&devices)?;
    if chosen.is_empty() {
        return Err(CommandError::failed("no USB device is meant").hint("`genpack-host vm usb` lists them"));
    }
    let mut ids = Vec::new();
    for device in chosen {
        let id = format!("usb-{}-{}", device.bus, device.port.replace('.', "-"));
        let mut arguments = usb_host(&device.for_qemu());
        arguments["id"] = json!(id);
        execute(&mut qmp, "device_add", arguments)?;
        ids.push(id);
    }
    Ok(ids)
}

/// Tries the ports one after another.
fn in_a_port(qmp: &mut Qmp, add: impl Fn(&mut Qmp, &str, &str) -> Result<()>) -> Result<String> {
    let peripherals = execute(qmp, "qom-list", json!({"path": "/machine/peripheral"}))?;
    let taken = names(&peripherals);
    let port = (0..HOTPLUG_PORTS).find(|port| !taken.contains(&format!("attached{port}")));
    let port = port.ok_or_else(|| {
        CommandError::failed(format!("all {HOTPLUG_PORTS} ports for devices attached later are taken"))
            .hint("detach one, or restart the machine with the device")
    })?;
    let (id, bus) = (format!("attached{port}"), format!("hotplug{port}"));
    add(qmp, &id, &bus)?;
    Ok(id)
}

/// Returns the names of devices. Not `query-pci`: that shows nothing behind a port before firmware has numbered it.
fn names(peripherals: &Value) -> Vec<String> {
    let name = |entry: &Value| entry["name"].as_str().map(str::to_owned);
    peripherals.as_array().into_iter().flatten().filter_map(name).collect()
}

fn undo_on_error(qmp: &mut Qmp, added: Result<Value>, undo: &str, arguments: Value) -> Result<()> {
    if added.is_err() {
        // The first error is the one that tells.
        let _ = execute(qmp, undo, arguments);
    }
    added.map(drop)
}

/// Detaches what was attached, once the guest has let go of it.
///
/// # Errors
/// When there is no such device, or the guest keeps it.
pub fn detach(name: &Name, id: &str) -> Result<()> {
    let (_, _, mut qmp) = control(name)?;
    execute(&mut qmp, "device_del", json!({"id": id}))?;
    qmp.wait_event("DEVICE_DELETED", |data| data["device"] == id, Deadline::after(LET_GO)).map_err(|e| {
        CommandError::failed(e.to_string())
            .context(format!("detaching {id}"))
            .hint("the guest did not let go of it: unmount what is on it, and try again")
    })?;
    for (command, arguments) in
        [("blockdev-del", json!({"node-name": id})), ("netdev_del", json!({"id": id}))]
    {
        // One of the two, or for USB neither, is there.
        let _ = execute(&mut qmp, command, arguments);
    }
    Ok(())
}

/// Gives a machine more or less memory.
///
/// # Errors
/// When it was not started with a maximum that allows it, or QEMU refuses.
pub fn set_memory(ctx: &Ctx, name: &Name, memory: Memory) -> Result<()> {
    let (_, _, mut qmp) = control(name)?;
    let summary = execute(&mut qmp, "query-memory-size-summary", Value::Null)?;
    let bytes = |key: &str| summary[key].as_u64().unwrap_or(0);
    let now = bytes("base-memory") + bytes("plugged-memory");
    let wanted = u64::from(memory.mib()) << 20;
    if wanted > now {
        let module = u64::from(MODULE_MIB) << 20;
        if !(wanted - now).is_multiple_of(module) {
            return Err(CommandError::usage(format!("memory grows by multiples of {MODULE_MIB} MiB")));
        }
        let modules = execute(&mut qmp, "query-memory-devices", Value::Null)?;
        let id = format!("memory{}", modules.as_array().map_or(0, Vec::len));
        execute(
            &mut qmp,
            "object-add",
            json!({"qom-type": "memory-backend-ram", "id": id, "size": wanted - now}),
        )?;
        let added = execute(
            &mut qmp,
            "device_add",
            json!({"driver": "pc-dimm", "id": format!("{id}-module"), "memdev": id}),
        );
        undo_on_error(&mut qmp, added, "object-del", json!({"id": id}))
            .map_err(|e| e.hint("start the machine with a maximum: --memory NOW:MAX"))?;
    }
    execute(&mut qmp, "balloon", json!({"value": wanted}))?;
    ctx.ui.step(format!("{name} has {} MiB of memory", memory.mib()));
    Ok(())
}

/// Gives a machine more processors, or fewer of those that it was given so.
///
/// # Errors
/// When it was not started with a maximum that allows it, or QEMU refuses.
pub fn set_cpus(ctx: &Ctx, name: &Name, wanted: u16) -> Result<()> {
    let (_, _, mut qmp) = control(name)?;
    let places = execute(&mut qmp, "query-hotpluggable-cpus", Value::Null)?;
    let places: Vec<&Value> = places.as_array().into_iter().flatten().collect();
    let (used, free): (Vec<&Value>, Vec<&Value>) =
        places.iter().partition(|place| place.get("qom-path").is_some());
    let (now, wanted) = (used.len(), usize::from(wanted));
    if wanted > now + free.len() {
        return Err(CommandError::failed(format!("{name} has room for {} processors", now + free.len()))
            .hint("start the machine with a maximum: --cpu NOW:MAX"));
    }
    // QEMU lists the last place first.
    for (number, place) in (now..wanted).zip(free.iter().rev()) {
        let mut device = json!({"driver": place["type"], "id": format!("processor{number}")});
        for (key, value) in place["props"].as_object().into_iter().flatten() {
            device[key] = value.clone();
        }
        execute(&mut qmp, "device_add", device)?;
    }
    for number in (wanted..now).rev() {
        execute(&mut qmp, "device_del", json!({"id": format!("processor{number}")}))
            .map_err(|e| e.hint("only processors that were added can be taken away"))?;
    }
    ctx.ui.step(format!("{name} has {wanted} processors"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_found_by_name() {
        let answer = json!([{"name": "hotplug0", "type": "child<pcie-root-port>"}, {"name": "attached0"}, {"type": "x"}]);
        assert_eq!(names(&answer), ["hotplug0", "attached0"]);
        assert!(names(&json!(null)).is_empty());
    }
}
