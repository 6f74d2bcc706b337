//! One file per group of settings: the settings and what is on disk become a [`Desired`](super::desired::Desired).
//!
//! Modules only look at the tree, they change nothing. [`MODULES`] is the order; it is documented in
//! `docs/stack.md` and matters where a module's operations need another one's files.

pub mod accounts;
pub mod autologin;
pub mod banner;
pub mod bind;
pub mod exec_guard;
pub mod firewall;
pub mod fw_cfg;
pub mod hooks;
pub mod hostname;
pub mod keymap;
pub mod locale;
pub mod machine_id;
pub mod memtest;
pub mod network;
pub mod ntp;
pub mod postfix;
pub mod proxy;
pub mod sakuravps;
pub mod ssh_key;
pub mod swap;
pub mod timezone;
pub mod units;
pub mod walbrix;
pub mod wg_walbrix;
pub mod wifi;

use super::desired::Desired;
use crate::tree::Tree;
use genpack_core::contract::system_ini::Settings;

/// A module: what the settings want of a tree.
pub type Module = fn(&Settings, &Tree, &mut Desired);

/// The modules with their names, in the order in which they run.
pub static MODULES: &[(&str, Module)] = &[
    ("hostname", hostname::want),
    ("timezone", timezone::want),
    ("locale", locale::want),
    ("keymap", keymap::want),
    ("accounts", accounts::want),
    ("autologin", autologin::want),
    ("network", network::want),
    ("wifi", wifi::want),
    ("ntp", ntp::want),
    ("proxy", proxy::want),
    ("firewall", firewall::want),
    ("sakuravps", sakuravps::want),
    ("wg-walbrix", wg_walbrix::want),
    ("walbrix", walbrix::want),
    ("units", units::want),
    ("swap", swap::want),
    ("bind", bind::want),
    ("postfix", postfix::want),
    ("memtest", memtest::want),
    ("banner", banner::want),
];
