//! Which kernel and initramfs an image offers for a direct boot.
//!
//! Order: the fixed names in `/boot`, then entries of the Boot Loader Specification, then versioned names in `/boot`,
//! then the kernels that some distributions keep beside their modules, then unified kernel images where that
//! specification puts them; the newest version first. Versions decide, not times: images are reproducible and all their
//! times may be equal. Not looked at: menus of GRUB.

use std::cmp::Ordering;

use genpack_core::loader::bls_entry::{self, Entry};

/// Names of the kernel without a version, the preferred first.
const FIXED_KERNELS: [&str; 2] = ["kernel", "vmlinuz"];
/// Names of the initramfs beside them.
const FIXED_INITRAMFS: [&str; 3] = ["initramfs", "initramfs.img", "initrd.img"];
/// Prefixes of versioned kernels.
const VERSIONED_KERNELS: [&str; 2] = ["kernel-", "vmlinuz-"];

/// Where the boot partition may be mounted, its place in an image first.
const BOOT_ROOTS: [&str; 3] = ["/boot", "/efi", "/boot/efi"];
/// Entries that are read; a menu has a dozen.
const MAX_ENTRIES: usize = 256;

/// A kernel that may be there, and where its initramfs may be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidate {
    /// Path of the kernel.
    pub kernel: String,
    /// Paths of the initramfs: of each alternative the first that exists; their contents follow each other.
    pub initramfs: Vec<Vec<String>>,
    /// All of the initramfs must be there: an entry names it.
    pub needs_initramfs: bool,
    /// Words for the kernel.
    pub words: Option<String>,
}

/// Looks for the candidates of a tree, the preferred first; `names` lists a directory, when it is there, and `text` reads
/// a small text file.
///
/// # Errors
/// When a directory or an entry cannot be read.
pub fn look_for<E>(
    names: impl Fn(&str) -> Result<Option<Vec<String>>, E>,
    text: impl Fn(&str) -> Result<String, E>,
) -> Result<Vec<Candidate>, E> {
    let boot = names("/boot")?.unwrap_or_default();
    let modules = names("/usr/lib/modules")?.unwrap_or_default();
    let mut ukis = Vec::new();
    let mut entries = Vec::new();
    for root in BOOT_ROOTS {
        let directory = format!("{root}/EFI/Linux");
        let found = names(&directory)?.unwrap_or_default();
        ukis.extend(found.iter().map(|name| format!("{directory}/{name}")));
        let directory = format!("{root}/loader/entries");
        for file in names(&directory)?.unwrap_or_default() {
            if let (Some((name, has_tries)), true) = (bls_entry::name(&file), entries.len() < MAX_ENTRIES) {
                let text = text(&format!("{directory}/{file}"))?;
                entries.push(Listed { root, name: name.to_owned(), has_tries, text });
            }
        }
    }
    Ok(candidates(&boot, entries, &modules, &ukis))
}

/// An entry of a boot menu.
struct Listed {
    root: &'static str,
    name: String,
    has_tries: bool,
    text: String,
}

impl Listed {
    /// Returns what it starts. Its paths begin at the boot partition, which is mounted where the entry is, or is a
    /// directory of the image.
    fn candidates(&self) -> Vec<Candidate> {
        let entry = Entry::new(&self.text);
        let Some(kernel) = entry.kernel() else { return Vec::new() };
        let words = entry.words().collect::<Vec<_>>().join(" ");
        let candidate = |root: &str| Candidate {
            kernel: inside(root, kernel),
            initramfs: entry.initrds().map(|path| vec![inside(root, path)]).collect(),
            needs_initramfs: true,
            words: Some(words.clone()).filter(|words| !words.is_empty()),
        };
        vec![candidate(self.root), candidate("")]
    }
}

fn inside(root: &str, path: &str) -> String {
    format!("{root}/{}", path.trim_start_matches('/'))
}

/// Compares entries as the specification sorts its menu: those that failed too often last, those with a key before
/// those without, then keys, machines, and the newest version first.
fn compare_entries(a: &Listed, b: &Listed) -> Ordering {
    let (of_a, of_b) = (Entry::new(&a.text), Entry::new(&b.text));
    let key = |entry: &Entry<'_>, key| entry.value(key).unwrap_or_default().to_owned();
    let sorted = |entry: &Entry<'_>| entry.value("sort-key").is_some();
    let order = b.has_tries.cmp(&a.has_tries).then_with(|| sorted(&of_b).cmp(&sorted(&of_a)));
    let order = if sorted(&of_a) && sorted(&of_b) {
        order
            .then_with(|| key(&of_a, "sort-key").cmp(&key(&of_b, "sort-key")))
            .then_with(|| key(&of_a, "machine-id").cmp(&key(&of_b, "machine-id")))
            .then_with(|| compare_versions(&key(&of_b, "version"), &key(&of_a, "version")))
    } else {
        order
    };
    order.then_with(|| compare_versions(&b.name, &a.name))
}

