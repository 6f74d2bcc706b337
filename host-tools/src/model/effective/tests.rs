use genpack_core::text::json5::{Mode, value};

use super::*;
use crate::model::reader::Reader;

const DEFINITION: &str = r##"{
    name: "a", profile: null, compression: "xz",
    packages: ["one", "two", "#three", "two"],
    use: {x: "base", y: null},
    services: ["s"],
    users: ["u", {name: "w", uid: 0x3e9, "empty-password": true, "additional-groups": "audio"}],
    setup_commands: ["base"],
    arch: {
        "x86_64|aarch64": {packages: ["-one", "arch"], use: {x: "arch"}, services: ["s", "t"]},
        riscv64: {packages: ["never"]},
    },
    variants: {
        v: {
            profile: "paravirt", outfile: "v.squashfs", compression: "gzip",
            packages: ["one", "-gone"],
            use: {x: ["p", "q"]},
            setup_commands: ["variant"],
            arch: {x86_64: {packages: ["-two", "last"], setup_commands: ["both"]}},
        },
    },
}"##;

fn artifact(text: &str) -> (Artifact, Vec<String>) {
    let mut diagnostics = Vec::new();
    let root = value::parse(text, Mode::Json5, &mut diagnostics).unwrap();
    let artifact = Artifact::read(&root, &mut Reader::new(&mut diagnostics));
    (artifact, diagnostics.into_iter().map(|d| format!("{}: {}", d.severity.word(), d.message)).collect())
}

fn merged(text: &str, variant: Option<&str>) -> Effective {
    let (artifact, findings) = artifact(text);
    assert_eq!(findings, Vec::<String>::new());
    Effective::merge(&artifact, variant, Arch::X86_64, "dir").unwrap()
}

fn values(list: &[Spanned<String>]) -> Vec<&str> {
    list.iter().map(|s| s.value.as_str()).collect()
}

#[test]
fn merge_without_variant_takes_top_and_arch() {
    let e = merged(DEFINITION, None);
    assert_eq!(values(&e.packages), ["two", "#three", "arch"]);
    assert_eq!(values(&e.services), ["s", "t"]);
    assert_eq!(e.use_flags, [("x".into(), AtomValue::One("arch".into())), ("y".into(), AtomValue::Null)]);
    assert_eq!((e.profile, e.compression.as_str(), e.outfile.as_str()), (None, "xz", "a-x86_64.squashfs"));
    assert_eq!(e.users[0].value.name, "u");
    assert_eq!(e.users[1].value.uid, Some(1001));
    assert_eq!(e.users[1].value.additional_groups, ["audio"]);
    assert!(e.users[1].value.empty_password && e.users[1].value.create_home);
}

#[test]
fn merge_with_variant_applies_its_arch_last() {
    let e = merged(DEFINITION, Some("v"));
    assert_eq!(values(&e.packages), ["#three", "arch", "one", "last"]);
    assert_eq!(values(&e.setup_commands), ["base", "variant", "both"]);
    assert_eq!(e.use_flags[0].1, AtomValue::Many(vec!["p".into(), "q".into()]));
    assert_eq!(e.profile.unwrap().value, "paravirt");
    assert_eq!((e.compression.as_str(), e.outfile.as_str()), ("gzip", "v.squashfs"));
}

#[test]
fn compression_that_nothing_is_said_about_follows_the_profile() {
    for (text, compression) in [
        ("{}", "gzip"),
        ("{profile: 'baremetal'}", "gzip"),
        ("{profile: 'paravirt'}", "zstd"),
        ("{profile: 'paravirt', compression: 'xz:9'}", "xz:9"),
    ] {
        assert_eq!(merged(text, None).compression, compression, "{text}");
    }
}

#[test]
fn merge_with_unknown_variant_lists_the_known_ones() {
    let (artifact, _) = artifact(DEFINITION);
    let error = Effective::merge(&artifact, Some("w"), Arch::X86_64, "dir").unwrap_err();
    assert_eq!(error, UnknownVariant { name: "w".into(), span: None, known: vec!["v".into()] });
}

#[test]
fn default_variant_is_taken_and_name_falls_back_to_the_directory() {
    let e = merged("{default_variant: 'v', variants: {v: {packages: ['p']}}}", None);
    assert_eq!((e.variant.as_deref(), e.outfile.as_str()), (Some("v"), "dir-v-x86_64.squashfs"));
}

