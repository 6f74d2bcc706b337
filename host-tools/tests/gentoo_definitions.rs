//! Definitions of real artifacts: each loads without a word about its keys and merges to what is expected.

use std::path::{Path, PathBuf};

use genpack_core::kernel::arch::Arch;
use genpack_core::text::diagnostic::Diagnostic;
use genpack_host::lower::gentoo::emerge::{Command, Options, Passes};
use genpack_host::lower::gentoo::plan::Plan;
use genpack_host::lower::gentoo::{names, portage_files};
use genpack_host::model::base::{Base, Gentoo};
use genpack_host::model::{Effective, Model, Source};

/// Every fixture with its variants.
const ARTIFACTS: [(&str, &[&str]); 8] = [
    ("camera", &[]),
    ("gnome", &["paravirt"]),
    ("owncloud", &["selftestable"]),
    ("stub", &[]),
    ("torch", &["cuda"]),
    ("vpnhub", &[]),
    ("weston", &[]),
    ("xmrig", &["xmrig-motion"]),
];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gentoo").join(name)
}

fn merged(name: &str, variant: Option<&str>, arch: Arch) -> (Effective, Vec<Diagnostic>) {
    let source = Source::read(&fixture(name)).unwrap();
    let mut diagnostics = Vec::new();
    let artifact = source.parse(&mut diagnostics).unwrap();
    (Effective::merge(&artifact, variant, arch, name).unwrap(), diagnostics)
}

#[test]
fn real_definitions_load_without_a_finding_for_every_arch_and_variant() {
    for (name, variants) in ARTIFACTS {
        for arch in Arch::ALL {
            for variant in std::iter::once(None).chain(variants.iter().copied().map(Some)) {
                let (effective, findings) = merged(name, variant, arch);
                assert!(findings.is_empty(), "{name}: {findings:?}");
                assert_eq!(effective.name, name);
                let tail = variant.map_or_else(String::new, |v| format!("-{v}"));
                if name != "vpnhub" {
                    assert_eq!(effective.outfile, format!("{name}{tail}-{arch}.squashfs"));
                }
            }
        }
    }
}

/// Every key of the format at every level where it counts, in every spelling that JSON5 and the format have for it.
const EVERY_KEY: &str = r##"// before
{
	name: 'all', "profile": null, outfile: "all.squashfs", compression: "gzip", devel: false,
    packages: ['a/a', "b/b", "=c/c-1.0", 'd/d:2', "@set", "#e/e", 'a/a', "x/\
y", '\u0066/f',],
    buildtime_packages: ["g/g"], buildtime_packages_first: true, /* inside */
    accept_keywords: {"a/a": null, 'b/b': "**", "c/c": ["~amd64", "~arm64",],},
    use: {"*/*": "-x", "a/a": "vulkan VIDEO_CARDS: virgl", "b/b": ["p", "-q"], "c/c": null},
    mask: [">=h/h-2", "-i/i"], license: {"a/a": "L", "b/b": ["M", "N"], "*/*": null},
    env: {"a/a": "one.conf", "b/b": ["one.conf", "two.conf"]},
    binpkg_excludes: "a/a",
    users: ["u", {name: "v", uid: 0x3E8, comment: "V. W.", home: "/srv/v", shell: '/bin/sh', initial_group: "users",
        additional_groups: ["audio", "video"], create_home: false, empty_password: true},
        {"name": "w", "create-home": true, "initial-group": "g", "additional-groups": "audio", "empty-password": true}],
    groups: ["g", {name: "h", gid: +900}], services: ["s.service", "t.timer", "getty@tty1.service"],
    setup_commands: ["true"], default_variant: null, "lower-layer-capacity": 128, independent_binpkgs: false,
    circulardep_breaker: {packages: ["j/j"], use: "-k"},
    arch: {
        "x86_64|aarch64": {packages: ["-b/b", "k/k"], buildtime_packages: ["l/l"], buildtime_packages_first: false,
            accept_keywords: {"a/a": "x"}, use: {"a/a": "y"}, mask: ["m/m"], license: {"a/a": "O"}, env: {},
            binpkg_excludes: ["n/n"], setup_commands: ["arch"], services: ["arch.service"]},
        i686: {}, riscv64: {},
    },
    variants: {
        one: {name: "other", profile: "paravirt", outfile: "one.squashfs", compression: "xz", devel: true,
            packages: ["-k/k", "-never/there", "o/o"], buildtime_packages: [], buildtime_packages_first: true,
            accept_keywords: {}, use: {"a/a": null}, mask: [], license: {}, env: {"a/a": "three.conf"},
            binpkg_excludes: "n/n", users: [{name: "x"}], groups: ["i"], services: ["s.service"],
            setup_commands: ["variant"], circulardep_breaker: {packages: [], use: ""},
            arch: {aarch64: {packages: ["p/p"]}}},
        "two-2": {},
    },
}
// after
"##;

