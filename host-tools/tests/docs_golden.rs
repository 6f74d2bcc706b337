//! Documents that are made from tables: the committed text must be what the table says.
//! `GENPACK_BLESS=1 cargo test -p genpack-host --test docs_golden` writes them anew.

use std::path::Path;

use genpack_core::contract::system_ini::{KEYS, Key};

fn rows() -> String {
    let row = |key: &Key| {
        let default = if key.default.is_empty() { "–" } else { key.default };
        format!("| `{}` | {} | {default} | {} |\n", key.name, key.rule.word, key.help)
    };
    KEYS.iter().map(row).collect()
}

#[test]
fn system_ini_reference_is_what_the_table_says() {
    let text = format!(
        "# system.ini, key by key\n\n\
         <!-- Made from core/src/contract/system_ini/keys.rs by host-tools/tests/docs_golden.rs. -->\n\n\
         The file lies on the boot partition and is read at every start. UTF-8, UTF-16 or whatever Notepad saves;\n\
         `key = value`, one a line; a comment has a line of its own and begins with `#` or `;`. A value may go on\n\
         in the lines below it when they are indented. A mistake never stops a start: the value is skipped, and\n\
         `system.ini.report.txt` beside the file names the line. `genpack-init check FILE` says the same on any\n\
         Linux machine. A key that is taken out leaves the last value as it is, but for `ssh_pubkey`: a key that\n\
         is no longer in the file can no longer log in.\n\n\
         | key | value | default | meaning |\n|---|---|---|---|\n{}",
        rows()
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/system-ini.md");
    if std::env::var_os("GENPACK_BLESS").is_some() {
        std::fs::write(&path, &text).expect("the document can be written");
    }
    let committed = std::fs::read_to_string(&path).expect("docs/system-ini.md is committed");
    assert!(committed == text, "docs/system-ini.md is stale; see the first lines of this test");
}

#[test]
fn schema_of_definitions_is_what_the_table_says() {
    let text = genpack_host::model::schema::text();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/genpack.schema.json");
    if std::env::var_os("GENPACK_BLESS").is_some() {
        std::fs::write(&path, &text).expect("the schema can be written");
    }
    let committed = std::fs::read_to_string(&path).expect("docs/genpack.schema.json is committed");
    assert!(committed == text, "docs/genpack.schema.json is stale; genpack-host dev schema prints it");
}
