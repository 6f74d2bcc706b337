//! The directory tree of a planned volume: names checked, parents added, aliases given.
//!
//! Source: the FAT specification 1.03, "Directory Structure". Not handled: where the nodes go; see [`super::plan`].

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::super::dir_entry::{Attributes, ShortEntry};
use super::name::{self, Alias};
use super::{DosTime, Entry, EntryKind, Error, MAX_FILE_BYTES, Options, long_entries};

/// Index of the root directory.
pub(super) const ROOT: usize = 0;

/// A file or directory.
#[derive(Clone, Debug)]
pub(super) struct Node {
    name: String,
    alias: Alias,
    parent: usize,
    content: Content,
    modified: DosTime,
    /// The entry that named it first, directly or as a parent.
    entry: usize,
}

#[derive(Clone, Debug)]
enum Content {
    File(u32),
    Directory(Vec<usize>),
}

impl Node {
    pub(super) const fn is_directory(&self) -> bool {
        matches!(self.content, Content::Directory(_))
    }

    /// Returns the length of a file, 0 for a directory.
    pub(super) const fn bytes(&self) -> u32 {
        match self.content {
            Content::File(bytes) => bytes,
            Content::Directory(_) => 0,
        }
    }

    fn children(&self) -> &[usize] {
        match &self.content {
            Content::File(_) => &[],
            Content::Directory(children) => children,
        }
    }

    fn long_count(&self) -> u32 {
        if name::needs_long(&self.name, &self.alias) { long_entries::count(&self.name) } else { 0 }
    }
}

/// All nodes, the root first, parents before their children.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    /// Node of each entry that was given.
    of_entry: Vec<usize>,
}

impl Tree {
    pub(super) fn build(entries: &[Entry<'_>], options: &Options) -> Result<Self, Error> {
        let mut builder = Builder { nodes: Vec::new(), names: BTreeMap::new(), explicit: Vec::new() };
        builder.push(String::new(), ROOT, Content::Directory(Vec::new()), options.modified, 0);
        let mut of_entry = Vec::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            of_entry.push(builder.add(index, entry, options.modified)?);
        }
        let mut tree = Self { nodes: builder.nodes, of_entry };
        tree.give_aliases()?;
        Ok(tree)
    }

    pub(super) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Returns index and node of an entry.
    pub(super) fn node_of(&self, entry: usize) -> Option<(usize, &Node)> {
        let index = *self.of_entry.get(entry)?;
        Some((index, self.nodes.get(index)?))
    }

    /// Returns an entry that stands in this directory, for an error about it.
    pub(super) fn any_entry_below(&self, node: &Node) -> usize {
        self.children(node).last().map_or(node.entry, |child| child.entry)
    }

    /// Returns the 32-byte slots that a directory needs.
    pub(super) fn slots(&self, node: &Node, label: bool) -> u32 {
        // The root has the label where the others have `.` and `..`.
        let own = if !self.is_root(node) { 2 } else { u32::from(label) };
        self.children(node).fold(own, |sum, child| sum.saturating_add(child.long_count()).saturating_add(1))
    }

    /// Returns the slots of a directory; `first_cluster` tells where a node begins (0 for nothing).
    pub(super) fn emit_directory(
        &self,
        node: &Node,
        options: &Options,
        first_cluster: impl Fn(usize) -> u32,
    ) -> Vec<u8> {
        let mut out = Vec::new();
        if self.is_root(node) {
            if let Some(label) = &options.label {
                let label = short(*label.padded(), Attributes::VOLUME_ID, options.modified);
                out.extend_from_slice(&label.emit());
            }
        } else {
            let own = self.nodes.get(node.parent).and_then(|parent| {
                parent.children().iter().copied().find(|child| self.is_same(*child, node))
            });
            // Why 0: the root is never named by its cluster, also where it has one.
            let parent = if node.parent == ROOT { 0 } else { first_cluster(node.parent) };
            for (name, cluster) in
                [(*b".          ", own.map_or(0, &first_cluster)), (*b"..         ", parent)]
            {
                let dots = ShortEntry {
                    first_cluster: cluster,
                    ..short(name, Attributes::DIRECTORY, node.modified)
                };
                out.extend_from_slice(&dots.emit());
            }
        }
        for index in node.children() {
            let Some(child) = self.nodes.get(*index) else { continue };
            if child.long_count() > 0 {
                long_entries::emit(&child.name, &child.alias, &mut out);
            }
            let kind = if child.is_directory() { Attributes::DIRECTORY } else { Attributes::ARCHIVE };
            let slot = ShortEntry {
                first_cluster: first_cluster(*index),
                bytes: child.bytes(),
                ..short(child.alias, kind, child.modified)
            };
            out.extend_from_slice(&slot.emit());
        }
        out
    }

