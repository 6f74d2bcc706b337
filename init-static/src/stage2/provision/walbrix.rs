//! Section `[walbrix]`, and the kernel parameter `walbrix.installer`: the console of a Walbrix machine is its installer.

use alloc::string::String;

use super::units;
use crate::stage2::desired::Desired;
use crate::tree::Tree;
use genpack_core::contract::system_ini::Settings;
use genpack_core::text::kernel_cmdline;

const UNIT: &str = "wbui.service";
const DROP_IN: &str = "/etc/systemd/system/wbui.service.d/installer.conf";

/// Wants the drop-in: the unit's own program, told to install.
pub fn want(settings: &Settings, tree: &Tree, desired: &mut Desired) {
    let cmdline = tree.text("/proc/cmdline", 65_536);
    let is_asked = kernel_cmdline::value(&cmdline, "walbrix.installer").is_some_and(|v| !v.is_empty());
    if !is_asked && settings.walbrix_installer != Some(true) {
        return;
    }
    let Some(file) = units::file_of(tree, UNIT) else {
        if !is_asked {
            desired.fact("walbrix", "installer", "this system has no wbui");
        }
        return;
    };
    let text = tree.text(&file, 65_536);
    let program = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("ExecStart="))
        .map_or_else(|| String::from("/usr/bin/wbui"), |words| words.trim_end().into());
    desired.file(DROP_IN, &["[Service]\nExecStart=\nExecStart=", &program, " --installer\n"].concat());
}
