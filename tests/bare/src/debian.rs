//! `core::debian`.

use genpack_core::debian::relation::{self, Relation};
use genpack_core::debian::status;
use genpack_core::debian::version::Version;

use crate::{Input, Work, drain, see, show};

pub(crate) const ENTRIES: &[crate::Entry] =
    &[version_parse, version_order, relation_parse, relation_list, paragraphs, errors];

fn version_parse(input: &Input<'_>, _: &mut Work) {
    see(Version::parse(input.text));
}

fn version_order(input: &Input<'_>, _: &mut Work) {
    if let (Ok(a), Ok(b)) = (Version::parse(input.text), Version::parse(input.other)) {
        see((a.cmp(&b), a == b, a.as_str()));
    }
}

fn relation_parse(input: &Input<'_>, _: &mut Work) {
    if let (Ok(relation), Ok(version)) = (Relation::parse(input.text), Version::parse(input.other)) {
        see((relation, relation.holds(&version)));
    }
}

fn relation_list(input: &Input<'_>, _: &mut Work) {
    for alternatives in relation::relations(input.text) {
        drain(alternatives.relations());
    }
}

fn paragraphs(input: &Input<'_>, _: &mut Work) {
    for paragraph in status::paragraphs(input.text) {
        see(paragraph.get(input.other));
        for field in paragraph.fields().flatten() {
            see((field.is(input.other), field.first_line()));
            drain(field.lines());
        }
    }
}

fn errors(input: &Input<'_>, _: &mut Work) {
    match Version::parse(input.text) {
        Ok(version) => show(version),
        Err(error) => {
            see(error.class());
            show(error);
        }
    }
    if let Err(error) = Relation::parse(input.text) {
        see(error.class());
        show(error);
    }
    for error in status::paragraphs(input.text).flat_map(|p| p.fields()).filter_map(Result::err) {
        see(error.class());
        show(error);
    }
}
