//! Platforms of configs.

use super::*;

fn stated(os: &str, architecture: &str, variant: &str) -> StatedPlatform {
    let text = json!({"os": os, "architecture": architecture, "variant": variant, "rootfs": {}});
    Config::parse(text.to_string().as_bytes()).unwrap().platform
}

#[test]
fn the_config_decides_and_missing_properties_are_filled_in() {
    let amd64 = "linux/amd64";
    for (config, child, wanted, expected) in [
        // The platform in the config takes precedence.
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
        // A missing variant is the child's, or any that fits.
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
        // Missing required properties.
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
