//! The definition as it was written: typed, checked, every late-judged value with its place.

use genpack_core::kernel::arch::Arch;
use genpack_core::text::json5::value::{Node, Value};
use serde::Serialize;

use crate::model::account::{Group, User};
use crate::model::base::Base;
use crate::model::compression::Compression;
use crate::model::keys::{Level, Standing, nearest, standing};
use crate::model::reader::{AtomValue, Reader};
use crate::model::spanned::Spanned;
use crate::pack::compress::Settings;

/// A definition.
#[derive(Clone, Debug, Default)]
pub struct Artifact {
    /// What stands at the top.
    pub layer: Layer,
    /// What the lower image is made of.
    pub base: Base,
    /// The variants, in file order.
    pub variants: Vec<(String, Layer)>,
    /// The variant that is built when none is named.
    pub default_variant: Option<Spanned<String>>,
    /// Size of a lower image, GiB; only the Gentoo base of earlier versions needs it.
    pub lower_layer_capacity: Option<u32>,
    /// Keep binary packages to this artifact.
    pub independent_binpkgs: bool,
}

/// The keys that may stand at the top, in a variant or in an arch.
#[derive(Clone, Debug, Default)]
pub struct Layer {
    /// Artifact name.
    pub name: Option<Spanned<String>>,
    /// Profile; `null` takes it away.
    pub profile: Option<Spanned<Option<String>>>,
    /// Name of the image file.
    pub outfile: Option<Spanned<String>>,
    /// Compression of the image: the text has been checked.
    pub compression: Option<Spanned<String>>,
    /// Accepted for old definitions; nothing reads it.
    pub devel: Option<bool>,
    /// Packages of the image; `-name` takes one away.
    pub packages: Vec<Spanned<String>>,
    /// Packages for the build only.
    pub buildtime_packages: Vec<Spanned<String>>,
    /// Install the buildtime packages in a pass of their own.
    pub buildtime_packages_first: Option<bool>,
    /// Portage's package.accept_keywords.
    pub accept_keywords: Vec<(String, AtomValue)>,
    /// Portage's package.use.
    pub use_flags: Vec<(String, AtomValue)>,
    /// Portage's package.mask.
    pub mask: Vec<Spanned<String>>,
    /// Portage's package.license.
    pub license: Vec<(String, AtomValue)>,
    /// Portage's package.env.
    pub env: Vec<(String, AtomValue)>,
    /// Packages that binary packages are neither taken nor made of.
    pub binpkg_excludes: Vec<Spanned<String>>,
    /// Users to add.
    pub users: Vec<Spanned<User>>,
    /// Groups to add.
    pub groups: Vec<Spanned<Group>>,
    /// Units to enable.
    pub services: Vec<Spanned<String>>,
    /// Shell commands, run last but for the services.
    pub setup_commands: Vec<Spanned<String>>,
    /// A blunt way out of dependency cycles.
    pub circulardep_breaker: Option<Breaker>,
    /// Layers for some architectures; the key's words are split already.
    pub arch: Vec<(Vec<String>, Layer)>,
}

/// Packages that are installed first, with other USE flags, to break a cycle.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Breaker {
    /// The packages.
    pub packages: Vec<String>,
    /// USE for that pass.
    #[serde(rename = "use")]
    pub use_flags: Option<String>,
}

