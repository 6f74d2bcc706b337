//! Which kernel and initramfs an image offers for a direct boot.
//!
//! Order: the fixed names in `/boot`, then versioned names in `/boot`, then the kernels that some distributions keep
//! beside their modules, then unified kernel images where the UAPI group's Boot Loader Specification puts them; the
//! newest version first. Versions decide, not times: images are reproducible and all their times may be equal. Not
//! looked at: boot loader entries.

use std::cmp::Ordering;

/// Names of the kernel without a version, the preferred first.
const FIXED_KERNELS: [&str; 2] = ["kernel", "vmlinuz"];
/// Names of the initramfs beside them.
const FIXED_INITRAMFS: [&str; 3] = ["initramfs", "initramfs.img", "initrd.img"];
/// Prefixes of versioned kernels.
const VERSIONED_KERNELS: [&str; 2] = ["kernel-", "vmlinuz-"];

/// Where unified kernel images are, the boot partition's place in an image first.
const UKI_DIRECTORIES: [&str; 3] = ["/boot/EFI/Linux", "/efi/EFI/Linux", "/boot/efi/EFI/Linux"];

/// A kernel that may be there, and where its initramfs may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Path of the kernel.
    pub kernel: String,
    /// Paths of the initramfs; the first that exists belongs to the kernel, none is fine.
    pub initramfs: Vec<String>,
}

/// Looks for the candidates of a tree, the preferred first; `names` lists a directory, when it is there.
///
/// # Errors
/// When a directory cannot be read.
pub fn look_for<E>(names: impl Fn(&str) -> Result<Option<Vec<String>>, E>) -> Result<Vec<Candidate>, E> {
    let boot = names("/boot")?.unwrap_or_default();
    let modules = names("/usr/lib/modules")?.unwrap_or_default();
    let mut ukis = Vec::new();
    for directory in UKI_DIRECTORIES {
        let found = names(directory)?.unwrap_or_default();
        ukis.extend(found.iter().map(|name| format!("{directory}/{name}")));
    }
    Ok(candidates(&boot, &modules, &ukis))
}

/// Returns the candidates, the preferred first, from the names in `/boot` and in `/usr/lib/modules`, and the paths of
/// what lies in [`UKI_DIRECTORIES`].
fn candidates(boot: &[String], modules: &[String], ukis: &[String]) -> Vec<Candidate> {
    let has = |name: &str| boot.iter().any(|b| b == name);
    let fixed = FIXED_KERNELS.into_iter().filter(|name| has(name)).map(|name| Candidate {
        kernel: format!("/boot/{name}"),
        initramfs: FIXED_INITRAMFS.map(|i| format!("/boot/{i}")).to_vec(),
    });
    let mut versioned: Vec<(&str, String)> = boot
        .iter()
        .filter_map(|name| {
            let version = VERSIONED_KERNELS.iter().find_map(|prefix| name.strip_prefix(prefix))?;
            Some((version, format!("/boot/{name}")))
        })
        .collect();
    versioned.sort_by(|(a, _), (b, _)| compare_versions(b, a));
    let mut with_modules: Vec<(&str, String)> = modules
        .iter()
        .map(|version| (version.as_str(), format!("/usr/lib/modules/{version}/vmlinuz")))
        .collect();
    with_modules.sort_by(|(a, _), (b, _)| compare_versions(b, a));
    let versioned = versioned
        .into_iter()
        .chain(with_modules)
        .map(|(version, kernel)| Candidate { kernel, initramfs: versioned_initramfs(version) });
    let mut unified: Vec<&String> = ukis.iter().filter(|path| path.ends_with(".efi")).collect();
    unified.sort_by(|a, b| compare_versions(file_name(b), file_name(a)));
    let unified = unified.into_iter().cloned().map(|kernel| Candidate { kernel, initramfs: Vec::new() });
    fixed.chain(versioned).chain(unified).collect()
}

fn file_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

