//! Normalization, and which child of an index is picked.

#![allow(
    clippy::unwrap_used,
    reason = "a test may panic, and so may what it calls"
)]

use msb_oci::{Config, Digest, StatedPlatform, media_type};
use msb_platform::{ChildKind, Error, Index, OddReason, Offer, Platform};
use serde_json::{Value, json};

/// A child whose digest is that of `name`.
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

/// Which of `names` the candidates are, in order.
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
fn spellings_of_one_platform_are_equal() {
    for (left, right) in [
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("Linux/ARM64", "linux/arm64"),
        ("linux/x86_64", "linux/amd64"),
        ("linux/amd64/v1", "linux/amd64"),
        ("linux/armhf", "linux/arm/v7"),
        ("linux/armel", "linux/arm/v6"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/arm/6", "linux/arm/v6"),
        ("linux/i686", "linux/386"),
        ("linux/powerpc64le", "linux/ppc64le"),
        ("linux/loongarch64", "linux/loong64"),
        ("macos/arm64", "darwin/arm64"),
        ("arm64", "linux/arm64"),
        ("x86_64", "linux/amd64"),
        ("arm/v6", "linux/arm/v6"),
    ] {
        assert_eq!(
            left.parse::<Platform>().unwrap(),
            right.parse().unwrap(),
            "{left}"
        );
        assert_eq!(right.parse::<Platform>().unwrap().to_string(), right);
    }
    assert_eq!(Platform::host_linux().os(), "linux");
}

#[test]
fn broken_platforms_are_refused() {
    for text in [
        "",
        "linux",
        "windows",
        "arm/",
        "linux/",
        "/amd64",
        "linux/arm/",
        "linux/arm/v7/x",
        "linux/a b",
        "linux/a\n",
        "linux//v7",
    ] {
        let error = text.parse::<Platform>().expect_err(text);
        assert!(!error.to_string().contains('\n'));
    }
}

#[test]
fn json_has_all_three_fields_and_reads_back() {
    let platform = Platform::new("linux", "x86_64");
    let value = serde_json::to_value(&platform).unwrap();
    assert_eq!(
        value,
        json!({"os": "linux", "architecture": "amd64", "variant": null})
    );
    assert_eq!(serde_json::from_value::<Platform>(value).unwrap(), platform);
}

#[test]
fn an_arm_host_takes_v7_then_v6_then_v5() {
    let index = index(vec![
        child("v5", on("linux", "arm", "v5")),
        child("v8", on("linux", "arm", "v8")),
        child("v7", on("linux", "arm", "v7")),
        child("64", on("linux", "arm64", "v8")),
        child("v6", on("linux", "arm", "v6")),
    ]);
    let names = ["v5", "v6", "v7", "v8", "64"];
    assert_eq!(
        picked(&index, &Platform::new("linux", "arm"), &names),
        ["v7", "v6", "v5"]
    );
    assert_eq!(
        picked(
            &index,
            &Platform::with_variant("linux", "arm", "v6"),
            &names
        ),
        ["v6", "v5"]
    );
    assert_eq!(
        picked(&index, &Platform::new("linux", "arm64"), &names),
        ["64"]
    );
}

#[test]
fn a_plain_amd64_guest_never_gets_v3() {
    let index = index(vec![
        child("v3", on("linux", "amd64", "v3")),
        child("v1", on("linux", "amd64", "")),
    ]);
    let names = ["v3", "v1"];
    assert_eq!(
        picked(&index, &Platform::new("linux", "amd64"), &names),
        ["v1"]
    );
    assert_eq!(
        picked(
            &index,
            &Platform::with_variant("linux", "amd64", "v4"),
            &names
        ),
        ["v3", "v1"]
    );
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

#[test]
fn one_odd_child_does_not_fail_the_index() {
    let mut negative = child("x", Value::Null);
    negative["size"] = json!(-1);
    let mut huge = child("x", Value::Null);
    huge["size"] = json!(1e300);
    let mut md5 = child("x", Value::Null);
    md5["digest"] = "md5:00".into();
    let mut foreign = child("x", Value::Null);
    foreign["mediaType"] = "text/\x1b[31mhtml".into();
    let mut typed = child("x", Value::Null);
    typed["mediaType"] = json!(3);
    let odd = vec![
        json!(null),
        json!([]),
        json!({}),
        negative,
        huge,
        md5,
        foreign,
        typed,
        child("x", json!("linux/amd64")),
        child("x", json!({"os": 1, "architecture": "amd64"})),
        child("x", on("linux", "a\nb", "")),
        child("x", on("linux", "", "")),
    ];
    let count = odd.len();
    let mut children = odd;
    children.push(child("image", on("linux", "amd64", "")));
    let index = index(children);
    assert_eq!(index.odd().len(), count);
    assert_eq!(
        picked(&index, &Platform::new("linux", "amd64"), &["image"]),
        ["image"]
    );
    assert_eq!(index.odd()[3].reason, OddReason::Size);
    assert!(
        index
            .odd()
            .iter()
            .all(|odd| !odd.reason.to_string().contains('\x1b'))
    );
}

#[test]
fn the_error_names_what_was_wanted_and_what_there_is() {
    let index = index(vec![
        child("b", on("linux", "arm64", "v8")),
        child("a", on("linux", "amd64", "")),
        child("a2", on("linux", "amd64", "")),
        child("u", on("unknown", "unknown", "")),
    ]);
    let error = index
        .candidates(&Platform::new("linux", "riscv64"))
        .unwrap_err();
    assert!(error.is_not_found());
    assert_eq!(
        error.to_string(),
        "no image for linux/riscv64; there is linux/amd64, linux/arm64"
    );
}

#[test]
fn what_is_no_index_is_named_so() {
    assert!(matches!(Index::parse(b"<html>"), Err(Error::Json { .. })));
    for text in [
        "{}",
        "[]",
        "null",
        r#"{"manifests": {}}"#,
        r#"{"layers": []}"#,
    ] {
        assert!(
            matches!(Index::parse(text.as_bytes()), Err(Error::NotAnIndex)),
            "{text}"
        );
    }
    assert!(Index::parse("[".repeat(100_000).as_bytes()).is_err());
}

fn stated(os: &str, architecture: &str, variant: &str) -> StatedPlatform {
    let text = json!({"os": os, "architecture": architecture, "variant": variant, "rootfs": {}});
    Config::parse(text.to_string().as_bytes()).unwrap().platform
}

#[test]
fn the_config_decides_and_what_it_lacks_is_filled_in() {
    let amd64 = "linux/amd64";
    for (config, child, wanted, expected) in [
        // What the config states is final.
        (["linux", "arm64", ""], None, amd64, ("linux/arm64", false)),
        (
            ["linux", "arm64", ""],
            Some(amd64),
            amd64,
            ("linux/arm64", false),
        ),
        (
            ["linux", "aarch64", "v8"],
            None,
            "linux/arm64",
            ("linux/arm64", false),
        ),
        (
            ["linux", "arm", "v7"],
            Some("linux/arm/v6"),
            "linux/arm/v6",
            ("linux/arm/v7", false),
        ),
        // A variant that it lacks is the child's, or any that suits.
        (
            ["linux", "arm", ""],
            Some("linux/arm/v6"),
            "linux/arm/v6",
            ("linux/arm/v6", false),
        ),
        (
            ["linux", "arm", ""],
            None,
            "linux/arm/v6",
            ("linux/arm/v6", false),
        ),
        (
            ["linux", "arm", ""],
            None,
            "linux/arm/v7",
            ("linux/arm/v7", false),
        ),
        (
            ["linux", "arm64", ""],
            None,
            "linux/arm64/v9",
            ("linux/arm64", false),
        ),
        (
            ["linux", "amd64", ""],
            Some("linux/amd64/v3"),
            "linux/amd64/v3",
            ("linux/amd64/v3", false),
        ),
        (
            ["linux", "amd64", ""],
            Some("linux/arm/v6"),
            amd64,
            (amd64, false),
        ),
        // Required properties that it lacks.
        (
            ["", "", ""],
            Some("linux/arm/v6"),
            "linux/arm/v7",
            ("linux/arm/v6", false),
        ),
        (["", "", ""], None, "linux/arm/v6", ("linux/arm/v6", true)),
        (["", "arm64", ""], None, amd64, ("linux/arm64", true)),
        (["windows", "", ""], None, amd64, ("windows/amd64", true)),
    ] {
        let child: Option<Platform> = child.map(|text: &str| text.parse().unwrap());
        let wanted = wanted.parse().unwrap();
        let config = stated(config[0], config[1], config[2]);
        let (offer, assumed) = Offer::of_config(&config, child.as_ref(), &wanted).unwrap();
        assert_eq!(
            (&*offer.to_string(), assumed),
            expected,
            "{config:?} {child:?} {wanted}"
        );
    }
    let malformed = stated("linux", "a\nb", "");
    assert_eq!(
        Offer::of_config(&malformed, None, &Platform::new("linux", "amd64")),
        None
    );
}

#[test]
fn a_child_that_needs_a_feature_is_skipped_and_named() {
    let wanted = Platform::new("linux", "amd64");
    for features in [
        json!(["erofs"]),
        json!(["a", "erofs"]),
        json!("erofs"),
        json!({"erofs": 1}),
        json!([7, "erofs"]),
    ] {
        let mut platform = on("linux", "amd64", "");
        platform["OS.Features"] = features.clone();
        let needs = child("needs", platform);
        let plain = child("plain", on("linux", "amd64", ""));
        let both = index(vec![needs.clone(), plain]);
        assert_eq!(picked(&both, &wanted, &["needs", "plain"]), ["plain"]);
        let error = index(vec![needs])
            .candidates(&wanted)
            .unwrap_err()
            .to_string();
        let is_list = features.is_array();
        assert!(error.contains("linux/amd64 (needs os.features "), "{error}");
        assert!(!is_list || error.contains("erofs"), "{error}");
    }
    for features in [json!([]), json!(null)] {
        let mut platform = on("linux", "amd64", "");
        platform["os.features"] = features;
        assert!(
            index(vec![child("plain", platform)])
                .candidates(&wanted)
                .is_ok()
        );
    }
    let config = Config::parse(
        br#"{"os":"linux","architecture":"amd64","os.features":["erofs"],"rootfs":{}}"#,
    );
    let (offer, _) = Offer::of_config(&config.unwrap().platform, None, &wanted).unwrap();
    assert!(!offer.fits(&wanted));
}

#[test]
fn the_error_names_versions_variants_and_odd_children() {
    let mut windows = on("windows", "amd64", "");
    windows["os.version"] = "10.0.20348.1".into();
    let mut huge = child("huge", on("linux", "amd64", ""));
    huge["size"] = json!(1_u64 << 63);
    let index = index(vec![
        huge,
        child("w", windows),
        child("v", on("linux", "arm", "v6")),
    ]);
    let error = index
        .candidates(&Platform::new("linux", "amd64"))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "no image for linux/amd64; there is linux/arm/v6, windows/amd64 (os.version 10.0.20348.1); \
         child 0 has no usable size"
    );
}

#[test]
fn a_repeated_member_fails_the_index() {
    let child = child("x", json!({})).to_string();
    for text in [
        format!(r#"{{"manifests":[{child}],"manifests":[]}}"#),
        format!(r#"{{"manifests":[{child}],"Manifests":[]}}"#),
        format!(
            r#"{{"manifests":[{}]}}"#,
            child.replace("\"size\"", "\"DIGEST\":\"\",\"size\"")
        ),
        format!(
            r#"{{"manifests":[{}]}}"#,
            child.replace("{}", r#"{"os":"a","OS":"b"}"#)
        ),
    ] {
        assert!(
            matches!(Index::parse(text.as_bytes()), Err(Error::Json { .. })),
            "{text}"
        );
    }
    for text in [
        r#"{"manifests":[],"layers":[]}"#,
        r#"{"manifests":[],"Config":{}}"#,
        r#"{"manifests":[],"mediaType":"application/vnd.oci.image.manifest.v1+json"}"#,
    ] {
        assert!(
            matches!(Index::parse(text.as_bytes()), Err(Error::Ambiguous)),
            "{text}"
        );
    }
}

#[test]
fn members_in_another_case_null_annotations_and_a_byte_order_mark_are_read() {
    let digest = Digest::sha256_of(b"image");
    let text = format!(
        "\u{feff}{{\"Manifests\":[{{\"Digest\":\"{digest}\",\"SIZE\":10,\"MediaType\":\"{}\",
            \"Platform\":{{\"OS\":\"linux\",\"Architecture\":\"amd64\"}},\"annotations\":{{\"a\":null,\"b\":1}}}}],
            \"annotations\":{{\"c\":null}}}}",
        media_type::OCI_MANIFEST.to_uppercase()
    );
    let index = Index::parse(text.as_bytes()).unwrap();
    assert_eq!(
        picked(&index, &Platform::new("linux", "amd64"), &["image"]),
        ["image"]
    );
}
