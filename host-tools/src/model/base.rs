//! The key `base`: what a lower image is made of.

use genpack_core::text::json5::value::{Node, Value};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::model::reader::Reader;

/// Debian release that is built when the definition names none.
pub const DEFAULT_SUITE: &str = "bookworm";
/// Variable that replaces `base.debian.mirror`.
pub const DEBIAN_MIRROR_ENV: &str = "GENPACK_DEBIAN_MIRROR";
/// Variables that replace `base.gentoo.mirror` and `base.gentoo.overlay`.
pub const GENTOO_MIRROR_ENV: &str = "GENPACK_GENTOO_MIRROR";
/// See [`GENTOO_MIRROR_ENV`].
pub const GENTOO_OVERLAY_ENV: &str = "GENPACK_OVERLAY";

/// Settings of the base Gentoo.
pub const GENTOO_KEYS: &[&str] = &["mirror", "stage3", "snapshot", "overlay", "binhost", "keys"];
/// Settings of the base Debian.
pub const DEBIAN_KEYS: &[&str] = &["suite", "mirror", "components"];

/// What a lower image is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// Stage3, ebuild repository and overlay.
    Gentoo(Gentoo),
    /// Debian packages.
    Debian(Debian),
}

/// Where the parts of a Gentoo lower image come from: URLs or local paths.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Gentoo {
    /// The mirror.
    pub mirror: Option<String>,
    /// The stage3 tarball.
    pub stage3: Option<String>,
    /// The ebuild repository's snapshot.
    pub snapshot: Option<String>,
    /// The overlay: a tarball, or a directory.
    pub overlay: Option<String>,
    /// Where ready-made binary packages come from; without it only those of our own builds are used.
    pub binhost: Option<String>,
    /// OpenPGP keyring that stage3 must be signed with; without it Gentoo's release keys.
    pub keys: Option<String>,
}

/// Where Debian packages come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Debian {
    /// Release: `bookworm`, `trixie`, …
    pub suite: String,
    /// URL or local path; `None` is what the host's apt uses.
    pub mirror: Option<String>,
    /// `main`, `contrib`, …
    pub components: Vec<String>,
}

impl Default for Base {
    fn default() -> Self {
        Self::Gentoo(Gentoo::default())
    }
}

impl Default for Debian {
    fn default() -> Self {
        Self { suite: DEFAULT_SUITE.to_owned(), mirror: None, components: vec!["main".to_owned()] }
    }
}

impl Base {
    /// Returns the word that names the base in a definition.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Gentoo(_) => "gentoo",
            Self::Debian(_) => "debian",
        }
    }

    /// Replaces locations by those of the environment; an empty variable counts as unset.
    pub fn apply_environment(&mut self, variable: impl Fn(&str) -> Option<String>) {
        let variable = |name: &str| variable(name).filter(|v| !v.is_empty());
        match self {
            Self::Debian(debian) => debian.mirror = variable(DEBIAN_MIRROR_ENV).or(debian.mirror.take()),
            Self::Gentoo(gentoo) => {
                gentoo.mirror = variable(GENTOO_MIRROR_ENV).or(gentoo.mirror.take());
                gentoo.overlay = variable(GENTOO_OVERLAY_ENV).or(gentoo.overlay.take());
            }
        }
    }

    pub(super) fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        match &node.value {
            Value::String(name) => match &**name {
                "gentoo" => Some(Self::Gentoo(Gentoo::default())),
                "debian" => Some(Self::Debian(Debian::default())),
                _ => {
                    reader.error(node.span, format!("unknown base {name:?}"), Some(KNOWN.to_owned()));
                    None
                }
            },
            Value::Object(members) => {
                let [member] = &**members else {
                    reader.error(node.span, "base must have exactly one key", Some(KNOWN.to_owned()));
                    return None;
                };
                match &*member.key {
                    "gentoo" => Some(Self::Gentoo(read_gentoo(&member.value, reader))),
                    "debian" => Some(Self::Debian(read_debian(&member.value, reader))),
                    other => {
                        reader.error(
                            member.key_span,
                            format!("unknown base {other:?}"),
                            Some(KNOWN.to_owned()),
                        );
                        None
                    }
                }
            }
            _ => {
                reader.wrong_type(node, "base", "a string or an object");
                None
            }
        }
    }
}

const KNOWN: &str = "known bases: gentoo, debian";

fn read_gentoo(node: &Node, reader: &mut Reader<'_>) -> Gentoo {
    let mut gentoo = Gentoo::default();
    for m in reader.members(node, "base > gentoo") {
        let field = match &*m.key {
            "mirror" => &mut gentoo.mirror,
            "stage3" => &mut gentoo.stage3,
            "snapshot" => &mut gentoo.snapshot,
            "overlay" => &mut gentoo.overlay,
            "binhost" => &mut gentoo.binhost,
            "keys" => &mut gentoo.keys,
            _ => {
                reader.unknown_field(m, "base > gentoo", GENTOO_KEYS);
                continue;
            }
        };
        *field = reader.nonempty(&m.value, &format!("base > gentoo > {}", m.key)).map(|s| s.value);
    }
    gentoo
}

fn read_debian(node: &Node, reader: &mut Reader<'_>) -> Debian {
    let mut debian = Debian::default();
    for m in reader.members(node, "base > debian") {
        let what = format!("base > debian > {}", m.key);
        match &*m.key {
            "suite" => {
                if let Some(suite) = reader.nonempty(&m.value, &what) {
                    debian.suite = suite.value;
                }
            }
            "mirror" => debian.mirror = reader.nonempty(&m.value, &what).map(|s| s.value),
            "components" => {
                debian.components =
                    reader.string_or_strings(&m.value, &what).into_iter().map(|s| s.value).collect();
                if debian.components.is_empty() {
                    reader.error(m.value.span, "components must not be empty", None);
                }
            }
            _ => reader.unknown_field(m, "base > debian", DEBIAN_KEYS),
        }
        // Why: these words go into a line of sources.list.
        let words = std::iter::once(&debian.suite).chain(&debian.components).chain(&debian.mirror);
        if words.into_iter().any(|w| w.contains(|c: char| c.is_whitespace() || c.is_control())) {
            reader.error(m.value.span, format!("{what} must not contain blanks"), None);
        }
    }
    debian
}

/// The long form of the definition: `{debian: {…}}`.
impl Serialize for Base {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        match self {
            Self::Gentoo(gentoo) => map.serialize_entry("gentoo", gentoo)?,
            Self::Debian(debian) => map.serialize_entry("debian", debian)?,
        }
        map.end()
    }
}
