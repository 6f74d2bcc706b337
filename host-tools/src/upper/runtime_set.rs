//! Reads what the runtime set is decided from: dpkg's database of a tree.

use std::collections::BTreeSet;

use crate::command_error::Result;
use crate::container::root_dir::RootDir;
use crate::lower::debian::plan::{Plan, bare_name};
use crate::upper::closure::{Closure, Database};

const STATUS: &str = "/var/lib/dpkg/status";

/// Reads dpkg's database of a tree.
///
/// # Errors
/// When it cannot be read.
pub fn database(root: &RootDir) -> Result<Database> {
    Ok(Database::parse(&String::from_utf8_lossy(&root.read(STATUS)?)))
}

/// Returns the runtime set of a tree: the closure of what the plan asks for, and of what scripts of the artifact
/// installed on top of the lower image.
#[must_use]
pub fn closure(plan: &Plan, lower: &Database, now: &Database) -> Closure {
    let added = now.packages.keys().filter(|name| !lower.packages.contains_key(*name));
    let roots: BTreeSet<&str> =
        plan.roots.iter().map(|r| bare_name(r)).chain(added.map(String::as_str)).collect();
    now.closure(roots)
}