#[test]
fn every_key_is_known_wherever_it_counts() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("genpack.json5"), EVERY_KEY).unwrap();
    let source = Source::read(dir.path()).unwrap();
    let mut findings = Vec::new();
    let artifact = source.parse(&mut findings).unwrap();
    assert!(findings.is_empty(), "{findings:?}");
    for key in genpack_host::model::keys::KEYS.iter().filter(|key| key.name != "base") {
        let places = EVERY_KEY.matches(&format!("{}:", key.name)).count()
            + EVERY_KEY.matches(&format!("{}\":", key.name)).count();
        assert!(places >= key.levels.count_ones() as usize, "{} stands {places} times", key.name);
    }
    let merge = |variant, arch| Effective::merge(&artifact, variant, arch, "dir").unwrap();
    let packages = |variant, arch| -> Vec<String> {
        merge(variant, arch).packages.into_iter().map(|p| p.value).collect()
    };
    let base = ["a/a", "b/b", "=c/c-1.0", "d/d:2", "@set", "#e/e", "x/y", "f/f"];
    assert_eq!(packages(None, Arch::Riscv64), base);
    let arch = ["a/a", "=c/c-1.0", "d/d:2", "@set", "#e/e", "x/y", "f/f", "k/k"];
    assert_eq!(packages(None, Arch::X86_64), arch);
    assert_eq!(packages(Some("two-2"), Arch::Aarch64), arch);
    let one = ["a/a", "=c/c-1.0", "d/d:2", "@set", "#e/e", "x/y", "f/f", "o/o", "p/p"];
    assert_eq!(packages(Some("one"), Arch::Aarch64), one);
    let one = merge(Some("one"), Arch::X86_64);
    assert_eq!(
        (one.name.as_str(), one.outfile.as_str(), one.compression.as_str()),
        ("other", "one.squashfs", "xz")
    );
    assert_eq!((one.profile.unwrap().value.as_str(), one.buildtime_packages_first), ("paravirt", true));
    let file = |name: &str| {
        let files = portage_files::files(&merge(Some("one"), Arch::X86_64), &Gentoo::default(), false);
        files.into_iter().find(|f| f.path.ends_with(name)).and_then(|f| f.content).unwrap()
    };
    assert_eq!(file("package.use/genpack"), "*/* -x\na/a\nb/b p -q\nc/c\n");
    assert_eq!(file("package.accept_keywords/genpack"), "a/a x\nb/b **\nc/c ~amd64 ~arm64\n");
    assert_eq!(file("package.mask/genpack"), ">=h/h-2\n-i/i\nm/m");
    assert_eq!(file("package.license/genpack"), "a/a O\nb/b M N\n*/*\n");
    assert_eq!(file("package.env"), "a/a three.conf\nb/b one.conf two.conf\n");
    assert_eq!(file("sets/genpack-buildtime"), "g/g\nl/l");
}

/// Returns the text of every file that a definition comes to, and every pass of emerge.
fn described(name: &str, variant: Option<&str>, arch: Arch) -> String {
    let (effective, _) = merged(name, variant, arch);
    let mut text = String::new();
    let mut section = |title: &str, content: &str| text.push_str(&format!("== {title}\n{content}\n"));
    section("profile", &names::profile(&effective));
    for file in portage_files::files(&effective, &Gentoo::default(), false) {
        if let Some(content) = &file.content {
            section(&file.path, content);
        }
    }
    let options = Options::default();
    let passes = Passes { effective: &effective, options: &options };
    let all = passes.configured_breaker().into_iter().chain(passes.buildtime_first());
    let all = all.chain([passes.main(), passes.preserved_rebuild()]);
    section("passes", &all.map(|c| c.to_string()).collect::<Vec<_>>().join("\n"));
    text
}

