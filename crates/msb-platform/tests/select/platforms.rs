//! Platforms: spelling, JSON and fallback.

use super::*;

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
