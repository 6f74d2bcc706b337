//! The verb `vm doctor`: what this host lacks for machines, and the command that fixes it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use genpack_core::kernel::arch::Arch;
use genpack_qemu::argv::program;
use genpack_qemu::{accel, firmware, machine::Accel};
use serde_json::{Value, json};

use super::flash::takes_flash;
use super::host::{BRIDGE_HELPERS, Host, VIRTIOFS_DAEMONS, in_path};
use crate::command_error::{Kind, Result};
use crate::ctx::Ctx;
use crate::runner::Run;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    what: String,
    /// What is wrong; `None` when all is well.
    wrong: Option<String>,
    /// What one loses.
    without: &'static str,
    fix: Fix,
    /// No machine runs without it.
    is_needed: bool,
}

/// What helps.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fix {
    /// A package: the first of these that this distribution has.
    Package(&'static [&'static str]),
    /// Something else.
    Words(String),
}

impl Fix {
    /// Returns what to do; `known` are the packages that this distribution has, when that can be told.
    fn words(&self, known: Option<&BTreeSet<String>>) -> String {
        match self {
            Self::Words(words) => words.clone(),
            Self::Package(names) => {
                match names.iter().find(|name| known.is_none_or(|k| k.contains(**name))) {
                    Some(name) => format!("apt-get install {name}"),
                    None => format!("none by apt, which knows no {} (apt-get update?)", names.join(", no ")),
                }
            }
        }
    }
}

/// Returns those of the packages that would help which this distribution has; `None` where it has no apt.
fn known_packages(ctx: &Ctx, findings: &[Finding]) -> Option<BTreeSet<String>> {
    let wrong = findings.iter().filter(|finding| finding.wrong.is_some());
    let names = |finding: &Finding| match finding.fix {
        Fix::Package(names) => names,
        Fix::Words(_) => &[],
    };
    let wanted: Vec<&str> = wrong.flat_map(names).copied().collect();
    if wanted.is_empty() {
        return None;
    }
    let output = ctx.runner.run(&Run::new("apt-cache").arg("madison").args(wanted)).ok()?;
    Some(parse_madison(&String::from_utf8_lossy(&output.stdout)))
}

/// Parses `passt | 0.0~git20230309.7c7625d-1 | http://…`, a line for each version.
fn parse_madison(text: &str) -> BTreeSet<String> {
    text.lines().filter_map(|line| Some(line.split_once('|')?.0.trim().to_owned())).collect()
}

/// Looks at this host.
///
/// # Errors
/// Never; what is wrong is told.
pub fn doctor(ctx: &Ctx) -> Result<ExitCode> {
    let kvm = accel::choose(ctx.arch);
    let mut findings = programs(ctx.arch, &|name| in_path(name).is_some(), &|arch| {
        let flash = firmware::find(arch, firmware::Checks::Nothing).is_some() && takes_flash(ctx, arch);
        flash || firmware::u_boot(arch).is_some()
    });
    let is_member = is_member_of_kvm();
    findings.extend(devices(&Host::default(), (kvm.accel, &kvm.reason), is_member));
    let known = known_packages(ctx, &findings);
    let failed = findings.iter().any(|finding| finding.is_needed && finding.wrong.is_some());
    if ctx.ui.is_json() {
        let all: Vec<Value> = findings
            .iter()
            .map(|f| {
                json!({"what": f.what, "ok": f.wrong.is_none(), "wrong": f.wrong,
                "without": f.wrong.as_ref().map(|_| f.without), "fix": f.wrong.as_ref().map(|_| f.fix.words(known.as_ref()))})
            })
            .collect();
        ctx.ui.document(&all.into());
    }
    for finding in &findings {
        match &finding.wrong {
            None => ctx.ui.answer(format!("ok       {}", finding.what)),
            Some(wrong) => {
                let mark = if finding.is_needed { "missing" } else { "lacking" };
                ctx.ui.answer(format!("{mark}  {}: {wrong}", finding.what));
                ctx.ui.answer(format!("         without it: {}", finding.without));
                ctx.ui.answer(format!("         fix: {}", finding.fix.words(known.as_ref())));
            }
        }
    }
    Ok(ExitCode::from(if failed { Kind::Refused.exit_code() } else { 0 }))
}

