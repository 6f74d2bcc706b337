//! Bodies for JSON5, INI, `system.ini` and the kernel command line.

use std::string::String;
use std::vec::Vec;

use crate::contract::system_ini;
use crate::replay::told;
use crate::text::diagnostic::{Collector, MAX_DIAGNOSTICS, Span};
use crate::text::ini::{self, Document, Item};
use crate::text::json5::{Event, Mode, Reader, emit, number, value};
use crate::text::kernel_cmdline;
use crate::units::usize_from_u32;

/// Names that are looked up: each time all others are looked at.
const SAMPLES: usize = 32;

/// Events of an arbitrary text: spans in order and on character boundaries, brackets matched, strings decodable; and
/// what becomes a tree is written as strict JSON that reads back as the same tree.
pub fn json5(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let ok = events(text, Mode::Json5);
    let tree = value::parse(text, Mode::Json5, &mut Vec::new());
    assert_eq!(ok, tree.is_ok(), "events and tree agree");
    if let Ok(node) = tree {
        round_trip(&node);
    }
}

/// As [`json5()`] for strict JSON, which is a part of JSON5 with the same meaning.
pub fn json(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let ok = events(text, Mode::Json);
    let strict = value::parse(text, Mode::Json, &mut Vec::new());
    assert_eq!(ok, strict.is_ok(), "events and tree agree");
    if let Ok(node) = strict {
        let wide = value::parse(text, Mode::Json5, &mut Vec::new());
        assert_eq!(wide.as_ref(), Ok(&node), "JSON is JSON5");
        round_trip(&node);
    }
}

fn events(text: &str, mode: Mode) -> bool {
    let mut depth = 0_u32;
    let mut end = 0;
    for item in Reader::new(text, mode) {
        let (span, event) = match item {
            Ok(item) => item,
            Err(error) => {
                assert!(slice(text, error.span).is_some(), "an error is about a piece of the text");
                assert_eq!(error.offset(), error.span.start);
                let _ = (error.class(), error.hint());
                told(error);
                return false;
            }
        };
        assert!(span.start >= end && !span.is_empty(), "spans go forward");
        assert!(slice(text, span).is_some(), "a span is a piece of the text");
        end = span.end;
        match event {
            Event::BeginObject | Event::BeginArray => depth = depth.saturating_add(1),
            Event::EndObject | Event::EndArray => {
                assert!(depth > 0, "an end has a beginning");
                depth = depth.saturating_sub(1);
            }
            Event::Key(raw) | Event::String(raw) => {
                let decoded: Option<String> = raw.chars().map(Result::ok).collect();
                assert!(decoded.is_none_or(|s| raw.is(&s)), "a string is what it decodes to");
            }
            Event::Number(text) => {
                assert!(number::to_f64(text).is_some(), "a number has a value");
                if let (Some(a), Some(b)) = (number::to_i64(text), number::to_u64(text)) {
                    assert_eq!(u64::try_from(a), Ok(b), "integers agree");
                }
            }
            Event::Bool(_) | Event::Null => {}
        }
    }
    assert_eq!(depth, 0, "all brackets are closed");
    true
}

fn round_trip(node: &value::Node) {
    assert!(!node.kind().is_empty() && node.get("\0 no such key").is_none());
    if let value::Value::Object(members) = &node.value {
        for member in members.iter().take(SAMPLES) {
            assert_eq!(node.get(&member.key), Some(&member.value), "every key is found");
        }
    }
    for layout in [emit::Layout::Compact, emit::Layout::Pretty] {
        let mut json = String::new();
        assert!(emit::write_node(node, layout, &mut json, &mut |_| ()).is_ok());
        let again = value::parse(&json, Mode::Json, &mut Vec::new());
        let mut second = String::new();
        match again {
            Ok(again) => assert!(emit::write_node(&again, layout, &mut second, &mut |_| ()).is_ok()),
            Err(error) => panic!("what is emitted is JSON: {error:?} in {json:?}"),
        }
        assert_eq!(json, second, "emitted JSON is emitted again as it is");
    }
}

