//! The verb `vm mirror`: what passes one interface of the host is copied to a tap, for a machine that watches it.
//!
//! Both directions, by tc(8): a `clsact` qdisc on the source and a `matchall` filter with `mirred` in each direction.
//! The root qdisc stays as it is. What was done is noted beside the run directories, so that it can be undone. Not
//! handled: filters that choose packets, interfaces of other network namespaces.

use std::path::PathBuf;
use std::str::FromStr;

use genpack_core::bytes::fnv_1a;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::host::Host;
use super::network::{is_interface, is_tap, read_hex};
use super::rundir::RunRoot;
use crate::command_error::{CommandError, Context, Result};
use crate::ctx::Ctx;
use crate::runner::Run;

/// Where it is noted, below the run directories; no machine has such a name.
const NOTES: &str = ".mirror";
/// Our filters have preferences from here on; each target has its own, so that one source may have several.
const FIRST_PREFERENCE: u64 = 20_000;
const PREFERENCES: u64 = 10_000;
/// `IFF_PROMISC` of `linux/if.h`.
const IFF_PROMISC: u32 = 0x100;
/// FNV-1a's offset basis.
const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;

/// From where to where: `SOURCE:TAP`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    source: String,
    target: String,
}

impl FromStr for Mirror {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (source, target) = text.split_once(':').ok_or("write SOURCE:TAP, as eth0:watch0")?;
        let is_name = |name: &str| is_interface(name) && !name.contains(':');
        if !is_name(source) || !is_name(target) {
            return Err("an interface has a name of 1 to 15 characters, without blanks, '/' and ':'");
        }
        if source == target {
            return Err("an interface cannot be copied to itself");
        }
        Ok(Self { source: source.to_owned(), target: target.to_owned() })
    }
}

impl std::fmt::Display for Mirror {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.source, self.target)
    }
}

/// What adding one changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Changed {
    /// The tap was made.
    made_target: bool,
    /// The source was told to take every packet.
    made_promiscuous: bool,
}

/// Looks at the host: what there is to change.
fn look(mirror: &Mirror, host: &Host) -> Result<Changed> {
    let class = |name: &str| host.sys.join("class/net").join(name);
    let flags = read_hex(&class(&mirror.source).join("flags")).ok_or_else(|| {
        CommandError::failed(format!("there is no network interface {}", mirror.source))
            .hint("`ip link` lists those of this host")
    })?;
    let made_target = !class(&mirror.target).exists();
    if !made_target && !is_tap(&mirror.target, &host.sys) {
        return Err(CommandError::refused(format!("{} is there and is no tap", mirror.target))
            .hint("copies go to a tap; name one that does not exist, and it is made"));
    }
    Ok(Changed { made_target, made_promiscuous: flags & IFF_PROMISC == 0 })
}

fn run(line: &str) -> Run {
    let mut words = line.split(' ');
    let program = words.next().unwrap_or_default().to_owned();
    Run::new(program).package("iproute2").args(words)
}

fn preference(mirror: &Mirror) -> u64 {
    FIRST_PREFERENCE + fnv_1a(FNV_BASIS, mirror.target.as_bytes()) % PREFERENCES
}

/// Returns the commands that begin to copy. Each may be given again.
fn begin(mirror: &Mirror, changed: Changed) -> Vec<Run> {
    let Mirror { source, target } = mirror;
    let mut lines = Vec::new();
    if changed.made_target {
        lines.push(format!("ip tuntap add dev {target} mode tap"));
        lines.push(format!("ip link set dev {target} up"));
    }
    lines.push(format!("tc qdisc replace dev {source} clsact"));
    for direction in ["ingress", "egress"] {
        lines.push(format!(
            "tc filter replace dev {source} {direction} pref {} protocol all handle 1 matchall action mirred egress \
             mirror dev {target}",
            preference(mirror)
        ));
    }
    if changed.made_promiscuous {
        lines.push(format!("ip link set dev {source} promisc on"));
    }
    lines.iter().map(|line| run(line)).collect()
}

