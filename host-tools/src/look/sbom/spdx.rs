//! SPDX 2.3 as JSON (<https://spdx.github.io/spdx-spec/v2.3/>).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::packages::Release;
use super::{Bill, Item, address, without_nulls};

const DOCUMENT: &str = "SPDXRef-DOCUMENT";
const IMAGE: &str = "SPDXRef-Image";
const SYSTEM: &str = "SPDXRef-OperatingSystem";
const UNKNOWN: &str = "NOASSERTION";

/// Returns the document.
#[must_use]
pub fn document(bill: &Bill) -> Value {
    let ids = ids(&bill.packages);
    let mut packages = vec![image(bill)];
    let mut relationships = vec![related(DOCUMENT, "DESCRIBES", IMAGE)];
    if !bill.release.id.is_empty() {
        packages.push(system(&bill.release));
        relationships.push(related(IMAGE, "CONTAINS", SYSTEM));
    }
    let mut named = BTreeMap::new();
    for (item, id) in bill.packages.iter().zip(&ids) {
        packages.push(package(item, id, &bill.release));
        relationships.push(related(IMAGE, "CONTAINS", id));
        if let Some(license) = &item.package.license {
            license.add_named(&mut named);
        }
    }
    for (item, id) in bill.packages.iter().zip(&ids) {
        let needed = item.needs.iter().filter_map(|at| ids.get(*at));
        relationships.extend(needed.map(|needed| related(id, "DEPENDS_ON", needed)));
    }
    let licenses: Vec<_> = named
        .into_iter()
        .map(|(id, name)| {
            let text = format!("The text is not in the image; the distribution calls this licence {name}.");
            json!({"licenseId": id, "name": name, "extractedText": text})
        })
        .collect();
    let licenses = if licenses.is_empty() { Value::Null } else { licenses.into() };
    without_nulls(json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": DOCUMENT,
        "name": bill.name,
        "documentNamespace": format!("urn:uuid:{}", bill.uuid),
        "creationInfo": {
            "created": bill.created,
            "creators": [concat!("Tool: genpack-host-", env!("CARGO_PKG_VERSION"))],
            "comment": "Made from the image's list of packages; files of no package are not in it.",
        },
        "documentDescribes": [IMAGE],
        "packages": packages,
        "hasExtractedLicensingInfos": licenses,
        "relationships": relationships,
    }))
}

fn image(bill: &Bill) -> Value {
    let properties: Vec<_> = bill.properties.iter().map(|(name, value)| format!("{name} {value}")).collect();
    without_nulls(json!({
        "SPDXID": IMAGE,
        "name": bill.name,
        "versionInfo": bill.version,
        "primaryPackagePurpose": "OPERATING_SYSTEM",
        "downloadLocation": UNKNOWN,
        "filesAnalyzed": false,
        "checksums": [{"algorithm": "SHA256", "checksumValue": bill.sha256}],
        "licenseConcluded": UNKNOWN,
        "licenseDeclared": UNKNOWN,
        "copyrightText": UNKNOWN,
        "comment": (!properties.is_empty()).then(|| properties.join(", ")),
    }))
}

fn system(release: &Release) -> Value {
    without_nulls(json!({
        "SPDXID": SYSTEM,
        "name": release.id,
        "versionInfo": (!release.version_id.is_empty()).then_some(&release.version_id),
        "primaryPackagePurpose": "OPERATING_SYSTEM",
        "downloadLocation": UNKNOWN,
        "filesAnalyzed": false,
        "licenseConcluded": UNKNOWN,
        "licenseDeclared": UNKNOWN,
        "copyrightText": UNKNOWN,
    }))
}

fn package(item: &Item, id: &str, release: &Release) -> Value {
    let package = &item.package;
    let mut references = vec![json!({
        "referenceCategory": "PACKAGE-MANAGER",
        "referenceType": "purl",
        "referenceLocator": item.purl,
    })];
    references.extend(item.cpe.as_ref().map(
        |cpe| json!({"referenceCategory": "SECURITY", "referenceType": "cpe23Type", "referenceLocator": cpe}),
    ));
    let source = package.source.as_ref().map(|(name, version)| format!("built from {name} {version}"));
    let license = package.license.as_ref().map_or_else(|| UNKNOWN.to_owned(), ToString::to_string);
    without_nulls(json!({
        "SPDXID": id,
        "name": package.name,
        "versionInfo": package.version,
        "supplier": if release.name.is_empty() { UNKNOWN.into() } else { format!("Organization: {}", release.name) },
        "downloadLocation": UNKNOWN,
        "filesAnalyzed": false,
        "homepage": address(&package.homepage),
        "sourceInfo": source,
        "licenseConcluded": UNKNOWN,
        "licenseDeclared": license,
        "licenseComments": package.is_from_phrases.then_some(FROM_PHRASES),
        "copyrightText": UNKNOWN,
        "summary": (!package.description.is_empty()).then_some(&package.description),
        "externalRefs": references,
    }))
}

/// Says of a licence that more may be to be said.
const FROM_PHRASES: &str =
    "Found by its phrases in a copyright file of free text, which may name other licences as well.";

fn related(from: &str, how: &str, to: &str) -> Value {
    json!({"spdxElementId": from, "relationshipType": how, "relatedSpdxElement": to})
}

/// Returns a name for each package that SPDX takes, which letters, digits, `.` and `-` are.
fn ids(items: &[Item]) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let legal = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    let id = |item: &Item| {
        let name: String = item.package.key().chars().map(legal).collect();
        let id = format!("SPDXRef-Package-{name}");
        let mut free = id.clone();
        let mut number = 1;
        while !taken.insert(free.clone()) {
            number += 1;
            free = format!("{id}-{number}");
        }
        free
    };
    items.iter().map(id).collect()
}

#[cfg(test)]
mod tests {
    use super::super::packages::{Kind, Package};
    use super::*;

    #[test]
    fn names_that_look_alike_stay_apart() {
        let item = |name: &str| Item {
            package: Package { name: name.into(), ..Package::new(Kind::Debian) },
            purl: String::new(),
            cpe: None,
            is_root: true,
            needs: Vec::new(),
        };
        let expected = ["SPDXRef-Package-a-b", "SPDXRef-Package-a-b-2", "SPDXRef-Package-a-b-2-2"];
        assert_eq!(ids(&["a+b", "a_b", "a-b-2"].map(item)), expected);
    }
}
