//! Users and groups of a definition: a name, or an object with what `useradd` and `groupadd` take.

use genpack_core::text::diagnostic::Span;
use genpack_core::text::json5::value::{Node, Value};
use serde::Serialize;

use crate::model::reader::Reader;

/// A user to add, as `useradd` takes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct User {
    /// Login name.
    pub name: String,
    /// User number.
    pub uid: Option<u32>,
    /// GECOS field.
    pub comment: Option<String>,
    /// Home directory.
    pub home: Option<String>,
    /// Login shell.
    pub shell: Option<String>,
    /// Primary group, by name or number.
    pub initial_group: Option<String>,
    /// Supplementary groups.
    pub additional_groups: Vec<String>,
    /// Make the home directory.
    pub create_home: bool,
    /// Log in without a password.
    pub empty_password: bool,
}

/// A group to add.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Name.
    pub name: String,
    /// Group number.
    pub gid: Option<u32>,
}

/// Keys of a user's object; dashes for underscores are an older spelling.
pub const USER_KEYS: &[&str] = &[
    "name",
    "uid",
    "comment",
    "home",
    "shell",
    "initial_group",
    "additional_groups",
    "create_home",
    "empty_password",
];

impl User {
    pub(super) fn read(node: &Node, what: &str, reader: &mut Reader<'_>) -> Option<Self> {
        let mut user = Self {
            name: String::new(),
            uid: None,
            comment: None,
            home: None,
            shell: None,
            initial_group: None,
            additional_groups: Vec::new(),
            create_home: true,
            empty_password: false,
        };
        match &node.value {
            Value::String(_) => user.name = account_name(node, what, reader)?,
            Value::Object(members) => {
                let span = name_span(node, "a user", reader)?;
                for m in members {
                    let what = format!("{} of a user", m.key);
                    // Why: dashes are the older spelling of these keys; where both stand, underscores win.
                    let key = m.key.replace('-', "_");
                    if key != m.key && node.get(&key).is_some() {
                        continue;
                    }
                    if m.value.value == Value::Null && key != "name" && USER_KEYS.contains(&key.as_str()) {
                        // As if it were not there.
                        continue;
                    }
                    match key.as_str() {
                        "name" => user.name = account_name(&m.value, &what, reader)?,
                        "uid" => user.uid = account_number(&m.value, &what, reader),
                        "comment" => user.comment = passwd_field(&m.value, &what, reader),
                        "home" => user.home = passwd_field(&m.value, &what, reader),
                        "shell" => user.shell = passwd_field(&m.value, &what, reader),
                        "initial_group" => user.initial_group = group_of_user(&m.value, &what, reader),
                        "additional_groups" => {
                            let groups = reader.string_or_strings(&m.value, &what);
                            user.additional_groups = groups.into_iter().map(|g| g.value).collect();
                        }
                        "create_home" => user.create_home = reader.boolean(&m.value, &what).unwrap_or(true),
                        "empty_password" => {
                            user.empty_password = reader.boolean(&m.value, &what).unwrap_or(false);
                        }
                        _ => reader.unknown_field(m, "a user", USER_KEYS),
                    }
                }
                if user.name.is_empty() {
                    reader.error(span, "a user must have a name", None);
                    return None;
                }
            }
            _ => {
                reader.wrong_type(node, what, "a string or an object");
                return None;
            }
        }
        Some(user)
    }
}

impl Group {
    pub(super) fn read(node: &Node, what: &str, reader: &mut Reader<'_>) -> Option<Self> {
        match &node.value {
            Value::String(_) => Some(Self { name: account_name(node, what, reader)?, gid: None }),
            Value::Object(members) => {
                name_span(node, "a group", reader)?;
                let mut group = Self { name: String::new(), gid: None };
                for m in members {
                    match &*m.key {
                        "name" => group.name = account_name(&m.value, "name of a group", reader)?,
                        "gid" if m.value.value == Value::Null => {}
                        "gid" => group.gid = account_number(&m.value, "gid of a group", reader),
                        _ => reader.unknown_field(m, "a group", &["name", "gid"]),
                    }
                }
                Some(group)
            }
            _ => {
                reader.wrong_type(node, what, "a string or an object");
                None
            }
        }
    }
}

/// Returns the name when `useradd` and a line of `/etc/passwd` can hold it.
fn account_name(node: &Node, what: &str, reader: &mut Reader<'_>) -> Option<String> {
    let name = reader.nonempty(node, what)?.value;
    let bad = |c: char| c.is_whitespace() || c.is_control() || ":,/".contains(c);
    if name.starts_with('-') || name.contains(bad) {
        reader.error(node.span, format!("{name:?} cannot be the name of a user or group"), None);
        return None;
    }
    Some(name)
}

/// Returns a number that may stand in quotes: `useradd` is given text anyway.
fn account_number(node: &Node, what: &str, reader: &mut Reader<'_>) -> Option<u32> {
    match &node.value {
        Value::String(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => {
            let number = text.parse().ok();
            if number.is_none() {
                reader.error(node.span, format!("{what} must not be larger than {}", u32::MAX), None);
            }
            number
        }
        _ => reader.unsigned(node, what),
    }
}

/// Returns a group by name or number.
fn group_of_user(node: &Node, what: &str, reader: &mut Reader<'_>) -> Option<String> {
    match &node.value {
        Value::Number(_) => reader.unsigned(node, what).map(|number| number.to_string()),
        _ => account_name(node, what, reader),
    }
}

/// A field of `/etc/passwd`: a colon or a line break would end it.
fn passwd_field(node: &Node, what: &str, reader: &mut Reader<'_>) -> Option<String> {
    let field = reader.string(node, what)?.value;
    if field.contains([':', '\n', '\r']) {
        reader.error(node.span, format!("{what} must not contain a colon or a line break"), None);
        return None;
    }
    Some(field)
}

fn name_span(node: &Node, what: &str, reader: &mut Reader<'_>) -> Option<Span> {
    let span = node.get("name").map(|n| n.span);
    if span.is_none() {
        reader.error(node.span, format!("{what} must have a name"), None);
    }
    span
}