/// `GENPACK_BLESS=1 cargo test -p genpack-host --test gentoo_definitions` writes the golden files anew.
#[test]
fn portage_files_and_passes_are_the_golden_ones() {
    for (name, variant, arch) in [
        ("gnome", None, Arch::X86_64),
        ("gnome", None, Arch::Aarch64),
        ("gnome", Some("paravirt"), Arch::X86_64),
        ("torch", Some("cuda"), Arch::X86_64),
        ("owncloud", Some("selftestable"), Arch::X86_64),
        ("owncloud", None, Arch::I686),
        ("stub", None, Arch::Aarch64),
        ("stub", None, Arch::Riscv64),
        ("weston", None, Arch::X86_64),
    ] {
        let tail = variant.map_or_else(String::new, |v| format!("-{v}"));
        let path = fixture(name).join(format!("portage{tail}-{arch}.golden"));
        let text = described(name, variant, arch);
        if std::env::var_os("GENPACK_BLESS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap();
        assert!(text == golden, "{} is not what the definition comes to:\n{text}", path.display());
    }
}

fn shown(command: &Command) -> String {
    command.to_string()
}

#[test]
fn passes_of_every_option_are_those_of_the_table() {
    let (effective, _) = merged("gnome", None, Arch::X86_64);
    let plain = Options::default();
    let passes = Passes { effective: &effective, options: &plain };
    let excludes = "--usepkg-exclude 'media-libs/mesa net-misc/gnome-remote-desktop' \
                    --buildpkg-exclude 'media-libs/mesa net-misc/gnome-remote-desktop'";
    let targets = "@world @genpack-runtime @genpack-buildtime";
    let base = "emerge -bk --binpkg-respect-use=y";
    assert_eq!(shown(&passes.main()), format!("{base} -uDN --keep-going {excludes} {targets}"));
    assert_eq!(
        shown(&passes.pretend()),
        format!("emerge --pretend --color=n --nospinner -bk --binpkg-respect-use=y -uDN {targets}")
    );
    assert_eq!(shown(&passes.preserved_rebuild()), format!("{base} {excludes} @preserved-rebuild"));
    assert_eq!(shown(&passes.module_rebuild()), "emerge @module-rebuild");
    let (first, second) = passes.depclean();
    assert_eq!(shown(&first), "emerge --depclean");
    assert_eq!(shown(&second.unwrap()), "emerge --depclean --with-bdeps=n");
    let masked = ["a/b-1".to_owned(), "c/d-2-r1".to_owned()];
    assert_eq!(
        passes.unmerge_masked(&masked).map(|c| shown(&c)),
        ["emerge --unmerge =a/b-1 =c/d-2-r1", "emerge -bk -uDN --with-bdeps=y --keep-going @world"]
    );
    assert_eq!(
        shown(&passes.open_cycle(&["media-libs/tiff".to_owned()])),
        "emerge --oneshot --update -bk --binpkg-respect-use=y media-libs/tiff"
    );
    assert_eq!(shown(&passes.settle_etc()), "etc-update --automode -5");
    assert_eq!((passes.clean_binpkgs(), passes.environment()), (None, Vec::new()));

    let all = Options {
        jobs: Some(4),
        binhost: true,
        independent_binpkgs: true,
        deep_depclean: true,
        emulated: true,
        ..Options::default()
    };
    let passes = Passes { effective: &effective, options: &all };
    let options = "--getbinpkg --jobs=4 --load-average=4";
    assert_eq!(shown(&passes.main()), format!("{base} -uDN --keep-going {options} {excludes} {targets}"));
    assert_eq!(shown(&passes.depclean().0), "emerge --depclean --with-bdeps=n");
    assert_eq!(passes.depclean().1, None);
    assert_eq!(shown(&passes.clean_binpkgs().unwrap()), "eclean-pkg -d");
    assert_eq!(passes.environment(), [("FEATURES".to_owned(), "-pid-sandbox".to_owned())]);
}

#[test]
fn breaker_of_a_definition_is_a_pass_with_flags_of_its_own() {
    let (effective, _) = merged("weston", None, Arch::X86_64);
    let options = Options::default();
    let passes = Passes { effective: &effective, options: &options };
    assert_eq!(
        shown(&passes.configured_breaker().unwrap()),
        "USE='-truetype -harfbuzz' emerge -bk --binpkg-respect-use=y -u --keep-going media-libs/freetype \
         media-libs/harfbuzz"
    );
}

#[test]
fn steps_of_a_lower_image_come_in_this_order() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("overlay/c/p")).unwrap();
    std::fs::write(dir.path().join("overlay/c/p/p-1.ebuild"), "").unwrap();
    std::fs::write(
        dir.path().join("genpack.json5"),
        "{name: 'a', profile: 'paravirt', base: {gentoo: {overlay: '/o'}}, buildtime_packages: ['b/t'],
          buildtime_packages_first: true, circulardep_breaker: {packages: ['x/y'], use: '-z'}}",
    )
    .unwrap();
    let source = Source::read(dir.path()).unwrap();
    let artifact = source.parse(&mut Vec::new()).unwrap();
    let effective = Effective::merge(&artifact, None, Arch::X86_64, "a").unwrap();
    let Base::Gentoo(gentoo) = effective.base.clone() else { panic!("base") };
    let plan = Plan::new(&gentoo, &Model { source, effective }, dir.path()).unwrap();
    let steps = |options: &Options, fresh| -> Vec<String> {
        plan.steps(options, fresh).iter().map(ToString::to_string).collect()
    };
    let options = Options::default();
    let world = "@world @genpack-runtime @genpack-buildtime";
    assert_eq!(
        steps(&options, true),
        [
            "unpack the stage3".to_owned(),
            "write Portage's files".into(),
            "copy the artifact's directories".into(),
            "select the profile genpack/amd64/paravirt".into(),
            "make the Manifest of /var/db/repos/genpack-local-overlay/c/p/p-1.ebuild [ebuild \
             /var/db/repos/genpack-local-overlay/c/p/p-1.ebuild manifest]"
                .into(),
            "install the packages of circulardep_breaker [USE=-z emerge -bk --binpkg-respect-use=y -u \
             --keep-going x/y]"
                .into(),
            "open dependency cycles".into(),
            "install the buildtime packages [emerge -bk --binpkg-respect-use=y -uDN --keep-going \
             @genpack-buildtime]"
                .into(),
            format!("install the packages [emerge -bk --binpkg-respect-use=y -uDN --keep-going {world}]"),
            "build kernel modules anew [emerge @module-rebuild]".into(),
            "build anew what uses preserved libraries [emerge -bk --binpkg-respect-use=y @preserved-rebuild]"
                .into(),
            "take away masked packages".into(),
            "take away what nothing needs [emerge --depclean] or, when that fails, [emerge --depclean \
             --with-bdeps=n]"
                .into(),
            "settle files of /etc that packages left aside [etc-update --automode -5]".into(),
        ]
    );
    assert!(!steps(&options, false).contains(&"open dependency cycles".to_owned()));
    let asked = Options { break_cycles: true, ..Options::default() };
    assert!(steps(&asked, false).contains(&"open dependency cycles".to_owned()));
}

