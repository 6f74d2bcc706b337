//! One file per setting of `system.ini`: the setting and what is on disk become operations.

pub mod autologin;
pub mod firewall;
pub mod hostname;
pub mod locale;
pub mod machine_id;
pub mod network;
pub mod ntp;
pub mod ssh_key;
pub mod timezone;
pub mod units;

use super::desired::Desired;
use crate::tree::Tree;
use genpack_core::contract::system_ini::Settings;

/// A module that works in the directories of this boot.
pub type Module = fn(&Settings, &Tree, &mut Desired);

/// These modules, in the order in which they run.
pub static MODULES: &[Module] = &[autologin::want, network::want, ntp::want, firewall::want, units::want];
