//! `locale`: the `LANG` line of `/etc/locale.conf`, and of the files in which logins look first.
//!
//! Format: locale.conf(5). All other lines stay as they are.

use crate::stage2::desired::Desired;
use crate::tree::Tree;
use genpack_core::contract::system_ini::Settings;

/// Wants the locale.
pub fn want(settings: &Settings, tree: &Tree, desired: &mut Desired) {
    let Some(locale) = &settings.locale else { return };
    let line = ["LANG=", locale].concat();
    desired.line("/etc/locale.conf", "LANG=", &line);
    for path in &["/etc/default/locale", "/etc/environment"] {
        // Why: an old LANG in them wins over locale.conf at login, but nobody needs a new file.
        if tree.is_file(path) && tree.read_link(path).is_none() {
            desired.line(path, "LANG=", &line);
        }
    }
}
