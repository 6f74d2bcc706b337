//! What `update status` says.

use genpack_core::contract::boot_state::{Image, Reached};
use serde_json::{Value, json};

use super::facts::Machine;
use super::op::{At, place_name};
use super::plan::Loader;
use crate::disk::size::Size;
use crate::io::system_image::Meta;

/// An image that is there.
#[derive(Debug)]
pub struct Installed {
    /// Which.
    pub image: Image,
    /// Its file.
    pub at: At,
    /// The size of the file.
    pub bytes: u64,
    /// What it says of itself; none when it cannot be opened.
    pub meta: Option<Meta>,
}

impl Installed {
    fn title(&self) -> String {
        match &self.meta {
            None => "not a readable system image".to_owned(),
            Some(meta) => {
                let artifact = meta.artifact.as_deref().unwrap_or("an image without a name");
                match &meta.variant {
                    Some(variant) => format!("{artifact} ({variant})"),
                    None => artifact.to_owned(),
                }
            }
        }
    }
}

/// Returns what an image is to the machine, in words.
fn roles(machine: &Machine, image: Image) -> Vec<String> {
    let facts = &machine.facts;
    let state = &facts.state;
    let mut roles = Vec::new();
    if facts.running == Some(image) {
        roles.push("running".to_owned());
    }
    if !machine.has_record {
        return roles;
    }
    if state.good() == image {
        roles.push("good".to_owned());
    }
    if let Some(trial) = state.trial().filter(|trial| trial.image == image) {
        roles.push(format!("on trial, {} attempts left", trial.tries));
    }
    if state.prev() == Some(image) {
        roles.push("the one before".to_owned());
    }
    if state.given_up().is_some_and(|(bad, _)| bad == image) {
        roles.push("given up".to_owned());
    }
    roles
}

const fn loader_name(loader: &Loader) -> &'static str {
    match loader {
        Loader::Record => "record",
        Loader::Slots(_) => "slots",
        Loader::Extlinux(_) => "extlinux",
        Loader::Old => "old",
    }
}

/// Returns the answer for a person.
#[must_use]
pub fn lines(machine: &Machine, images: &[Installed]) -> Vec<String> {
    let facts = &machine.facts;
    let mut lines: Vec<String> = images
        .iter()
        .map(|installed| {
            let roles = roles(machine, installed.image).join(", ");
            let roles = if roles.is_empty() { "not in use".to_owned() } else { roles };
            let (path, size) = (&installed.at.path, Size(installed.bytes));
            let (place, title) = (place_name(installed.at.place), installed.title());
            format!("{path}: {title}, {size} on the {place}: {roles}")
        })
        .collect();
    if images.is_empty() {
        lines.push("there is no system image".to_owned());
    }
    if facts.loader == Loader::Old {
        lines.push("what starts this machine knows system.img only: nothing goes back by itself".to_owned());
    }
    if let (Some((image, _)), Some(why)) = (facts.state.given_up(), facts.state.why()) {
        lines.push(format!("rolled back: {} was given up: {why}", image.on_boot()));
    }
    lines.push(format!("free: {} on the boot partition", Size(facts.boot.free)));
    if let Some(data) = &facts.data {
        lines.push(format!("free: {} on the data partition", Size(data.free)));
    }
    lines
}

/// Returns the answer for a program.
#[must_use]
pub fn json(machine: &Machine, images: &[Installed]) -> Value {
    let facts = &machine.facts;
    let state = &facts.state;
    let name = |image: Option<Image>| image.map(Image::on_boot);
    let reached = match state.reached() {
        Reached::Nothing => None,
        Reached::Loader => Some("loader"),
        Reached::Stage1 => Some("stage1"),
        Reached::System => Some("system"),
    };
    let images: Vec<Value> = images
        .iter()
        .map(|installed| {
            let meta = installed.meta.as_ref();
            json!({
                "file": installed.at.path,
                "place": place_name(installed.at.place),
                "bytes": installed.bytes,
                "readable": meta.is_some(),
                "artifact": meta.and_then(|meta| meta.artifact.clone()),
                "variant": meta.and_then(|meta| meta.variant.clone()),
                "arch": meta.and_then(|meta| meta.arch).map(|arch| arch.name()),
                "roles": roles(machine, installed.image),
            })
        })
        .collect();
    json!({
        "loader": loader_name(&facts.loader),
        "running": name(facts.running),
        "good": machine.has_record.then(|| state.good().on_boot()),
        "previous": name(state.prev()),
        "next": name(state.trial().map(|trial| trial.image)),
        "tries": state.trial().map(|trial| trial.tries),
        "state": if state.trial().is_some() { "trial" } else if state.given_up().is_some() { "rolled-back" } else { "good" },
        "given_up": name(state.given_up().map(|(image, _)| image)),
        "why": state.why(),
        "reached": reached,
        "free_bytes": facts.boot.free,
        "free_bytes_data": facts.data.as_ref().map(|data| data.free),
        "images": images,
    })
}
