//! CycloneDX 1.6 as JSON (<https://cyclonedx.org/docs/1.6/json/>, ECMA-424).

use serde_json::{Value, json};

use super::license::Expression;
use super::packages::Release;
use super::{Bill, Item, address, without_nulls};

const IMAGE: &str = "image";
const SYSTEM: &str = "operating-system";

/// Returns the document.
#[must_use]
pub fn document(bill: &Bill) -> Value {
    let mut components = Vec::new();
    if !bill.release.id.is_empty() {
        components.push(without_nulls(json!({
            "type": "operating-system",
            "bom-ref": SYSTEM,
            "name": bill.release.id,
            "version": (!bill.release.version_id.is_empty()).then_some(&bill.release.version_id),
            "description": (!bill.release.name.is_empty()).then_some(&bill.release.name),
        })));
    }
    components.extend(bill.packages.iter().map(|item| component(item, &bill.release)));
    let purl = |at: &usize| Some(bill.packages.get(*at)?.purl.as_str());
    let roots: Vec<_> =
        bill.packages.iter().filter(|item| item.is_root).map(|item| item.purl.as_str()).collect();
    let mut dependencies = vec![json!({"ref": IMAGE, "dependsOn": roots})];
    dependencies.extend(bill.packages.iter().map(|item| {
        let needs: Vec<_> = item.needs.iter().filter_map(purl).collect();
        json!({"ref": item.purl, "dependsOn": needs})
    }));
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": format!("urn:uuid:{}", bill.uuid),
        "version": 1,
        "metadata": {
            "timestamp": bill.created,
            "lifecycles": [{"phase": "post-build"}],
            "tools": {
                "components": [
                    {"type": "application", "name": "genpack-host", "version": env!("CARGO_PKG_VERSION")}
                ]
            },
            "component": image(bill),
        },
        "components": components,
        "dependencies": dependencies,
        // Files of no package are not in it.
        "compositions": [{"aggregate": "incomplete", "assemblies": [IMAGE]}],
    })
}

fn image(bill: &Bill) -> Value {
    let properties: Vec<_> = bill
        .properties
        .iter()
        .map(|(name, value)| json!({"name": format!("genpack:{name}"), "value": value}))
        .collect();
    without_nulls(json!({
        "type": "operating-system",
        "bom-ref": IMAGE,
        "name": bill.name,
        "version": bill.version,
        "hashes": [{"alg": "SHA-256", "content": bill.sha256}],
        "properties": if properties.is_empty() { Value::Null } else { properties.into() },
    }))
}

fn component(item: &Item, release: &Release) -> Value {
    let package = &item.package;
    let (group, name) = match package.name.split_once('/') {
        Some((category, name)) => (Some(category), name),
        None => (None, package.name.as_str()),
    };
    let source = package
        .source
        .as_ref()
        .map(|(name, version)| json!([{"name": "genpack:source", "value": format!("{name} {version}")}]));
    let supplier = (!release.name.is_empty()).then(|| json!({"name": release.name}));
    let website = address(&package.homepage).map(|url| json!([{"type": "website", "url": url}]));
    without_nulls(json!({
        "type": "library",
        "bom-ref": item.purl,
        "supplier": supplier,
        "group": group,
        "name": name,
        "version": package.version,
        "description": (!package.description.is_empty()).then_some(&package.description),
        "licenses": package.license.as_ref().map(licenses),
        "cpe": item.cpe,
        "purl": item.purl,
        "externalReferences": website,
        "properties": source,
    }))
}

fn licenses(license: &Expression) -> Value {
    match license {
        Expression::Listed(id) if !id.contains(' ') => json!([{"license": {"id": id}}]),
        Expression::Named(name) => json!([{"license": {"name": name}}]),
        other => json!([{"expression": other.to_string()}]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licence_is_told_in_the_plainest_way() {
        let mit = Expression::Listed("MIT".into());
        for (license, expected) in [
            (mit.clone(), json!([{"license": {"id": "MIT"}}])),
            (Expression::Named("public-domain".into()), json!([{"license": {"name": "public-domain"}}])),
            (
                Expression::Listed("Apache-2.0 WITH LLVM-exception".into()),
                json!([{"expression": "Apache-2.0 WITH LLVM-exception"}]),
            ),
            (
                Expression::Any(vec![mit, Expression::Named("x".into())]),
                json!([{"expression": "MIT OR LicenseRef-x"}]),
            ),
        ] {
            assert_eq!(licenses(&license), expected);
        }
    }
}
