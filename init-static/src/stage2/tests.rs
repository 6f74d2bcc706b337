//! Every key with what it makes of a tree: applied, applied again, taken out again.

use super::inputs::Configuration;
use super::plan;
use crate::op::Step;
use crate::report::Log;
use crate::run::Executor;
use crate::tree::scratch::Scratch;
use std::collections::BTreeMap;
use std::format;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
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
        let plan = plan::provision(&tree, &mut configuration, None);
        let steps: Vec<Step> = plan.groups.iter().flat_map(|group| group.steps.clone()).collect();
        let ops = steps.iter().map(|step| step.op.to_string()).collect();
        let of_tree: Vec<Step> = steps.into_iter().filter(|step| step.op.is_of_tree()).collect();
        let mut exec = Executor { tree, log: Log::new(), modules: None };
        assert_eq!(exec.run_all(&of_tree), 0, "{}", exec.log.text());
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

const HASH: &str = "$6$1EA9BEtFmMxsCdlb$mIBmC4bFLhLyR.DLVyGNbd4";
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB";
const UNIT: &str = "/usr/lib/systemd/system";

/// What a text makes: path, permission bits, content.
type Outcome<'a> = (&'a str, u32, &'a str);

fn check(name: &str, ini: &str, expected: &[Outcome<'_>]) {
    let image = Image::new(name, IMAGE);
    let before = image.listing();
    // Shown, not done: what is there before and after the plan is the same.
    let (first, findings) = image.apply(ini);
    assert_eq!(findings, [""; 0], "{name}");
    assert!(!first.is_empty(), "{name}");
    let changes = image.changes(&before);
    let changes: Vec<Outcome<'_>> = changes.iter().map(|(p, m, c)| (p.as_str(), *m, c.as_str())).collect();
    assert_eq!(changes, expected, "{name}");
    let after = image.listing();
    let (second, _) = image.apply(ini);
    let second: Vec<_> = second.iter().filter(|op| !op.starts_with("set host name")).collect();
    assert_eq!(second, [""; 0], "{name}: a second boot changes nothing");
    assert_eq!(image.listing(), after, "{name}");
    image.apply("");
    let left: Vec<_> = image.changes(&before);
    let left: Vec<_> = left.iter().filter(|(path, ..)| !path.ends_with("/authorized_keys")).collect();
    assert!(left.is_empty(), "{name}: {left:?} is left behind");
}

#[test]
fn identity_and_console_keys_become_files_and_revert() {
    let passwd = "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/:/usr/sbin/nologin\n";
    check("hostname", "hostname = web-1\n", &[("/etc/hostname", 0o644, "web-1\n")]);
    check(
        "timezone",
        "timezone = Asia/Tokyo\n",
        &[("/etc/localtime", 0, "-> /usr/share/zoneinfo/Asia/Tokyo")],
    );
    check("locale", "locale = ja_JP.UTF-8\n", &[("/etc/locale.conf", 0o644, "LANG=ja_JP.UTF-8\n")]);
    check("keymap", "keymap = jp106\n", &[("/etc/vconsole.conf", 0o644, "KEYMAP=jp106\n")]);
    check(
        "autologin",
        "autologin = yes\n",
        &[(
            "/etc/systemd/system/getty@tty1.service.d/autologin-configured-by-overlay-init.conf",
            0o644,
            "[Service]\nExecStart=\nExecStart=-/sbin/agetty --autologin root --noclear %I 38400 linux\n",
        )],
    );
    check(
        "ssh",
        &format!("ssh_pubkey = {KEY} me\n"),
        &[("/root/.ssh/authorized_keys", 0o600, &format!("{KEY} me\n"))],
    );
    check(
        "password",
        &format!("root_password = {HASH}\n"),
        &[("/etc/shadow", 0o644, &format!("root:{HASH}:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n"))],
    );
    check(
        "user",
        &format!(
            "[user.bob]\nssh_pubkey = {KEY}\ngroups = audio video\npassword = {HASH}\nshell = /bin/zsh\nsudo=on\n"
        ),
        &[
            ("/etc/group", 0o644, "root:x:0:\naudio:x:29:bob\nvideo:x:44:pi,bob\nbob:x:1000:\n"),
            ("/etc/passwd", 0o644, &format!("{passwd}bob:x:1000:1000:system.ini:/home/bob:/bin/zsh\n")),
            (
                "/etc/shadow",
                0o644,
                &format!(
                    "root:*:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\nbob:{HASH}::0:99999:7:::\n"
                ),
            ),
            ("/etc/sudoers.d/90-genpack-bob", 0o440, "bob ALL=(ALL:ALL) ALL\n"),
            ("/home/bob/.ssh/authorized_keys", 0o600, &format!("{KEY}\n")),
        ],
    );
}

#[test]
fn new_home_has_the_files_of_skel_and_an_old_one_stays() {
    let skel = [("/etc/skel/.bashrc", "PS1=$\n"), ("/etc/skel/.config/", "")];
    let image = Image::new("skel", &[IMAGE, &skel].concat());
    assert_eq!(image.apply("[user.bob]\n").1, [""; 0]);
    let file = image.0.0.join("home/bob/.bashrc");
    assert_eq!(fs::read_to_string(&file).unwrap(), "PS1=$\n");
    let (file_owner, home) =
        (fs::metadata(&file).unwrap(), fs::metadata(image.0.0.join("home/bob")).unwrap());
    assert_eq!((file_owner.uid(), home.mode() & 0o777), (1000, 0o700));
    fs::write(&file, "PS1=mine\n").unwrap();
    image.apply("");
    image.apply("[user.bob]\n");
    assert_eq!(fs::read_to_string(&file).unwrap(), "PS1=mine\n");
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
    check(
        "proxy",
        "proxy = http://p:3128/%20\nno_proxy = .a.example 10.0.0.0/8\n",
        &[
            (
                "/etc/profile.d/genpack-proxy.sh",
                0o644,
                "export http_proxy='http://p:3128/%20'\nexport https_proxy='http://p:3128/%20'\n\
             export HTTP_PROXY='http://p:3128/%20'\nexport HTTPS_PROXY='http://p:3128/%20'\n\
             export no_proxy='.a.example,10.0.0.0/8'\nexport NO_PROXY='.a.example,10.0.0.0/8'\n",
            ),
            (
                "/run/environment.d/50-genpack-proxy.conf",
                0o644,
                "http_proxy=\"http://p:3128/%20\"\nhttps_proxy=\"http://p:3128/%20\"\n\
             HTTP_PROXY=\"http://p:3128/%20\"\nHTTPS_PROXY=\"http://p:3128/%20\"\n\
             no_proxy=\".a.example,10.0.0.0/8\"\nNO_PROXY=\".a.example,10.0.0.0/8\"\n",
            ),
            (
                "/run/systemd/system.conf.d/50-genpack-proxy.conf",
                0o600,
                "[Manager]\nDefaultEnvironment=\"http_proxy=http://p:3128/%%20\" \"https_proxy=http://p:3128/%%20\" \
             \"HTTP_PROXY=http://p:3128/%%20\" \"HTTPS_PROXY=http://p:3128/%%20\" \
             \"no_proxy=.a.example,10.0.0.0/8\" \"NO_PROXY=.a.example,10.0.0.0/8\" \n",
            ),
        ],
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

const WIFI_UNIT: Outcome<'static> = (
    "/run/systemd/system/genpack-wifi@.service",
    0o644,
    "[Unit]\nDescription=Wi-Fi on %I\nBindsTo=sys-subsystem-net-devices-%i.device\n\
     After=sys-subsystem-net-devices-%i.device\nBefore=network.target\nWants=network.target\n\n\
     [Service]\nExecStart=/usr/sbin/wpa_supplicant -c/etc/wpa_supplicant/wpa_supplicant.conf -i%I\nRestart=on-failure\n",
);
const WIFI_RULE: Outcome<'static> = (
    "/run/udev/rules.d/90-genpack-wifi.rules",
    0o644,
    "SUBSYSTEM==\"net\", ENV{DEVTYPE}==\"wlan\", TAG+=\"systemd\", ENV{SYSTEMD_WANTS}+=\"genpack-wifi@$name.service\"\n",
);
const SUPPLICANT: &str = "/etc/wpa_supplicant/wpa_supplicant.conf";

#[test]
fn wifi_keys_become_files_and_revert() {
    check(
        "wifi",
        "wifi_ssid = net\nwifi_key = pass word 1\n",
        &[
            (
                "/etc/systemd/network/54-wlan.network",
                0o644,
                "[Match]\nType=wlan\nWLANInterfaceType=station\nSSID=net\n\n[Network]\nDHCP=yes\nMulticastDNS=yes\nLLMNR=yes\n\n\
             [DHCPv4]\n\n[DHCPv6]\n\n[IPv6AcceptRA]\n\n[Link]\n",
            ),
            (
                SUPPLICANT,
                0o600,
                "ctrl_interface=DIR=/run/wpa_supplicant\n\nnetwork={\n\tssid=\"net\"\n\tpsk=\"pass word 1\"\n}\n",
            ),
            WIFI_UNIT,
            WIFI_RULE,
        ],
    );
    // Nothing in a name or a key can begin a line or a setting of its own.
    check(
        "wifi-all",
        "wifi_ssid = my \"*\\ net%\nwifi_key = a\"\\}#b c!\nwifi_wpa3 = yes\nwifi_country = jp\n\
         wifi_systemd_config_file = 60-w.network\nwifi_mdns = no\nwifi_llmnr = no\nwifi_ignore_dns = yes\n\
         wifi_ignore_gateway = yes\nwifi_required_for_online = routable\n",
        &[
            ("/etc/modprobe.d/ieee80211_regdom.conf", 0o644, "options cfg80211 ieee80211_regdom=JP\n"),
            (
                "/etc/systemd/network/60-w.network",
                0o644,
                "[Match]\nType=wlan\nWLANInterfaceType=station\nSSID=\"my \\\"\\*\\\\ net%\"\n\n\
                 [Network]\nDHCP=yes\nMulticastDNS=no\nLLMNR=no\n\n[DHCPv4]\nUseDNS=no\nUseRoutes=no\n\n\
                 [DHCPv6]\nUseDNS=no\n\n[IPv6AcceptRA]\nUseDNS=no\nUseGateway=no\n\n[Link]\nRequiredForOnline=routable\n",
            ),
            (
                SUPPLICANT,
                0o600,
                "ctrl_interface=DIR=/run/wpa_supplicant\ncountry=JP\nsae_pwe=2\n\nnetwork={\n\tssid=\"my \"*\\ net%\"\n\
                 \tkey_mgmt=SAE\n\tsae_password=\"a\"\\}#b c!\"\n\tieee80211w=2\n}\n",
            ),
            WIFI_UNIT,
            WIFI_RULE,
        ],
    );
    for (name, ini, block) in [
        (
            "wifi-open",
            "wifi_ssid = x\nwifi_sae_pwe = 1\n",
            "sae_pwe=1\n\nnetwork={\n\tssid=\"x\"\n\tkey_mgmt=NONE\n}\n",
        ),
        (
            "wifi-hex",
            &format!("wifi_ssid = x\nwifi_key = {}\n", "0f".repeat(32)),
            &format!("\nnetwork={{\n\tssid=\"x\"\n\tpsk={}\n}}\n", "0f".repeat(32)),
        ),
    ] {
        let image = Image::new(name, IMAGE);
        image.apply(ini);
        let (mode, content) = image.listing()[SUPPLICANT].clone();
        assert_eq!((mode, content), (0o600, format!("ctrl_interface=DIR=/run/wpa_supplicant\n{block}")));
    }
}

#[test]
fn makers_sections_become_files_and_revert() {
    check(
        "sakuravps",
        &format!(
            "[sakuravps]\nroot_password = {HASH}\nssh_pubkey = {KEY}\nip_address = 192.0.2.20/23\nip_gateway = 192.0.2.1\n\
             dns = 192.0.2.53\nfallback_dns = 192.0.2.54\nip6_address = 2001:db8::20/64\ndns6 = 2001:db8::53\n\
             fallback_dns6 = 2001:db8::54\nsshd_addressfamily = inet\n"
        ),
        &[
            ("/etc/shadow", 0o644, &format!("root:{HASH}:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n")),
            ("/etc/ssh/sshd_config", 0o644, "Port 22\nAddressFamily inet\nMatch User x\n"),
            (
                "/etc/systemd/network/50-sakuravps-eth0.network",
                0o644,
                "[Match]\nName=eth0\n\n[Network]\nAddress=192.0.2.20/23\nGateway=192.0.2.1\nDNS=192.0.2.53\n\
                 Address=2001:db8::20/64\nGateway=fe80::1\nDNS=2001:db8::53\nMulticastDNS=no\nLLMNR=no\n",
            ),
            ("/root/.ssh/authorized_keys", 0o600, &format!("{KEY}\n")),
            (
                "/run/systemd/resolved.conf.d/50-genpack-sakuravps.conf",
                0o644,
                "[Resolve]\nFallbackDNS=192.0.2.54 2001:db8::54\n",
            ),
        ],
    );
    let (private, public) =
        ("yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=", "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=");
    check(
        "wg",
        &format!(
            "[wg-walbrix]\nprivkey = {private}\naddress = fd00::20/64\npubkey = {public}\nallowed_ips = fd00::1\n\
             endpoint = vpn.example.com:51820\n"
        ),
        &[
            ("/etc/walbrix/privkey", 0o600, private),
            (
                "/etc/wireguard/wg-walbrix.conf",
                0o600,
                &format!(
                    "[Interface]\nPrivateKey={private}\nAddress=fd00::20/64\n\n[Peer]\nPublicKey={public}\n\
                     endpoint=vpn.example.com:51820\nAllowedIPs=fd00::1/128\nPersistentKeepalive=25\n"
                ),
            ),
            (
                "/run/systemd/system/multi-user.target.wants/wg-quick@wg-walbrix.service",
                0,
                &format!("-> {UNIT}/wg-quick@.service"),
            ),
        ],
    );
    check(
        "walbrix",
        "[walbrix]\ninstaller = yes\n",
        &[(
            "/etc/systemd/system/wbui.service.d/installer.conf",
            0o644,
            "[Service]\nExecStart=\nExecStart=/usr/bin/wbui --kiosk --installer\n",
        )],
    );
}

#[test]
fn image_file_comes_back_and_follows_the_image() {
    let mut files = IMAGE.to_vec();
    files.push(("/run/initramfs/ro/etc/hostname", "image\n"));
    files.push(("/run/initramfs/ro/etc/passwd", IMAGE[0].1));
    let image = Image::new("image", &files);
    let before = image.listing();
    image.apply("hostname = web\n[user.bob]\n");
    image.apply("");
    assert_eq!(image.changes(&before), []);
    // The next image brings another name, and a user: our copies do not hide them.
    fs::write(image.0.0.join("run/initramfs/ro/etc/hostname"), "next\n").unwrap();
    let passwd = format!("{}new:x:7:7::/:/bin/false\n", IMAGE[0].1);
    fs::write(image.0.0.join("run/initramfs/ro/etc/passwd"), &passwd).unwrap();
    image.apply("[user.bob]\n");
    assert_eq!(image.listing()["/etc/hostname"].1, "next\n");
    let bob = "bob:x:1000:1000:system.ini:/home/bob:/bin/bash\n";
    assert_eq!(image.listing()["/etc/passwd"].1, format!("{}{bob}new:x:7:7::/:/bin/false\n", IMAGE[0].1));
}

#[test]
fn file_that_somebody_changed_is_his() {
    let image = Image::new("hand", IMAGE);
    image.apply("hostname = web\nlocale = de_DE.UTF-8\n");
    for (path, content) in [("etc/hostname", "mine\n"), ("etc/locale.conf", "LANG=fr_FR\nLC_TIME=C\n")] {
        fs::write(image.0.0.join(path), content).unwrap();
    }
    image.apply("");
    let now = image.listing();
    assert_eq!(now["/etc/hostname"].1, "mine\n");
    assert_eq!(now["/etc/locale.conf"].1, "LANG=fr_FR\nLC_TIME=C\n");
    // With the key in the file the file has the say.
    image.apply("hostname = web\n");
    assert_eq!(image.listing()["/etc/hostname"].1, "web\n");
}

#[test]
fn power_cut_after_any_step_is_mended_by_the_next_boot() {
    let ini = "hostname = web\nautologin = yes\nlocale = de_DE.UTF-8\nwifi_ssid = x\n";
    let whole = Image::new("cut-whole", IMAGE);
    let steps = whole.apply(ini).0.len();
    for cut in 0..steps {
        let image = Image::new(&format!("cut-{cut}"), IMAGE);
        let before = image.listing();
        let tree = image.0.tree();
        let plan = plan::provision(&tree, &mut Configuration::parse(ini.as_bytes()), None);
        let all = plan.groups.iter().flat_map(|group| group.steps.clone());
        let some: Vec<Step> = all.filter(|step| step.op.is_of_tree()).take(cut).collect();
        let mut exec = Executor { tree, log: Log::new(), modules: None };
        assert_eq!(exec.run_all(&some), 0);
        // The key is gone at the next boot: whatever was done is undone.
        image.apply("");
        assert_eq!(image.changes(&before), [], "after {cut} of {steps} steps");
    }
}

#[test]
fn wired_default_steps_back_for_everybody_else() {
    let avahi = "/etc/systemd/system/multi-user.target.wants/avahi-daemon.service";
    let manager = "/etc/systemd/system/multi-user.target.wants/NetworkManager.service";
    let default = |online: &str, mdns: &str| {
        let head = "[Match]\nType=ether\nDriver=!veth\nName=!en*v*\n\n";
        Some(format!("{head}{online}[Network]\nDHCP=yes\nLLMNR=yes\nMulticastDNS={mdns}\n"))
    };
    for (name, files, ini, expected) in [
        ("none", &[("/etc/", "")][..], "", default("", "yes")),
        ("avahi", &[(avahi, "")], "", default("", "no")),
        ("manager", &[(manager, "")], "", None),
        ("own", &[("/etc/systemd/network/10-x.network", "")], "", None),
        ("netdev", &[("/etc/systemd/network/br0.netdev", "")], "", None),
        ("inert", &[("/etc/systemd/network/10-x.network~", "")], "", default("", "yes")),
        ("wifi", &[("/etc/", "")], "wifi_ssid = x\n", default("[Link]\nRequiredForOnline=no\n\n", "yes")),
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
    let image = Image::new("manager", &[manager]);
    let before = image.listing();
    let (_, findings) = image.apply("ip_address = 10.0.0.2/24\nwifi_ssid = x\n");
    assert_eq!((findings.len(), image.changes(&before)), (2, Vec::new()));
}

#[test]
fn autologin_no_takes_an_old_drop_in_away() {
    let path = "/etc/systemd/system/getty@tty1.service.d/autologin-configured-by-overlay-init.conf";
    let image = Image::new("autologin-no", &[(path, "old\n")]);
    image.apply("autologin = no\n");
    assert!(!image.listing().contains_key(path));
    image.apply("");
    assert_eq!(image.listing()[path].1, "old\n");
}

#[test]
fn missing_parts_of_a_system_are_findings_not_failures() {
    let image = Image::new("bare", &[("/etc/", "")]);
    let (_, findings) = image.apply(&format!(
        "timezone = Mars/Base\nntp = a.example\nfirewall = on\nwifi_ssid = x\nenable = no-such\nroot_password = {HASH}\n\
         [user.bob]\n[hooks]\n10-x = no\n[wg-walbrix]\nprivkey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\n"
    ));
    let mut missing: Vec<_> =
        findings.iter().filter_map(|f| f.split(": ").nth(1).or(Some(f.as_str()))).collect();
    missing.sort_unstable();
    assert_eq!(
        missing,
        [
            "'address' is missing",
            "no /etc/passwd",
            "this system has no /etc/shadow",
            "this system has no hook '10-x'",
            "this system has no nftables",
            "this system has no systemd-timesyncd",
            "this system has no unit 'no-such.service'",
            "this system has no wpa_supplicant",
            "this system has no zone 'Mars/Base'",
        ]
    );
}

#[test]
fn host_of_a_virtual_machine_fills_in_what_the_file_leaves_open() {
    let by_name = "/sys/firmware/qemu_fw_cfg/by_name";
    let fw = |name: &str| format!("{by_name}/{name}/raw");
    let (zone, lang, key) = (fw("opt/timezone"), fw("opt/lang"), fw("opt/ssh-public-key"));
    let hostname = fw("opt/io.systemd.credentials/system.hostname");
    let root_key = fw("opt/io.systemd.credentials/ssh.authorized_keys.root");
    let (keys, tmpfs) = (format!("{KEY} host\n\n# no key\n"), "tmpfs /run/initramfs/rw tmpfs rw 0 0\n");
    let other = "ssh-rsa AAAA admin\n";
    let mut files = IMAGE.to_vec();
    files.extend([
        (zone.as_str(), "Asia/Tokyo\n"),
        (&lang, "de_DE.UTF-8\0"),
        (&key, &keys),
        (&hostname, "from-host"),
        (&root_key, other),
    ]);
    let kept = Image::new("fw-kept", &files);
    kept.apply("locale = ja_JP.UTF-8\n");
    let now = kept.listing();
    assert_eq!(now["/etc/localtime"].1, "-> /usr/share/zoneinfo/Asia/Tokyo");
    assert_eq!(now["/etc/locale.conf"].1, "LANG=ja_JP.UTF-8\n");
    assert_eq!(now["/etc/hostname"].1, "from-host\n");
    assert_eq!(now["/root/.ssh/authorized_keys"].1, other);
    // Nothing is kept on this machine, so the host's key is taken at every start.
    files.push(("/proc/mounts", tmpfs));
    let transient = Image::new("fw-transient", &files);
    transient.apply("");
    assert_eq!(transient.listing()["/root/.ssh/authorized_keys"].1, format!("{KEY} host\n{other}"));
}

/// Returns the operations of a plan that are not about files, and those that have a word.
fn others(files: &[(&str, &str)], name: &str, ini: &str) -> Vec<String> {
    let image = Image::new(name, files);
    let mut configuration = Configuration::parse(ini.as_bytes());
    let plan = plan::provision(&image.0.tree(), &mut configuration, None);
    let steps = plan.groups.iter().flat_map(|group| &group.steps);
    let ops = steps.filter(|step| !step.op.is_of_tree() || step.op.to_string().starts_with("copy "));
    ops.map(|step| step.op.to_string()).collect()
}

#[test]
fn modules_without_a_key_act_on_what_the_image_has() {
    let disk = ("/proc/mounts", "/dev/sda2 /run/initramfs/rw btrfs rw 0 0\n");
    let boot = ("/run/initramfs/boot/efi/boot/", "");
    let rw = ("/run/initramfs/rw/", "");
    for (name, files, ini, expected) in [
        ("nothing", &[("/etc/", "")][..], "", &[][..]),
        (
            "swap",
            &[disk, boot, rw, ("/run/initramfs/rw/swapfile", "")],
            "",
            &["swap on /run/initramfs/rw/swapfile"],
        ),
        ("swap-no", &[disk, boot, rw], "swapfile = no\n", &[]),
        ("swap-vm", &[("/dev/vdc", "")], "", &["swap on /dev/vdc"]),
        (
            "docker",
            &[rw, ("/var/lib/docker/", "")],
            "",
            &[
                "copy /var/lib/docker to /run/initramfs/rw/docker",
                "bind /run/initramfs/rw/docker to /var/lib/docker",
            ],
        ),
        (
            "docker-again",
            &[rw, ("/var/lib/docker/", ""), ("/run/initramfs/rw/docker/", "")],
            "",
            &["bind /run/initramfs/rw/docker to /var/lib/docker"],
        ),
        (
            "docker-mounted",
            &[rw, ("/var/lib/docker/", ""), ("/proc/mounts", "/dev/sda2 /var/lib/docker btrfs rw 0 0\n")],
            "",
            &[],
        ),
        (
            "memtest",
            &[boot, ("/boot/memtest86-bin.efi", "MZ")],
            "",
            &["copy /boot/memtest86-bin.efi to /run/initramfs/boot/efi/boot/memtest86.efi"],
        ),
        (
            "postfix",
            &[("/usr/bin/mdb_load*", ""), ("/etc/mail/", "")],
            "",
            &["run /usr/bin/mdb_load -n -f /dev/null /etc/mail/aliases.lmdb"],
        ),
        ("banner", &[("/.genpack/banner", "hello\n")], "", &["print 6 bytes"]),
        ("exec-guard", &[("/etc/", "")], "exec_guard = yes\n", &["bind /usr to itself, read-only"]),
        (
            "hooks",
            &[
                ("/usr/lib/genpack-init/hooks.d/20-b*", ""),
                ("/usr/lib/genpack-init/hooks.d/10-a*", ""),
                ("/usr/lib/genpack-init/hooks.d/30-off*", ""),
                ("/usr/lib/genpack-init/hooks.d/40-not-executable", ""),
                ("/usr/lib/genpack-init/hooks.d/50-copy~*", ""),
                ("/usr/lib/genpack-init/late.py", ""),
                ("/usr/lib/genpack-init/99early.py", ""),
                ("/usr/lib/genpack-init/python/genpack_init.py", ""),
                ("/usr/bin/python3*", ""),
            ],
            "[hooks]\n30-off = no\n",
            &[
                "run /usr/bin/python3 -B /usr/lib/genpack-init/python/genpack_init.py /usr/lib/genpack-init/99early.py",
                "run /usr/bin/python3 -B /usr/lib/genpack-init/python/genpack_init.py /usr/lib/genpack-init/late.py",
                "run /usr/lib/genpack-init/hooks.d/10-a configure",
                "run /usr/lib/genpack-init/hooks.d/20-b configure",
            ],
        ),
        ("no-python", &[("/usr/lib/genpack-init/late.py", "")], "", &[]),
    ] {
        assert_eq!(others(files, &format!("other-{name}"), ini), expected, "{name}");
    }
}
