//! PCI devices of the host for a guest: what must be written to sysfs to hand one over, and to take it back.
//!
//! Kernel documentation: `driver-api/vfio.rst`, `ABI/testing/sysfs-bus-pci`. A device is handed over together with
//! its IOMMU group or not at all. Not handled: making virtual functions, addresses of them.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::command_error::{CommandError, Context, Result};

/// The driver that hands devices to user space.
const VFIO: &str = "vfio-pci";
/// Class of PCI bridges: they stay with their driver.
const BRIDGE_CLASS: &str = "0x0604";
/// Memory that stays with the host when guests pin theirs, MiB.
const HOST_RESERVE_MIB: u64 = 2048;

/// One write to a file of sysfs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write1 {
    /// The file.
    pub path: PathBuf,
    /// What is written.
    pub value: String,
}

/// How a device is handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handover {
    /// The device's address.
    pub id: String,
    /// What binds it to vfio-pci; empty when it is.
    pub bind: Vec<Write1>,
    /// What gives it back to the driver it had.
    pub give_back: Vec<Write1>,
}

/// Plans to hand over one device.
///
/// # Errors
/// When it does not exist, has no IOMMU group, or shares its group with a device that the host uses.
pub fn plan(id: &str, also: &[&str], sys: &Path) -> Result<Handover> {
    let device = sys.join("bus/pci/devices").join(id);
    if !device.exists() {
        return Err(CommandError::failed(format!("there is no PCI device {id}"))
            .hint("`lspci -D` lists the addresses"));
    }
    let group = device.join("iommu_group/devices");
    let members = std::fs::read_dir(&group).map_err(|_| {
        CommandError::failed(format!("the PCI device {id} has no IOMMU group")).hint(
            "switch on VT-d or AMD-Vi in the firmware, and boot the host with intel_iommu=on where it is needed",
        )
    })?;
    let mut used = Vec::new();
    for member in members {
        let member = member.with_context(|| format!("reading {}", group.display()))?;
        let name = member.file_name().to_string_lossy().into_owned();
        let path = sys.join("bus/pci/devices").join(&name);
        let is_bridge = read(&path.join("class")).starts_with(BRIDGE_CLASS);
        let free = driver(&path).is_none_or(|driver| driver == VFIO);
        if name != id && !also.contains(&name.as_str()) && !is_bridge && !free {
            used.push(name);
        }
    }
    if !used.is_empty() {
        used.sort();
        return Err(CommandError::refused(format!(
            "the PCI device {id} shares its IOMMU group with {}, which the host uses",
            used.join(", ")
        ))
        .hint("pass all of them, or unbind them from their drivers first"));
    }
    let write = |path: PathBuf, value: &str| Write1 { path, value: value.to_owned() };
    let drivers = sys.join("bus/pci/drivers");
    let had = driver(&device);
    if had.as_deref() == Some(VFIO) {
        return Ok(Handover { id: id.to_owned(), bind: Vec::new(), give_back: Vec::new() });
    }
    let mut bind = Vec::new();
    if let Some(driver) = &had {
        bind.push(write(drivers.join(driver).join("unbind"), id));
    }
    bind.push(write(device.join("driver_override"), VFIO));
    bind.push(write(sys.join("bus/pci/drivers_probe"), id));
    let give_back = vec![
        write(drivers.join(VFIO).join("unbind"), id),
        // Why a newline: an empty write is no write.
        write(device.join("driver_override"), "\n"),
        write(sys.join("bus/pci/drivers_probe"), id),
    ];
    Ok(Handover { id: id.to_owned(), bind, give_back })
}

/// Tells whether a device is bound to vfio-pci.
#[must_use]
pub fn is_bound(id: &str, sys: &Path) -> bool {
    driver(&sys.join("bus/pci/devices").join(id)).as_deref() == Some(VFIO)
}

