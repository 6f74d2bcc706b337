//! The desired state: what the settings want on disk, compared with what is there.
//!
//! Modules of [`super::provision`] say what they want; the planner turns it into operations, only where something
//! differs, and remembers in the [`Manifest`] what is ours. What is ours and no longer wanted reverts: the image's own
//! file comes back, or what was there before us, or nothing. A file that somebody changed after us is theirs and stays.
//! See `docs/adr/0008-desired-state.md`. Not handled: directories; those we made stay, empty.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::manifest::{self, Manifest, hash};
use crate::fault::Fault;
use crate::op::{Op, Owner, Step};
use crate::tree::Tree;
use genpack_core::contract::paths;

/// Longest file that is compared or kept, bytes.
pub const MAX_FILE: usize = 1024 * 1024;

/// What a path is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Thing {
    /// A file of root.
    File(u32, Vec<u8>),
    /// A symbolic link to this.
    Link(String),
    /// Nothing.
    Absent,
}

impl Thing {
    fn hash(&self) -> u64 {
        match self {
            Self::File(_, content) => hash(b'f', content),
            Self::Link(target) => hash(b'l', target.as_bytes()),
            Self::Absent => 0,
        }
    }

    /// Looks at a path; what is neither file nor link is [`Thing::Absent`].
    fn look(tree: &Tree, path: &str) -> Self {
        if let Some(target) = tree.read_link(path) {
            return Self::Link(target);
        }
        let mode = tree.stat(path).map_or(0, |stat| stat.st_mode & 0o7777);
        tree.read(path, MAX_FILE).map_or(Self::Absent, |content| Self::File(mode, content))
    }
}

/// A finding that only a look at the system can make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Section of the key, empty before the first header.
    pub section: String,
    /// The key.
    pub key: String,
    /// What is the matter.
    pub message: String,
}

/// What becomes of a line in a file that is not ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The line is this one.
    Set(String),
    /// Its field of this number, counted from 0 and separated by colons, is this one; without a line nothing is done.
    Field(usize, String),
    /// Its last field names this member too; without a line nothing is done.
    Member(String),
}

impl Change {
    /// Returns the line that an old one becomes.
    fn apply(&self, old: Option<&str>) -> Option<String> {
        if let Self::Set(text) = self {
            return Some(text.clone());
        }
        let mut fields: Vec<&str> = old?.split(':').collect();
        let mut last = String::new();
        match self {
            Self::Field(at, value) => *fields.get_mut(*at)? = value,
            Self::Member(name) => {
                let members = fields.pop()?;
                last.push_str(members);
                if !members.split(',').any(|member| member == name) {
                    let comma = if members.is_empty() { "" } else { "," };
                    last = [members, comma, name].concat();
                }
                fields.push(&last);
            }
            Self::Set(_) => {}
        }
        Some(fields.join(":"))
    }
}

/// A change of the line that has a key.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Edit {
    path: String,
    key: String,
    change: Change,
}

/// What one module wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desired {
    things: Vec<(String, Thing)>,
    edits: Vec<Edit>,
    ops: Vec<Op>,
    /// What the owner should hear.
    pub facts: Vec<Fact>,
    /// What only the log should hear.
    pub notes: Vec<String>,
}

impl Desired {
    /// Wants a world-readable file.
    pub fn file(&mut self, path: &str, content: &str) {
        self.file_with(path, 0o644, content);
    }

    /// Wants a file that only root reads.
    pub fn secret(&mut self, path: &str, content: &str) {
        self.file_with(path, 0o600, content);
    }

    /// Wants a file with these permission bits.
    pub fn file_with(&mut self, path: &str, mode: u32, content: &str) {
        self.things.push((path.into(), Thing::File(mode, content.as_bytes().to_vec())));
    }

    /// Wants a symbolic link.
    pub fn link(&mut self, path: &str, target: &str) {
        self.things.push((path.into(), Thing::Link(target.into())));
    }

    /// Wants that there is nothing.
    pub fn absent(&mut self, path: &str) {
        self.things.push((path.into(), Thing::Absent));
    }

    /// Wants a line in a file that is not ours, in place of the one that has the key (see [`has_key`]).
    pub fn line(&mut self, path: &str, key: &str, text: &str) {
        self.change(path, key, Change::Set(text.into()));
    }

    /// Wants a change of the line that has the key.
    pub fn change(&mut self, path: &str, key: &str, change: Change) {
        self.edits.push(Edit { path: path.into(), key: key.into(), change });
    }

