//! Malformed indexes and children, and errors that list what an index has.

use super::*;

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
fn the_error_names_the_requested_and_the_available_platforms() {
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
