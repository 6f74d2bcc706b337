//! Modules of the first init in Python run unchanged under the runner that images get.

#[path = "../../tests/needs.rs"]
mod needs;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const RUNNER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../init-static/python/genpack_init.py");

/// As genpack-init exports it.
const INI: &str =
    r#"{"_default": {"hostname": "kitchen", "debug": "yes", "rate": "50%"}, "shop": {"open": "no"}}"#;

fn run(directory: &Path, module: &str) -> Output {
    fs::write(directory.join("ini.json"), INI).unwrap();
    fs::write(directory.join("50module.py"), module).unwrap();
    Command::new("python3")
        .args(["-B", RUNNER])
        .arg(directory.join("50module.py"))
        .env("GENPACK_INI_JSON", directory.join("ini.json"))
        .env("OUT", directory.join("out"))
        .output()
        .unwrap()
}

#[test]
fn module_gets_what_it_asks_for() {
    if !needs::program("python3") {
        return;
    }
    // Module, exit status, what it leaves in the file.
    let cases = [
        // Settings: literal `%`, booleans, sections, a fallback.
        (
            "import os\ndef configure(ini):\n  d = ini['_default']\n  open(os.environ['OUT'], 'w').write(f\"{d['hostname']} \
             {d['rate']} {ini.getboolean('shop', 'open')} {ini.get('none', 'x', fallback='f')} {d.get('gone')}\")\n",
            0,
            "kitchen 50% False f None",
        ),
        // No parameter, a default one, the functions by import and the one that needs none.
        (
            "import os, genpack_init\ndef configure(ini=None):\n  p = [genpack_init.root_path('/etc/a', 'b'), \
             genpack_init.boot_path('x'), genpack_init.rw_path(), genpack_init.ro_path('//u')]\n  \
             open(os.environ['OUT'], 'w').write(' '.join(map(str, p)) + f' {ini is not None} {callable(coldplug)}')\n",
            0,
            "/etc/a/b /run/initramfs/boot/x /run/initramfs/rw /run/initramfs/ro/u True True",
        ),
        (
            "import os, genpack_init as g\nfrom genpack_init import chmod, get_mount_info\ndef configure():\n  o = \
             os.environ['OUT']\n  open(o, 'w').write('')\n  s = [chmod('0600', o), oct(os.stat(o).st_mode & 0o777), \
             get_mount_info('/proc')['fstype'], get_mount_info(o), g.get_block_device_info(o), \
             g.read_qemu_firmware_config('opt/none'), g.mkfs('/nonexistent', 'none')]\n  open(o, 'w').write(str(s))\n",
            0,
            "[0, '0o600', 'proc', None, None, None, 1]",
        ),
        // Not one that is run, and ones that fail.
        ("x = 1\n", 77, ""),
        ("def configure(a, b): pass\n", 1, ""),
        ("def configure():\n  raise ValueError('boom')\n", 1, ""),
        ("def configure(:\n", 1, ""),
        ("import sys\ndef configure():\n  sys.exit(3)\n", 3, ""),
    ];
    for (module, status, left) in cases {
        let directory = tempfile::tempdir().unwrap();
        let output = run(directory.path(), module);
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{module}{words}");
        let out = fs::read_to_string(directory.path().join("out")).unwrap_or_default();
        assert_eq!(out, left, "{module}{words}");
        assert_eq!(words.contains("Traceback"), status == 1, "{module}{words}");
    }
}
