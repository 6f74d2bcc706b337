//! Keys whose outcome is for one boot, with what they make of a tree: applied, applied again, gone with `/run`.

use super::inputs::Configuration;
use super::plan_for;
use crate::report::Log;
use crate::run::Executor;
use crate::tree::scratch::Scratch;
use std::collections::BTreeMap;
use std::format;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::string::{String, ToString};
use std::vec::Vec;

/// Path, permission bits, content; a link's mode is 0 and its content `-> target`; a directory is not listed.
type Listing = BTreeMap<String, (u32, String)>;

fn list(root: &Path, directory: &Path, all: &mut Listing) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let meta = fs::symlink_metadata(&path).unwrap();
        let name = format!("/{}", path.strip_prefix(root).unwrap().display());
        if name.starts_with("/var/lib/genpack") {
            continue;
        }
        if meta.is_dir() {
            list(root, &path, all);
        } else if meta.is_symlink() {
            all.insert(name, (0, format!("-> {}", fs::read_link(&path).unwrap().display())));
        } else {
            let content = String::from_utf8(fs::read(&path).unwrap()).unwrap();
            all.insert(name, (meta.permissions().mode() & 0o7777, content));
        }
    }
}

/// A tree with the files of an image in it.
struct Image(Scratch);

impl Image {
    /// The files with contents; `path*` is executable, `path/` a directory, `path@` a link.
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let scratch = Scratch::new(name);
        let _ = fs::remove_dir_all(&scratch.0);
        for (path, content) in files {
            let place = scratch.0.join(path.trim_start_matches('/').trim_end_matches(['*', '@']));
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            if path.ends_with('/') {
                fs::create_dir_all(&place).unwrap();
            } else if path.ends_with('@') {
                std::os::unix::fs::symlink(content, &place).unwrap();
            } else {
                fs::write(&place, content).unwrap();
                let mode = if path.ends_with('*') { 0o755 } else { 0o644 };
                fs::set_permissions(&place, fs::Permissions::from_mode(mode)).unwrap();
            }
        }
        Self(scratch)
    }

    fn listing(&self) -> Listing {
        let mut all = Listing::new();
        list(&self.0.0, &self.0.0, &mut all);
        all
    }

    /// Applies a text to the tree; answers the operations and the findings.
    fn apply(&self, ini: &str) -> (Vec<String>, Vec<String>) {
        let tree = self.0.tree();
        let mut configuration = Configuration::parse(ini.as_bytes());
        let steps = plan_for(&tree, &mut configuration);
        let ops = steps.iter().map(|step| step.op.to_string()).collect();
        let mut exec = Executor { tree, log: Log::new(), modules: None };
        assert_eq!(exec.run_all(&steps), 0, "{}", exec.log.text());
        (ops, configuration.findings.iter().map(|f| f.message.clone()).collect())
    }

    /// Returns what is new or different, and `gone` for what is missing.
    fn changes(&self, before: &Listing) -> Vec<(String, u32, String)> {
        let now = self.listing();
        let mut changes: Vec<(String, u32, String)> = Vec::new();
        for (path, (mode, content)) in &now {
            if before.get(path) != Some(&(*mode, content.clone())) {
                changes.push((path.clone(), *mode, content.clone()));
            }
        }
        changes
            .extend(before.keys().filter(|p| !now.contains_key(*p)).map(|p| (p.clone(), 0, "gone".into())));
        changes
    }
}

/// Files without which there is little to configure.
const IMAGE: &[(&str, &str)] = &[
    ("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/:/usr/sbin/nologin\n"),
    ("/etc/group", "root:x:0:\naudio:x:29:\nvideo:x:44:pi\n"),
    ("/etc/shadow", "root:*:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n"),
    ("/etc/sudoers.d/", ""),
    ("/root/", ""),
    ("/bin/bash*", ""),
    ("/bin/zsh*", ""),
    ("/etc/hostname", "image\n"),
    ("/etc/machine-id", "b08dfa6083e7567a1921a715000001fb\n"),
    ("/usr/share/zoneinfo/Asia/Tokyo", "TZif2"),
    ("/etc/systemd/network/80-image.network", "[Match]\nName=*\n"),
    ("/usr/lib/systemd/system/systemd-timesyncd.service", "[Service]\n"),
    ("/usr/lib/systemd/system/systemd-resolved.service", "[Service]\n"),
    (
        "/usr/lib/systemd/system/a.service",
        "[Install]\nWantedBy=multi-user.target\nAlias=b.service\nAlso=c.socket\n",
    ),
    (
        "/usr/lib/systemd/system/c.socket",
        "[Unit]\n[Install]\nWantedBy = sockets.target\nRequiredBy=x.target\n",
    ),
    ("/usr/lib/systemd/system/t@.service", "[Install]\nDefaultInstance=one\nWantedBy=dev-%i.device\n"),
    ("/etc/systemd/system/multi-user.target.wants/on.service@", "/usr/lib/systemd/system/on.service"),
    ("/usr/lib/systemd/system/on.service", "[Install]\nWantedBy=multi-user.target\n"),
    ("/etc/systemd/system/local.service", "[Service]\n"),
    ("/usr/sbin/nft*", ""),
    ("/usr/sbin/wpa_supplicant*", ""),
    ("/usr/lib/systemd/system/wg-quick@.service", "[Install]\nWantedBy=multi-user.target\n"),
    ("/usr/lib/systemd/system/wbui.service", "[Service]\nExecStart=/usr/bin/wbui --kiosk\n"),
    ("/etc/ssh/sshd_config", "Port 22\n#AddressFamily any\nMatch User x\n"),
];

