//! The older command `vm`, by the name under which this program is called: its verbs and options as they were.
//!
//! The verbs are those of `genpack-host vm`, which has them all; what differs is around them: no common options, usage
//! on standard output without a verb, and exit code 1 for every mistake. Not taken over: the development tool's
//! embedded Python.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use super::{Global, context, failed, is_called, vm};
use crate::ui::{Color, Ui};

/// Name under which the program stands in for the older command.
const NAME: &str = "vm";

#[derive(Debug, Parser)]
#[command(name = "vm", bin_name = "vm", version, disable_version_flag = true, subcommand_value_name = "VERB")]
struct Cli {
    /// Prints the version
    #[arg(short, long, action = clap::ArgAction::Version)]
    version: Option<bool>,
    #[command(subcommand)]
    verb: vm::Verb,
}

/// Tells whether the program was called by the older command's name.
pub(super) fn is_meant(args: &[OsString]) -> bool {
    is_called(args, NAME)
}

/// Runs the older command.
pub(super) fn main(args: &[OsString]) -> ExitCode {
    let ui = Ui::new(false, false, false, Color::Auto);
    let cli = match Cli::try_parse_from(spelled_anew(args)) {
        Ok(cli) => cli,
        Err(e) => {
            let is_answer = matches!(e.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            if e.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
                ui.text(&Cli::command().render_help().to_string());
            } else {
                // Why: a closed stream has no other place to complain to.
                let _ = e.print();
            }
            return ExitCode::from(u8::from(!is_answer));
        }
    };
    let ctx = match context(Global { dir: ".".into(), ..Global::default() }) {
        Ok(ctx) => ctx,
        Err(e) => return failed(&ui, &e),
    };
    match cli.verb.run(&ctx).and_then(|code| ctx.ui.check_answered().map(|()| code)) {
        Ok(code) => code,
        Err(e) => {
            ctx.ui.error(&e);
            ExitCode::from(1)
        }
    }
}

/// Returns the arguments in the spelling of today: `usb -q` is the only one that changed.
fn spelled_anew(args: &[OsString]) -> Vec<OsString> {
    let is_usb = args.get(1).is_some_and(|verb| verb == "usb");
    let anew = |word: &OsString| if is_usb && word == "-q" { "--query".into() } else { word.clone() };
    args.iter().map(anew).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parses(line: &str) -> bool {
        let words: Vec<OsString> = line.split(' ').map(Into::into).collect();
        Cli::try_parse_from(spelled_anew(&words)).is_ok()
    }

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn name_of_the_program_decides() {
        for (program, expected) in [
            ("vm", true),
            ("/usr/bin/vm", true),
            ("genpack-host", false),
            ("vm2", false),
            ("/vm/genpack-host", false),
        ] {
            assert_eq!(is_meant(&[program.into()]), expected, "{program}");
        }
        assert!(!is_meant(&[]));
    }

    #[test]
    fn old_command_lines_are_understood() {
        for line in [
            "vm run sys.img",
            "vm run sys.img -n web -m 4096 -c 4 -d data -i br0 --hvc --no-kvm",
            "vm run sys.img --bios --no-virtio-for-bios-disks --cdrom x.iso",
            "vm run sys.img --volatile-data --append quiet --no-shutdown",
            "vm run sys.img --net user --hostfwd tcp::8080-:80 --guestfwd tcp:10.0.2.100:80-cmd:nc",
            "vm run sys.img --virtiofs-path /srv --9p /a:b --9p /c:d",
            "vm run sys.img --display gtk --accel opengl --gpu-max-outputs 2 --resolution 800x600",
            "vm run sys.img --spice port=5900 --vnc :1 --accel qxl --rendernode /dev/dri/renderD128",
            "vm run sys.img --pci 0000:01:00.0,vga --usb //device[@vendor_id='046d']",
            "vm run sys.img --application-ini a.ini --logging-items int --trace x --logfile q.log",
            "vm run sys.img --detach --wait-ssh --wait-ssh-timeout 60",
            "vm service /var/vm/web --default-net br0 --name web",
            "vm service /var/vm/web -i br0 -n web",
            "vm service /var/vm/web -b br0",
            "vm console web",
            "vm stop -f -w --wait-timeout 60 web",
            "vm stop -c web",
            "vm stopall -w -f",
            "vm show web",
            "vm show",
            "vm list",
            "vm allocate data 20",
            "vm expand web",
            "vm usb -q //device",
            "vm usb",
            "vm cid web",
        ] {
            assert!(parses(line), "{line}");
        }
        for line in
            ["vm", "vm run", "vm run a --wait-ssh", "vm run a -d b --volatile-data", "vm allocate data"]
        {
            assert!(!parses(line), "{line}");
        }
    }
}
