//! What settings want in the directories of this boot, `/run`: there systemd reads it, and there it is gone by itself when the
//! key is gone.
//!
//! Modules of [`super::provision`] say what they want; [`Desired::steps`] makes operations of it where the tree is
//! different. Not handled: files that outlive a boot.

use alloc::string::String;
use alloc::vec::Vec;

use super::plan::step;
use crate::op::{Op, Step};
use crate::tree::Tree;

/// Longest file that is read to be compared, bytes.
pub const MAX_FILE: usize = 1024 * 1024;

/// A finding that only a look at the system can make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// The key.
    pub key: &'static str,
    /// What is the matter.
    pub message: String,
}

/// What one module wants.
#[derive(Debug, Default)]
pub struct Desired {
    ops: Vec<Op>,
    /// What the owner should hear.
    pub facts: Vec<Fact>,
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

    fn file_with(&mut self, path: &str, mode: u32, content: &str) {
        let content = content.as_bytes().to_vec();
        self.ops.push(Op::Write { path: path.into(), mode, owner: None, content });
    }

    /// Wants a symbolic link.
    pub fn link(&mut self, path: &str, target: &str) {
        self.ops.push(Op::Symlink { target: target.into(), link: path.into() });
    }

    /// Wants that there is no such file.
    pub fn absent(&mut self, path: &str) {
        self.ops.push(Op::Remove { path: path.into() });
    }

    /// Adds a finding about a key.
    pub fn fact(&mut self, key: &'static str, message: String) {
        self.facts.push(Fact { key, message });
    }

    /// Returns the operations, with the directories that they need, for what is not there yet.
    #[must_use]
    pub fn steps(self, tree: &Tree) -> Vec<Step> {
        let mut steps = Vec::new();
        for op in self.ops {
            let (path, is_there) = match &op {
                Op::Write { path, content, .. } => {
                    (path.clone(), tree.read(path, MAX_FILE).is_ok_and(|now| now == *content))
                }
                Op::Symlink { target, link } => (link.clone(), tree.read_link(link).as_ref() == Some(target)),
                _ => (String::new(), false),
            };
            if is_there {
                continue;
            }
            for (at, _) in path.match_indices('/').skip(1) {
                let directory = path.get(..at).unwrap_or_default();
                if !tree.is_dir(directory) {
                    let path = directory.into();
                    steps.push(step(Op::Mkdir { path, mode: 0o755, owner: None }));
                }
            }
            steps.push(step(op));
        }
        steps
    }
}
