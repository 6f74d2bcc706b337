//! Documents that are made from tables: the committed text must be what the table says.
//! `cargo run -p genpack-host -- dev docs docs` writes them anew.

use std::path::Path;

use genpack_host::dev::docs;

#[test]
fn documents_are_what_the_tables_say() {
    for (name, text) in docs::all() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == text, "docs/{name} is stale: cargo run -p genpack-host -- dev docs docs");
    }
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
