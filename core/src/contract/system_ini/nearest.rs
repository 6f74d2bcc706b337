//! The known name that a misspelt one is nearest to.
//!
//! Optimal string alignment: characters put in, taken out, replaced or swapped with their neighbour. Not handled:
//! names without a common letter; see the other words that people use in [`super::keys::OTHER_WORDS`].

use super::keys::{Key, OTHER_WORDS, find_in};

/// Longest key that is compared with the known ones, in characters: the known ones are shorter.
const MAX_COMPARED_CHARS: usize = 32;

/// Returns the key that a misspelt one is nearest to, when it is near enough to be worth a question.
pub(super) fn nearest(keys: &'static [Key], name: &str) -> Option<&'static Key> {
    let mut chars = heapless::Vec::<char, MAX_COMPARED_CHARS>::new();
    for c in name.chars() {
        // Why: `ssh-pubkey` and `ssh pubkey` are the same slip as `ssh_pubkey`.
        chars.push(if matches!(c, '-' | ' ' | '.') { '_' } else { c }).ok()?;
    }
    let other = OTHER_WORDS.iter().find(|(word, _)| word.chars().eq(chars.iter().copied()));
    if let Some(key) = other.and_then(|(_, name)| find_in(keys, name)) {
        return Some(key);
    }
    let mut near = chars.len().checked_div(3).unwrap_or(0).clamp(1, 3);
    let mut nearest = None;
    for key in keys {
        if key.name.len().abs_diff(chars.len()) > near {
            continue;
        }
        let distance = edit_distance(&chars, key.name);
        if distance < near || (distance == near && nearest.is_none()) {
            (near, nearest) = (distance, Some(key));
        }
    }
    nearest
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
    use super::super::keys::KEYS;
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
    fn nearest_knows_slips_and_other_words_and_no_strangers() {
        for (name, wanted) in [
            ("tiemzone", Some("timezone")),
            ("wifi.ssid", Some("wifi_ssid")),
            ("wifi-password", Some("wifi_key")),
            ("gateway", Some("ip_gateway")),
            ("tracing", None),
            ("", None),
            ("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", None),
        ] {
            assert_eq!(nearest(KEYS, name).map(|k| k.name), wanted, "{name}");
        }
    }
}
