//! Arguments of `vm debug`: what follows from a name, an interface or an image, as JSON.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::command_error::Result;
use crate::ctx::Ctx;
use crate::io::system_image::SystemImage;
use crate::vm::host::Host;
use crate::vm::identity::{Name, cid, uuid};
use crate::vm::kernel::{self, RootDirectory};
use crate::vm::network::Interface;

/// Verbs of the group.
#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Verb {
    /// Prints what follows from a machine's name: its addresses and its UUID
    #[command(after_help = "Examples:\n  genpack-host vm debug name web\n  \
        genpack-host vm debug name web --uid 1000 --cards 2")]
    Name {
        /// Name of the machine, which need not be there
        name: Name,
        /// Whose machine; default: ours
        #[arg(long)]
        uid: Option<u32>,
        /// Of how many network cards
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
        cards: u16,
    },
    /// Prints what an interface's name means on this host
    #[command(after_help = "Examples:\n  genpack-host vm debug net br0")]
    Net {
        /// What `--net` is given
        interface: String,
    },
    /// Prints which kernel of an image or a directory a machine starts
    #[command(after_help = "Examples:\n  genpack-host vm debug kernel web-x86_64.squashfs")]
    Kernel {
        /// System image or root directory
        image: PathBuf,
    },
}

impl Verb {
    /// Does what the verb says.
    pub(in crate::cli) fn run(self, ctx: &Ctx) -> Result<ExitCode> {
        let answer = match self {
            Self::Name { name, uid, cards } => {
                let uid = uid.unwrap_or_else(|| rustix::process::getuid().as_raw());
                let mac: Vec<String> = (0..cards).map(|card| name.mac(card.into())).collect();
                let (cid, uuid) = (cid(uid, name.as_str(), 0), uuid(uid, name.as_str()));
                json!({"name": name, "mac": mac, "cid": cid, "uuid": uuid})
            }
            Self::Net { interface } => described(&Interface::of(&interface, &Host::default().sys)?),
            Self::Kernel { image } => {
                let path = ctx.path(&image);
                let found = if path.is_dir() {
                    kernel::read(&RootDirectory::open(&path)?)?
                } else {
                    kernel::read(&SystemImage::open(&path)?)?
                };
                json!({"kernel": found.kernel_path, "arch": found.arch.name(),
                    "initramfs": found.initramfs.is_some(), "words": found.words})
            }
        };
        ctx.ui.document(&answer);
        Ok(ExitCode::SUCCESS)
    }
}

fn described(interface: &Interface) -> Value {
    match interface {
        Interface::User => json!({"kind": "user"}),
        Interface::Passt => json!({"kind": "passt"}),
        Interface::Bridge(name) => json!({"kind": "bridge", "interface": name}),
        Interface::Tap(name) => json!({"kind": "tap", "interface": name}),
        Interface::Multicast(group) => json!({"kind": "multicast", "group": group}),
        Interface::Macvtap(name) => json!({"kind": "macvtap", "interface": name}),
        Interface::Vde(directory) => json!({"kind": "vde", "directory": directory}),
        Interface::SrIov { card, first, last } => {
            json!({"kind": "sr-iov", "card": card, "first": first, "last": last})
        }
    }
}