fn programs(own: Arch, is_there: &dyn Fn(&str) -> bool, has_firmware: &dyn Fn(Arch) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let absent = |there: bool| (!there).then(|| "not installed".to_owned());
    let packages: [(Arch, &'static [&'static str], &'static [&'static str]); 3] = [
        (Arch::X86_64, &["qemu-system-x86"], &["ovmf"]),
        (Arch::Aarch64, &["qemu-system-arm"], &["qemu-efi-aarch64"]),
        // Not qemu-efi-riscv64: Debian 12 has none, and its QEMU could not start it.
        (Arch::Riscv64, &["qemu-system-riscv", "qemu-system-misc"], &["u-boot-qemu"]),
    ];
    for (arch, emulator, uefi) in packages {
        findings.push(Finding {
            what: program(arch).to_owned(),
            wrong: absent(is_there(program(arch))),
            without: "no machines of this architecture",
            fix: Fix::Package(emulator),
            is_needed: arch == own,
        });
        findings.push(Finding {
            what: format!("UEFI firmware for {arch}"),
            wrong: absent(has_firmware(arch)),
            without: "disks of this architecture boot by BIOS or not at all",
            fix: Fix::Package(uefi),
            is_needed: false,
        });
    }
    let programs: [(&str, &'static str, &'static [&'static str]); 4] = [
        ("passt", "no --net passt", &["passt"]),
        ("swtpm", "no --tpm", &["swtpm"]),
        ("mkfs.btrfs", "no --volatile-data", &["btrfs-progs"]),
        ("ssh", "no vm ssh, scp", &["openssh-client"]),
    ];
    for (name, without, package) in programs {
        findings.push(Finding {
            what: name.to_owned(),
            wrong: absent(is_there(name)),
            without,
            fix: Fix::Package(package),
            is_needed: false,
        });
    }
    findings
}

fn devices(host: &Host, kvm: (Accel, &str), is_member: bool) -> Vec<Finding> {
    let finding = |what: &str, wrong: Option<String>, without, fix: Fix| Finding {
        what: what.to_owned(),
        wrong,
        without,
        fix,
        is_needed: false,
    };
    let words = |text: &str| Fix::Words(text.to_owned());
    let opens = |device: &str| host.opens(device).err().map(|e| e.to_string());
    let join = "usermod -aG kvm $USER, and log in again";
    let kvm_fix = match opens("kvm") {
        Some(_) if host.dev.join("kvm").exists() && !is_member => join,
        Some(_) => "modprobe kvm_intel or kvm_amd; switch on virtualisation in the firmware",
        None => "use a host whose processor virtualises, or nested virtualisation",
    };
    let helper = host.first_of(&BRIDGE_HELPERS);
    let bridge = match &helper {
        None => Some("QEMU's bridge helper is not installed".to_owned()),
        Some(path) if !is_setuid(path) && !rustix::process::getuid().is_root() => {
            Some(format!("{} is not set-uid root", path.display()))
        }
        Some(_) if !Path::new("/etc/qemu/bridge.conf").exists() => {
            Some("/etc/qemu/bridge.conf allows no bridge".to_owned())
        }
        Some(_) => None,
    };
    let bridge_fix = match &helper {
        None => Fix::Package(&["qemu-system-common"]),
        Some(path) => {
            words(&format!("chmod u+s {}; echo allow br0 >> /etc/qemu/bridge.conf", path.display()))
        }
    };
    let daemon = host.first_of(&VIRTIOFS_DAEMONS);
    vec![
        finding(
            "KVM",
            (kvm.0 != Accel::Kvm).then(|| kvm.1.to_owned()),
            "machines are emulated, ten times slower",
            words(kvm_fix),
        ),
        finding(
            "vsock (/dev/vhost-vsock)",
            opens("vhost-vsock"),
            "ssh goes by a port of 127.0.0.1",
            words("modprobe vhost_vsock"),
        ),
        finding(
            "vhost-net (/dev/vhost-net)",
            opens("vhost-net"),
            "taps and bridges are slower",
            words("modprobe vhost_net"),
        ),
        finding(
            "virtiofsd",
            daemon.is_none().then(|| "not installed".to_owned()),
            "shares go by 9p, which is slower",
            // QEMU's own daemon, until 7.2.
            Fix::Package(&["virtiofsd", "qemu-system-common"]),
        ),
        finding("bridges", bridge, "no --net BRIDGE", bridge_fix),
    ]
}

fn is_setuid(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|m| m.permissions().mode() & 0o4000 != 0)
}

