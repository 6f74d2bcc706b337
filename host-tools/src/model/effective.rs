//! The one merge: top → arch → variant → variant's arch, into a value that nobody changes afterwards.
//!
//! Rules: scalars are replaced; `packages` is a list without repetition from which `-x` removes the exact string
//! `x` that came before; the other lists of names have no repetition; maps are replaced key by key; users, groups
//! and commands are put one after another.

use genpack_core::kernel::arch::Arch;
use genpack_core::text::diagnostic::Span;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::command_error::CommandError;
use crate::model::account::{Group, User};
use crate::model::artifact::{Artifact, Breaker, Layer};
use crate::model::base::Base;
use crate::model::compression::Compression;
use crate::model::reader::AtomValue;
use crate::model::source::Source;
use crate::model::spanned::Spanned;

/// The configuration that all phases read. Serialises to the keys of the definition.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Effective {
    /// Artifact name.
    pub name: String,
    /// Selected variant.
    pub variant: Option<String>,
    /// Target architecture.
    #[serde(serialize_with = "arch_name")]
    pub arch: Arch,
    /// What the lower image is made of.
    pub base: Base,
    /// Profile.
    pub profile: Option<Spanned<String>>,
    /// Name of the image file.
    pub outfile: String,
    /// Compression of the image: what [`Compression::parse`] takes.
    pub compression: String,
    /// Nothing reads it.
    pub devel: bool,
    /// Packages of the image.
    pub packages: Vec<Spanned<String>>,
    /// Packages for the build only.
    pub buildtime_packages: Vec<Spanned<String>>,
    /// Install the buildtime packages in a pass of their own.
    pub buildtime_packages_first: bool,
    /// Portage's package.accept_keywords.
    #[serde(serialize_with = "map")]
    pub accept_keywords: Vec<(String, AtomValue)>,
    /// Portage's package.use.
    #[serde(rename = "use", serialize_with = "map")]
    pub use_flags: Vec<(String, AtomValue)>,
    /// Portage's package.mask.
    pub mask: Vec<Spanned<String>>,
    /// Portage's package.license.
    #[serde(serialize_with = "map")]
    pub license: Vec<(String, AtomValue)>,
    /// Portage's package.env.
    #[serde(serialize_with = "map")]
    pub env: Vec<(String, AtomValue)>,
    /// Packages that binary packages are neither taken nor made of.
    pub binpkg_excludes: Vec<Spanned<String>>,
    /// Users to add.
    pub users: Vec<Spanned<User>>,
    /// Groups to add.
    pub groups: Vec<Spanned<Group>>,
    /// Units to enable.
    pub services: Vec<Spanned<String>>,
    /// Shell commands.
    pub setup_commands: Vec<Spanned<String>>,
    /// Names of all variants.
    pub variants: Vec<String>,
    /// The variant that is built when none is named.
    pub default_variant: Option<String>,
    /// Size of a lower image, GiB.
    #[serde(rename = "lower-layer-capacity")]
    pub lower_layer_capacity: u32,
    /// Keep binary packages to this artifact.
    pub independent_binpkgs: bool,
    /// A blunt way out of dependency cycles.
    pub circulardep_breaker: Option<Breaker>,
}

/// The variant does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownVariant {
    /// What was asked for.
    pub name: String,
    /// Where `default_variant` asks for it; `None` when the command line does.
    pub span: Option<Span>,
    /// What there is.
    pub known: Vec<String>,
}

impl UnknownVariant {
    /// Returns what is wrong and what to do, for a definition of this file name.
    #[must_use]
    pub fn words(&self, file_name: &str) -> (String, String) {
        let hint = if self.known.is_empty() {
            "the definition has no variants".to_owned()
        } else {
            format!("variants: {}", self.known.join(", "))
        };
        (format!("no variant {:?} in {file_name}", self.name), hint)
    }

    /// Turns it into the error of a verb.
    #[must_use]
    pub fn into_command_error(self, source: &Source) -> CommandError {
        let (message, hint) = self.words(&source.file_name());
        match self.span {
            Some(span) => source.error_at(span, message, Some(hint)),
            None => CommandError::failed(message).hint(hint),
        }
    }
}