impl Artifact {
    /// Takes a definition out of its tree; findings go to the reader.
    pub fn read(root: &Node, reader: &mut Reader<'_>) -> Self {
        let mut artifact = Self::default();
        if !matches!(root.value, Value::Object(_)) {
            reader.wrong_type(root, "the definition", "an object");
            return artifact;
        }
        artifact.layer = Layer::read(root, Level::Top, "", reader);
        if let Some(node) = root.get("base")
            && let Some(base) = Base::read(node, reader)
        {
            artifact.base = base;
        }
        if let Some(node) = root.get("variants") {
            for m in reader.members(node, "variants") {
                if m.key.is_empty() || m.key.contains('/') || m.key.starts_with('.') {
                    reader.error(m.key_span, format!("{:?} cannot be the name of a variant", m.key), None);
                }
                let layer =
                    Layer::read(&m.value, Level::Variant, &format!("variants > {} > ", m.key), reader);
                artifact.variants.push((m.key.to_string(), layer));
            }
        }
        if let Some(node) = root.get("default_variant") {
            artifact.default_variant = reader
                .string_or_null(node, "default_variant")
                .and_then(|s| s.value.map(|value| Spanned::new(value, s.span)));
        }
        if let Some(node) = root.get("lower-layer-capacity") {
            artifact.lower_layer_capacity = reader.unsigned(node, "lower-layer-capacity");
        }
        if let Some(node) = root.get("independent_binpkgs") {
            artifact.independent_binpkgs = reader.boolean(node, "independent_binpkgs").unwrap_or(false);
        }
        artifact
    }
}

impl Layer {
    fn read(node: &Node, level: Level, path: &str, reader: &mut Reader<'_>) -> Self {
        let mut layer = Self::default();
        let name = if path.is_empty() { "the definition" } else { path.trim_end_matches(" > ") };
        for m in reader.members(node, name) {
            let what = format!("{path}{}", m.key);
            match standing(&m.key, level) {
                Standing::Known => layer.take(&m.key, &m.value, &what, path, reader),
                Standing::Misplaced => {
                    reader.warning(m.key_span, format!("{} has no effect in {name}", m.key), None);
                }
                Standing::Deprecated(new) => {
                    reader.error(
                        m.key_span,
                        format!("{what} is an old spelling"),
                        Some(format!("call it {new}")),
                    );
                    // Why: of two keys with one name the last counts, and the other would be lost without a word.
                    if node.get(new).is_none() {
                        reader.renames.push((m.key_span, new));
                    }
                }
                Standing::Unknown(near) => reader.warning(
                    m.key_span,
                    format!("unknown key {what}"),
                    near.map(|n| format!("did you mean {n}?")),
                ),
            }
        }
        layer
    }

    /// Takes one member; keys that only the top has are read by [`Artifact::read`].
    fn take(&mut self, key: &str, node: &Node, what: &str, path: &str, reader: &mut Reader<'_>) {
        match key {
            "name" => self.name = file_name(node, what, reader),
            "profile" => self.profile = reader.string_or_null(node, what),
            "outfile" => self.outfile = file_name(node, what, reader),
            "compression" => self.compression = compression(node, what, reader),
            "devel" => self.devel = reader.boolean(node, what),
            "packages" => self.packages = lines(node, what, reader),
            "buildtime_packages" => self.buildtime_packages = lines(node, what, reader),
            "buildtime_packages_first" => self.buildtime_packages_first = reader.boolean(node, what),
            "accept_keywords" => self.accept_keywords = reader.atom_map(node, what),
            "use" => self.use_flags = reader.atom_map(node, what),
            "mask" => self.mask = lines(node, what, reader),
            "license" => self.license = reader.atom_map(node, what),
            "env" => self.env = reader.atom_map(node, what),
            "binpkg_excludes" => self.binpkg_excludes = reader.string_or_strings(node, what),
            "users" => self.users = each(node, what, reader, User::read),
            "groups" => self.groups = each(node, what, reader, Group::read),
            "services" => {
                self.services = reader.strings(node, what);
                // Why: `systemctl enable` takes paths too, and would link to where the build ran.
                let bad = |c: char| c.is_whitespace() || c.is_control() || c == '/';
                reject(
                    &self.services,
                    reader,
                    |unit| unit.starts_with('-') || unit.contains(bad),
                    "is no unit's name",
                );
            }
            "setup_commands" => {
                self.setup_commands = commands(node, what, reader);
                reject(
                    &self.setup_commands,
                    reader,
                    |command| command.contains('\0'),
                    "holds a NUL character",
                );
            }
            "circulardep_breaker" => self.circulardep_breaker = Some(read_breaker(node, what, reader)),
            "arch" => {
                for m in reader.members(node, what) {
                    let words: Vec<String> = m.key.split('|').map(str::to_owned).collect();
                    for word in words.iter().filter(|word| Arch::from_name(word).is_none()) {
                        let near = nearest(word.trim(), Arch::ALL.into_iter().map(Arch::name));
                        let hint = near.map_or_else(
                            || format!("known: {}", Arch::ALL.map(Arch::name).join(", ")),
                            |near| format!("did you mean {near}?"),
                        );
                        let message = format!("{what}: {word:?} is no architecture, nothing is built for it");
                        reader.warning(m.key_span, message, Some(hint));
                    }
                    let layer =
                        Self::read(&m.value, Level::Arch, &format!("{path}arch > {} > ", m.key), reader);
                    self.arch.push((words, layer));
                }
            }
            _ => {}
        }
    }
}

