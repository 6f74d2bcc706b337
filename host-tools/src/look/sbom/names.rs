//! Names by which others know a package: package URL and CPE.
//!
//! Package URLs are those of the types `deb` and `ebuild`. CPE 2.3 formatted strings name the project, not the
//! distribution's package: the vendor is known for what nearly every image has and any for the rest.

use std::fmt::Write as _;

use super::packages::{Kind, Package, Release};

/// Projects of which vulnerability databases know the vendor: the source package (Gentoo: the package), part, vendor,
/// product.
const PRODUCTS: &[(&str, char, &str, &str)] = &[
    ("apache2", 'a', "apache", "http_server"),
    ("avahi", 'a', "avahi", "avahi"),
    ("bash", 'a', "gnu", "bash"),
    ("bind9", 'a', "isc", "bind"),
    ("binutils", 'a', "gnu", "binutils"),
    ("btrfs-progs", 'a', "kernel", "btrfs-progs"),
    ("busybox", 'a', "busybox", "busybox"),
    ("bzip2", 'a', "bzip", "bzip2"),
    ("chromium", 'a', "google", "chrome"),
    ("coreutils", 'a', "gnu", "coreutils"),
    ("cpio", 'a', "gnu", "cpio"),
    ("curl", 'a', "haxx", "curl"),
    ("dbus", 'a', "freedesktop", "dbus"),
    ("docker.io", 'a', "docker", "docker"),
    ("dpkg", 'a', "debian", "dpkg"),
    ("e2fsprogs", 'a', "e2fsprogs_project", "e2fsprogs"),
    ("expat", 'a', "libexpat_project", "libexpat"),
    ("gcc", 'a', "gnu", "gcc"),
    ("gentoo-kernel", 'o', "linux", "linux_kernel"),
    ("gentoo-kernel-bin", 'o', "linux", "linux_kernel"),
    ("gentoo-sources", 'o', "linux", "linux_kernel"),
    ("git", 'a', "git-scm", "git"),
    ("glib2.0", 'a', "gnome", "glib"),
    ("glibc", 'a', "gnu", "glibc"),
    ("gnupg", 'a', "gnupg", "gnupg"),
    ("gnupg2", 'a', "gnupg", "gnupg"),
    ("gnutls", 'a', "gnu", "gnutls"),
    ("gnutls28", 'a', "gnu", "gnutls"),
    ("grep", 'a', "gnu", "grep"),
    ("grub", 'a', "gnu", "grub2"),
    ("grub2", 'a', "gnu", "grub2"),
    ("gzip", 'a', "gnu", "gzip"),
    ("krb5", 'a', "mit", "kerberos_5"),
    ("less", 'a', "gnu", "less"),
    ("libgcrypt", 'a', "gnupg", "libgcrypt"),
    ("libgcrypt20", 'a', "gnupg", "libgcrypt"),
    ("libpng1.6", 'a', "libpng", "libpng"),
    ("libxml2", 'a', "xmlsoft", "libxml2"),
    ("linux", 'o', "linux", "linux_kernel"),
    ("linux-signed-amd64", 'o', "linux", "linux_kernel"),
    ("linux-signed-arm64", 'o', "linux", "linux_kernel"),
    ("mariadb", 'a', "mariadb", "mariadb"),
    ("ncurses", 'a', "gnu", "ncurses"),
    ("nginx", 'a', "f5", "nginx"),
    ("openssh", 'a', "openbsd", "openssh"),
    ("openssl", 'a', "openssl", "openssl"),
    ("openvpn", 'a', "openvpn", "openvpn"),
    ("pcre2", 'a', "pcre", "pcre2"),
    ("perl", 'a', "perl", "perl"),
    ("php", 'a', "php", "php"),
    ("polkit", 'a', "polkit_project", "polkit"),
    ("policykit-1", 'a', "polkit_project", "polkit"),
    ("postgresql", 'a', "postgresql", "postgresql"),
    ("python", 'a', "python", "python"),
    ("python3.11", 'a', "python", "python"),
    ("python3.13", 'a', "python", "python"),
    ("qemu", 'a', "qemu", "qemu"),
    ("readline", 'a', "gnu", "readline"),
    ("rsync", 'a', "samba", "rsync"),
    ("samba", 'a', "samba", "samba"),
    ("shadow", 'a', "shadow_project", "shadow"),
    ("sqlite", 'a', "sqlite", "sqlite"),
    ("sqlite3", 'a', "sqlite", "sqlite"),
    ("sudo", 'a', "sudo_project", "sudo"),
    ("systemd", 'a', "systemd_project", "systemd"),
    ("tar", 'a', "gnu", "tar"),
    ("util-linux", 'a', "kernel", "util-linux"),
    ("vim", 'a', "vim", "vim"),
    ("wget", 'a', "gnu", "wget"),
    ("wpa", 'a', "w1.fi", "wpa_supplicant"),
    ("wpa_supplicant", 'a', "w1.fi", "wpa_supplicant"),
    ("xz-utils", 'a', "tukaani", "xz"),
    ("zlib", 'a', "zlib", "zlib"),
];

/// Returns the package URL.
#[must_use]
pub fn purl(package: &Package, release: &Release) -> String {
    let mut url = match package.kind {
        Kind::Debian => {
            let vendor = if release.id.is_empty() { "debian" } else { &release.id };
            format!("pkg:deb/{}/{}", encoded(vendor), encoded(&package.name))
        }
        Kind::Gentoo => {
            let (category, name) = package.name.split_once('/').unwrap_or(("", &package.name));
            format!("pkg:ebuild/{}/{}", encoded(category), encoded(name))
        }
    };
    // Writing to a String cannot fail.
    let _ = write!(url, "@{}", encoded(&package.version));
    // Qualifiers are in the order of their names.
    let mut separator = '?';
    let mut qualifier = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = write!(url, "{separator}{name}={}", encoded(value));
            separator = '&';
        }
    };
    qualifier("arch", &package.architecture);
    if !release.id.is_empty() {
        let version = if release.version_id.is_empty() { "" } else { "-" };
        qualifier("distro", &format!("{}{version}{}", release.id, release.version_id));
    }
    url
}