    /// Adds an operation that leaves nothing to revert; it runs behind the module's files.
    pub fn act(&mut self, op: Op) {
        self.ops.push(op);
    }

    /// Adds a finding about a key.
    pub fn fact(&mut self, section: &str, key: &str, message: &str) {
        self.facts.push(Fact { section: section.into(), key: key.into(), message: message.into() });
    }

    /// Adds a line for the log: nothing is wrong with the settings.
    pub fn fact_note(&mut self, note: &str) {
        self.notes.push(note.into());
    }
}

/// Tells whether a line is the one of a key: `name:` of passwd(5) and its like, `NAME=` of an environment, else the first
/// word of a configuration line, commented out or not.
fn has_key(line: &str, key: &str) -> bool {
    let words = line.trim_start();
    match key.as_bytes().last() {
        Some(b':') => line.starts_with(key),
        Some(b'=') => words.strip_prefix("export ").unwrap_or(words).trim_start().starts_with(key),
        _ => {
            let first = words.trim_start_matches(['#', ' ']).split_ascii_whitespace().next();
            first.is_some_and(|word| word.eq_ignore_ascii_case(key))
        }
    }
}

/// Operations with the module that they are for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Name of the module.
    pub module: &'static str,
    /// What it does.
    pub steps: Vec<Step>,
}

/// Returns a step of a setting.
#[must_use]
pub fn step(op: Op) -> Step {
    Step::new(Fault::Provision, op)
}

/// Turns what is wanted into operations.
#[derive(Debug)]
pub struct Planner<'a> {
    tree: &'a Tree,
    has_image: bool,
    old: Manifest,
    new: Manifest,
    edits: Vec<Edit>,
    /// Directories that are planned already.
    made: Vec<String>,
    groups: Vec<Group>,
}

impl<'a> Planner<'a> {
    /// Returns a planner that knows what earlier boots left behind.
    #[must_use]
    pub fn new(tree: &'a Tree, old: Manifest) -> Self {
        let has_image = tree.is_dir(paths::RO);
        Self {
            tree,
            has_image,
            old,
            new: Manifest::default(),
            edits: Vec::new(),
            made: Vec::new(),
            groups: Vec::new(),
        }
    }

    /// Returns what earlier boots left behind.
    #[must_use]
    pub fn old(&self) -> &Manifest {
        &self.old
    }

    /// Takes what a module wants.
    pub fn take(&mut self, module: &'static str, desired: Desired) {
        let mut steps = Vec::new();
        for (path, thing) in desired.things {
            self.own(&path, &thing);
            self.bring(&path, thing, &mut steps);
        }
        self.edits.extend(desired.edits);
        for op in desired.ops {
            steps.push(step(op));
        }
        self.groups.push(Group { module, steps });
    }

    /// Takes operations that were planned elsewhere.
    pub fn take_steps(&mut self, module: &'static str, steps: Vec<Step>) {
        self.groups.push(Group { module, steps });
    }

    /// Takes operations that were planned elsewhere, and the keys that the manifest is to remember.
    pub fn take_keys(&mut self, module: &'static str, steps: Vec<Step>, keys: Vec<String>) {
        for key in keys {
            self.new.add(["key ", &key].concat());
        }
        self.groups.push(Group { module, steps });
    }

    fn own(&mut self, path: &str, thing: &Thing) {
        self.new.add(manifest::file(thing.hash(), path));
    }

    /// Plans that a path becomes a thing.
    fn bring(&mut self, path: &str, thing: Thing, steps: &mut Vec<Step>) {
        let now = Thing::look(self.tree, path);
        if now == thing {
            return;
        }
        let is_ours = self.old.has(&manifest::file(now.hash(), path));
        if now != Thing::Absent && !is_ours && !self.has_image && !path.starts_with("/run/") {
            self.save(path, &now, steps);
        }
        let path: String = path.into();
        let op = match thing {
            Thing::File(mode, content) => {
                self.directories(&path, steps);
                Op::Write { path, mode, owner: None, content }
            }
            Thing::Link(target) => {
                self.directories(&path, steps);
                Op::Symlink { target, link: path }
            }
            Thing::Absent => Op::Remove { path },
        };
        steps.push(step(op));
    }