#[test]
fn lower_key_follows_what_portage_sees_and_nothing_else() {
    let key = |members: &str| {
        let dir = tempfile::tempdir().unwrap();
        let text = format!("{{name: 'a', base: {{gentoo: {{overlay: '/o'}}}}, {members}}}");
        std::fs::write(dir.path().join("genpack.json5"), text).unwrap();
        let source = Source::read(dir.path()).unwrap();
        let artifact = source.parse(&mut Vec::new()).unwrap();
        let effective = Effective::merge(&artifact, None, Arch::X86_64, "a").unwrap();
        let Base::Gentoo(gentoo) = effective.base.clone() else { panic!("base") };
        Plan::new(&gentoo, &Model { source, effective }, dir.path()).unwrap().key().text()
    };
    let plain = key("");
    for same in ["services: ['x']", "users: ['u']", "compression: 'xz'", "setup_commands: ['true']"] {
        assert_eq!(key(same), plain, "{same}");
    }
    for other in [
        "packages: ['a/b']",
        "use: {'a/b': 'c'}",
        "mask: ['a/b']",
        "profile: 'paravirt'",
        "binpkg_excludes: 'a/b'",
        "buildtime_packages_first: true",
        "env: {'a/b': 'f'}",
    ] {
        assert_ne!(key(other), plain, "{other}");
    }
}