/// Items of arbitrary bytes as `system.ini`: in order, inside the text, bounded; the document keeps every key.
pub fn ini(bytes: &[u8]) {
    let document = ini_items(bytes, &ini::SYSTEM_INI);
    for property in document.sections().iter().flat_map(|section| section.properties()) {
        assert!(!property.value.ends_with(char::is_whitespace), "values end with what they say");
    }
}

/// As [`ini()`] for `vm.ini`.
pub fn vm_ini(bytes: &[u8]) {
    let document = ini_items(bytes, &ini::VM_INI);
    for property in document.sections().iter().flat_map(|section| section.properties()) {
        assert!(!property.value.contains('\n'), "values have one line");
        let _ = ini::parse_bool_letter(&property.value);
        let _ = ini::parse_integer(&property.value);
    }
}

fn ini_items(bytes: &[u8], dialect: &'static ini::Dialect) -> Document {
    let mut findings = Vec::new();
    let text = ini::decode(bytes, &mut findings);
    assert!(findings.len() <= 2, "two findings about an encoding");
    assert!(
        findings.iter().all(|d| slice(&text, d.span).is_some()),
        "a finding is about a piece of the text"
    );
    let mut end = 0;
    for item in ini::Reader::with_dialect(&text, dialect) {
        let span = match item {
            Item::Section { span, name } => {
                assert!(!name.is_empty());
                span
            }
            Item::Finding(finding) => {
                told(finding.kind);
                finding.span
            }
            Item::Entry(entry) => {
                assert!(entry.key_is(&entry.key.to_ascii_lowercase()));
                assert!(slice(&text, entry.key_span) == Some(entry.key) && !entry.key.is_empty());
                assert!(slice(&text, entry.value_span).is_some());
                assert!(entry.lines().count() >= 1, "a value has a line");
                assert!(entry.value_span.start >= entry.key_span.end);
                Span::new(entry.key_span.start, entry.value_span.end)
            }
        };
        assert!(span.start >= end && slice(&text, span).is_some(), "items go forward");
        end = span.end;
    }
    let mut collector = Collector::new();
    let document = Document::parse_dialect(&text, dialect, &mut collector);
    assert!(collector.into_vec().len() <= MAX_DIAGNOSTICS.saturating_add(1));
    for section in document.sections() {
        for property in section.properties().iter().take(SAMPLES) {
            assert_eq!(section.get(&property.key), Some(property), "every key is found");
            assert!(document.get(section.name(), &property.key).is_some());
            let is_bool = document.get_bool(section.name(), &property.key).is_some_and(|value| value.is_ok());
            assert_eq!(
                is_bool,
                document
                    .get(section.name(), &property.key)
                    .is_some_and(|p| ini::parse_bool(&p.value).is_some())
            );
        }
        assert!(document.items(section).count() >= section.properties().len());
    }
    document
}

/// Settings of arbitrary bytes: only legal values, bounded findings, a report that a terminal can bear.
pub fn system_ini(bytes: &[u8]) {
    let text = ini::decode(bytes, &mut Vec::new());
    let (settings, diagnostics) = system_ini::parse(&text);
    assert!(diagnostics.len() <= MAX_DIAGNOSTICS.saturating_add(1));
    assert!(diagnostics.is_sorted_by_key(|d| d.span.start), "findings are in the order of the lines");
    assert!(diagnostics.iter().all(|d| slice(&text, d.span).is_some() && !d.severity.word().is_empty()));
    legal(&settings);
    if let Some(report) = system_ini::report(&text, &diagnostics) {
        assert!(report.chars().all(|c| !c.is_control() || c == '\r' || c == '\n'));
    }
}

