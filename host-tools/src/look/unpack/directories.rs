//! The open directories between the root and here.
//!
//! A plan names a directory before its content, so the ones that are open are a stack. Each is opened by its name
//! alone below its parent, without following a link: what a path would lead to is never asked.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, openat};

use super::plan::{Item, Plan};
use crate::command_error::{CommandError, Context, Result};
use crate::io::printable::printable;

pub(super) struct Directories<'p> {
    plan: &'p Plan,
    /// Index in the plan, and the descriptor; the root is first. At most `MAX_DEPTH` and the root.
    stack: Vec<(u32, Arc<OwnedFd>)>,
}

impl<'p> Directories<'p> {
    pub(super) fn new(plan: &'p Plan, root: Arc<OwnedFd>) -> Self {
        Self { plan, stack: vec![(0, root)] }
    }

    /// Returns the directory at `index`, the last one again without a system call.
    pub(super) fn open(&mut self, index: u32) -> Result<&Arc<OwnedFd>> {
        self.leave_up_to(self.nearest(index), &mut |_, _| Ok(()))?;
        // The directories from the nearest open one to the wanted one, the wanted one first.
        let mut missing = Vec::new();
        let mut at = index;
        while self.stack.last().is_some_and(|(open, _)| *open != at) {
            let Some(item) = self.plan.items.get(at as usize) else { break };
            missing.push((at, item));
            at = item.parent;
        }
        while let Some((index, item)) = missing.pop() {
            let directory = self.enter(item)?;
            self.stack.push((index, directory));
        }
        let (_, directory) = self.stack.last().ok_or_else(rootless)?;
        Ok(directory)
    }

    fn enter(&self, item: &Item) -> Result<Arc<OwnedFd>> {
        let (_, parent) = self.stack.last().ok_or_else(rootless)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = openat(parent, self.plan.name(item), flags, Mode::empty());
        let opened =
            opened.with_context(|| format!("opening the directory {}", printable(&self.plan.path(item))))?;
        Ok(Arc::new(opened))
    }

    /// Returns the nearest directory at or above `index` that is open.
    fn nearest(&self, index: u32) -> u32 {
        let mut at = index;
        // Why: a directory comes behind its parent in the plan, so this ends, at the root at the latest.
        while at > 0 && self.stack.binary_search_by_key(&at, |(open, _)| *open).is_err() {
            at = self.plan.items.get(at as usize).map_or(0, |item| item.parent);
        }
        at
    }

    /// Closes the directories below the one at `index`, which is open, the deepest first, and tells each before.
    pub(super) fn leave_up_to(
        &mut self,
        index: u32,
        leave: &mut dyn FnMut(u32, &OwnedFd) -> Result<()>,
    ) -> Result<()> {
        while let Some((open, directory)) = self.stack.pop_if(|(open, _)| *open > index) {
            leave(open, &directory)?;
        }
        Ok(())
    }
}

fn rootless() -> CommandError {
    CommandError::failed("the plan has no root")
}
