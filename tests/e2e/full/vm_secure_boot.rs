//! Scene: a firmware with keys refuses our loader, which nobody signed; without Secure Boot it starts from the same disk.

use std::path::Path;

use genpack_tests::assets::is_built;
use genpack_tests::scene::Scene;

use super::vm_guests::Place;

/// What EDK2 says about a loader that its keys did not sign, and what it says when nothing else is left to start.
const REFUSED: &str = "Access Denied";
const NOTHING_LEFT: &str = "No bootable option or device was found";
/// What the kernel says first.
const STARTED: &str = "Linux version";

/// Returns the lines of a machine's console up to one of these words, and ends it.
fn lines_until(place: &Place, run: &[&str], words: &[&str]) -> Vec<String> {
    let (mut child, lines) = place.follow(&[&["run", "-n", "disk", "--no-kvm", "-m", "1G"], run].concat());
    let mut said = Vec::new();
    for line in lines {
        let is_last = words.iter().any(|word| line.contains(word));
        said.push(line);
        if is_last {
            break;
        }
    }
    place.vm(&["stop", "-f", "-w", "disk"]);
    child.wait().unwrap();
    said
}

#[test]
fn firmware_with_keys_refuses_a_loader_that_nobody_signed() {
    let firmware = Path::new("/usr/share/OVMF/OVMF_CODE_4M.ms.fd");
    let Some(scene) = Scene::open_short("secure_boot", &[]) else { return };
    if !is_built(firmware, "apt-get install ovmf") {
        return;
    }
    let cfg = scene.path("system.cfg");
    std::fs::write(&cfg, "set LINUX_ARGS=\"console=ttyS0,115200n8 no_timer_check\"\n").unwrap();
    let disk = scene.flash(&["--system-cfg", cfg.to_str().unwrap()]);
    let disk = disk.to_str().unwrap();
    let place = Place::new("vm-secure-boot");
    let ends = [NOTHING_LEFT, STARTED];

    let said = lines_until(&place, &[disk, "--secure-boot"], &ends);
    let refusals: Vec<&String> = said.iter().filter(|line| line.contains(REFUSED)).collect();
    assert!(refusals.len() == 1 && refusals[0].contains("failed to load Boot0001"), "{said:#?}");
    assert!(said.last().is_some_and(|line| line.contains(NOTHING_LEFT)), "{said:#?}");

    // The same disk, without keys.
    let said = lines_until(&place, &[disk], &ends);
    assert!(said.last().is_some_and(|line| line.contains(STARTED)), "{said:#?}");
    assert!(!said.iter().any(|line| line.contains(REFUSED)), "{said:#?}");

    // A kernel that is handed over directly is another matter.
    let image = scene.image().to_str().unwrap();
    let (code, _, words) = place.status(&["run", image, "--no-kvm", "--secure-boot", "--dry-run"]);
    assert_eq!((code, words.contains("is not checked by every firmware")), (Some(0), true), "{words}");
}