fn is_member_of_kvm() -> bool {
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let line = groups.lines().find_map(|line| line.strip_prefix("kvm:"));
    let gid = line.and_then(|line| line.split(':').nth(1)?.parse::<u32>().ok());
    // Without the list of our groups the advice is to join, which does no harm.
    let own = rustix::process::getgroups().unwrap_or_default();
    gid.is_some_and(|gid| own.iter().any(|group| group.as_raw() == gid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_emulator_is_needed() {
        let findings = programs(Arch::Aarch64, &|name| name == "qemu-system-x86_64", &|_| false);
        let needed: Vec<_> = findings.iter().filter(|f| f.is_needed).collect();
        assert_eq!(needed.len(), 1);
        assert_eq!(
            (needed[0].what.as_str(), needed[0].fix.words(None).as_str()),
            ("qemu-system-aarch64", "apt-get install qemu-system-arm")
        );
        assert_eq!(
            findings.iter().filter(|f| f.wrong.is_none()).map(|f| f.what.as_str()).collect::<Vec<_>>(),
            ["qemu-system-x86_64"]
        );
    }

    #[test]
    fn fix_names_only_what_the_distribution_has() {
        let known = parse_madison(
            " qemu-system-misc | 1:7.2+dfsg-7 | http://a bookworm/main amd64 Packages\n\
             qemu-system-misc | 1:7.2+dfsg-6 | http://b bookworm/main amd64 Packages\n\nE: nothing\n",
        );
        assert_eq!(known.iter().map(String::as_str).collect::<Vec<_>>(), ["qemu-system-misc"]);
        let fix = Fix::Package(&["qemu-system-riscv", "qemu-system-misc"]);
        assert_eq!(fix.words(Some(&known)), "apt-get install qemu-system-misc");
        assert_eq!(fix.words(None), "apt-get install qemu-system-riscv");
        let fix = Fix::Package(&["qemu-efi-riscv64", "virtiofsd"]);
        assert_eq!(
            fix.words(Some(&known)),
            "none by apt, which knows no qemu-efi-riscv64, no virtiofsd (apt-get update?)"
        );
    }

    #[test]
    fn each_device_has_its_fix() {
        let dir = tempfile::tempdir().unwrap();
        let dev = dir.path().join("dev");
        std::fs::create_dir(&dev).unwrap();
        std::fs::write(dev.join("vhost-net"), "").unwrap();
        let host = Host { dev, root: dir.path().into(), ..Host::default() };
        let found = devices(&host, (Accel::Tcg, "no"), false);
        let lacking: Vec<_> = found
            .iter()
            .filter(|f| f.wrong.is_some())
            .map(|f| format!("{}: {}", f.what, f.fix.words(None)))
            .collect();
        assert_eq!(
            lacking,
            [
                "KVM: modprobe kvm_intel or kvm_amd; switch on virtualisation in the firmware",
                "vsock (/dev/vhost-vsock): modprobe vhost_vsock",
                "virtiofsd: apt-get install virtiofsd",
                "bridges: apt-get install qemu-system-common",
            ]
        );
    }
}