/// Shell commands; objects were reserved by earlier versions, which passed over them.
fn commands(node: &Node, what: &str, reader: &mut Reader<'_>) -> Vec<Spanned<String>> {
    let mut commands = Vec::new();
    for element in reader.list(node, what) {
        if matches!(element.value, Value::Object(_)) {
            reader.warning(element.span, format!("an object in {what} has no effect"), None);
        } else {
            commands.extend(reader.nonempty(element, &format!("an element of {what}")));
        }
    }
    commands
}

/// Words of which each becomes a line of a file.
fn lines(node: &Node, what: &str, reader: &mut Reader<'_>) -> Vec<Spanned<String>> {
    let words = reader.strings(node, what);
    reject(&words, reader, |word| word.contains(char::is_control), "holds a control character");
    words
}

fn reject(words: &[Spanned<String>], reader: &mut Reader<'_>, bad: impl Fn(&str) -> bool, why: &str) {
    for word in words.iter().filter(|word| bad(&word.value)) {
        reader.error(word.span, format!("{:?} {why}", word.value), None);
    }
}

/// Names of files beside the definition: nothing may lead out of its directory.
fn file_name(node: &Node, what: &str, reader: &mut Reader<'_>) -> Option<Spanned<String>> {
    let name = reader.nonempty(node, what)?;
    if name.value.contains(['/', '\0', '\n']) || name.value.starts_with('.') {
        reader.error(node.span, format!("{what} must be a plain file name"), None);
        return None;
    }
    Some(name)
}

fn compression(node: &Node, what: &str, reader: &mut Reader<'_>) -> Option<Spanned<String>> {
    let value = reader.string(node, what)?;
    match Compression::parse(&value.value, None) {
        Ok(_) => Some(value),
        Err(e) => {
            let hint =
                format!("known: {}; a level may follow, as in \"zstd:19\"", Settings::NAMES.join(", "));
            reader.error(node.span, e.to_string(), Some(hint));
            None
        }
    }
}

fn each<T>(
    node: &Node,
    what: &str,
    reader: &mut Reader<'_>,
    read: fn(&Node, &str, &mut Reader<'_>) -> Option<T>,
) -> Vec<Spanned<T>> {
    let what = format!("an element of {what}");
    let elements = reader.list(node, what.trim_start_matches("an element of "));
    elements.iter().filter_map(|e| read(e, &what, reader).map(|value| Spanned::new(value, e.span))).collect()
}

fn read_breaker(node: &Node, what: &str, reader: &mut Reader<'_>) -> Breaker {
    let mut breaker = Breaker::default();
    for m in reader.members(node, what) {
        let what = format!("{what} > {}", m.key);
        match &*m.key {
            "packages" => {
                breaker.packages = reader.strings(&m.value, &what).into_iter().map(|s| s.value).collect();
            }
            "use" => breaker.use_flags = reader.string(&m.value, &what).map(|s| s.value),
            _ => reader.unknown_field(m, "circulardep_breaker", &["packages", "use"]),
        }
    }
    breaker
}