#[test]
fn findings_name_the_key_and_where_it_stands() {
    for (text, expected) in [
        ("[]", "error: the definition must be an object, not an array"),
        ("{packages: 'x'}", "error: packages must be an array of strings, not a string"),
        ("{packages: ['x', 3]}", "error: an element of packages must be a string, not a number"),
        ("{packages: ['']}", "error: an element of packages must not be empty"),
        ("{use: []}", "error: use must be an object, not an array"),
        ("{use: {x: 1}}", "error: use > x must be null, a string or an array of strings, not a number"),
        (
            "{variants: {v: {arch: {i686: {mask: 1}}}}}",
            "error: variants > v > arch > i686 > mask must be an array of strings, not a number",
        ),
        ("{'buildtime-packages': []}", "error: buildtime-packages is an old spelling"),
        ("{arch: {i686: {'binpkg-exclude': 'x'}}}", "error: arch > i686 > binpkg-exclude is an old spelling"),
        ("{compression: 'rar'}", "error: unknown compression \"rar\""),
        ("{compression: 'zstd:23'}", "error: zstd has no level 23, only 1 to 22"),
        ("{outfile: '../x'}", "error: outfile must be a plain file name"),
        ("{users: [1]}", "error: an element of users must be a string or an object, not a number"),
        ("{users: [{uid: 1}]}", "error: a user must have a name"),
        ("{users: ['a:b']}", "error: \"a:b\" cannot be the name of a user or group"),
        (
            "{users: [{name: 'a', uid: -1}]}",
            "error: uid of a user must be a whole number from 0 to 4294967295, not -1",
        ),
        ("{groups: [{name: 'g', gidd: 1}]}", "warning: unknown key gidd of a group"),
        ("{base: 'arch'}", "error: unknown base \"arch\""),
        ("{base: {debian: {}, gentoo: {}}}", "error: base must have exactly one key"),
        ("{base: {debian: {suite: 'a b'}}}", "error: base > debian > suite must not contain blanks"),
        ("{pakages: []}", "warning: unknown key pakages"),
        ("{arch: {i686: {users: []}}}", "warning: users has no effect in arch > i686"),
        (
            "{arch: {'x86_64| aarch64': {}}}",
            "warning: arch: \" aarch64\" is no architecture, nothing is built for it",
        ),
        ("{setup_commands: [{sh: 'x'}]}", "warning: an object in setup_commands has no effect"),
        (
            "{users: [{name: 'a', uid: 'x'}]}",
            "error: uid of a user must be a whole number from 0 to 4294967295, not a string",
        ),
        (
            "{groups: [{name: 'g', gid: '4294967296'}]}",
            "error: gid of a group must not be larger than 4294967295",
        ),
        ("{users: [{name: null}]}", "error: name of a user must be a string, not null"),
        ("{variants: {'../x': {}}}", "error: \"../x\" cannot be the name of a variant"),
    ] {
        assert_eq!(artifact(text).1, [expected], "{text}");
    }
}

#[test]
fn accounts_take_what_useradd_takes() {
    let e = merged(
        "{users: [{name: 'a', uid: '0100', 'initial-group': 250, home: null, additional_groups: null}],
          groups: [{name: 'g', gid: '7'}, {name: 'h', gid: null}], setup_commands: ['x']}",
        None,
    );
    let user = &e.users[0].value;
    assert_eq!(
        (user.uid, user.initial_group.as_deref(), user.home.as_deref()),
        (Some(100), Some("250"), None)
    );
    assert!(user.additional_groups.is_empty() && user.create_home);
    assert_eq!(e.groups.iter().map(|g| g.value.gid).collect::<Vec<_>>(), [Some(7), None]);
}

#[test]
fn json_has_every_key_of_a_definition() {
    let json = merged("{base: 'debian', name: 'n'}", None).to_json();
    let keys: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "name",
            "variant",
            "arch",
            "base",
            "profile",
            "outfile",
            "compression",
            "devel",
            "packages",
            "buildtime_packages",
            "buildtime_packages_first",
            "accept_keywords",
            "use",
            "mask",
            "license",
            "env",
            "binpkg_excludes",
            "users",
            "groups",
            "services",
            "setup_commands",
            "variants",
            "default_variant",
            "lower-layer-capacity",
            "independent_binpkgs",
            "circulardep_breaker",
        ]
    );
    assert_eq!(json["base"]["debian"]["suite"], "bookworm");
    assert_eq!(json["arch"], "x86_64");
}
