use genpack_core::kernel::arch::Arch;
use genpack_core::text::json5::{Mode, value};

use super::*;
use crate::model::Artifact;
use crate::model::reader::Reader;

const DEFINITION: &str = "{
    name: 'My_Box', base: 'debian', profile: 'baremetal',
    groups: ['g'], users: ['u'], setup_commands: ['one', 'two'], services: ['s.service'],
    variants: {v: {}},
}";

fn effective(variant: Option<&str>) -> Effective {
    let mut diagnostics = Vec::new();
    let root = value::parse(DEFINITION, Mode::Json5, &mut diagnostics).unwrap();
    let artifact = Artifact::read(&root, &mut Reader::new(&mut diagnostics));
    assert_eq!(diagnostics, []);
    Effective::merge(&artifact, variant, Arch::X86_64, "dir").unwrap()
}

fn titles(
    machine: Option<Machine>,
    packages: &[&str],
    files: &ArtifactFiles,
    variant: Option<&str>,
) -> Vec<String> {
    let facts = LowerFacts {
        packages: packages.iter().map(|p| (*p).to_owned()).collect(),
        package_scripts: vec!["/usr/lib/genpack/package-scripts/p/one".into()],
        kernel: machine.map(|_| "6.1.0-1-amd64".to_owned()),
        machine,
        ..LowerFacts::default()
    };
    let init = InitBinary { path: "/i/genpack-init".into(), digest: "d".into() };
    let steps = plan(&effective(variant), &facts, files, Some(&init)).unwrap();
    steps.into_iter().map(|s| s.title).collect()
}

#[test]
fn plan_of_an_appliance_has_every_step_in_order() {
    let packages = ["systemd", "systemd-resolved", "systemd-timesyncd", "openssh-server", "python3-minimal"];
    let titles = titles(Some(Machine::Baremetal), &packages, &ArtifactFiles::default(), Some("v"));
    assert_eq!(
        titles,
        [
            "package script /usr/lib/genpack/package-scripts/p/one",
            "empty /etc/machine-id: every machine makes its own",
            "remove /var/lib/dbus/machine-id",
            "remove /var/lib/systemd/random-seed",
            "remove /var/lib/systemd/credential.secret",
            "name the system in /etc/hostname unless it has a name",
            "let /etc/resolv.conf follow systemd-resolved",
            "remove the SSH host keys",
            "make SSH host keys at the first boot",
            "start that before ssh.service",
            "configure Ethernet by DHCP",
            "enable systemd-networkd.service",
            "enable systemd-resolved.service",
            "enable systemd-timesyncd.service",
            "group g",
            "user u",
            "setup command",
            "setup command",
            "enable s.service",
            "install /usr/bin/genpack-init from /i/genpack-init",
            "link /usr/libexec/genpack-shutdown to it",
            "write genpack-mark-good.service",
            "start it by multi-user.target.wants",
            "write genpack-health.service",
            "start it by boot-complete.target.requires",
            "write genpack-trial.timer",
            "start it by sysinit.target.wants",
            "write genpack-trial.service",
            "write /usr/lib/genpack-init/python/genpack_init.py",
            "link /boot/kernel to kernel 6.1.0-1-amd64",
            "make /boot/initramfs for kernel 6.1.0-1-amd64",
            "make loaders in /usr/lib/genpack-install",
            "write /.genpack/arch",
            "write /.genpack/artifact",
            "write /.genpack/profile",
            "write /.genpack/variant",
            "list the packages in /.genpack/packages",
            "remove what containers leave",
            "touch /usr",
        ]
    );
}

#[test]
fn plan_without_profile_has_neither_kernel_nor_loaders() {
    let titles = titles(None, &[], &ArtifactFiles::default(), None);
    assert!(
        !titles.iter().any(|t| t.contains("initramfs") || t.contains("loaders") || t.contains("systemd-"))
    );
}

#[test]
fn plan_leaves_the_network_to_whoever_has_it() {
    let dhcp = |titles: &[String]| titles.iter().any(|t| t == "configure Ethernet by DHCP");
    let networkd = |titles: &[String]| titles.iter().any(|t| t == "enable systemd-networkd.service");
    let dir = tempfile::tempdir().unwrap();
    let own = dir.path().join("files/etc/systemd/network");
    std::fs::create_dir_all(&own).unwrap();
    std::fs::write(own.join("1.network"), "").unwrap();
    let files = ArtifactFiles::read(dir.path()).unwrap();
    let with_own = titles(Some(Machine::Paravirt), &["systemd"], &files, None);
    assert!(!dhcp(&with_own) && networkd(&with_own));
    let manager =
        titles(Some(Machine::Paravirt), &["systemd", "network-manager"], &ArtifactFiles::default(), None);
    assert!(!dhcp(&manager) && !networkd(&manager));
}
