//! Manifests and configs as builders, mirrors and attackers write them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use msb_oci::{Config, Digest, Manifest, ManifestError, json, media_type};
use serde::Deserialize;

fn descriptor(size: &str) -> String {
    let digest = Digest::sha256_of(b"x");
    format!(
        r#"{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{digest}","size":{size}}}"#
    )
}

fn manifest(members: &str) -> Result<Manifest, ManifestError> {
    Manifest::parse(format!("{{{members}}}").as_bytes())
}

fn with_layers(layers: &[String]) -> Result<Manifest, ManifestError> {
    let config = descriptor("2");
    manifest(&format!(
        r#""config":{config},"layers":[{}]"#,
        layers.join(",")
    ))
}

#[test]
fn a_known_member_is_read_in_any_case() {
    let (config, layer) = (descriptor("2"), descriptor("7").replace("size", "SIZE"));
    let parsed = manifest(&format!(
        r#""Config":{config},"LAYER\u017f":[{layer}],"MediaType":"Application/vnd.oci.image.manifest.v1+json""#
    ));
    let parsed = parsed.unwrap();
    assert_eq!(parsed.layers[0].size, 7);
    assert_eq!(
        media_type::known(&parsed.media_type.unwrap()),
        Some(media_type::OCI_MANIFEST)
    );
    let config = Config::parse(
        br#"{"OS":"linux","Architecture":"arm64","CONFIG":{"env":["A=b"],"wor\u212aingdir":"/w"},"RootFS":{"Diff_IDs":[]}}"#,
    )
    .unwrap();
    assert_eq!(
        (&*config.platform.os, &*config.platform.architecture),
        ("linux", "arm64")
    );
    assert_eq!(config.image.env, ["A=b"]);
    assert_eq!(config.image.working_dir.as_deref(), Some("/w"));
}