/// What whoever applies the settings relies on.
fn legal(settings: &system_ini::Settings) {
    let is_plain = |c: char| !c.is_control() && !c.is_whitespace() && !"\"'`$;|&<>(){}#!".contains(c);
    for (text, max) in [
        (&settings.hostname, 64),
        (&settings.timezone, 128),
        (&settings.locale, 128),
        (&settings.keymap, 128),
        (&settings.network_interface, 64),
        (&settings.wifi_country, 2),
        (&settings.wifi_systemd_config_file, 255),
        (&settings.wifi_required_for_online, 64),
        (&settings.on_data_failure, 8),
        (&settings.sakuravps.sshd_addressfamily, 8),
        (&settings.wg_walbrix.privkey, 44),
        (&settings.wg_walbrix.pubkey, 44),
        (&settings.wg_walbrix.endpoint, 253),
    ] {
        let Some(text) = text else { continue };
        assert!((1..=max).contains(&text.len()) && text.chars().all(is_plain), "{text:?}");
    }
    for path in [&settings.timezone, &settings.wifi_systemd_config_file].into_iter().flatten() {
        assert!(!path.starts_with(['/', '.']) && !path.contains("..") && !path.contains("//"), "{path:?}");
    }
    for hash in [&settings.root_password, &settings.sakuravps.root_password].into_iter().flatten() {
        assert!(hash.starts_with('$') && !hash.contains([':', ' ', '\n']), "a hash is one field");
    }
    for text in [&settings.wifi_ssid, &settings.wifi_key, &settings.proxy].into_iter().flatten() {
        assert!(
            !text.is_empty() && !text.contains(|c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER)
        );
    }
    let sakuravps = &settings.sakuravps;
    for list in [
        &settings.ip_address,
        &settings.ip_gateway,
        &settings.dns,
        &settings.search_domain,
        &settings.ntp,
        &settings.no_proxy,
        &settings.firewall_allow,
        &settings.enable,
        &settings.disable,
        &settings.mask,
        &sakuravps.ip_address,
        &sakuravps.dns,
        &settings.wg_walbrix.address,
        &settings.wg_walbrix.allowed_ips,
    ] {
        assert!(
            list.len() <= 256 && list.iter().all(|item| !item.is_empty() && item.chars().all(is_plain)),
            "{list:?}"
        );
    }
    for network in settings.ip_address.iter().chain(&settings.wg_walbrix.allowed_ips) {
        let is_network = network.split_once('/').is_some_and(|(address, size)| {
            address.parse::<core::net::IpAddr>().is_ok() && size.parse().is_ok_and(|size: u8| size <= 128)
        });
        assert!(is_network || network == "dhcp", "{network:?}");
    }
    let unit = |unit: &String| unit.contains('.') && !unit.contains('/') && unit.len() <= 255;
    assert!(settings.enable.iter().chain(&settings.disable).chain(&settings.mask).all(unit));
    let keys = settings.users.iter().flat_map(|user| &user.ssh_pubkey);
    for key in keys.chain(&settings.ssh_pubkey).chain(&sakuravps.ssh_pubkey) {
        assert!(!key.contains(char::is_control) && key.split_whitespace().count() >= 2, "{key:?}");
    }
    let name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    for user in &settings.users {
        assert!(
            !user.name.starts_with(['-']) && user.name.chars().all(name) && user.name != "root",
            "{user:?}"
        );
        assert!(user.groups.iter().all(|group| group.chars().all(name)), "{user:?}");
        assert!(
            user.shell.as_ref().is_none_or(|shell| shell.starts_with('/') && !shell.contains("..")),
            "{user:?}"
        );
    }
    assert!(settings.users.len() <= 64 && settings.hooks.switches.len() <= 64);
    assert!(settings.hooks.switches.iter().all(|(hook, _)| !hook.contains('/') && !hook.starts_with('.')));
}

/// Parameters of an arbitrary command line: pieces of it, in order; the last of a name is found.
pub fn cmdline(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let parameters: Vec<_> = kernel_cmdline::parameters(&text).collect();
    for parameter in parameters.iter().take(SAMPLES) {
        let last = parameters.iter().rev().find(|p| p.is(parameter.name));
        assert_eq!(kernel_cmdline::last(&text, parameter.name).as_ref(), last);
        let value = last.map(|p| p.value.unwrap_or_default());
        assert_eq!(kernel_cmdline::value(&text, parameter.name), value);
        assert_eq!(kernel_cmdline::switch(&text, parameter.name, false), last.is_some_and(|p| p.is_on()));
    }
}

fn slice(text: &str, span: Span) -> Option<&str> {
    text.get(usize_from_u32(span.start)..usize_from_u32(span.end))
}
