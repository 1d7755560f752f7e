//! Normalization of platforms, and the choice among the children of an index.

#![allow(
    clippy::unwrap_used,
    reason = "a test may panic, and so may what it calls"
)]

mod configs;
mod malformed;
mod platforms;

use msb_oci::{Config, Digest, StatedPlatform, media_type};
use msb_platform::{ChildKind, Error, Index, OddReason, Offer, Platform};
use serde_json::{Value, json};

/// Returns a child whose digest is that of `name`.
fn child(name: &str, platform: Value) -> Value {
    let digest = Digest::sha256_of(name.as_bytes());
    json!({"mediaType": media_type::OCI_MANIFEST, "digest": digest, "size": 10, "platform": platform})
}

fn on(os: &str, architecture: &str, variant: &str) -> Value {
    json!({"os": os, "architecture": architecture, "variant": variant})
}

fn index(children: Vec<Value>) -> Index {
    let bytes = serde_json::to_vec(&json!({"schemaVersion": 2, "manifests": children})).unwrap();
    Index::parse(&bytes).unwrap()
}

/// Returns those of `names` that are candidates, in order.
fn picked<'a>(index: &Index, wanted: &Platform, names: &[&'a str]) -> Vec<&'a str> {
    let candidates = index.candidates(wanted).unwrap();
    let name_of = |digest: &Digest| {
        *names
            .iter()
            .find(|name| digest.matches(name.as_bytes()))
            .unwrap()
    };
    candidates
        .iter()
        .map(|child| name_of(child.digest()))
        .collect()
}

#[test]
fn attestations_are_skipped() {
    let mut annotated = child("note", Value::Null);
    annotated["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest"});
    let index = index(vec![
        child("unknown", on("unknown", "unknown", "")),
        annotated,
        child("image", on("linux", "amd64", "")),
    ]);
    assert_eq!(
        picked(
            &index,
            &Platform::new("linux", "amd64"),
            &["unknown", "note", "image"]
        ),
        ["image"]
    );
    assert!(index.candidates(&Platform::new("linux", "arm64")).is_err());
}

#[test]
fn nested_indexes_and_children_without_a_platform_come_last() {
    let mut nested = child("nested", Value::Null);
    nested["mediaType"] = media_type::OCI_INDEX.into();
    let index = index(vec![
        child("bare", json!({})),
        nested,
        child("fits", on("linux", "amd64", "")),
    ]);
    let names = ["bare", "nested", "fits"];
    assert_eq!(
        picked(&index, &Platform::new("linux", "amd64"), &names),
        ["fits", "nested", "bare"]
    );
    let other = Platform::new("linux", "s390x");
    assert_eq!(picked(&index, &other, &names), ["nested", "bare"]);
    assert_eq!(
        index.candidates(&other).unwrap()[0].kind(),
        ChildKind::Index
    );
}

#[test]
fn docker_manifest_lists_are_indexes() {
    let mut entry = child("image", on("linux", "amd64", ""));
    entry["mediaType"] = media_type::DOCKER_MANIFEST.into();
    let index = index(vec![entry]);
    assert_eq!(
        picked(&index, &Platform::new("linux", "amd64"), &["image"]),
        ["image"]
    );
}
