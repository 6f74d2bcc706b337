//! The verb `ini`: an INI file as genpack-init reads it, as JSON.

use std::path::Path;

use genpack_core::text::diagnostic::{Collector, Diagnostic};
use genpack_core::text::ini::{Document, decode};
use serde_json::{Map, Value};

use super::json5::read;
use crate::command_error::{Result, Snippet};
use crate::ctx::Ctx;

/// Prints `{"section": {"key": "value"}}` on stdout; findings go to stderr and never fail the verb.
///
/// # Errors
/// When the file cannot be read.
pub fn run(ctx: &Ctx, file: Option<&Path>) -> Result<()> {
    let (path, bytes) = read(ctx, file)?;
    let mut diagnostics = Vec::new();
    let text = decode(&bytes, &mut diagnostics);
    let document = sections(&text, &mut diagnostics);
    for d in &diagnostics {
        ctx.ui.warning_at(&d.message, &Snippet::of(&path, &text, d), d.hint.as_deref());
    }
    ctx.ui.document(&document);
    Ok(())
}

/// Returns every section with the fallbacks of `[DEFAULT]` merged in, as `configparser` would list it.
fn sections(text: &str, diagnostics: &mut Vec<Diagnostic>) -> Value {
    let mut collector = Collector::new();
    let document = Document::parse(text, &mut collector);
    diagnostics.append(&mut collector.into_vec());
    let mut all = Map::new();
    for section in document.sections() {
        let items = document.items(section).map(|p| (p.key.clone(), Value::from(p.value.as_str())));
        all.insert(section.name().into(), Value::Object(items.collect()));
    }
    Value::Object(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_have_fallbacks_and_the_default_section_is_first() {
        let mut diagnostics = Vec::new();
        let json = sections("[s]\nB = 2\n[DEFAULT]\na = 1\nb = 0\noops\n", &mut diagnostics);
        assert_eq!(json.to_string(), r#"{"_default":{"a":"1","b":"0"},"s":{"a":"1","b":"2"}}"#);
        assert_eq!(diagnostics.len(), 1);
    }
}