    /// Plans the directories above a path.
    fn directories(&mut self, path: &str, steps: &mut Vec<Step>) {
        for (at, _) in path.match_indices('/').skip(1) {
            let directory = path.get(..at).unwrap_or_default();
            if !self.tree.is_dir(directory) && !self.made.iter().any(|made| made == directory) {
                self.made.push(directory.into());
                steps.push(step(Op::Mkdir { path: directory.into(), mode: 0o755, owner: None }));
            }
        }
    }

    /// Plans a copy of what is not ours, where no image has it to give it back.
    fn save(&mut self, path: &str, thing: &Thing, steps: &mut Vec<Step>) {
        let (head, body) = match thing {
            Thing::File(mode, content) => (format!("{mode:o}\n"), content.as_slice()),
            Thing::Link(target) => ("link\n".into(), target.as_bytes()),
            Thing::Absent => return,
        };
        let content = [head.as_bytes(), body].concat();
        let path = saved(path);
        self.directories(&path, steps);
        steps.push(step(Op::Write { path, mode: 0o600, owner: None, content }));
    }

    /// Returns what a path was without us, and whether the image remembers it for us.
    fn original(&self, path: &str) -> (Thing, bool) {
        if self.has_image && !path.starts_with("/run/") {
            return (Thing::look(self.tree, &format!("{}{path}", paths::RO)), true);
        }
        let saved = self.tree.read(&saved(path), MAX_FILE + 16).unwrap_or_default();
        let mut parts = saved.splitn(2, |byte| *byte == b'\n');
        let head = core::str::from_utf8(parts.next().unwrap_or_default()).unwrap_or_default();
        let body = parts.next().unwrap_or_default();
        let thing = match (head, u32::from_str_radix(head, 8)) {
            ("link", _) => Thing::Link(String::from_utf8_lossy(body).into_owned()),
            (_, Ok(mode)) => Thing::File(mode, body.to_vec()),
            _ => Thing::Absent,
        };
        (thing, false)
    }

    /// Plans that what is ours and no longer wanted goes.
    fn revert(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        let old = core::mem::take(&mut self.old);
        for (hash, path) in old.hashed("file ") {
            if self.new.hashed("file ").any(|(_, wanted)| wanted == path) {
                continue;
            }
            let now = Thing::look(self.tree, path);
            // Why: nothing and something else are not what we left: whoever came after us has the say.
            if now.hash() != hash {
                continue;
            }
            let (original, is_images) = self.original(path);
            if is_images && original != Thing::Absent {
                // Why: a copy above the image's file would hide the file of the next image; it follows that one.
                self.own(path, &original);
            }
            if original != now {
                let is_saved = !is_images && original != Thing::Absent;
                let op = match original {
                    Thing::File(mode, content) => Op::Write { path: path.into(), mode, owner: None, content },
                    Thing::Link(target) => Op::Symlink { target, link: path.into() },
                    Thing::Absent => Op::Remove { path: path.into() },
                };
                steps.push(step(op));
                if is_saved {
                    steps.push(step(Op::Remove { path: saved(path) }));
                }
            }
        }
        self.old = old;
        steps
    }

    /// Plans the lines in files that are not ours.
    fn lines(&mut self) -> Vec<Step> {
        let edits = core::mem::take(&mut self.edits);
        let mut files: Vec<String> = Vec::new();
        let old = self.old.hashed("line ").map(|(_, entry)| entry.split(' ').next().unwrap_or_default());
        for path in edits.iter().map(|edit| edit.path.as_str()).chain(old) {
            if !files.iter().any(|file| file == path) {
                files.push(path.into());
            }
        }
        let mut steps = Vec::new();
        for path in &files {
            let path = path.as_str();
            let stat = self.tree.stat(path);
            let Ok(now) = String::from_utf8(self.tree.read(path, MAX_FILE).unwrap_or_default()) else {
                continue;
            };
            let mut lines: Vec<String> = now.lines().map(ToString::to_string).collect();
            // Why: what we change is the file as it would be without us; so a change that is no longer wanted goes.
            let on_path = [path, " "].concat();
            for (hash, entry) in self.old.hashed("line ") {
                if let Some((_, was)) = entry.strip_prefix(&on_path).and_then(|rest| rest.split_once('\t')) {
                    put_back(&mut lines, hash, was);
                }
            }
            let mut ours: Vec<(&str, u64, String)> = Vec::new();
            for edit in edits.iter().filter(|edit| edit.path == path) {
                put(&mut lines, edit, &mut ours);
            }
            for (key, hash, was) in ours {
                self.new.add(manifest::line(hash, path, key, &was));
            }
            if path.starts_with("/etc/") && self.has_image && is_accounts(path) {
                add_accounts(&mut lines, self.tree.read_text(&format!("{}{path}", paths::RO), MAX_FILE));
            }
            let mut text = lines.join("\n");
            if !text.is_empty() {
                text.push('\n');
            }
            if text == now || (text.trim_end() == now.trim_end() && stat.is_some()) {
                continue;
            }
            if text.is_empty() {
                steps.push(step(Op::Remove { path: path.into() }));
                continue;
            }
            let (mode, owner) = stat.map_or((0o644, None), |s| {
                (s.st_mode & 0o7777, Some(Owner { uid: s.st_uid, gid: s.st_gid }))
            });
            self.directories(path, &mut steps);
            steps.push(step(Op::Write { path: path.into(), mode, owner, content: text.into_bytes() }));
        }
        steps
    }