#[test]
fn a_known_member_twice_is_an_error_in_whatever_case() {
    let one = descriptor("2");
    for members in [
        format!(r#""config":{one},"layers":[],"layers":[]"#),
        format!(r#""config":{one},"layers":[],"Layers":[]"#),
        format!(r#""config":{one},"layers":[],"layer\u017f":[]"#),
        format!(r#""config":{one},"layers":[],"layers":null"#),
        format!(r#""config":{one},"Config":{one},"layers":[]"#),
        format!(
            r#""config":{},"layers":[]"#,
            one.replace("\"size\"", "\"size\":1,\"size\"")
        ),
        format!(
            r#""config":{one},"layers":[{}]"#,
            one.replace("\"size\"", "\"Digest\":\"\",\"size\"")
        ),
        format!(r#""config":{one},"layers":[],"mediaType":"a","mediatype":"a""#),
    ] {
        let error = manifest(&members).unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("duplicate field"), "{members}: {source}");
    }
    for text in [
        r#"{"os":"linux","OS":"linux","rootfs":{}}"#,
        r#"{"os.features":[],"OS.Features":[],"rootfs":{}}"#,
        r#"{"rootfs":{"diff_ids":[],"Diff_Ids":[]}}"#,
        r#"{"rootfs":{},"config":{"Env":[],"env":[]}}"#,
        r#"{"rootfs":{},"config":{"Labels":{"a":"1","a":"2"}}}"#,
    ] {
        let error = Config::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("duplicate"), "{text}: {error}");
    }
    // Unambiguous: an unknown member, and labels that differ.
    let config = br#"{"x":1,"x":2,"rootfs":{},"config":{"Labels":{"a":"1","A":"2"}}}"#;
    assert_eq!(Config::parse(config).unwrap().image.labels.len(), 2);
}

#[test]
fn annotations_and_labels_of_any_type_are_harmless() {
    let (config, layer) = (descriptor("2"), descriptor("1"));
    let odd = r#""annotations":{"a":null,"b":1,"c":{"d":[]},"a":true}"#;
    let layer = layer.replace(
        '}',
        &format!(r#",{odd},"platform":{{}},"data":7,"urls":[null,"https://a/b"]}}"#),
    );
    let parsed = manifest(&format!(
        r#""config":{config},"layers":[{layer}],{odd},"subject":null,"schemaVersion":"2""#
    ));
    assert_eq!(parsed.unwrap().layers[0].urls, ["https://a/b"]);
    let config = Config::parse(
        br#"{"created":7,"history":"?","rootfs":{"type":3,"diff_ids":null},"config":{"Env":null,"Cmd":["a"],"OnBuild":3,
            "Volumes":{"/v":null},"User":"","Labels":{"a":null,"b":1,"c":true,"d":{},"e":-1.5,"f":"g"}}}"#,
    )
    .unwrap();
    let labels: Vec<_> = config
        .image
        .labels
        .iter()
        .map(|(a, b)| (&**a, &**b))
        .collect();
    assert_eq!(
        labels,
        [
            ("a", ""),
            ("b", "1"),
            ("c", "true"),
            ("e", "-1.5"),
            ("f", "g")
        ]
    );
    assert_eq!(
        (config.image.cmd, config.image.user),
        (Some(vec!["a".to_owned()]), None)
    );
    assert_eq!(config.image.volumes, ["/v"]);
    assert!(Config::parse(br#"{"config":{}}"#).is_err());
}

#[test]
fn one_byte_order_mark_is_skipped() {
    let text = format!("\u{feff}{{\"config\":{},\"layers\":[]}}", descriptor("2"));
    assert!(Manifest::parse(text.as_bytes()).is_ok());
    assert!(Config::parse("\u{feff}{\"rootfs\":{}}".as_bytes()).is_ok());
    assert!(Config::parse("\u{feff}\u{feff}{\"rootfs\":{}}".as_bytes()).is_err());
}

#[test]
fn an_array_is_not_a_document() {
    // The members of a struct in their order, which serde would accept.
    let text = format!(r#"[null,{},[],null]"#, descriptor("2"));
    assert!(matches!(
        Manifest::parse(text.as_bytes()),
        Err(ManifestError::Json { .. })
    ));
    let layer = r#"["application/vnd.oci.image.layer.v1.tar","sha256:0",1,[]]"#.to_owned();
    let error = with_layers(&[layer]).unwrap_err();
    assert_eq!(error.to_string(), "layer 1: is not an object");
}

#[test]
fn sizes_beyond_63_bits_name_their_descriptor() {
    for size in [
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "1e300",
        "-1",
        "1.5",
        "\"1\"",
        "null",
    ] {
        let error = with_layers(&[descriptor("1"), descriptor(size)])
            .unwrap_err()
            .to_string();
        let digest = Digest::sha256_of(b"x");
        assert_eq!(
            error,
            format!("layer 2: {digest} has no size from 0 to 2^63 - 1"),
            "{size}"
        );
        let error = manifest(&format!(r#""config":{},"layers":[]"#, descriptor(size))).unwrap_err();
        assert!(
            error.to_string().starts_with("the config: sha256:"),
            "{error}"
        );
    }
    assert_eq!(
        with_layers(&[descriptor("9223372036854775807")])
            .unwrap()
            .total_bytes,
        i64::MAX as u64
    );
}

#[test]
fn the_sum_of_the_sizes_is_checked() {
    let layers = [descriptor("9223372036854775807"), descriptor("1")];
    assert!(matches!(
        with_layers(&layers),
        Err(ManifestError::TotalSize)
    ));
    let layers: Vec<_> = (0..4).map(|_| descriptor("9223372036854775807")).collect();
    assert!(matches!(
        with_layers(&layers),
        Err(ManifestError::TotalSize)
    ));
}

#[test]
fn a_manifest_is_not_an_index_as_well() {
    let config = descriptor("2");
    for members in [
        format!(r#""config":{config},"layers":[],"Manifests":[]"#),
        format!(
            r#""config":{config},"layers":[],"mediaType":"{}""#,
            media_type::OCI_INDEX
        ),
    ] {
        assert!(
            matches!(manifest(&members), Err(ManifestError::Ambiguous)),
            "{members}"
        );
    }
}

#[test]
fn broken_descriptors_are_named() {
    for (layer, problem) in [
        ("null", "layer 2: is not an object"),
        ("{}", "layer 2: has no digest"),
        (r#"{"digest":7}"#, "layer 2: has no digest"),
        (
            r#"{"digest":"md5:00"}"#,
            "layer 2: digest `md5:00` has an algorithm other than",
        ),
        (
            r#"{"digest":"","mediaType":[]}"#,
            "layer 2: has a media type that is not text",
        ),
    ] {
        let error = with_layers(&[descriptor("1"), layer.to_owned()])
            .unwrap_err()
            .to_string();
        assert!(error.starts_with(problem), "{error}");
    }
    assert_eq!(
        manifest("").unwrap_err().to_string(),
        "the config: has no digest"
    );
}

#[test]
fn lists_and_names_are_bounded() {
    let config = |member: String| {
        Config::parse(format!(r#"{{"rootfs":{{}},"config":{{{member}}}}}"#).as_bytes())
    };
    let texts = |count: usize| vec!["\"\""; count].join(",");
    assert!(config(format!(r#""Env":[{}]"#, texts(100_000))).is_ok());
    let error = config(format!(r#""Env":[{}]"#, texts(100_001)))
        .unwrap_err()
        .to_string();
    assert!(error.contains("100000"), "{error}");
    let names: Vec<_> = (0..100_001).map(|name| format!("\"{name}\":1")).collect();
    assert!(config(format!(r#""Labels":{{{}}}"#, names.join(","))).is_err());
    let urls = format!(r#","urls":[{}]}}"#, texts(1000));
    let parsed = with_layers(&[descriptor("1").replace('}', &urls)]).unwrap();
    assert_eq!(parsed.layers[0].urls.len(), 16);
}

#[test]
fn oci_spec_types_convert_both_ways() {
    let text = format!(
        r#"{{"schemaVersion":2,"config":{},"layers":[{}]}}"#,
        descriptor("2"),
        descriptor("3")
    );
    let theirs: oci_spec::image::ImageManifest = serde_json::from_str(&text).unwrap();
    let ours = Manifest::try_from(&theirs).unwrap();
    assert_eq!(ours, Manifest::parse(text.as_bytes()).unwrap());
    let layer = oci_spec::image::Descriptor::from(&ours.layers[0]);
    assert_eq!(layer, theirs.layers()[0]);
    assert_eq!(
        msb_oci::Descriptor::try_from(&layer).unwrap(),
        ours.layers[0]
    );
}

#[test]
fn any_type_decodes_the_same_way() {
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Outer {
        first_one: Option<Vec<Inner>>,
        #[serde(default)]
        pair: (u8, bool),
    }
    #[derive(Debug, PartialEq, Deserialize)]
    struct Inner {
        kelvins: f64,
    }
    let outer: Outer =
        json::from_slice(br#"{"FIRSTONE":[{"Kelvins":-1.5}],"Pair":[1,true]}"#).unwrap();
    let inner = vec![Inner { kelvins: -1.5 }];
    assert_eq!(
        outer,
        Outer {
            first_one: Some(inner),
            pair: (1, true)
        }
    );
    assert!(json::from_slice::<Outer>(br#"{"firstOne":[{"kelvins":1,"KELVINS":1}]}"#).is_err());
    assert!(json::from_slice::<Outer>(br#"{"firstOne":[[1]]}"#).is_err());
    assert!(json::from_slice::<Outer>(br#"{} {}"#).is_err());
    assert!(json::from_slice::<Outer>("[".repeat(1 << 20).as_bytes()).is_err());
}

#[test]
fn how_an_image_was_made_is_kept_within_bounds() {
    let config = Config::parse(
        br#"{"architecture":"arm64","created":"2026-01-02T03:04:05Z","rootfs":{},
        "history":[{"created":"2026-01-01T00:00:00Z","created_by":"ADD rootfs.tar /"},7,{"comment":3,"empty_layer":true,"author":"me"}],
        "config":{"Healthcheck":{"Test":["CMD","true"],"Interval":30000000000,"Retries":3,"Timeout":"?"}}}"#,
    )
    .unwrap()
    .image;
    assert_eq!(config.architecture.as_deref(), Some("arm64"));
    assert_eq!(config.created.as_deref(), Some("2026-01-02T03:04:05Z"));
    assert_eq!(config.history.len(), 2);
    let [first, second] = &config.history[..] else {
        panic!("{:?}", config.history);
    };
    assert_eq!(first.created_by.as_deref(), Some("ADD rootfs.tar /"));
    assert!(!first.empty_layer && second.empty_layer && second.comment.is_none());
    assert_eq!(second.author.as_deref(), Some("me"));
    let check = config.healthcheck.unwrap();
    assert_eq!(check.test, ["CMD", "true"]);
    assert_eq!(check.interval_nanos, Some(30_000_000_000));
    assert_eq!((check.retries, check.timeout_nanos), (Some(3), None));

    let step = format!(r#"{{"created_by":"{}"}}"#, "x".repeat(1000));
    let long = format!(
        r#"{{"rootfs":{{}},"created":"{}","history":[{}]}}"#,
        "y".repeat(1000),
        vec![&*step; 2000].join(",")
    );
    let config = Config::parse(long.as_bytes()).unwrap().image;
    assert_eq!((config.history.len(), config.created), (262, None));
    // A record of an earlier version has none of this.
    let earlier: msb_oci::ImageConfig = serde_json::from_str(
        r#"{"env":[],"cmd":null,"entrypoint":null,"working_dir":null,"user":null,"exposed_ports":[],"volumes":[],"labels":{},
        "stop_signal":null}"#,
    )
    .unwrap();
    assert_eq!(earlier, msb_oci::ImageConfig::default());
}
