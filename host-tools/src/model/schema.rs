//! JSON Schema (2020-12) of a definition for editors, made from the table that the parser reads.

use serde_json::{Map, Value, json};

use crate::model::account::USER_KEYS;
use crate::model::base::{DEBIAN_KEYS, GENTOO_KEYS};
use crate::model::keys::{ARCH, DEPRECATED, KEYS, Key, Kind, TOP, VARIANT};
use crate::pack::compress::Settings;
use genpack_core::kernel::arch::Arch;

/// Returns the schema.
#[must_use]
pub fn schema() -> Value {
    let mut root = Map::new();
    root.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
    root.insert("title".into(), "genpack.json5".into());
    root.extend(layer(TOP));
    root.insert(
        "$defs".into(),
        json!({"variant": layer(VARIANT), "arch": layer(ARCH), "words": words(), "atoms": atoms()}),
    );
    root.into()
}

/// Returns the schema as the text of a file.
#[must_use]
pub fn text() -> String {
    format!("{:#}\n", schema())
}

/// Returns the schema of an object with the keys of a level; an editor marks any other key.
fn layer(level: u8) -> Map<String, Value> {
    let mut properties: Map<String, Value> =
        KEYS.iter().filter(|k| k.levels & level != 0).map(|k| (k.name.to_owned(), property(k))).collect();
    for (old, new) in DEPRECATED {
        if properties.contains_key(*new) {
            let description = format!("old spelling of {new}");
            properties.insert(
                (*old).to_owned(),
                json!({"not": {}, "deprecated": true, "description": description}),
            );
        }
    }
    let mut layer = Map::new();
    layer.insert("type".into(), "object".into());
    layer.insert("additionalProperties".into(), false.into());
    layer.insert("properties".into(), properties.into());
    layer
}

fn property(key: &Key) -> Value {
    let mut value = match key.kind {
        Kind::Text => one_text(),
        Kind::TextOrNull => json!({"type": ["string", "null"]}),
        Kind::Compression => {
            json!({"type": "string", "pattern": format!("^({})(:[0-9]+)?$", Settings::NAMES.join("|"))})
        }
        Kind::Bool => json!({"type": "boolean"}),
        Kind::Number => number(),
        Kind::Words => json!({"$ref": "#/$defs/words"}),
        Kind::WordOrWords => json!({"anyOf": [one_text(), {"$ref": "#/$defs/words"}]}),
        Kind::AtomMap => json!({"$ref": "#/$defs/atoms"}),
        Kind::Users => list_of(&user()),
        Kind::Groups => list_of(&object(
            &["name"],
            |key| if key == "gid" { optional(&quotable()) } else { one_text() },
            &["name", "gid"],
        )),
        Kind::Breaker => {
            object(&[], |key| if key == "use" { one_text() } else { words() }, &["packages", "use"])
        }
        Kind::Base => base(),
        Kind::Arches => {
            let names = Arch::ALL.map(Arch::name).join("|");
            json!({
                "type": "object", "additionalProperties": false,
                "patternProperties": {format!("^({names})(\\|({names}))*$"): {"$ref": "#/$defs/arch"}},
            })
        }
        Kind::Variants => json!({"type": "object", "additionalProperties": {"$ref": "#/$defs/variant"}}),
    };
    if let Some(members) = value.as_object_mut() {
        members.insert("description".into(), key.help.into());
    }
    value
}

fn one_text() -> Value {
    json!({"type": "string", "minLength": 1})
}

fn number() -> Value {
    json!({"type": "integer", "minimum": 0, "maximum": u32::MAX})
}

/// A number, also in quotes.
fn quotable() -> Value {
    json!({"anyOf": [number(), {"type": "string", "pattern": "^[0-9]+$"}]})
}

fn optional(value: &Value) -> Value {
    json!({"anyOf": [value, {"type": "null"}]})
}

fn words() -> Value {
    json!({"type": "array", "items": one_text()})
}

fn atoms() -> Value {
    json!({"type": "object", "additionalProperties": {"anyOf": [{"type": ["string", "null"]}, words()]}})
}

/// Names, or objects with a name and more.
fn list_of(entry: &Value) -> Value {
    json!({"type": "array", "items": {"anyOf": [one_text(), entry]}})
}

fn object(required: &[&str], kind: impl Fn(&str) -> Value, keys: &[&str]) -> Value {
    let properties: Map<String, Value> = keys.iter().map(|k| ((*k).to_owned(), kind(k))).collect();
    json!({"type": "object", "additionalProperties": false, "required": required, "properties": properties})
}

fn user() -> Value {
    let kind = |key: &str| match key.replace('-', "_").as_str() {
        "name" => one_text(),
        "uid" => optional(&quotable()),
        "initial_group" => optional(&json!({"anyOf": [one_text(), number()]})),
        "additional_groups" => optional(&json!({"anyOf": [one_text(), words()]})),
        "create_home" | "empty_password" => json!({"type": ["boolean", "null"]}),
        _ => json!({"type": ["string", "null"]}),
    };
    let dashed: Vec<String> = USER_KEYS.iter().map(|k| k.replace('_', "-")).collect();
    let mut keys = USER_KEYS.to_vec();
    keys.extend(dashed.iter().map(String::as_str).filter(|k| !USER_KEYS.contains(k)));
    object(&["name"], kind, &keys)
}

fn base() -> Value {
    let gentoo = object(&[], |_| one_text(), GENTOO_KEYS);
    let debian = object(
        &[],
        |key| if key == "components" { json!({"anyOf": [one_text(), words()]}) } else { one_text() },
        DEBIAN_KEYS,
    );
    json!({"anyOf": [
        {"enum": ["gentoo", "debian"]},
        {
            "type": "object", "additionalProperties": false, "minProperties": 1, "maxProperties": 1,
            "properties": {"gentoo": gentoo, "debian": debian},
        },
    ]})
}