const UNIT: &str = "/usr/lib/systemd/system";

/// What a text makes: path, permission bits, content.
type Outcome<'a> = (&'a str, u32, &'a str);

fn check(name: &str, ini: &str, expected: &[Outcome<'_>]) {
    let image = Image::new(name, IMAGE);
    let before = image.listing();
    let (first, findings) = image.apply(ini);
    assert_eq!(findings, [""; 0], "{name}");
    assert!(!first.is_empty(), "{name}");
    let changes = image.changes(&before);
    let changes: Vec<Outcome<'_>> = changes.iter().map(|(p, m, c)| (p.as_str(), *m, c.as_str())).collect();
    assert_eq!(changes, expected, "{name}");
    let after = image.listing();
    let (second, _) = image.apply(ini);
    assert_eq!(second, [""; 0], "{name}: a second boot changes nothing");
    assert_eq!(image.listing(), after, "{name}");
    // The next boot has an empty /run.
    fs::remove_dir_all(image.0.0.join("run")).unwrap();
    image.apply("");
    assert_eq!(image.changes(&before), [], "{name}");
}

#[test]
fn network_keys_become_files_of_this_boot_and_revert() {
    check(
        "static",
        "network_interface = en*\nip_address = 10.0.0.2/24, fd00::2/64\nip_gateway = 10.0.0.1 fe80::1\n\
         dns = 10.0.0.1\nsearch_domain = example.com a.example\n",
        &[
            (
                "/run/systemd/network/10-genpack.network",
                0o644,
                "[Match]\nName=en*\n\n[Network]\nDHCP=no\nLLMNR=yes\nMulticastDNS=yes\nAddress=10.0.0.2/24\n\
                 Address=fd00::2/64\nGateway=10.0.0.1\nGateway=fe80::1\nDNS=10.0.0.1\nDomains=example.com a.example\n",
            ),
            (
                "/run/systemd/resolved.conf.d/50-genpack.conf",
                0o644,
                "[Resolve]\nDNS=10.0.0.1\nDomains=example.com a.example\n",
            ),
        ],
    );
    check(
        "dhcp",
        "network_interface = eth1\nip_address = dhcp, 10.0.0.9/24\ndns = 10.0.0.1\n",
        &[
            (
                "/run/systemd/network/10-genpack.network",
                0o644,
                "[Match]\nName=eth1\n\n[Network]\nDHCP=yes\nLLMNR=yes\nMulticastDNS=yes\nAddress=10.0.0.9/24\nDNS=10.0.0.1\n\n\
             [DHCPv4]\nUseDNS=no\n\n[DHCPv6]\nUseDNS=no\n\n[IPv6AcceptRA]\nUseDNS=no\n",
            ),
            ("/run/systemd/resolved.conf.d/50-genpack.conf", 0o644, "[Resolve]\nDNS=10.0.0.1\n"),
        ],
    );
    check(
        "ntp",
        "ntp = pool.ntp.org 10.0.0.1\n",
        &[("/run/systemd/timesyncd.conf.d/50-genpack.conf", 0o644, "[Time]\nNTP=pool.ntp.org 10.0.0.1\n")],
    );
    let unit = "/run/systemd/system/genpack-firewall.service";
    check(
        "firewall",
        "firewall = on\nfirewall_allow = 80/tcp, 6000-6010/udp\n",
        &[
            (
                "/run/genpack/firewall.nft",
                0o600,
                "table inet genpack\ndelete table inet genpack\ntable inet genpack {\n\tchain input {\n\
             \t\ttype filter hook input priority 0; policy drop;\n\t\tct state established,related accept\n\
             \t\tct state invalid drop\n\t\tiif lo accept\n\t\tmeta l4proto { icmp, ipv6-icmp } accept\n\
             \t\tudp dport { 68, 546 } accept\n\t\ttcp dport 22 accept\n\t\ttcp dport 80 accept\n\
             \t\tudp dport 6000-6010 accept\n\t}\n}\n",
            ),
            (
                unit,
                0o644,
                "[Unit]\nDescription=Firewall of system.ini\nDefaultDependencies=no\nAfter=local-fs.target\n\
             Before=network-pre.target shutdown.target\nWants=network-pre.target\nConflicts=shutdown.target\n\n\
             [Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/usr/sbin/nft -f /run/genpack/firewall.nft\n",
            ),
            ("/run/systemd/system/sysinit.target.wants/genpack-firewall.service", 0, &format!("-> {unit}")),
        ],
    );
}

#[test]
fn unit_lists_become_links_of_this_boot_and_revert() {
    let run = "/run/systemd/system";
    check(
        "enable",
        "enable = a t@.service, t@two.service\n",
        &[
            (&format!("{run}/b.service"), 0, &format!("-> {UNIT}/a.service")),
            (&format!("{run}/dev-one.device.wants/t@one.service"), 0, &format!("-> {UNIT}/t@.service")),
            (&format!("{run}/dev-two.device.wants/t@two.service"), 0, &format!("-> {UNIT}/t@.service")),
            (&format!("{run}/multi-user.target.wants/a.service"), 0, &format!("-> {UNIT}/a.service")),
            (&format!("{run}/sockets.target.wants/c.socket"), 0, &format!("-> {UNIT}/c.socket")),
            (&format!("{run}/x.target.requires/c.socket"), 0, &format!("-> {UNIT}/c.socket")),
        ],
    );
    check(
        "disable",
        "disable = on\n",
        &[("/run/systemd/system.control/multi-user.target.wants/on.service", 0, "-> /dev/null")],
    );
    check(
        "mask",
        "mask = on.service local.service\n",
        &[
            ("/run/systemd/system.control/local.service", 0, "-> /dev/null"),
            ("/run/systemd/system/on.service", 0, "-> /dev/null"),
        ],
    );
}

#[test]
fn wired_default_steps_back_for_everybody_else() {
    let avahi = "/etc/systemd/system/multi-user.target.wants/avahi-daemon.service";
    let manager = "/etc/systemd/system/multi-user.target.wants/NetworkManager.service";
    let default = |mdns: &str| {
        let head = "[Match]\nType=ether\nDriver=!veth\nName=!en*v*\n\n";
        Some(format!("{head}[Network]\nDHCP=yes\nLLMNR=yes\nMulticastDNS={mdns}\n"))
    };
    for (name, files, ini, expected) in [
        ("none", &[("/etc/", "")][..], "", default("yes")),
        ("avahi", &[(avahi, "")], "", default("no")),
        ("manager", &[(manager, "")], "", None),
        ("own", &[("/etc/systemd/network/10-x.network", "")], "", None),
        ("netdev", &[("/etc/systemd/network/br0.netdev", "")], "", None),
        ("inert", &[("/etc/systemd/network/10-x.network~", "")], "", default("yes")),
        ("static", &[("/etc/", "")], "ip_address = 10.0.0.1/8\n", None),
    ] {
        let image = Image::new(&format!("default-{name}"), files);
        for _ in 0..2 {
            image.apply(ini);
            let found =
                image.listing().get("/run/systemd/network/50-default.network").map(|(_, c)| c.clone());
            assert_eq!(found, expected, "{name}");
        }
    }
}

#[test]
fn network_manager_keeps_the_network_and_the_owner_is_told() {
    let manager = ("/etc/systemd/system/multi-user.target.wants/NetworkManager.service", "");
    let image = Image::new("manager", &[manager, ("/etc/machine-id", "b08dfa6083e7567a1921a715000001fb\n")]);
    let before = image.listing();
    let (_, findings) = image.apply("ip_address = 10.0.0.2/24\n");
    assert_eq!((findings.len(), image.changes(&before)), (1, Vec::new()));
}

#[test]
fn autologin_is_for_this_boot_and_no_takes_an_old_one_away() {
    check(
        "autologin",
        "autologin = yes\n",
        &[(
            "/run/systemd/system/getty@tty1.service.d/50-genpack.conf",
            0o644,
            "[Service]\nExecStart=\nExecStart=-/sbin/agetty --autologin root --noclear %I 38400 linux\n",
        )],
    );
    let path = "/etc/systemd/system/getty@tty1.service.d/autologin-configured-by-overlay-init.conf";
    let image = Image::new("autologin-no", &[(path, "old\n")]);
    image.apply("autologin = no\n");
    assert!(!image.listing().contains_key(path));
}

#[test]
fn missing_parts_of_a_system_are_findings_not_failures() {
    let image = Image::new("bare", &[("/etc/", "")]);
    let (_, findings) = image.apply("ntp = a.example\ndns = 10.0.0.1\nfirewall = on\nenable = no-such\n");
    let mut missing: Vec<_> = findings.iter().filter_map(|f| f.split(": ").nth(1)).collect();
    missing.sort_unstable();
    assert_eq!(
        missing,
        [
            "this system has no nftables",
            "this system has no systemd-resolved",
            "this system has no systemd-timesyncd",
            "this system has no unit 'no-such.service'",
        ]
    );
}

#[test]
fn key_that_is_not_applied_is_a_finding() {
    let image = Image::new("unapplied", IMAGE);
    let (_, findings) = image.apply(
        "wifi_ssid = x\nkeymap = de\nswapfile = no\n[hooks]\n10-a = no\n[user.ann]\nsudo = yes\n[sakuravps]\ndns = \
         10.0.0.1\n[walbrix]\ninstaller = yes\n",
    );
    assert_eq!(
        findings,
        ["wifi_ssid", "keymap", "[hooks]", "[user.ann]", "[sakuravps]", "[walbrix]"]
            .map(|key| { format!("'{key}' has no effect yet: this version does not apply it") })
    );
}