fn driver(device: &Path) -> Option<String> {
    let link = std::fs::read_link(device.join("driver")).ok()?;
    Some(link.file_name()?.to_string_lossy().into_owned())
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// Does the writes, in order.
///
/// # Errors
/// At the first that the kernel refuses.
pub fn run(writes: &[Write1]) -> Result<()> {
    for write in writes {
        File::options()
            .write(true)
            .open(&write.path)
            .and_then(|mut file| file.write_all(write.value.as_bytes()))
            .with_context(|| format!("writing {:?} to {}", write.value, write.path.display()))?;
    }
    Ok(())
}

/// Checks that the host keeps memory: a guest with a PCI device pins all of its own.
///
/// # Errors
/// A refusal with the figures.
pub fn check_memory(own_mib: u64, pinned_by_others_mib: u64, host_mib: u64) -> Result<()> {
    let needed = own_mib.saturating_add(pinned_by_others_mib);
    let limit = host_mib.saturating_sub(HOST_RESERVE_MIB);
    if needed <= limit {
        return Ok(());
    }
    Err(CommandError::refused(format!(
        "PCI devices need {own_mib} MiB of memory that cannot be swapped, other machines have {pinned_by_others_mib} \
         MiB, and of the host's {host_mib} MiB {HOST_RESERVE_MIB} stay with it"
    ))
    .hint("give the machine less memory, or stop another one"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A host with three devices: a graphics card and its sound in one group, and a network card.
    fn host() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let sys = dir.path();
        for (id, group, driver, class) in [
            ("0000:01:00.0", 1, Some("nvidia"), "0x030000\n"),
            ("0000:01:00.1", 1, Some("snd_hda_intel"), "0x040300\n"),
            ("0000:00:01.0", 1, Some("pcieport"), "0x060400\n"),
            ("0000:02:00.0", 2, None, "0x020000\n"),
            ("0000:03:00.0", 3, Some("vfio-pci"), "0x020000\n"),
        ] {
            let device = sys.join("bus/pci/devices").join(id);
            std::fs::create_dir_all(&device).unwrap();
            std::fs::write(device.join("class"), class).unwrap();
            let members = sys.join(format!("kernel/iommu_groups/{group}/devices"));
            std::fs::create_dir_all(members.join(id)).unwrap();
            std::os::unix::fs::symlink(members.parent().unwrap(), device.join("iommu_group")).unwrap();
            if let Some(driver) = driver {
                let path = sys.join("bus/pci/drivers").join(driver);
                std::fs::create_dir_all(&path).unwrap();
                std::os::unix::fs::symlink(path, device.join("driver")).unwrap();
            }
        }
        dir
    }

    fn writes(sys: &Path, writes: &[Write1]) -> Vec<String> {
        let relative = |w: &Write1| w.path.strip_prefix(sys.join("bus/pci")).unwrap().display().to_string();
        writes.iter().map(|w| format!("{} < {:?}", relative(w), w.value)).collect()
    }

    #[test]
    fn device_is_handed_over_and_given_back() {
        let host = host();
        let plan = plan("0000:01:00.0", &["0000:01:00.1"], host.path()).unwrap();
        assert_eq!(
            writes(host.path(), &plan.bind),
            [
                r#"drivers/nvidia/unbind < "0000:01:00.0""#,
                r#"devices/0000:01:00.0/driver_override < "vfio-pci""#,
                r#"drivers_probe < "0000:01:00.0""#
            ]
        );
        assert_eq!(
            writes(host.path(), &plan.give_back),
            [
                r#"drivers/vfio-pci/unbind < "0000:01:00.0""#,
                r#"devices/0000:01:00.0/driver_override < "\n""#,
                r#"drivers_probe < "0000:01:00.0""#
            ]
        );
    }

    #[test]
    fn device_without_driver_is_only_bound_and_one_of_vfio_left_alone() {
        let host = host();
        let free = plan("0000:02:00.0", &[], host.path()).unwrap();
        assert_eq!(free.bind.len(), 2);
        let bound = plan("0000:03:00.0", &[], host.path()).unwrap();
        assert_eq!((bound.bind.len(), bound.give_back.len()), (0, 0));
        assert!(is_bound("0000:03:00.0", host.path()));
    }

    #[test]
    fn group_that_the_host_uses_is_refused() {
        let host = host();
        let error = plan("0000:01:00.0", &[], host.path()).unwrap_err();
        assert!(error.to_string().contains("with 0000:01:00.1, which the host uses"), "{error}");
        assert_eq!(error.kind.exit_code(), 3);
        let error = plan("0000:09:00.0", &[], host.path()).unwrap_err();
        assert!(error.to_string().contains("no PCI device 0000:09:00.0"), "{error}");
        std::fs::remove_file(host.path().join("bus/pci/devices/0000:02:00.0/iommu_group")).unwrap();
        let error = plan("0000:02:00.0", &[], host.path()).unwrap_err();
        assert!(error.to_string().contains("no IOMMU group"), "{error}");
    }

    #[test]
    fn memory_of_the_host_is_kept() {
        for (own, others, host, fits) in [
            (2048, 0, 8192, true),
            (6144, 0, 8192, true),
            (6145, 0, 8192, false),
            (2048, 4097, 8192, false),
            (1, 0, 1024, false),
            (u64::MAX, u64::MAX, 8192, false),
        ] {
            assert_eq!(check_memory(own, others, host).is_ok(), fits, "{own} {others} {host}");
        }
    }

    #[test]
    fn refused_write_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("unbind");
        std::fs::write(&path, "").unwrap();
        run(&[Write1 { path: path.clone(), value: "x".into() }]).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "x");
        let error = run(&[Write1 { path: dir.path().join("no/such"), value: "x".into() }]).unwrap_err();
        assert!(error.to_string().contains("no/such"), "{error}");
    }
}
