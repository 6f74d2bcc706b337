//! Slot dependencies: what stands behind the `:` of an atom.
//!
//! Package Manager Specification 8.3.3. Not handled: which EAPI allows which of them.

use core::fmt;

use crate::gentoo::names::is_slot;

/// What a change of the slot means for the package that depends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotOperator {
    /// `*`: nothing.
    Any,
    /// `=`: it must be built again.
    Rebuild,
}

/// The slot that an atom asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotDependency<'a> {
    /// The slot; none is every slot.
    pub slot: Option<&'a str>,
    /// The sub-slot.
    pub subslot: Option<&'a str>,
    /// The operator.
    pub operator: Option<SlotOperator>,
}

impl<'a> SlotDependency<'a> {
    /// Reads what stands between `:` and the end of the slot; `None` when it is no slot dependency.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let bare = |operator| Self { slot: None, subslot: None, operator: Some(operator) };
        let (names, operator) = match (text, text.strip_suffix('=')) {
            ("*", _) => return Some(bare(SlotOperator::Any)),
            (_, Some("")) => return Some(bare(SlotOperator::Rebuild)),
            (_, Some(names)) => (names, Some(SlotOperator::Rebuild)),
            (_, None) => (text, None),
        };
        let (slot, subslot) = match names.split_once('/') {
            Some((slot, subslot)) => (slot, Some(subslot)),
            None => (names, None),
        };
        let is_legal = is_slot(slot) && subslot.is_none_or(is_slot);
        is_legal.then_some(Self { slot: Some(slot), subslot, operator })
    }
}

impl fmt::Display for SlotDependency<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.slot.unwrap_or(""))?;
        if let Some(subslot) = self.subslot {
            write!(f, "/{subslot}")?;
        }
        f.write_str(match self.operator {
            None => "",
            Some(SlotOperator::Any) => "*",
            Some(SlotOperator::Rebuild) => "=",
        })
    }
}
