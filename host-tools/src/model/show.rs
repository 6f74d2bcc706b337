//! The effective configuration for a person: one `key: value` line each, empty keys left out.

use std::fmt;

use crate::model::base::Base;
use crate::model::effective::Effective;
use crate::model::reader::AtomValue;
use crate::model::spanned::Spanned;

impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let optional = |value: &Option<String>| value.clone().unwrap_or_else(|| "(none)".to_owned());
        writeln!(f, "name:        {}", self.name)?;
        writeln!(f, "arch:        {}", self.arch)?;
        writeln!(f, "variant:     {}", optional(&self.variant))?;
        if !self.variants.is_empty() {
            writeln!(f, "variants:    {}", self.variants.join(", "))?;
        }
        match &self.base {
            Base::Gentoo(_) => writeln!(f, "base:        gentoo")?,
            Base::Debian(d) => writeln!(
                f,
                "base:        debian {} ({}) from {}",
                d.suite,
                d.components.join(" "),
                d.mirror.as_deref().unwrap_or("the mirror of this machine's apt")
            )?,
        }
        writeln!(f, "profile:     {}", optional(&self.profile.as_ref().map(|p| p.value.clone())))?;
        writeln!(f, "outfile:     {}", self.outfile)?;
        write!(f, "compression: {}", self.compression)?;
        list(f, "packages", &self.packages)?;
        list(f, "buildtime_packages", &self.buildtime_packages)?;
        for (key, members) in [
            ("accept_keywords", &self.accept_keywords),
            ("use", &self.use_flags),
            ("license", &self.license),
            ("env", &self.env),
        ] {
            map(f, key, members)?;
        }
        list(f, "mask", &self.mask)?;
        list(f, "binpkg_excludes", &self.binpkg_excludes)?;
        let groups: Vec<_> = self.groups.iter().map(|g| Spanned::new(g.value.name.clone(), g.span)).collect();
        list(f, "groups", &groups)?;
        let users: Vec<_> = self.users.iter().map(|u| Spanned::new(u.value.name.clone(), u.span)).collect();
        list(f, "users", &users)?;
        list(f, "services", &self.services)?;
        list(f, "setup_commands", &self.setup_commands)
    }
}

fn list(f: &mut fmt::Formatter<'_>, key: &str, values: &[Spanned<String>]) -> fmt::Result {
    if !values.is_empty() {
        write!(f, "\n{key}:")?;
        for value in values {
            write!(f, "\n  {}", value.value)?;
        }
    }
    Ok(())
}

fn map(f: &mut fmt::Formatter<'_>, key: &str, members: &[(String, AtomValue)]) -> fmt::Result {
    if !members.is_empty() {
        write!(f, "\n{key}:")?;
        for (name, value) in members {
            match value {
                AtomValue::Null => write!(f, "\n  {name}")?,
                AtomValue::One(one) => write!(f, "\n  {name}: {one}")?,
                AtomValue::Many(many) => write!(f, "\n  {name}: {}", many.join(" "))?,
            }
        }
    }
    Ok(())
}
