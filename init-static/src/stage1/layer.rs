//! The writable layer: the data partition is found, grown, emptied when someone asks for it, and the overlay laid over it.
//!
//! The decisions are in [`super::data`] and [`super::plan`]; here they meet the machine. Not handled: what lies in the layer.

use alloc::format;
use alloc::string::String;

use super::Boot;
use super::data::{self, Data, OnFailure, Wishes};
use super::devices::BlockDevice;
use super::plan::{self, Candidate, Device};
use crate::fault::{Fault, Policy};
use crate::op::Op;
use crate::run::{self, Failure};
use crate::stage2::inputs::find_configuration;
use crate::sys::clock;
use genpack_core::contract::boot_state::Image;
use genpack_core::contract::{boot_status, paths};
use genpack_core::disk::grow;

/// Longest note about an image that is read, bytes.
const MAX_NOTE: usize = 4096;

impl Boot {
    /// Reads what the owner wants of the data partition off the boot partition.
    pub(super) fn read_wishes(&mut self) {
        // Why: stage 2 reads the same file again and reports what is wrong with it.
        let configuration = find_configuration(&self.exec.tree, paths::BOOT).unwrap_or_default();
        self.wishes = Wishes::of(&configuration.settings);
    }

    /// Waits for the data partition as long as there may be one, and looks into one that has no label.
    pub(super) fn find_data(&mut self, boot: &Device) -> Data {
        self.settle(|seen| plan::data_device(boot, seen).is_some());
        // Why: an owner who said what is to happen without it has one; it may be slower than the boot partition.
        let end_ms = clock::boot_ms() + u64::from(self.request.timeout_s) * 1000;
        let expected = self.wishes.expected && !self.request.transient;
        while expected && plan::data_device(boot, self.devices.seen()).is_none() {
            let left_ms = end_ms.saturating_sub(clock::boot_ms());
            if left_ms == 0 {
                break;
            }
            self.wait(left_ms);
        }
        match data::data_of(boot, self.devices.seen(), expected) {
            Data::Unlabelled(device) if self.has_layer(&device) => {
                self.exec.log.warning(format_args!("data on {}, which has no label of ours", device.name));
                Data::Labelled(device)
            }
            Data::Unlabelled(device) => {
                self.exec.log.info(format_args!("{} is somebody else's", device.name));
                if expected { Data::Missing("no data partition found".into()) } else { Data::None }
            }
            data => data,
        }
    }

    /// Tells whether there is a writable layer on a file system, which is not written to.
    fn has_layer(&mut self, device: &Device) -> bool {
        if self.exec.run(&plan::look(device)).is_err() {
            return false;
        }
        let found = ["", "/rw"].iter().any(|base| {
            let has = |name| self.exec.tree.is_dir(&format!("{}{base}/{name}", paths::LOOK));
            has(paths::UPPER) && has(paths::WORK)
        });
        self.exec.try_op(&Op::Unmount { target: paths::LOOK.into() });
        found
    }