/// Returns the candidates, the preferred first, from the names in `/boot`, the entries, the names in
/// `/usr/lib/modules`, and the paths of unified kernel images.
fn candidates(
    boot: &[String],
    mut entries: Vec<Listed>,
    modules: &[String],
    ukis: &[String],
) -> Vec<Candidate> {
    let has = |name: &str| boot.iter().any(|b| b == name);
    let fixed = FIXED_KERNELS.into_iter().filter(|name| has(name)).map(|name| Candidate {
        kernel: format!("/boot/{name}"),
        initramfs: vec![FIXED_INITRAMFS.map(|i| format!("/boot/{i}")).to_vec()],
        ..Candidate::default()
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
    let versioned = versioned.into_iter().chain(with_modules).map(|(version, kernel)| Candidate {
        kernel,
        initramfs: vec![versioned_initramfs(version)],
        ..Candidate::default()
    });
    let mut unified: Vec<&String> = ukis.iter().filter(|path| path.ends_with(".efi")).collect();
    unified.sort_by(|a, b| compare_versions(file_name(b), file_name(a)));
    let unified =
        unified.into_iter().map(|kernel| Candidate { kernel: kernel.clone(), ..Candidate::default() });
    entries.sort_by(compare_entries);
    let entries = entries.iter().flat_map(Listed::candidates);
    fixed.chain(entries).chain(versioned).chain(unified).collect()
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
        candidates(&owned(boot), Vec::new(), &owned(modules), &[]).into_iter().map(|c| c.kernel).collect()
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
        let found = candidates(&["vmlinuz-6.1".into(), "vmlinuz".into()], Vec::new(), &[], &[]);
        assert_eq!(found[0].initramfs, [["/boot/initramfs", "/boot/initramfs.img", "/boot/initrd.img"]]);
        assert_eq!(
            found[1].initramfs,
            [["/boot/initramfs-6.1", "/boot/initramfs-6.1.img", "/boot/initrd.img-6.1"]]
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
        let found = candidates(&boot, Vec::new(), &[], &ukis.map(str::to_owned));
        let paths: Vec<&str> = found.iter().map(|candidate| candidate.kernel.as_str()).collect();
        assert_eq!(paths, ["/boot/vmlinuz-5.10", ukis[1], ukis[0]]);
    }

    #[test]
    fn entries_of_a_menu_come_after_fixed_names_in_the_menus_order() {
        let entries = [
            ("z+0-3.conf", "linux /failed\nsort-key a\n"),
            ("b-6.9.conf", "linux /b-6.9\n"),
            ("b-6.10.conf", "linux /b-6.10\ninitrd /u\ninitrd i\noptions root=x $y\noptions quiet\n"),
            ("os-1.conf", "linux /os-1\nsort-key os\nversion 6.9\n"),
            ("os-0.conf", "linux /os-0\nsort-key os\nversion 6.10\n"),
            ("broken.conf", "title x\n"),
            ("README", "linux /no\n"),
        ];
        let names = |directory: &str| {
            let names = match directory {
                "/boot" => vec!["kernel", "loader", "vmlinuz-6.12"],
                "/boot/loader/entries" => entries.iter().map(|(name, _)| *name).collect(),
                _ => return Ok::<_, ()>(None),
            };
            Ok(Some(names.into_iter().map(str::to_owned).collect()))
        };
        let text = |path: &str| {
            let found = entries.iter().find(|(name, _)| path == format!("/boot/loader/entries/{name}"));
            found.map(|(_, text)| (*text).to_owned()).ok_or(())
        };
        let found = look_for(names, text).unwrap();
        let kernels: Vec<&str> = found.iter().map(|candidate| candidate.kernel.as_str()).collect();
        assert_eq!(
            kernels,
            [
                "/boot/kernel",
                "/boot/os-0",
                "/os-0",
                "/boot/os-1",
                "/os-1",
                "/boot/b-6.10",
                "/b-6.10",
                "/boot/b-6.9",
                "/b-6.9",
                "/boot/failed",
                "/failed",
                "/boot/vmlinuz-6.12"
            ]
        );
        assert_eq!(found[5].initramfs, [["/boot/u"], ["/boot/i"]]);
        assert_eq!((found[5].words.as_deref(), found[5].needs_initramfs), (Some("root=x quiet"), true));
    }
}
