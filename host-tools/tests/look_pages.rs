//! The pages that we write, in a browser: at the width of a phone and of a desktop, light and dark, without scripts where
//! they need none. The pictures are `target/tmp/pages/*.png`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

mod browser;
mod tree;

use browser::{Browser, VIEWS};

fn genpack_host(dir: &Path, args: &[&str]) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_genpack-host")).arg("-C").arg(dir).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Returns bytes that no compressor makes smaller.
fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// Makes an image of packages with files of many sizes, as a system has them; the second one is an update of the first.
fn image(dir: &Path, name: &str, is_update: bool) {
    const PACKAGES: [(&str, &str, usize); 24] = [
        ("linux-image-6.1.0-44-amd64", "usr/lib/modules/6.1.0-44-amd64/kernel/drivers/net/wireless", 900),
        ("libc6", "usr/lib/x86_64-linux-gnu", 400),
        ("systemd", "usr/lib/systemd", 380),
        ("firmware-iwlwifi", "usr/lib/firmware", 620),
        ("python3.11-minimal", "usr/lib/python3.11", 300),
        ("libpython3.11-stdlib", "usr/lib/python3.11/asyncio", 240),
        ("perl-base", "usr/lib/x86_64-linux-gnu/perl-base", 200),
        ("bash", "usr/bin", 120),
        ("coreutils", "usr/bin/core", 110),
        ("fonts-dejavu-core", "usr/share/fonts/truetype/dejavu", 180),
        ("libssl3", "usr/lib/x86_64-linux-gnu/engines-3", 150),
        ("udev", "usr/lib/udev", 90),
        ("chromium-common-with-a-long-name-for-a-package", "usr/lib/chromium", 800),
        ("tzdata", "usr/share/zoneinfo", 60),
        ("util-linux", "usr/sbin", 70),
        ("apt", "usr/lib/apt", 40),
        ("nginx-core", "usr/share/nginx", 35),
        ("ca-certificates", "usr/share/ca-certificates/mozilla", 25),
        ("openssh-server", "usr/lib/openssh", 45),
        ("dbus", "usr/share/dbus-1", 12),
        ("kmod", "usr/lib/modprobe.d", 6),
        ("login", "etc/login", 4),
        ("netbase", "etc/net", 2),
        ("mawk", "usr/share/mawk", 3),
    ];
    let root = dir.join(name);
    let (mut packages, mut list) = (String::new(), String::new());
    for (at, (package, directory, kib)) in PACKAGES.iter().enumerate() {
        if is_update && at == 16 {
            continue;
        }
        let version = if is_update && at % 3 == 0 { "2.1-4+deb12u3" } else { "2.1-4" };
        packages.push_str(&format!("{package}-{version}[amd64]\n# VERSION: {version}\n\n"));
        list.push_str(&format!("{package}\n/{directory}\n"));
        let grown = if is_update && at % 3 == 0 { 1 + at } else { 0 };
        for part in 0..5 {
            let file = format!("{package}-part-{part}.so.1");
            let content = noise(((kib * 1024) >> part) + grown * 1024, at as u64 * 8 + part as u64 + 1);
            list.push_str(&format!("\t{file}\n"));
            tree::write(&root, [(format!("{directory}/{file}").as_str(), &content[..])]);
        }
    }
    tree::write(
        &root,
        [
            (".genpack/packages", packages.as_bytes()),
            (".genpack/files", list.as_bytes()),
            (".genpack/artifact", b"kiosk\n"),
            (".genpack/arch", b"x86_64\n"),
            ("boot/kernel", &noise(600_000, 1001)),
            ("boot/initramfs", &noise(300_000, 1002)),
            ("usr/lib/genpack-install/bootx64.efi", &noise(90_000, 1003)),
            ("srv/of-nobody", &noise(40_000, 999)),
            ("srv/again/of-nobody", &noise(40_000, 999)),
            (
                "etc/a-directory-with-a-name-that-goes-on-and-on/and-a-file-whose-name-is-no-shorter.conf",
                b"x",
            ),
        ],
    );
    let image = format!("{name}.squashfs");
    genpack_host(
        dir,
        &["-q", "squash", name, &image, "--mtime", "1700000000", "--compression", "zstd", "--level", "1"],
    );
}

/// Looks at a page in every view; `open` does what an owner would do first.
fn look(
    browser: &mut Browser,
    pictures: &Path,
    page: &Path,
    has_scripts: bool,
    open: &dyn Fn(&mut Browser),
    faults: &mut Vec<String>,
) {
    let name = page.file_stem().unwrap().to_str().unwrap();
    for view in VIEWS {
        browser.show(page, view, has_scripts);
        open(browser);
        faults.extend(browser.faults().iter().map(|fault| format!("{name}, {}: {fault}", view.name)));
        let (first, colors) = browser.picture(&pictures.join(format!("{name}-{}.png", view.name)));
        let light = if name.starts_with("editor") { 0xF4_F5_F7 } else { 0xFF_FF_FF };
        let background = if view.is_dark { 0x15_18_1B } else { light };
        if first != background || colors.len() < 16 {
            faults.push(format!("{name}, {}: begins with {first:06x}, {} colours", view.name, colors.len()));
        }
    }
}

#[test]
#[ignore = "drives Chromium"]
fn pages_are_readable_at_every_width_and_in_light_and_dark() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    image(at, "old", false);
    image(at, "new", true);
    genpack_host(at, &["-q", "inspect", "new.squashfs", "--html", "inspect.html"]);
    genpack_host(at, &["-q", "diff", "old.squashfs", "new.squashfs", "--html", "diff.html"]);
    genpack_host(at, &["-q", "diff", "old.squashfs", "old.squashfs", "--html", "alike.html"]);
    tree::write(at, [("console.log", include_bytes!("fixtures/boot-console.log").as_slice())]);
    genpack_host(at, &["-q", "boot-report", "console.log", "--svg", "boot.svg"]);
    genpack_host(at, &["ini-editor", "editor.html"]);
    tree::write(
        at,
        [("system.ini", "hostname = kitchen\ntiemzone = Asia/Tokyo\n[user.eve]\nsudo = yes\n".as_bytes())],
    );

    let pictures = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("pages");
    fs::create_dir_all(&pictures).unwrap();
    let mut browser = Browser::open();
    let mut faults = Vec::new();
    for page in ["inspect.html", "diff.html", "alike.html", "boot.svg"] {
        look(&mut browser, &pictures, &at.join(page), false, &|_| {}, &mut faults);
    }
    let ini = at.join("system.ini");
    look(&mut browser, &pictures, &at.join("editor.html"), true, &|_| {}, &mut faults);
    fs::copy(at.join("editor.html"), at.join("editor-form.html")).unwrap();
    let open = |browser: &mut Browser| {
        browser.choose_file("#file", &ini);
        let shown = "new Promise((done) => { const look = () => document.getElementById('editor').hidden \
                     ? requestAnimationFrame(look) : done(true); look(); })";
        assert_eq!(browser.evaluate(shown), true);
    };
    look(&mut browser, &pictures, &at.join("editor-form.html"), true, &open, &mut faults);
    assert!(faults.is_empty(), "{}\nthe pictures are in {}", faults.join("\n"), pictures.display());
}