    /// Mounts what is to be writable; answers where images on the data file system can be found.
    pub(super) fn mount_data(
        &mut self,
        data: Data,
        boot_files: &[String],
    ) -> Result<Option<&'static str>, Failure> {
        self.status.set(boot_status::PERSISTENT, "no");
        self.status.set(boot_status::DATA_DEVICE, "");
        let state = |boot: &mut Self, state| boot.status.set(boot_status::DATA, state);
        let mut place = None;
        match data {
            Data::Labelled(device) if self.request.transient => {
                state(self, "transient");
                self.exec.run(&plan::mount_memory())?;
                let needed = !boot_files.iter().any(|f| Image::of_file(f).is_some());
                if needed && self.exec.run(&plan::mount_data(&device, true)).is_ok() {
                    place = Some(paths::IMAGE_STORE);
                }
            }
            Data::Labelled(mut device) => {
                self.grow_partition(&mut device);
                match self.exec.run(&plan::mount_data(&device, false)) {
                    Ok(()) => {
                        self.persistent(&device.path(), "used");
                        if self.wishes.grow {
                            self.exec.run(&data::grow_file_system(&device))?;
                        }
                        place = Some(paths::RW);
                    }
                    Err(failure) => self.without_data(&failure.reason)?,
                }
            }
            Data::Missing(reason) if !self.request.transient => self.without_data(&reason)?,
            _ if !self.request.transient && self.shares_data() => {
                self.persistent(paths::VIRTIOFS_TAG, "shared");
                place = Some(paths::RW);
            }
            _ => {
                state(self, if self.request.transient { "transient" } else { "none" });
                self.exec.run(&plan::mount_memory())?;
            }
        }
        self.reset(boot_files);
        Ok(place)
    }

    fn persistent(&mut self, device: &str, data: &str) {
        self.status.set(boot_status::PERSISTENT, "yes");
        self.status.set(boot_status::DATA_DEVICE, device);
        self.status.set(boot_status::DATA, data);
    }

    /// Does what the owner wants where data are expected and cannot be used.
    fn without_data(&mut self, reason: &str) -> Result<(), Failure> {
        self.status.set(boot_status::PERSISTENT, "no");
        self.status.set(boot_status::DATA_DEVICE, "");
        self.status.set(boot_status::DATA, "failed");
        self.degraded(reason);
        match self.wishes.on_failure {
            OnFailure::Memory => self.exec.run(&plan::give_up_data()),
            OnFailure::Rescue | OnFailure::Reboot => Err(Failure::new(Fault::NeededData, reason)),
        }
    }

    /// Makes the data partition larger when its disk is; whatever fails, it is used as it is.
    fn grow_partition(&mut self, device: &mut Device) {
        if !self.wishes.grow || device.number == 0 {
            return;
        }
        let Ok(disk) = BlockDevice::open(&device.disk) else { return };
        match grow::plan(&disk, device.number, device.start) {
            Ok(None) => {}
            Ok(Some(growth)) => {
                let bytes = growth.bytes;
                if self.exec.run(&data::grow_partition(device, growth)).is_ok() {
                    self.exec.log.info(format_args!("{} has grown to {bytes} bytes", device.name));
                    device.bytes = bytes;
                }
            }
            Err(e) => self.exec.log.info(format_args!("{} does not grow: {e}", device.name)),
        }
    }

    /// Empties the writable layer when a file asks for it, and goes on with what an earlier boot could not finish.
    fn reset(&mut self, boot_files: &[String]) {
        if self.request.transient {
            return;
        }
        let legacy = self.has_legacy_layer();
        let base = plan::overlay_base(legacy);
        let mut requests = data::reset_requests(paths::BOOT, boot_files);
        requests.extend(data::reset_requests(paths::RW, &self.names(paths::RW)));
        let plan = data::reset(&base, &self.names(&base), &requests);
        if self.exec.run(&plan).is_ok() && !requests.is_empty() {
            self.exec.log.info(format_args!("the writable layer was emptied"));
            self.status.set(boot_status::RESET, "yes");
        }
    }

    fn has_legacy_layer(&self) -> bool {
        self.exec.tree.is_dir(&format!("{}/rw/{}", paths::RW, paths::UPPER))
    }

    /// Mounts the host's shared directory when the machine has such a device.
    fn shares_data(&mut self) -> bool {
        let has_device = self.exec.tree.list("/sys/bus/virtio/devices").is_ok_and(|devices| {
            devices.iter().any(|d| {
                let modalias = format!("/sys/bus/virtio/devices/{}/modalias", d.name);
                // Why: 26 (0x1A) is the device type of a virtio file system.
                self.exec.tree.read_text(&modalias, 4096).is_some_and(|m| m.starts_with("virtio:d0000001A"))
            })
        });
        has_device && self.exec.run(&plan::mount_shared_data()).is_ok()
    }

    /// Notes which image the writable layer is used with, and whether it was another one before.
    pub(super) fn note_image(&mut self, booted: &Candidate) {
        let Some(id) = run::image_id(&booted.path()) else { return };
        self.status.set(boot_status::IMAGE_ID, &id);
        if self.status.get(boot_status::PERSISTENT) != Some("yes") {
            return;
        }
        let path = format!("{}/{}", paths::RW, paths::IMAGE_ID);
        let before = self.exec.tree.read_text(&path, MAX_NOTE);
        let is_other = before.is_some_and(|before| before.trim_end() != id);
        self.status.set(boot_status::IMAGE_CHANGED, if is_other { "yes" } else { "no" });
        // Why: a report; without it the next boot only does not know.
        let _ = self.exec.run(&plan::note_image(&id));
    }

    /// Mounts the overlay; when the data file system cannot carry it, in memory.
    pub(super) fn overlay(&mut self) -> Result<(), Failure> {
        let legacy = self.has_legacy_layer();
        let tree = &self.exec.tree;
        let upper = format!("{}/{}", plan::overlay_base(legacy), paths::UPPER);
        let usr_in_upper = tree.is_dir(&format!("{upper}/usr")) && tree.is_dir(&format!("{}/usr", paths::RO));
        let is_memory = self.status.get(boot_status::PERSISTENT) != Some("yes");
        let fault = if is_memory { Fault::MemoryOverlay } else { Fault::Overlay };
        self.status.set(boot_status::OVERLAY, plan::OVERLAY_OPTIONS);
        match self.exec.run(&plan::overlay(fault, legacy, usr_in_upper)) {
            Err(failure) if failure.policy() == Policy::Degrade => {
                self.without_data(&failure.reason)?;
                self.exec.run(&plan::overlay(Fault::MemoryOverlay, false, false))
            }
            other => other,
        }
    }
}
