//! The table of keys of the section `_default`.
//!
//! It is itself the document, from which `docs/system-ini.md` is made. Not handled: sections of add-ons.

/// What a value has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One of the words of [`crate::text::ini::parse_bool`].
    Bool,
    /// A whole number that is not negative.
    Integer,
    /// One line of text.
    Text,
    /// One entry a line.
    Lines,
    /// One of these words.
    Choice(&'static [&'static str]),
}

/// A key of `system.ini`.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The key, in lower case.
    pub name: &'static str,
    /// What its value has to be.
    pub kind: Kind,
    /// What holds without it; empty when nothing is done.
    pub default: &'static str,
    /// What it does, one sentence.
    pub help: &'static str,
    /// Whether this version does it.
    pub applied: bool,
}

const fn key(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Key {
    Key { name, kind, default, help, applied: false }
}

const fn applied(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Key {
    Key { name, kind, default, help, applied: true }
}

/// Every key, in the order of the reference.
pub const KEYS: &[Key] = &[
    applied("hostname", Kind::Text, "", "Name of the machine (RFC 1123, at most 64 characters)."),
    applied(
        "timezone",
        Kind::Text,
        "",
        "Time zone by its name under /usr/share/zoneinfo, such as Asia/Tokyo.",
    ),
    applied("locale", Kind::Text, "", "Value of LANG for the whole system, such as ja_JP.UTF-8."),
    applied("ssh_pubkey", Kind::Lines, "", "Public keys that may log in through SSH, one a line."),
    applied("debug", Kind::Bool, "no", "Logs every step of the init."),
    key("autologin", Kind::Bool, "", "Logs root in on the first console without asking."),
    key("exec_guard", Kind::Bool, "yes", "Keeps /usr read-only."),
    key("swapfile", Kind::Bool, "yes", "Keeps a swap file on the data partition."),
    key("boot_rw", Kind::Bool, "no", "Keeps the boot partition writable while the system runs."),
    key(
        "on_data_failure",
        Kind::Choice(&["tmpfs", "rescue", "reboot"]),
        "tmpfs",
        "Says what to do when the data partition is there and cannot be mounted.",
    ),
    key("wifi_ssid", Kind::Text, "", "Name of the Wi-Fi network to join."),
    key("wifi_key", Kind::Text, "", "Passphrase of the Wi-Fi network; an open network has none."),
    key("wifi_wpa3", Kind::Bool, "no", "Uses WPA3 (SAE) instead of WPA2."),
    key("wifi_sae_pwe", Kind::Integer, "2 with wifi_wpa3", "Way to derive the SAE password element."),
    key("wifi_country", Kind::Text, "", "Country code of the radio rules, such as JP."),
    key(
        "wifi_systemd_config_file",
        Kind::Text,
        "54-wlan.network",
        "Name of the file that is written to /etc/systemd/network.",
    ),
    key("wifi_mdns", Kind::Bool, "yes", "Answers and asks for .local names on the Wi-Fi network."),
    key("wifi_llmnr", Kind::Bool, "yes", "Answers and asks for LLMNR names on the Wi-Fi network."),
    key("wifi_ignore_dns", Kind::Bool, "no", "Does not use the DNS servers that the Wi-Fi network offers."),
    key("wifi_ignore_gateway", Kind::Bool, "no", "Does not use the router that the Wi-Fi network offers."),
    key("wifi_required_for_online", Kind::Text, "", "Value of RequiredForOnline of the Wi-Fi network."),
];

/// Returns the key of this name, which must be in lower case.
#[must_use]
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// Longest key that is compared with the known ones, in characters: the known ones are shorter.
const MAX_COMPARED_CHARS: usize = 32;

/// Returns the known key that a misspelt one is nearest to, when it is near enough to be worth a question.
pub(super) fn nearest(name: &str) -> Option<&'static Key> {
    let mut chars = heapless::Vec::<char, MAX_COMPARED_CHARS>::new();
    for c in name.chars() {
        // Why: `ssh-pubkey` and `ssh pubkey` are the same slip as `ssh_pubkey`.
        chars.push(if matches!(c, '-' | ' ' | '.') { '_' } else { c }).ok()?;
    }
    let near = chars.len().checked_div(3).unwrap_or(0).clamp(1, 3);
    KEYS.iter()
        .filter(|key| key.name.len().abs_diff(chars.len()) <= near)
        .map(|key| (edit_distance(&chars, key.name), key))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= near)
        .map(|(_, key)| key)
}

/// Returns how many characters have to be put in, taken out, replaced or swapped with their neighbour (optimal string
/// alignment).
fn edit_distance(a: &[char], b: &str) -> usize {
    // Rows of the table: for `a` up to the last character but one, the last one, and this one.
    let mut before = [0_usize; MAX_COMPARED_CHARS + 1];
    let mut last = [0_usize; MAX_COMPARED_CHARS + 1];
    let mut row = [0_usize; MAX_COMPARED_CHARS + 1];
    for (i, cell) in last.iter_mut().enumerate() {
        *cell = i;
    }
    let at = |row: &[usize], i: usize| row.get(i).copied().unwrap_or(usize::MAX);
    let mut previous_b = None;
    for (j, cb) in b.chars().enumerate() {
        row[0] = j.saturating_add(1);
        let mut previous_a = None;
        for (i, ca) in a.iter().enumerate() {
            let cost = usize::from(*ca != cb);
            let mut best = at(&last, i).saturating_add(cost);
            best = best.min(at(&last, i.saturating_add(1)).saturating_add(1));
            best = best.min(at(&row, i).saturating_add(1));
            if previous_a == Some(cb)
                && previous_b == Some(*ca)
                && let Some(two_back) = i.checked_sub(1)
            {
                best = best.min(at(&before, two_back).saturating_add(1));
            }
            if let Some(cell) = row.get_mut(i.saturating_add(1)) {
                *cell = best;
            }
            previous_a = Some(*ca);
        }
        (before, last, row) = (last, row, before);
        previous_b = Some(cb);
    }
    at(&last, a.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn edit_distance_counts_the_four_slips() {
        for (a, b, distance) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("abc", "abc", 0),
            ("abc", "acb", 1),
            ("abc", "ab", 1),
            ("abc", "xabc", 1),
            ("abc", "axc", 1),
            ("kitten", "sitting", 3),
        ] {
            let chars: Vec<char> = a.chars().collect();
            assert_eq!(edit_distance(&chars, b), distance, "{a} {b}");
        }
    }

    #[test]
    fn nearest_is_none_for_strangers() {
        assert_eq!(nearest("tiemzone").map(|k| k.name), Some("timezone"));
        assert_eq!(nearest("wifi.ssid").map(|k| k.name), Some("wifi_ssid"));
        assert!(nearest("proxy").is_none());
        assert!(nearest("").is_none());
        assert!(nearest(&"x".repeat(1000)).is_none());
    }

    #[test]
    fn table_is_fit_for_a_reference() {
        for key in KEYS {
            assert!(key.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'));
            assert!(key.help.ends_with('.') && key.name.len() < MAX_COMPARED_CHARS, "{}", key.name);
            assert_eq!(KEYS.iter().filter(|other| other.name == key.name).count(), 1, "{}", key.name);
        }
    }
}
