//! `sbom` as a user calls it: packages, licences and names in both formats, the same bytes each time.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

#[path = "../../tests/needs.rs"]
mod needs;
mod tree;

const LIST: &str = "base-files-12.4+deb12u15[amd64]\n# VERSION: 12.4+deb12u15\n\n\
    libc6-2.36-9[amd64]\n# VERSION: 2.36-9\n# SOURCE: glibc\n# NEEDED_BY: base-files libstdc++6\n\
    # DESCRIPTION: GNU C Library\n# HOMEPAGE: https://www.gnu.org/software/libc/libc.html\n\
    # LICENSE: LGPL-2.1+, and GPL-2+ or Own terms\n\n\
    libstdc++6-12.2.0-14[amd64]\n# VERSION: 12.2.0-14\n# SOURCE: gcc-12\n# NEEDED_BY: hello\n# LICENSE: public-domain\n\n";
const COPYRIGHT: &str = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n\
    Files: *\nCopyright: x\nLicense: GPL-2\n\nFiles: y\nCopyright: y\nLicense: Expat\n";

/// Runs the program and returns exit code, stdout and stderr.
fn genpack_host(dir: &Path, epoch: &str, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_genpack-host"));
    let output = command.env("SOURCE_DATE_EPOCH", epoch).arg("-C").arg(dir).args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn bill(dir: &Path, epoch: &str, args: &[&str]) -> (String, Value) {
    let (code, printed, errors) = genpack_host(dir, epoch, &[&["-q", "sbom"][..], args].concat());
    assert_eq!((code, errors.as_str()), (0, ""), "{printed}");
    let document = serde_json::from_str(&printed).unwrap();
    (printed, document)
}

/// Makes `d.squashfs`, as a build on Debian does, and `g.squashfs` with Portage's database.
fn images(dir: &Path) {
    let debian: [(&str, &[u8]); 6] = [
        (".genpack/packages", LIST.as_bytes()),
        (".genpack/artifact", b"hello\n"),
        (".genpack/arch", b"x86_64\n"),
        (".genpack/profile", b"baremetal\n"),
        ("etc/os-release", b"ID=debian\nVERSION_ID=\"12\"\nNAME=\"Debian GNU/Linux\"\n"),
        ("usr/share/doc/base-files/copyright", COPYRIGHT.as_bytes()),
    ];
    let gentoo: [(&str, &[u8]); 5] = [
        ("var/db/pkg/net-misc/openssh-9.8_p1-r2/LICENSE", b"BSD GPL-2 doc? ( FDL-1.3 ) || ( MIT ISC )\n"),
        ("var/db/pkg/net-misc/openssh-9.8_p1-r2/USE", b"pam\n"),
        ("var/db/pkg/net-misc/openssh-9.8_p1-r2/HOMEPAGE", b"https://www.openssh.com/ https://x.org\n"),
        ("var/db/pkg/net-misc/-MERGING-y-1/LICENSE", b"x\n"),
        ("etc/os-release", b"ID=gentoo\nNAME=Gentoo\n"),
    ];
    for (name, files) in [("d", &debian[..]), ("g", &gentoo)] {
        tree::write(&dir.join(name), files.iter().copied());
        let image = format!("{name}.squashfs");
        assert_eq!(genpack_host(dir, "", &["-q", "squash", name, &image, "--mtime", "1700000000"]).0, 0);
    }
}

#[test]
fn spdx_document_tells_packages_licences_and_what_they_need() {
    let dir = tempfile::tempdir().unwrap();
    images(dir.path());
    let (_, document) = bill(dir.path(), "", &["d.squashfs"]);
    assert_eq!(document["spdxVersion"], "SPDX-2.3");
    assert_eq!(document["name"], "hello");
    assert_eq!(document["creationInfo"]["created"], "2023-11-14T22:13:20Z");
    let packages = document["packages"].as_array().unwrap();
    let ids: Vec<_> = packages.iter().map(|p| p["SPDXID"].as_str().unwrap()).collect();
    let expected = ["SPDXRef-Image", "SPDXRef-OperatingSystem", "SPDXRef-Package-base-files"];
    assert_eq!(ids[..3], expected);
    assert_eq!(ids[3..], ["SPDXRef-Package-libc6", "SPDXRef-Package-libstdc--6"]);
    assert_eq!(packages[0]["comment"], "arch x86_64, profile baremetal");
    assert_eq!(packages[2]["licenseDeclared"], "GPL-2.0-only AND MIT");
    assert_eq!(
        packages[3]["licenseDeclared"],
        "LGPL-2.1-or-later AND (GPL-2.0-or-later OR LicenseRef-Own-terms)"
    );
    assert_eq!(
        packages[3]["externalRefs"][0]["referenceLocator"],
        "pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=debian-12"
    );
    assert_eq!(packages[3]["externalRefs"][1]["referenceLocator"], "cpe:2.3:a:gnu:glibc:2.36:*:*:*:*:*:*:*");
    let named: Vec<_> =
        document["hasExtractedLicensingInfos"].as_array().unwrap().iter().map(|l| &l["name"]).collect();
    assert_eq!(named, ["Own terms", "public-domain"]);
    let related = json!({
        "spdxElementId": "SPDXRef-Package-base-files",
        "relationshipType": "DEPENDS_ON",
        "relatedSpdxElement": "SPDXRef-Package-libc6",
    });
    assert!(document["relationships"].as_array().unwrap().contains(&related));
}

#[test]
fn cyclonedx_document_of_a_portage_database_follows_the_use_flags() {
    let dir = tempfile::tempdir().unwrap();
    images(dir.path());
    let (_, document) = bill(dir.path(), "", &["--format", "cyclonedx", "g.squashfs"]);
    assert_eq!((&document["bomFormat"], &document["specVersion"]), (&json!("CycloneDX"), &json!("1.6")));
    assert_eq!(document["components"].as_array().unwrap().len(), 2);
    let purl = "pkg:ebuild/net-misc/openssh@9.8_p1-r2?distro=gentoo";
    let expected = json!({
        "type": "library",
        "bom-ref": purl,
        "supplier": {"name": "Gentoo"},
        "group": "net-misc",
        "name": "openssh",
        "version": "9.8_p1-r2",
        "licenses": [{"expression": "BSD-3-Clause AND GPL-2.0-only AND (MIT OR ISC)"}],
        "cpe": "cpe:2.3:a:openbsd:openssh:9.8:p1:*:*:*:*:*:*",
        "purl": purl,
        "externalReferences": [{"type": "website", "url": "https://www.openssh.com/"}],
    });
    assert_eq!(document["components"][1], expected);
    assert_eq!(document["dependencies"][0], json!({"ref": "image", "dependsOn": [purl]}));
}

#[test]
fn same_image_gives_the_same_bytes_whatever_it_is_called() {
    let dir = tempfile::tempdir().unwrap();
    images(dir.path());
    fs::copy(dir.path().join("d.squashfs"), dir.path().join("copy")).unwrap();
    for format in ["spdx", "cyclonedx"] {
        let (text, document) = bill(dir.path(), "", &["--format", format, "d.squashfs"]);
        let (code, printed, _) =
            genpack_host(dir.path(), "", &["sbom", "--format", format, "copy", "-o", "b.json"]);
        assert_eq!((code, printed.as_str()), (0, ""));
        assert_eq!(fs::read_to_string(dir.path().join("b.json")).unwrap(), text);
        let (_, later) = bill(dir.path(), "1800000000", &["--format", format, "d.squashfs"]);
        let number = if format == "spdx" { "documentNamespace" } else { "serialNumber" };
        assert_ne!(document[number], later[number]);
        assert!(later.to_string().contains("2027-01-15T08:00:00Z"));
    }
    let (code, _, errors) = genpack_host(dir.path(), "noon", &["sbom", "d.squashfs"]);
    assert!(code == 2 && errors.contains("SOURCE_DATE_EPOCH: \"noon\" is no time"), "{errors}");
}

#[test]
fn image_without_packages_says_where_they_are_looked_for() {
    let dir = tempfile::tempdir().unwrap();
    tree::write(&dir.path().join("r"), [("etc/x", &b"x"[..])]);
    assert_eq!(genpack_host(dir.path(), "", &["-q", "squash", "r", "r.squashfs"]).0, 0);
    let (code, _, errors) = genpack_host(dir.path(), "", &["sbom", "r.squashfs"]);
    assert_eq!(code, 1);
    assert!(
        errors.contains("r.squashfs tells of no package") && errors.contains("/.genpack/packages"),
        "{errors}"
    );
    let (code, _, errors) = genpack_host(dir.path(), "noon", &["sbom", "r.squashfs"]);
    assert_eq!(code, 1, "{errors}");
}

/// Ignored: the validators come by pip and take a minute of Python; run by `./ci.sh matrix`.
#[test]
#[ignore = "fetches the validators of both formats; ./ci.sh matrix"]
fn bills_please_the_public_validators() {
    if !needs::programs(&["python3"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    images(dir.path());
    let check = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools/check-sbom.sh");
    for image in ["d", "g"] {
        let mut files = Vec::new();
        for format in ["spdx", "cyclonedx"] {
            let file = format!("{image}.{format}.json");
            let args = ["-q", "sbom", "--format", format, &format!("{image}.squashfs"), "-o", &file];
            assert_eq!(genpack_host(dir.path(), "", &args).0, 0);
            files.push(file);
        }
        let run =
            |files: &[String]| Command::new(&check).current_dir(dir.path()).args(files).output().unwrap();
        let good = run(&files);
        assert!(good.status.success(), "{}", String::from_utf8_lossy(&good.stderr));
        for (file, old, new) in
            [(&files[0], "SPDXRef-Image", "Image"), (&files[1], "\"type\": \"library\"", "\"type\": \"l\"")]
        {
            let file = dir.path().join(file);
            let text = fs::read_to_string(&file).unwrap();
            fs::write(&file, text.replace(old, new)).unwrap();
            assert!(!run(&files).status.success(), "the validators take {}", file.display());
            fs::write(&file, text).unwrap();
        }
    }
}