    fn is_root(&self, node: &Node) -> bool {
        self.is_same(ROOT, node)
    }

    fn is_same(&self, index: usize, node: &Node) -> bool {
        self.nodes.get(index).is_some_and(|other| core::ptr::eq(other, node))
    }

    fn children<'a>(&'a self, node: &'a Node) -> impl Iterator<Item = &'a Node> {
        node.children().iter().filter_map(|index| self.nodes.get(*index))
    }

    fn give_aliases(&mut self) -> Result<(), Error> {
        let mut given = Vec::new();
        for node in self.nodes.iter().filter(|node| node.is_directory()) {
            let names: Vec<&str> = self.children(node).map(|child| child.name.as_str()).collect();
            for (index, alias) in node.children().iter().zip(name::aliases(&names)) {
                given
                    .push((*index, alias.ok_or(Error::DirectoryFull { entry: self.any_entry_below(node) })?));
            }
        }
        for (index, alias) in given {
            if let Some(node) = self.nodes.get_mut(index) {
                node.alias = alias;
            }
        }
        Ok(())
    }
}

/// Returns an entry without content; our writer knows one time, so creation and access have it too.
fn short(name: Alias, attributes: u8, modified: DosTime) -> ShortEntry {
    ShortEntry {
        name,
        attributes: Attributes(attributes),
        case: 0,
        created: modified,
        accessed: modified,
        modified,
        first_cluster: 0,
        bytes: 0,
    }
}

struct Builder {
    nodes: Vec<Node>,
    /// Nodes by directory and folded name.
    names: BTreeMap<(usize, String), usize>,
    /// Nodes that an entry named itself, not only as a parent.
    explicit: Vec<bool>,
}

impl Builder {
    fn push(
        &mut self,
        name: String,
        parent: usize,
        content: Content,
        modified: DosTime,
        entry: usize,
    ) -> usize {
        let index = self.nodes.len();
        self.nodes.push(Node { name, alias: [b' '; 11], parent, content, modified, entry });
        self.explicit.push(false);
        index
    }

    /// Adds an entry with its missing parents and returns its node.
    fn add(&mut self, index: usize, entry: &Entry<'_>, modified: DosTime) -> Result<usize, Error> {
        let mut parts = entry.path.split('/');
        let last = parts.next_back().unwrap_or_default();
        let mut directory = ROOT;
        for part in parts {
            directory = self.descend(directory, part, index, modified)?;
        }
        let content = match entry.kind {
            EntryKind::Directory => Content::Directory(Vec::new()),
            EntryKind::File(bytes) => Content::File(
                u32::try_from(bytes)
                    .ok()
                    .filter(|_| bytes <= MAX_FILE_BYTES)
                    .ok_or(Error::FileSize { entry: index, bytes })?,
            ),
        };
        let node = match self.names.get(&(directory, name::folded(last))).copied() {
            None => self.child(directory, last, content, entry.modified, index)?,
            // A directory may be named after one of its files made it; its own entry then gives the time.
            Some(there) => {
                let twice = self.explicit.get(there).copied().unwrap_or(true);
                match self.nodes.get_mut(there) {
                    Some(node) if !twice && node.is_directory() && node.name == last => {
                        if !matches!(content, Content::Directory(_)) {
                            return Err(Error::IsDirectory { entry: index });
                        }
                        node.modified = entry.modified;
                        there
                    }
                    _ => return Err(Error::Clash { entry: index }),
                }
            }
        };
        if let Some(explicit) = self.explicit.get_mut(node) {
            *explicit = true;
        }
        Ok(node)
    }

    /// Returns the directory `name` in `parent`, made when it is missing.
    fn descend(
        &mut self,
        parent: usize,
        name: &str,
        entry: usize,
        modified: DosTime,
    ) -> Result<usize, Error> {
        match self.names.get(&(parent, name::folded(name))).copied() {
            None => self.child(parent, name, Content::Directory(Vec::new()), modified, entry),
            Some(there) => match self.nodes.get(there) {
                Some(node) if !node.is_directory() => Err(Error::ParentIsFile { entry }),
                Some(node) if node.name != name => Err(Error::Clash { entry }),
                _ => Ok(there),
            },
        }
    }

    fn child(
        &mut self,
        parent: usize,
        name: &str,
        content: Content,
        modified: DosTime,
        entry: usize,
    ) -> Result<usize, Error> {
        if !name::is_legal(name) {
            return Err(Error::Name { entry });
        }
        let index = self.push(name.to_string(), parent, content, modified, entry);
        self.names.insert((parent, name::folded(name)), index);
        if let Some(Node { content: Content::Directory(children), .. }) = self.nodes.get_mut(parent) {
            children.push(index);
        }
        Ok(index)
    }
}
