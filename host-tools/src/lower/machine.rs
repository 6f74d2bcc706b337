//! What an image is to boot on; it decides whether it needs a kernel, an init and boot loaders.

/// A kind of machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// Real machines: loaders for disks.
    Baremetal,
    /// Virtual machines that are handed kernel and initramfs.
    Paravirt,
}

impl Machine {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Baremetal, Self::Paravirt];

    /// Returns the name in a definition.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Baremetal => "baremetal",
            Self::Paravirt => "paravirt",
        }
    }

    /// Returns the kind of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.name() == name)
    }
}
