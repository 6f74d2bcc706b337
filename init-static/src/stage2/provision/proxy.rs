//! `proxy`, `no_proxy`: the environment of services, of user managers and of login shells.
//!
//! Formats: systemd-system.conf(5) (`DefaultEnvironment=`, where `%` begins a specifier), environment.d(5), sh(1).

use alloc::string::String;

use crate::stage2::desired::Desired;
use crate::tree::Tree;
use genpack_core::bytes::push;
use genpack_core::contract::system_ini::Settings;

/// Wants the variables, in small and in capital letters: programs look for either.
pub fn want(settings: &Settings, _: &Tree, desired: &mut Desired) {
    let Some(proxy) = &settings.proxy else { return };
    let none = settings.no_proxy.join(",");
    let (mut manager, mut users, mut shell) =
        (String::from("[Manager]\nDefaultEnvironment="), String::new(), String::new());
    for &(name, value) in &[
        ("http_proxy", proxy),
        ("https_proxy", proxy),
        ("HTTP_PROXY", proxy),
        ("HTTPS_PROXY", proxy),
        ("no_proxy", &none),
        ("NO_PROXY", &none),
    ] {
        if value.is_empty() {
            continue;
        }
        // Why: the rules of the keys let neither quotes nor backslashes nor `$` into a value.
        push(&mut manager, &["\"", name, "=", &value.replace('%', "%%"), "\" "]);
        push(&mut users, &[name, "=\"", value, "\"\n"]);
        push(&mut shell, &["export ", name, "='", value, "'\n"]);
    }
    manager.push('\n');
    // Why: a proxy's URL may have a password in it. Login shells read theirs as whoever logs in, so it stays readable.
    desired.secret("/run/systemd/system.conf.d/50-genpack-proxy.conf", &manager);
    desired.file("/run/environment.d/50-genpack-proxy.conf", &users);
    desired.file("/etc/profile.d/genpack-proxy.sh", &shell);
}