/// Percent-encodes all but what a package URL leaves as it is.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// Returns the CPE of the project that the package is of; `None` when its name or version has characters that a CPE
/// cannot have.
#[must_use]
pub fn cpe(package: &Package) -> Option<String> {
    let project = package.name.rsplit('/').next().unwrap_or(&package.name);
    let (project, version) = match &package.source {
        Some((source, version)) => (source.as_str(), version.as_str()),
        None => (project, package.version.as_str()),
    };
    let known = PRODUCTS.iter().find(|(name, ..)| *name == project);
    let (part, vendor, product) = match known {
        Some((_, part, vendor, product)) => (*part, bound(vendor)?, bound(product)?),
        None => ('a', "*".to_owned(), bound(project)?),
    };
    let (version, update) = upstream(package.kind, version);
    let update = update.map_or(Some("*".to_owned()), bound)?;
    Some(format!("cpe:2.3:{part}:{vendor}:{product}:{}:{update}:*:*:*:*:*:*", bound(version)?))
}

/// Returns the project's own version, and its update: Gentoo's `9.8_p1-r2` is 9.8, p1; Debian's `1:9.2p1-2+deb12u3` is
/// 9.2p1, because only Gentoo keeps them apart.
fn upstream(kind: Kind, version: &str) -> (&str, Option<&str>) {
    match kind {
        Kind::Debian => {
            let version = version.split_once(':').map_or(version, |(_, version)| version);
            let version = version.rsplit_once('-').map_or(version, |(version, _)| version);
            (version.split(['+', '~']).next().unwrap_or(version), None)
        }
        Kind::Gentoo => {
            let revision = |r: &str| !r.is_empty() && r.bytes().all(|b| b.is_ascii_digit());
            let version = match version.rsplit_once("-r") {
                Some((version, r)) if revision(r) => version,
                _ => version,
            };
            version.split_once('_').map_or((version, None), |(version, update)| (version, Some(update)))
        }
    }
}

/// Returns a value as a formatted string binds it (NIST IR 7695, 6.2): lower case, punctuation quoted.
fn bound(value: &str) -> Option<String> {
    let mut text = String::with_capacity(value.len());
    for c in value.chars() {
        if !c.is_ascii_graphic() {
            return None;
        }
        if !c.is_ascii_alphanumeric() && !"-._".contains(c) {
            text.push('\\');
        }
        text.push(c.to_ascii_lowercase());
    }
    // A hyphen alone would mean that there is no value.
    (!text.is_empty() && text != "-").then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(kind: Kind, name: &str, version: &str, source: Option<(&str, &str)>) -> Package {
        let source = source.map(|(name, version)| (name.to_owned(), version.to_owned()));
        let architecture = if kind == Kind::Debian { "amd64".into() } else { String::new() };
        Package { name: name.into(), version: version.into(), source, architecture, ..Package::new(kind) }
    }

    #[test]
    fn purl_quotes_what_would_end_a_part() {
        let bookworm = Release { id: "debian".into(), version_id: "12".into(), ..Release::default() };
        let package = package(Kind::Debian, "libstdc++6", "1:12.2.0-14+deb12u1", None);
        assert_eq!(
            purl(&package, &bookworm),
            "pkg:deb/debian/libstdc%2B%2B6@1:12.2.0-14%2Bdeb12u1?arch=amd64&distro=debian-12"
        );
        let package = self::package(Kind::Gentoo, "sys-libs/glibc", "2.41-r4", None);
        assert_eq!(purl(&package, &Release::default()), "pkg:ebuild/sys-libs/glibc@2.41-r4");
    }

    #[test]
    fn cpe_names_the_project_and_its_own_version() {
        use Kind::{Debian, Gentoo};
        for (package, expected) in [
            (
                package(Debian, "libc6", "2.36-9+deb12u10", Some(("glibc", "2.36-9+deb12u10"))),
                "a:gnu:glibc:2.36:*",
            ),
            (
                package(Debian, "linux-image-amd64", "6.1.1-1", Some(("linux-signed-amd64", "6.1.1+1"))),
                "o:linux:linux_kernel:6.1.1:*",
            ),
            (package(Debian, "libstdc++", "1:2~rc1-3", None), "a:*:libstdc\\+\\+:2:*"),
            (package(Gentoo, "net-misc/openssh", "9.8_p1-r2", None), "a:openbsd:openssh:9.8:p1"),
            (package(Gentoo, "app-misc/Foo", "1-rc", None), "a:*:foo:1-rc:*"),
        ] {
            assert_eq!(cpe(&package), Some(format!("cpe:2.3:{expected}:*:*:*:*:*:*")));
        }
        assert_eq!(cpe(&package(Gentoo, "app-misc/é", "1", None)), None);
        assert_eq!(cpe(&package(Gentoo, "app-misc/x", "", None)), None);
    }

    #[test]
    fn products_are_named_once() {
        for (at, (name, ..)) in PRODUCTS.iter().enumerate() {
            assert!(!PRODUCTS.iter().skip(at + 1).any(|(other, ..)| other == name), "{name} stands twice");
        }
    }
}
