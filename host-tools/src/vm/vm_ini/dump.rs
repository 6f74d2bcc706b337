//! Options → `vm.ini`: the file that asks for the same machine.
//!
//! Every path is absolute, so the file stands in any directory. What the format cannot say is a comment: a value with
//! both kinds of quotes or a line break, a name with capitals, the eleventh section of a kind.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use crate::vm::options::{DisplayOptions, Options, Tri};
use crate::vm::words::{DiskWords, NetWords, ShareTransport, ShareWords};

/// How many sections of one kind there are.
const MAX_OF_A_KIND: usize = 10;

/// A `vm.ini`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dump {
    /// The file.
    pub text: String,
    /// What it does not say.
    pub left_out: Vec<String>,
}

/// Returns the file that asks for the same machine; `at` gives a path from the root.
#[must_use]
pub fn dump(options: &Options, at: &dyn Fn(&Path) -> PathBuf) -> Dump {
    let mut writing = Writing { dump: Dump::default(), at };
    writing.top(options);
    if let Some(display) = &options.display {
        writing.display(display);
    }
    writing.devices(options);
    writing.values(options);
    writing.dump
}

struct Writing<'a> {
    dump: Dump,
    at: &'a dyn Fn(&Path) -> PathBuf,
}

impl Writing<'_> {
    fn left_out(&mut self, what: String) {
        self.dump.text.push_str(&format!("# not said here: {what}\n"));
        self.dump.left_out.push(what);
    }

    fn key(&mut self, key: &str, value: impl Display) {
        let value = value.to_string();
        let folds = key.chars().any(|c| c.is_ascii_uppercase());
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,=".contains(c);
        let quote = match (value.contains('"'), value.contains('\'')) {
            (true, true) => None,
            (true, false) => Some("'"),
            (false, _) => Some("\""),
        };
        let Some(quote) = quote.filter(|_| !folds && !value.contains(['\n', '\r'])) else {
            let value = value.escape_debug();
            self.left_out(format!("{key} = {value}"));
            return;
        };
        let quote = if !value.is_empty() && value.chars().all(is_plain) { "" } else { quote };
        self.dump.text.push_str(&format!("{key} = {quote}{value}{quote}\n"));
    }

    fn path(&mut self, key: &str, path: Option<&PathBuf>) {
        if let Some(path) = path {
            let path = (self.at)(path);
            match path.to_str() {
                Some(text) => self.key(key, text),
                None => self.left_out(format!("{key} = {} (no UTF-8)", path.display())),
            }
        }
    }

    fn text(&mut self, key: &str, text: Option<&String>) {
        if let Some(text) = text {
            self.key(key, text);
        }
    }

    /// Writes a switch, when it is on.
    fn on(&mut self, key: &str, is_on: bool) {
        if is_on {
            self.key(key, "yes");
        }
    }

    fn off(&mut self, key: &str, is_off: bool) {
        if is_off {
            self.key(key, "no");
        }
    }

    fn tri(&mut self, key: &str, tri: Tri) {
        match tri {
            Tri::Auto => {}
            Tri::On => self.key(key, "required"),
            Tri::Off => self.key(key, "no"),
        }
    }

    fn section(&mut self, name: &str) {
        self.dump.text.push_str(&format!("\n[{name}]\n"));
    }

    /// Writes values that are told apart by their place alone.
    fn list(&mut self, name: &str, values: &[String]) {
        if values.is_empty() {
            return;
        }
        self.section(name);
        for (number, value) in (1..).zip(values) {
            self.key(&number.to_string(), value);
        }
    }

    fn each<T>(&mut self, kind: &str, all: &[T], write: impl Fn(&mut Self, &T)) {
        for (number, one) in all.iter().enumerate() {
            if number == MAX_OF_A_KIND {
                let more = all.len() - MAX_OF_A_KIND;
                self.left_out(format!("{more} more of the kind [{kind}0] to [{kind}9]"));
                return;
            }
            self.section(&format!("{kind}{number}"));
            write(self, one);
        }
    }

    fn top(&mut self, options: &Options) {
        if let Some(name) = &options.name {
            self.key("name", name);
        }
        let max = options.max_memory.map_or_else(String::new, |max| format!(":{max}"));
        self.key("memory", format!("{}{max}", options.memory_mib()));
        let (now, max) = (options.cpus.max(1), options.max_cpus);
        self.key("cpu", if max > now { format!("{now}:{max}") } else { now.to_string() });
        if options.bios {
            self.key("type", "bios");
        }
        self.path("system", options.image.as_ref());
        self.path("data", options.data.as_ref());
        self.path("swap", options.swap.as_ref());
        self.path("cdrom", options.cdrom.as_ref());
        self.on("volatile-data", options.volatile_data);
        self.on("ephemeral", options.ephemeral);
        self.on("sata", options.bios_sata);
        self.text("append", options.append.as_ref().filter(|_| !options.bios));
        if !options.bios {
            match options.uefi.unwrap_or(Tri::Off) {
                Tri::Auto => self.key("uefi", "yes"),
                tri => self.tri("uefi", tri),
            }
        }
        if let Some(firmware) = &options.firmware {
            let path = |path: &PathBuf| (self.at)(path).to_string_lossy().into_owned();
            let vars =
                firmware.vars.as_ref().map_or_else(String::new, |vars| format!(",vars={}", path(vars)));
            let words = path(&firmware.code) + &vars;
            self.key("firmware", words);
        }
        self.path("nvram", options.nvram.as_ref());
        self.on("secure-boot", options.secure_boot);
        self.on("tpm", options.tpm || options.tpm_state.is_some());
        self.path("tpm-state", options.tpm_state.as_ref());
        self.tri("kvm", options.kvm);
        self.tri("vsock", options.vsock);
        if let Some(cid) = options.cid {
            self.key("cid", cid);
        }
        self.text("uuid", options.uuid.as_ref());
        self.on("hvc", options.hvc);
        self.off("qga", options.no_agent);
        self.off("rng", options.no_rng);
        self.off("sound", options.no_sound);
        self.off("usb", options.no_usb);
        self.off("network", options.no_net);
        // Every directory that is shared stands in a section.
        self.off("fs", true);
        self.path("serial-log", options.serial_log.as_ref());
        self.path("application-ini", options.application_ini.as_ref());
        self.on("no-shutdown", options.no_shutdown);
        self.text("log-items", options.log_items.as_ref());
        self.text("trace", options.trace.as_ref());
        self.path("log-file", options.log_file.as_ref());
    }

    fn display(&mut self, display: &DisplayOptions) {
        self.text("display", display.window.as_ref());
        self.text("spice", display.spice.as_ref());
        self.text("vnc", display.vnc.as_ref());
        if let Some(card) = display.accel.to_possible_value() {
            self.key("accel", card.get_name());
        }
        if display.outputs > 1 {
            self.key("gpu_max_outputs", display.outputs);
        }
        self.text("rendernode", display.render_node.as_ref());
        if let Some(size) = display.resolution {
            self.key("resolution", format!("{}x{}", size.width, size.height));
        }
        self.text("wayland-display", display.wayland_display.as_ref());
        self.text("x11-display", display.x11_display.as_ref());
    }

    fn devices(&mut self, options: &Options) {
        let one = [NetWords::plain("user")];
        let nets = if options.nets.is_empty() && !options.no_net { &one } else { &options.nets[..] };
        let rules: Vec<String> = options.hostfwd.iter().map(ToString::to_string).collect();
        // Ports lead in by the card on a user network, wherever they are written.
        let with_rules = nets.iter().position(|net| matches!(&*net.interface, "user" | "passt")).unwrap_or(0);
        let numbered: Vec<(usize, &NetWords)> = nets.iter().enumerate().collect();
        self.each("net", &numbered, |file, (number, net)| {
            file.key("interface", &net.interface);
            file.text("mac", net.mac.as_ref());
            file.off("vhost", !net.vhost);
            file.on("restrict", net.restrict);
            if *number == with_rules && !rules.is_empty() {
                file.key("hostfwd", rules.join(","));
            }
        });
        self.each("disk", &options.disks, Self::disk);
        self.each("pci", &options.pci, |file, device| {
            file.key("id", &device.id);
            file.on("multifunction", device.multifunction);
            file.on("vga", device.vga);
            file.text("romfile", device.romfile.as_ref());
        });
        self.each("share", &options.shares, Self::share);
        self.list("usb", &options.usb.iter().map(|query| query.as_str().to_owned()).collect::<Vec<_>>());
        for path in &options.usb_paths {
            self.left_out(format!("the USB device {}", path.display()));
        }
        let virtiofs = &options.virtiofs;
        if *virtiofs != Default::default() {
            self.section("virtiofs");
            if let Some(limit) = virtiofs.rlimit_nofile {
                self.key("rlimit-nofile", limit);
            }
            self.text("cache", virtiofs.cache.as_ref());
            self.text("inode-file-handles", virtiofs.inode_file_handles.as_ref());
        }
    }

    fn disk(&mut self, disk: &DiskWords) {
        self.path("path", Some(&disk.path));
        self.text("serial", disk.serial.as_ref());
        if disk.qcow2 {
            self.key("format", "qcow2");
        }
        self.on("read-only", disk.read_only);
        self.on("snapshot", disk.snapshot);
        self.off("virtio", disk.sata);
    }

    fn share(&mut self, share: &ShareWords) {
        self.path("path", Some(&share.path));
        self.key("tag", &share.tag);
        self.on("read-only", share.read_only);
        match share.transport {
            None => {}
            Some(ShareTransport::NineP) => self.key("transport", "9p"),
            Some(ShareTransport::Virtiofs) => self.key("transport", "virtiofs"),
        }
        self.text("mount", share.mount_point.as_ref());
    }

    fn values(&mut self, options: &Options) {
        self.list("guestfwd", &options.guestfwd);
        let sockets = options.sock_forward.iter().map(|path| (self.at)(path).to_string_lossy().into_owned());
        let sockets: Vec<String> = sockets.collect();
        self.list("sock-forward", &sockets);
        let of = |pairs: Vec<(&String, &String)>, name: &str, file: &mut Self| {
            if !pairs.is_empty() {
                file.section(name);
            }
            for (key, value) in pairs {
                file.key(key, value);
            }
        };
        of(options.fw_strings.iter().map(|v| (&v.0, &v.1)).collect(), "firmware-string", self);
        of(options.credentials.iter().map(|v| (&v.0, &v.1)).collect(), "credential", self);
        if let Some(text) = &options.application_text {
            self.section("application");
            for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
                self.key(key, value);
            }
        }
        self.list("qemu", &options.qemu_args);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(options: &Options) -> Dump {
        dump(options, &|path| Path::new("/here").join(path))
    }

    #[test]
    fn machine_without_options_is_a_short_file() {
        let options = Options { image: Some("a b.img".into()), ..Options::default() };
        assert_eq!(
            of(&options).text,
            "memory = 2048\ncpu = 1\nsystem = \"/here/a b.img\"\nuefi = no\nfs = no\n\n[net0]\ninterface = user\n"
        );
    }

    #[test]
    fn value_stands_in_quotes_that_it_does_not_have() {
        for (value, line) in [
            ("a", "append = a\n"),
            ("", "append = \"\"\n"),
            ("a;b", "append = \"a;b\"\n"),
            ("a\"b", "append = 'a\"b'\n"),
            ("it's", "append = \"it's\"\n"),
            ("a\"'b", "# not said here: append = a\\\"\\'b\n"),
            ("a\nb", "# not said here: append = a\\nb\n"),
        ] {
            let dump = of(&Options { append: Some(value.into()), ..Options::default() });
            assert!(dump.text.contains(line), "{}", dump.text);
            assert_eq!(dump.left_out.is_empty(), !line.starts_with('#'));
        }
    }

    #[test]
    fn eleventh_disk_and_a_name_with_capitals_are_told() {
        let disks = vec![DiskWords::plain("d", None); 12];
        let fw_strings = vec!["Role=x".parse().unwrap()];
        let dump = of(&Options { disks, fw_strings, ..Options::default() });
        assert_eq!(dump.left_out, ["2 more of the kind [disk0] to [disk9]", "Role = x"]);
    }
}