    /// Returns the whole plan: the record of what will be ours, what goes, what comes, the record of what is.
    #[must_use]
    pub fn finish(mut self) -> Vec<Group> {
        // Why: what follows runs before the modules, so their directories are not there yet.
        self.made.clear();
        let reverted = self.revert();
        let lines = self.lines();
        let both = self.old.join(&self.new);
        let mut first = Vec::new();
        let mut last = Vec::new();
        let path = format!("{}/manifest", paths::MANIFEST);
        let write = |text: String| {
            step(Op::Write { path: path.clone(), mode: 0o600, owner: None, content: text.into() })
        };
        // Why: the record comes first. What is recorded and was not made does no harm; the other way round it would
        // stay for ever.
        if both != self.old {
            self.directories(&path, &mut first);
            first.push(write(both.emit()));
        }
        if self.new != both {
            last.push(write(self.new.emit()));
        }
        let mut plan = Vec::new();
        plan.push(Group { module: "record", steps: first });
        plan.push(Group { module: "revert", steps: reverted });
        plan.append(&mut self.groups);
        // Why: some modules start what reads these files.
        plan.insert(2, Group { module: "lines", steps: lines });
        plan.push(Group { module: "record", steps: last });
        plan.retain(|group| !group.steps.is_empty());
        plan
    }
}

/// Returns where the copy of a file that is not ours is kept.
fn saved(path: &str) -> String {
    format!("{}/saved{}", paths::MANIFEST, path)
}

fn is_accounts(path: &str) -> bool {
    matches!(path, "/etc/passwd" | "/etc/group" | "/etc/shadow")
}

/// Adds the accounts that a newer image brings: with our copy above it they would be missing.
fn add_accounts(lines: &mut Vec<String>, image: Option<String>) {
    for line in image.unwrap_or_default().lines() {
        let Some((name, _)) = line.split_once(':') else { continue };
        let key = format!("{name}:");
        if !lines.iter().any(|l| l.starts_with(&key)) {
            lines.push(line.into());
        }
    }
}

/// Puts a line in place of the one with its key, and remembers that one.
fn put<'a>(lines: &mut Vec<String>, edit: &'a Edit, ours: &mut Vec<(&'a str, u64, String)>) {
    let is_active = |line: &&String| !line.trim_start().starts_with('#');
    let with_key = |line: &&String| has_key(line, &edit.key);
    let active = lines.iter().filter(is_active).find(with_key);
    let was = active.or_else(|| lines.iter().find(with_key)).cloned();
    let Some(text) = edit.change.apply(was.as_deref()) else { return };
    let at = was.as_ref().and_then(|was| lines.iter().position(|line| line == was));
    match at.and_then(|at| lines.get_mut(at)) {
        Some(line) => line.clone_from(&text),
        None if edit.key.ends_with([':', '=']) => lines.push(text.clone()),
        // Why: behind a `Match` block of sshd_config a line would belong to the block.
        None => lines.insert(0, text.clone()),
    }
    let hash = hash(b'=', text.as_bytes());
    match ours.iter_mut().find(|(key, ..)| *key == edit.key) {
        Some((_, old, _)) => *old = hash,
        None => ours.push((&edit.key, hash, was.unwrap_or_default())),
    }
}

/// Puts back the line that was there before ours, unless somebody changed ours.
fn put_back(lines: &mut Vec<String>, ours: u64, was: &str) {
    let Some(at) = lines.iter().position(|line| hash(b'=', line.as_bytes()) == ours) else { return };
    match lines.get_mut(at) {
        Some(line) if !was.is_empty() => *line = was.into(),
        _ => {
            lines.remove(at);
        }
    }
}
