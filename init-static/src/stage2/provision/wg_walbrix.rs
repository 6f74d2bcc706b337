//! Section `[wg-walbrix]`: the WireGuard tunnel to the maker's hub.
//!
//! Format: wg-quick(8). Without `pubkey` and `allowed_ips` there is no other end: the maker's values are in the maker's
//! images, not in this program.

use super::units;
use crate::stage2::desired::Desired;
use crate::tree::Tree;
use genpack_core::contract::system_ini::Settings;

const SECTION: &str = "wg-walbrix";

/// Wants the key, the tunnel's file and its unit.
pub fn want(settings: &Settings, tree: &Tree, desired: &mut Desired) {
    let wg = &settings.wg_walbrix;
    let Some(privkey) = &wg.privkey else { return };
    desired.secret("/etc/walbrix/privkey", privkey);
    if wg.address.is_empty() {
        return desired.fact(SECTION, "address", "there is no tunnel: 'address' is missing");
    }
    let Some(pubkey) = &wg.pubkey else {
        return desired.fact(SECTION, "pubkey", "there is no tunnel: 'pubkey' is missing");
    };
    let endpoint = wg.endpoint.as_deref().unwrap_or("hub.walbrix.net:51821");
    let content = [
        "[Interface]\nPrivateKey=",
        privkey,
        "\nAddress=",
        &wg.address.join(","),
        "\n\n[Peer]\nPublicKey=",
        pubkey,
        "\nendpoint=",
        endpoint,
        "\nAllowedIPs=",
        &wg.allowed_ips.join(","),
        "\nPersistentKeepalive=25\n",
    ];
    desired.secret("/etc/wireguard/wg-walbrix.conf", &content.concat());
    if !units::enable(tree, "wg-quick@wg-walbrix.service", desired) {
        desired.fact(SECTION, "privkey", "there is no tunnel: this system has no wg-quick");
    }
}