/// Returns the commands that end it; `shared` tells that the source is copied to another tap, too.
///
/// The `clsact` qdisc stays: others may have filters there, and without filters it does nothing.
fn end(mirror: &Mirror, changed: Changed, shared: bool) -> Vec<Run> {
    let Mirror { source, target } = mirror;
    let mut lines = Vec::new();
    if changed.made_promiscuous && !shared {
        lines.push(format!("ip link set dev {source} promisc off"));
    }
    for direction in ["ingress", "egress"] {
        lines.push(format!("tc filter del dev {source} {direction} pref {}", preference(mirror)));
    }
    if changed.made_target {
        lines.push(format!("ip tuntap del dev {target} mode tap"));
    }
    lines.iter().map(|line| run(line)).collect()
}

/// Begins to copy; a mirror that is there already is made anew.
///
/// # Errors
/// When an interface is missing or of the wrong kind, or a program fails; then nothing is left of it.
pub fn add(ctx: &Ctx, mirror: &Mirror, root: &RunRoot, host: &Host) -> Result<()> {
    let found = look(mirror, host)?;
    let notes = Notes::of(root);
    // What an earlier call made is ours still.
    let before = notes.read(mirror).unwrap_or_default();
    let changed = Changed {
        made_target: found.made_target || before.made_target,
        made_promiscuous: found.made_promiscuous || before.made_promiscuous,
    };
    let commands = begin(mirror, found);
    if ctx.dry_run {
        print(ctx, &commands);
        return Ok(());
    }
    notes.write(mirror, changed)?;
    for command in &commands {
        if let Err(e) = ctx.runner.run(command) {
            // The first error tells; what was not done cannot be undone.
            for command in end(mirror, changed, notes.shares_source(mirror)) {
                let _ = ctx.runner.run(&command);
            }
            notes.remove(mirror)?;
            return Err(e.context(format!("copying {} to {}", mirror.source, mirror.target)));
        }
    }
    ctx.ui
        .step(format!("{} is copied to {}: `vm run --net {}`", mirror.source, mirror.target, mirror.target));
    Ok(())
}

/// Ends it, and takes back what was made for it.
///
/// # Errors
/// When there is no such mirror, or a program fails.
pub fn remove(ctx: &Ctx, mirror: &Mirror, root: &RunRoot) -> Result<()> {
    let notes = Notes::of(root);
    let changed = notes.read(mirror).ok_or_else(|| {
        CommandError::failed(format!("nothing is copied from {} to {}", mirror.source, mirror.target))
            .hint("`genpack-host vm mirror list` lists what is")
    })?;
    let commands = end(mirror, changed, notes.shares_source(mirror));
    if ctx.dry_run {
        print(ctx, &commands);
        return Ok(());
    }
    // An interface that is gone took its filters along; all else is told when the rest is done.
    let results: Vec<Result<_>> = commands.iter().map(|command| ctx.runner.run(command)).collect();
    notes.remove(mirror)?;
    results.into_iter().collect::<Result<Vec<_>>>().map(drop)
}

/// Prints what is copied.
///
/// # Errors
/// When the notes cannot be read.
pub fn list(ctx: &Ctx, root: &RunRoot) -> Result<()> {
    let all = Notes::of(root).all();
    if ctx.ui.is_json() {
        let mirror = |m: &Mirror| json!({"source": m.source, "target": m.target});
        ctx.ui.document(&all.iter().map(mirror).collect::<Vec<Value>>().into());
    }
    all.iter().for_each(|mirror| ctx.ui.answer(mirror));
    Ok(())
}

fn print(ctx: &Ctx, commands: &[Run]) {
    if ctx.ui.is_json() {
        ctx.ui.document(&commands.iter().map(Run::shell).collect::<Vec<_>>().into());
    }
    commands.iter().for_each(|command| ctx.ui.answer(command.shell()));
}

/// What was done, a file for each mirror.
struct Notes(PathBuf);

impl Notes {
    fn of(root: &RunRoot) -> Self {
        Self(root.path().join(NOTES))
    }

    fn file(&self, mirror: &Mirror) -> PathBuf {
        self.0.join(mirror.to_string())
    }

    fn read(&self, mirror: &Mirror) -> Option<Changed> {
        serde_json::from_slice(&std::fs::read(self.file(mirror)).ok()?).ok()
    }

    fn write(&self, mirror: &Mirror, changed: Changed) -> Result<()> {
        let what = || format!("making {}", self.0.display());
        std::fs::create_dir_all(&self.0).with_context(what)?;
        let note = serde_json::to_vec(&changed).map_err(|e| CommandError::failed(e.to_string()))?;
        crate::io::atomic_file::write(&self.file(mirror), &note)
    }