impl Effective {
    /// Merges a definition for a variant and an architecture.
    ///
    /// # Errors
    /// When the variant, named or default, does not exist.
    pub fn merge(
        artifact: &Artifact,
        variant: Option<&str>,
        arch: Arch,
        directory_name: &str,
    ) -> Result<Self, UnknownVariant> {
        let default = artifact.default_variant.as_ref();
        let variant = variant.or(default.map(|d| d.value.as_str()));
        let branch = match variant {
            None => None,
            Some(name) => match artifact.variants.iter().find(|(n, _)| n == name) {
                Some((_, layer)) => Some(layer),
                None => {
                    return Err(UnknownVariant {
                        name: name.to_owned(),
                        span: default.filter(|d| d.value == name).map(|d| d.span),
                        known: artifact.variants.iter().map(|(n, _)| n.clone()).collect(),
                    });
                }
            },
        };
        let mut trunk = Layer::default();
        for layer in std::iter::once(&artifact.layer).chain(branch) {
            trunk.absorb(layer);
            for (words, layer) in &layer.arch {
                if words.iter().any(|w| w == arch.name()) {
                    trunk.absorb(layer);
                }
            }
        }
        let name = trunk.name.map_or_else(|| directory_name.to_owned(), |n| n.value);
        let outfile = trunk.outfile.map_or_else(|| default_outfile(&name, variant, arch), |o| o.value);
        let profile = trunk
            .profile
            .and_then(|p| p.value.map(|value| Spanned::new(value, p.span)))
            .filter(|p| !p.value.is_empty());
        let compression = trunk.compression.map_or_else(
            || Compression::default_name(profile.as_ref().map(|p| p.value.as_str())).to_owned(),
            |c| c.value,
        );
        Ok(Self {
            outfile,
            name,
            variant: variant.map(str::to_owned),
            arch,
            base: artifact.base.clone(),
            profile,
            compression,
            devel: trunk.devel.unwrap_or(false),
            packages: trunk.packages,
            buildtime_packages: trunk.buildtime_packages,
            buildtime_packages_first: trunk.buildtime_packages_first.unwrap_or(false),
            accept_keywords: trunk.accept_keywords,
            use_flags: trunk.use_flags,
            mask: trunk.mask,
            license: trunk.license,
            env: trunk.env,
            binpkg_excludes: trunk.binpkg_excludes,
            users: trunk.users,
            groups: trunk.groups,
            services: trunk.services,
            setup_commands: trunk.setup_commands,
            variants: artifact.variants.iter().map(|(n, _)| n.clone()).collect(),
            default_variant: default.map(|d| d.value.clone()),
            lower_layer_capacity: artifact.lower_layer_capacity.unwrap_or(DEFAULT_CAPACITY_GIB),
            independent_binpkgs: artifact.independent_binpkgs,
            circulardep_breaker: trunk.circulardep_breaker,
        })
    }

    /// Returns the configuration as one JSON object.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        // Why: a struct of strings and numbers with text keys cannot fail to serialise.
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Returns `-<variant>`, or nothing without one: the tail of names under `work/`.
    #[must_use]
    pub fn suffix(&self) -> String {
        self.variant.as_ref().map_or_else(String::new, |v| format!("-{v}"))
    }
}

/// Size of a lower image when nothing is said, GiB.
const DEFAULT_CAPACITY_GIB: u32 = 128;

fn default_outfile(name: &str, variant: Option<&str>, arch: Arch) -> String {
    match variant {
        Some(variant) => format!("{name}-{variant}-{arch}.squashfs"),
        None => format!("{name}-{arch}.squashfs"),
    }
}

impl Layer {
    fn absorb(&mut self, branch: &Self) {
        replace(&mut self.name, &branch.name);
        replace(&mut self.profile, &branch.profile);
        replace(&mut self.outfile, &branch.outfile);
        replace(&mut self.compression, &branch.compression);
        replace(&mut self.devel, &branch.devel);
        replace(&mut self.buildtime_packages_first, &branch.buildtime_packages_first);
        replace(&mut self.circulardep_breaker, &branch.circulardep_breaker);
        for package in &branch.packages {
            match package.value.strip_prefix('-') {
                Some(gone) => self.packages.retain(|p| p.value != gone),
                None => append(&mut self.packages, std::slice::from_ref(package)),
            }
        }
        append(&mut self.buildtime_packages, &branch.buildtime_packages);
        append(&mut self.mask, &branch.mask);
        append(&mut self.binpkg_excludes, &branch.binpkg_excludes);
        append(&mut self.services, &branch.services);
        put(&mut self.accept_keywords, &branch.accept_keywords);
        put(&mut self.use_flags, &branch.use_flags);
        put(&mut self.license, &branch.license);
        put(&mut self.env, &branch.env);
        self.users.extend_from_slice(&branch.users);
        self.groups.extend_from_slice(&branch.groups);
        self.setup_commands.extend_from_slice(&branch.setup_commands);
    }
}

fn replace<T: Clone>(trunk: &mut Option<T>, branch: &Option<T>) {
    if branch.is_some() {
        trunk.clone_from(branch);
    }
}

fn append(trunk: &mut Vec<Spanned<String>>, branch: &[Spanned<String>]) {
    for element in branch {
        if !trunk.contains(element) {
            trunk.push(element.clone());
        }
    }
}

fn put(trunk: &mut Vec<(String, AtomValue)>, branch: &[(String, AtomValue)]) {
    for (key, value) in branch {
        match trunk.iter_mut().find(|(k, _)| k == key) {
            Some((_, old)) => old.clone_from(value),
            None => trunk.push((key.clone(), value.clone())),
        }
    }
}

fn arch_name<S: Serializer>(arch: &Arch, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(arch.name())
}

fn map<S: Serializer>(members: &[(String, AtomValue)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(members.len()))?;
    for (key, value) in members {
        map.serialize_entry(key, value)?;
    }
    map.end()
}

#[cfg(test)]
mod tests;
