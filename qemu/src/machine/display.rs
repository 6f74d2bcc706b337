//! Screens and sound.

/// A graphics card.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gpu {
    /// virtio-gpu without acceleration.
    #[default]
    Virtio2d,
    /// QXL, for SPICE.
    Qxl,
    /// virtio-gpu with OpenGL of the host.
    OpenGl,
    /// virtio-gpu with Vulkan of the host.
    Vulkan,
}

impl Gpu {
    /// Tells whether the host's graphics card draws.
    #[must_use]
    pub const fn is_accelerated(self) -> bool {
        matches!(self, Self::OpenGl | Self::Vulkan)
    }
}

/// A screen and how it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Display {
    /// The graphics card.
    pub gpu: Gpu,
    /// A window of QEMU's (`gtk`, `egl-headless`, `none`), in QEMU's spelling.
    pub window: Option<String>,
    /// SPICE, in QEMU's spelling.
    pub spice: Option<String>,
    /// VNC, in QEMU's spelling.
    pub vnc: Option<String>,
    /// Number of screens, at least 1.
    pub outputs: u16,
    /// Device of the host's graphics card that draws without a window.
    pub render_node: Option<String>,
    /// Width and height.
    pub resolution: Option<(u32, u32)>,
}

/// A sound card's model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SoundCard {
    /// virtio-sound: QEMU 8.2 and newer.
    Virtio,
    /// Intel HD Audio.
    Hda,
}

/// Sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sound {
    /// QEMU's name of the host's sound system: `pipewire`, `pa`, `alsa`, `spice`, `none`.
    pub backend: &'static str,
    /// The card.
    pub card: SoundCard,
}
