//! The files below `/etc/portage` that a definition comes to.
//!
//! portage(5) defines their formats. All of them are written on every run, so what a definition does not say any more
//! is gone. Nothing is said about FEATURES or MAKEOPTS: what the stage3 brings stands.

use crate::fetch::location::Location;
use crate::lower::gentoo::names::{LOCAL_OVERLAY, OVERLAY, REPOSITORIES};
use crate::model::Effective;
use crate::model::base::Gentoo;
use crate::model::reader::AtomValue;

/// Name of the set of packages of the image.
pub const RUNTIME_SET: &str = "genpack-runtime";
/// Name of the set of packages that only the lower image has.
pub const BUILDTIME_SET: &str = "genpack-buildtime";

/// A file of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortageFile {
    /// Path in the tree.
    pub path: String,
    /// Content; `None` takes the file away.
    pub content: Option<String>,
}

/// Returns the files; `local_overlay` tells whether the artifact has ebuilds of its own.
#[must_use]
pub fn files(effective: &Effective, gentoo: &Gentoo, local_overlay: bool) -> Vec<PortageFile> {
    let words = |list: &[crate::model::spanned::Spanned<String>]| {
        let words: Vec<&str> = list.iter().map(|p| p.value.as_str()).collect();
        words.join("\n")
    };
    let file = |path: &str, content: String| PortageFile { path: path.to_owned(), content: Some(content) };
    let optional = |path: &str, content: Option<String>| PortageFile { path: path.to_owned(), content };
    let repository = |name: &str| format!("[{name}]\nlocation={REPOSITORIES}/{name}\n");
    vec![
        file(&format!("/etc/portage/sets/{RUNTIME_SET}"), words(&effective.packages)),
        file(&format!("/etc/portage/sets/{BUILDTIME_SET}"), words(&effective.buildtime_packages)),
        file("/etc/portage/package.accept_keywords/genpack", map(&effective.accept_keywords)),
        file("/etc/portage/package.use/genpack", map(&effective.use_flags)),
        file("/etc/portage/package.license/genpack", map(&effective.license)),
        file("/etc/portage/package.mask/genpack", words(&effective.mask)),
        file("/etc/portage/package.env", map(&effective.env)),
        file(&format!("/etc/portage/repos.conf/{OVERLAY}.conf"), repository(OVERLAY)),
        optional(
            &format!("/etc/portage/repos.conf/{LOCAL_OVERLAY}.conf"),
            local_overlay.then(|| repository(LOCAL_OVERLAY)),
        ),
        optional("/etc/portage/binrepos.conf/genpack.conf", gentoo.binhost.as_deref().map(binhost)),
    ]
}

/// What comes from elsewhere must be signed by a key that Portage trusts; what this machine serves to itself need not.
fn binhost(uri: &str) -> String {
    // Schemes that we do not fetch by are Portage's to know, and elsewhere.
    let is_file = !uri.contains("://") || uri.starts_with("file://");
    let signed = !is_file && !Location::Url(uri.to_owned()).is_local();
    format!("[genpack]\npriority = 1\nsync-uri = {uri}\nverify-signature = {signed}\n")
}

fn map(members: &[(String, AtomValue)]) -> String {
    let mut text = String::new();
    for (atom, value) in members {
        text.push_str(atom);
        for word in value.words() {
            text.push(' ');
            text.push_str(word);
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_packages_from_elsewhere_must_be_signed() {
        for (uri, signed) in [
            ("https://example.org/b/", true),
            ("ssh://example.org/b", true),
            ("http://127.0.0.1:8/b", false),
            ("file:///srv/b", false),
            ("/srv/b", false),
        ] {
            let text = binhost(uri);
            assert_eq!(
                text,
                format!("[genpack]\npriority = 1\nsync-uri = {uri}\nverify-signature = {signed}\n")
            );
        }
    }
}
