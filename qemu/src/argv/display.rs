//! Screens, sound and USB on the command line.

use serde_json::json;

use super::{Line, addr, slot};
use crate::machine::{Display, Gpu, Machine, SoundCard};

/// Memory of the host that an accelerated graphics card maps into the guest.
const GPU_HOST_MEMORY: u64 = 2 << 30;

impl Line {
    pub(super) fn display(&mut self, machine: &Machine) {
        match &machine.display {
            None => self.option("-display", "none"),
            Some(display) => {
                self.option("-display", &window(display));
                self.gpu(display);
                for (name, value) in [("-spice", &display.spice), ("-vnc", &display.vnc)] {
                    if let Some(value) = value {
                        self.option(name, value);
                    }
                }
            }
        }
        // A machine without a screen has its keyboard on the console.
        let input = machine.display.is_some();
        if !machine.usb_bus {
            if input {
                self.json("-device", &json!({"driver": "virtio-keyboard-pci", "addr": addr(slot::USB, 0), "multifunction": true}));
                self.json("-device", &json!({"driver": "virtio-tablet-pci", "addr": addr(slot::USB, 1)}));
            }
            return;
        }
        if input || machine.hotplug_ports > 0 || !machine.usb.is_empty() {
            self.json("-device", &json!({"driver": "qemu-xhci", "id": "usb", "addr": addr(slot::USB, 0)}));
        }
        if input {
            for driver in ["usb-kbd", "usb-tablet"] {
                self.json("-device", &json!({"driver": driver, "bus": "usb.0"}));
            }
        }
    }

    fn gpu(&mut self, display: &Display) {
        let mut device = match display.gpu {
            Gpu::Virtio2d => json!({"driver": "virtio-gpu-pci"}),
            Gpu::Qxl => json!({"driver": "qxl", "vgamem_mb": 128}),
            Gpu::OpenGl | Gpu::Vulkan => json!({"driver": "virtio-gpu-gl-pci", "iommu_platform": true,
                "hostmem": GPU_HOST_MEMORY, "blob": true}),
        };
        if display.gpu == Gpu::Vulkan {
            device["venus"] = json!(true);
        }
        if let (Some((width, height)), true) = (display.resolution, display.gpu != Gpu::Qxl) {
            device["xres"] = json!(width);
            device["yres"] = json!(height);
        }
        if display.outputs > 1 {
            device["max_outputs"] = json!(display.outputs);
        }
        device["addr"] = json!(addr(slot::GPU, 0));
        self.json("-device", &device);
    }

    pub(super) fn sound(&mut self, machine: &Machine) {
        let Some(sound) = &machine.sound else { return };
        self.option("-audiodev", &format!("{},id=snd0", sound.backend));
        match sound.card {
            SoundCard::Virtio => {
                self.json("-device", &json!({"driver": "virtio-sound-pci", "audiodev": "snd0"}))
            }
            SoundCard::Hda => {
                self.json("-device", &json!({"driver": "ich9-intel-hda"}));
                self.json("-device", &json!({"driver": "hda-duplex", "audiodev": "snd0"}));
            }
        }
    }
}

/// Returns the value of `-display`.
fn window(display: &Display) -> String {
    const HEADLESS: &str = "egl-headless";
    let headless = || match &display.render_node {
        Some(node) => format!("{HEADLESS},rendernode={}", super::comma(node)),
        None => HEADLESS.to_owned(),
    };
    match &display.window {
        Some(window) if window == HEADLESS => headless(),
        Some(window) if display.gpu.is_accelerated() && window != "none" => format!("{window},gl=on"),
        Some(window) => window.clone(),
        None if display.gpu.is_accelerated() => headless(),
        None => "none".to_owned(),
    }
}
