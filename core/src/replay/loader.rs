//! Bodies for the files of boot loaders.

use std::string::String;

use crate::contract::boot_slots;
use crate::loader::grubenv::{Block, Error, SIZE};
use crate::loader::{bls_entry, cmdline_txt, config_txt, extlinux};
use crate::replay::told;

/// An environment block of arbitrary bytes behind the signature: what is read is written again, and setting and
/// removing a variable leaves the others alone.
pub fn grubenv(bytes: &[u8]) {
    if let Some(Err(e)) = bytes.first_chunk().map(Block::parse) {
        told(e);
    }
    let mut block = *Block::new().emit();
    let from = block.iter().position(|b| *b == b'\n').map_or(0, |at| at.saturating_add(1));
    for (to, from) in block.iter_mut().skip(from).zip(bytes) {
        *to = *from;
    }
    assert_eq!(block.len(), SIZE);
    let mut parsed = match Block::parse(&block) {
        Ok(parsed) => parsed,
        Err(e) => {
            let _ = e.class();
            told(e);
            return;
        }
    };
    assert_eq!(parsed.emit(), &block, "a block is written as it was read");
    let before = parsed.clone();
    match parsed.set("genpack", b"a\\b\nc") {
        Ok(()) => {
            assert!(parsed.get("genpack").is_some_and(|value| value.is(b"a\\b\nc")), "what is set is found");
            assert_eq!(Block::parse(parsed.emit()).as_ref(), Ok(&parsed), "a block that was set is a block");
        }
        Err(error) => {
            assert!(matches!(error, Error::Full { .. }));
            let _ = error.class();
            told(error);
            assert_eq!(parsed, before, "a full block stays as it was");
        }
    }
    if let Err(e) = str::from_utf8(bytes).map_or(Ok(()), |name| before.clone().set(name, bytes)) {
        told(e);
    }
    let others = before.variables().filter(|v| v.name != b"genpack").count();
    parsed.unset("genpack");
    assert!(parsed.get("genpack").is_none());
    assert_eq!(parsed.variables().count(), others, "the others stay");
}

/// Arbitrary text as `extlinux.conf`, `config.txt` and `cmdline.txt`: no line is lost, and a change is made once.
pub fn loader_texts(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    assert_eq!(extlinux::lines(text).map(|line| line.text).collect::<String>(), text);
    for path in extlinux::paths(text) {
        match path {
            Ok(path) => assert!(path.split('/').all(|part| part != "..")),
            Err(e) => {
                let _ = e.class();
                told(e);
            }
        }
    }
    let _ = extlinux::labels(text).count();
    let entry = bls_entry::Entry::new(text);
    assert!(entry.kernel().into_iter().chain(entry.initrds()).all(|path| !path.is_empty()));
    assert!(entry.words().all(|word| text.contains(word)));
    let _ = bls_entry::name(text);
    let mut same = String::new();
    assert!(extlinux::emit_with_root(text, extlinux::AUTO_ROOT, &mut same).is_ok());
    assert_eq!(same, text, "the same root changes nothing");

    assert_eq!(config_txt::lines(text).map(|line| line.text).collect::<String>(), text);
    let mut once = String::new();
    assert!(config_txt::emit_with_setting(text, "arm_64bit", "1", &mut once).is_ok());
    assert!(once.starts_with(text), "the owner's lines stay");
    assert!(config_txt::is_set(&once, "arm_64bit", "1"));
    if let Some((at, byte)) = boot_slots::link(text, "slot-b/") {
        let mut linked = text.as_bytes().to_vec();
        linked.iter_mut().skip(at).take(1).for_each(|b| *b = byte);
        let linked = String::from_utf8(linked).unwrap_or_default();
        assert_eq!(boot_slots::linked(&linked), Some("slot-b/"), "one byte links the other slot");
    }
    let mut twice = String::new();
    assert!(config_txt::emit_with_setting(&once, "arm_64bit", "1", &mut twice).is_ok());
    assert_eq!(once, twice, "a setting is written once");

    // A setting of the text's own choice: refused, or made once and for all.
    if let Some((key, value)) = text.split_once('=') {
        let mut out = String::new();
        match config_txt::emit_with_setting("[pi4]", key, value, &mut out) {
            Ok(()) => {
                assert!(config_txt::is_set(&out, key, value));
                assert!(config_txt::settings(&out).any(|setting| setting == (key, value)));
            }
            Err(e) => {
                let _ = e.class();
                told(e);
            }
        }
    }

    let mut line = String::new();
    assert!(cmdline_txt::emit_with_root(text, "root=x", &mut line).is_ok());
    assert!(line.ends_with('\n') && line.lines().count() == 1);
}