fn versioned_initramfs(version: &str) -> Vec<String> {
    vec![
        format!("/boot/initramfs-{version}"),
        format!("/boot/initramfs-{version}.img"),
        format!("/boot/initrd.img-{version}"),
    ]
}

/// Compares versions: runs of digits as numbers, everything else as text.
fn compare_versions(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let (text_a, rest_a) = split_run(a, |c| !c.is_ascii_digit());
        let (text_b, rest_b) = split_run(b, |c| !c.is_ascii_digit());
        let (number_a, rest_a) = split_run(rest_a, |c| c.is_ascii_digit());
        let (number_b, rest_b) = split_run(rest_b, |c| c.is_ascii_digit());
        let order = text_a.cmp(text_b).then_with(|| compare_numbers(number_a, number_b));
        if order != Ordering::Equal || (rest_a.is_empty() && rest_b.is_empty()) {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
}

fn split_run(text: &str, inside: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !inside(c)).unwrap_or(text.len()))
}

/// Compares numbers of any length.
fn compare_numbers(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernels(boot: &[&str], modules: &[&str]) -> Vec<String> {
        let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        candidates(&owned(boot), &owned(modules), &[]).into_iter().map(|c| c.kernel).collect()
    }

    #[test]
    fn fixed_names_come_before_versions_and_new_before_old() {
        let boot = [
            "config-6.1",
            "kernel",
            "vmlinuz",
            "vmlinuz-6.1.0-9-amd64",
            "vmlinuz-6.1.0-44-amd64",
            "kernel-6.12",
        ];
        assert_eq!(
            kernels(&boot, &["6.1.0-44-amd64"]),
            [
                "/boot/kernel",
                "/boot/vmlinuz",
                "/boot/kernel-6.12",
                "/boot/vmlinuz-6.1.0-44-amd64",
                "/boot/vmlinuz-6.1.0-9-amd64",
                "/usr/lib/modules/6.1.0-44-amd64/vmlinuz",
            ]
        );
        assert!(kernels(&["initramfs"], &[]).is_empty());
    }

    #[test]
    fn initramfs_has_the_version_of_its_kernel() {
        let found = candidates(&["vmlinuz-6.1".into(), "vmlinuz".into()], &[], &[]);
        assert_eq!(found[0].initramfs, ["/boot/initramfs", "/boot/initramfs.img", "/boot/initrd.img"]);
        assert_eq!(
            found[1].initramfs,
            ["/boot/initramfs-6.1", "/boot/initramfs-6.1.img", "/boot/initrd.img-6.1"]
        );
    }

    #[test]
    fn versions_compare_by_number() {
        for (a, b, order) in [
            ("6.9", "6.10", Ordering::Less),
            ("6.1.0-44", "6.1.0-9", Ordering::Greater),
            ("6.1", "6.1.0", Ordering::Less),
            ("6.01", "6.1", Ordering::Equal),
            ("a", "a", Ordering::Equal),
            ("", "1", Ordering::Less),
            ("99999999999999999999999", "100000000000000000000000", Ordering::Less),
        ] {
            assert_eq!(compare_versions(a, b), order, "{a} {b}");
            assert_eq!(compare_versions(b, a), order.reverse(), "{b} {a}");
        }
    }

    #[test]
    fn unified_images_come_last_and_the_newest_first() {
        let ukis = [
            "/boot/EFI/Linux/debian-6.1.0-9.efi",
            "/efi/EFI/Linux/debian-6.1.0-44.efi",
            "/efi/EFI/Linux/notes",
        ];
        let boot = ["vmlinuz-5.10".to_owned()];
        let found = candidates(&boot, &[], &ukis.map(str::to_owned));
        let paths: Vec<&str> = found.iter().map(|candidate| candidate.kernel.as_str()).collect();
        assert_eq!(paths, ["/boot/vmlinuz-5.10", ukis[1], ukis[0]]);
    }
}