    fn remove(&self, mirror: &Mirror) -> Result<()> {
        let file = self.file(mirror);
        std::fs::remove_file(&file).with_context(|| format!("removing {}", file.display()))
    }

    fn all(&self) -> Vec<Mirror> {
        // No directory, no mirrors.
        let entries = std::fs::read_dir(&self.0).into_iter().flatten().flatten();
        let mut all: Vec<Mirror> =
            entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
        all.sort_by_key(ToString::to_string);
        all
    }

    fn shares_source(&self, mirror: &Mirror) -> bool {
        self.all().iter().any(|other| other != mirror && other.source == mirror.source)
    }
}

/// The unit of a mirror: `systemctl enable --now vm-mirror@eth0:watch0`.
pub const UNIT: &str = include_str!("../../systemd/vm-mirror@.service");

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn put(root: &Path, path: &str, content: &str) {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn host(dir: &Path) -> Host {
        put(dir, "sys/class/net/eth0/flags", "0x1003\n");
        put(dir, "sys/class/net/br0/flags", "0x1103\n");
        put(dir, "sys/class/net/watch0/tun_flags", "0x1002\n");
        Host { sys: dir.join("sys"), ..Host::default() }
    }

    fn lines(commands: &[Run]) -> Vec<String> {
        commands.iter().map(Run::shell).collect()
    }

    #[test]
    fn mirror_is_written_source_and_tap() {
        let mirror: Mirror = "eth0:watch0".parse().unwrap();
        assert_eq!((mirror.source.as_str(), mirror.target.as_str()), ("eth0", "watch0"));
        for wrong in
            ["", "eth0", "eth0:", ":a", "a:a", "a:b:c", "a/b:c", "a b:c", "..:c", "0123456789abcdef:c"]
        {
            assert!(wrong.parse::<Mirror>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn commands_follow_from_what_the_host_has() {
        let dir = tempfile::tempdir().unwrap();
        let host = host(dir.path());
        let plan = |mirror: &str| {
            let mirror: Mirror = mirror.parse().unwrap();
            let found = look(&mirror, &host)?;
            Ok::<_, CommandError>((lines(&begin(&mirror, found)), lines(&end(&mirror, found, false))))
        };
        let (begins, ends) = plan("eth0:new0").unwrap();
        let filter = "pref 27731 protocol all handle 1 matchall action mirred egress mirror dev new0";
        assert_eq!(
            begins,
            [
                "ip tuntap add dev new0 mode tap",
                "ip link set dev new0 up",
                "tc qdisc replace dev eth0 clsact",
                &format!("tc filter replace dev eth0 ingress {filter}"),
                &format!("tc filter replace dev eth0 egress {filter}"),
                "ip link set dev eth0 promisc on",
            ]
        );
        assert_eq!(
            ends,
            [
                "ip link set dev eth0 promisc off",
                "tc filter del dev eth0 ingress pref 27731",
                "tc filter del dev eth0 egress pref 27731",
                "ip tuntap del dev new0 mode tap",
            ]
        );
        // A tap that is there and a source that takes every packet stay as they are.
        let (begins, ends) = plan("br0:watch0").unwrap();
        assert_eq!((begins.len(), ends.len()), (3, 2));
        for (mirror, why) in [("nosuch:new0", "no network interface nosuch"), ("eth0:br0", "is no tap")] {
            let error = plan(mirror).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn source_takes_every_packet_as_long_as_one_tap_gets_them() {
        let dir = tempfile::tempdir().unwrap();
        let notes = Notes::of(&RunRoot::at(dir.path()));
        let [one, two]: [Mirror; 2] = ["eth0:a", "eth0:b"].map(|mirror| mirror.parse().unwrap());
        let changed = Changed { made_target: true, made_promiscuous: true };
        notes.write(&one, changed).unwrap();
        assert_eq!(
            (notes.read(&one), notes.read(&two), notes.all()),
            (Some(changed), None, vec![one.clone()])
        );
        assert!(notes.shares_source(&two) && !notes.shares_source(&one));
        let says_promisc =
            |shared| lines(&end(&one, changed, shared)).iter().any(|line| line.contains("promisc"));
        assert!(says_promisc(false) && !says_promisc(true));
        notes.remove(&one).unwrap();
        assert!(notes.all().is_empty());
    }
}
