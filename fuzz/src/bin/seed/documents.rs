//! Manifests, indexes, configs, image records and challenges, valid and malformed.

use msb_oci::{Digest, media_type};

use crate::Seeds;

fn descriptor(media_type: &str, size: &str, more: &str) -> String {
    let digest = Digest::sha256_of(size.as_bytes());
    format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size}{more}}}"#)
}

pub(crate) fn manifests() -> Seeds {
    const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
    const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    let manifest = |config: &str, layers: &[String], more: &str| {
        let (own, layers) = (media_type::OCI_MANIFEST, layers.join(","));
        format!(
            r#"{{"schemaVersion":2,"mediaType":"{own}","config":{config},"layers":[{layers}]{more}}}"#
        )
    };
    let index = |children: &[String], more: &str| {
        let (own, children) = (media_type::OCI_INDEX, children.join(","));
        format!(r#"{{"schemaVersion":2,"mediaType":"{own}","manifests":[{children}]{more}}}"#)
    };
    let child = |platform: &str| {
        descriptor(
            media_type::OCI_MANIFEST,
            "500",
            &format!(r#","platform":{platform}"#),
        )
    };
    let config = descriptor(CONFIG, "1000", "");
    let layer = |size: &str| descriptor(LAYER, size, "");
    let texts = [
        ("one-layer", manifest(&config, &[layer("7")], "")),
        ("no-layers", manifest(&config, &[], "")),
        (
            "sum",
            manifest(&config, &[layer("9223372036854775807"), layer("1")], ""),
        ),
        (
            "size",
            manifest(&config, &[layer("9223372036854775808")], ""),
        ),
        ("negative", manifest(&config, &[layer("-1")], "")),
        (
            "annotations",
            manifest(
                &config,
                &[layer("1")],
                r#","annotations":{"a":null,"b":1},"subject":null"#,
            ),
        ),
        (
            "urls",
            manifest(
                &config,
                &[descriptor(LAYER, "1", r#","urls":["https://a/b",null]"#)],
                "",
            ),
        ),
        ("twice", manifest(&config, &[layer("1")], r#","Layers":[]"#)),
        ("kelvin", r#"{"layer\u017f":[],"Config":{}}"#.to_owned()),
        ("both", manifest(&config, &[], r#","manifests":[]"#)),
        ("mark", format!("\u{feff}{}", manifest(&config, &[], ""))),
        ("schema1", r#"{"schemaVersion":1,"fsLayers":[]}"#.to_owned()),
        (
            "docker",
            manifest(&config, &[layer("1")], "")
                .replace(media_type::OCI_MANIFEST, media_type::DOCKER_MANIFEST),
        ),
        (
            "index",
            index(
                &[
                    child(r#"{"os":"linux","architecture":"amd64"}"#),
                    child(r#"{"os":"linux","architecture":"arm","variant":"v7"}"#),
                    child(
                        r#"{"os":"linux","architecture":"amd64","os.features":["erofs"],"os.version":"1"}"#,
                    ),
                    child("{}"),
                    descriptor(media_type::OCI_INDEX, "3", ""),
                    descriptor(
                        media_type::OCI_MANIFEST,
                        "3",
                        r#","annotations":{"vnd.docker.reference.type":"attestation-manifest"}"#,
                    ),
                ],
                "",
            ),
        ),
        (
            "odd-children",
            index(
                &[
                    "null".into(),
                    "{}".into(),
                    "[]".into(),
                    child("7"),
                    child(r#"{"os":1}"#),
                ],
                "",
            ),
        ),
        (
            "list",
            index(&[], "").replace(media_type::OCI_INDEX, media_type::DOCKER_LIST),
        ),
        (
            "child-twice",
            index(
                &[descriptor(media_type::OCI_MANIFEST, "3", r#","Size":4"#)],
                "",
            ),
        ),
    ];
    named(&texts)
}

pub(crate) fn configs() -> Seeds {
    let digest = Digest::sha256_of(b"layer");
    let rootfs = format!(r#""rootfs":{{"type":"layers","diff_ids":["{digest}"]}}"#);
    let texts = [
        (
            "whole",
            format!(
                r#"{{"created":"2023-11-14T22:13:20Z","os":"linux","architecture":"arm","variant":"v7","os.version":"1","os.features":["a"],
                "config":{{"Env":["PATH=/bin"],"Cmd":["sh"],"Entrypoint":["/e"],"WorkingDir":"/w","User":"1:2","ExposedPorts":{{"80/tcp":{{}}}},
                "Volumes":{{"/v":{{}}}},"Labels":{{"a":"b"}},"StopSignal":"SIGTERM"}},{rootfs},"history":[{{"empty_layer":true}}]}}"#
            ),
        ),
        ("bare", format!("{{{rootfs}}}")),
        ("nulls", r#"{"os":null,"config":{"Env":null,"Labels":{"a":null,"b":1,"c":{}}},"rootfs":{"diff_ids":null}}"#.to_owned()),
        ("twice", format!(r#"{{"os":"linux","OS":"linux",{rootfs}}}"#)),
        ("labels-twice", format!(r#"{{"config":{{"Labels":{{"a":"1","a":"2"}}}},{rootfs}}}"#)),
        ("no-name", format!(r#"{{"os":"a\nb","architecture":"\u202e",{rootfs}}}"#)),
        ("features", format!(r#"{{"os.features":"erofs",{rootfs}}}"#)),
    ];
    named(&texts)
}

pub(crate) fn records() -> Seeds {
    let digest = Digest::sha256_of(b"layer");
    let record = |layers: &str, notes: &str| {
        format!(
            r#"{{"format":1,"reference":"localhost:1/x:t","platform":"linux/amd64","image":{{"manifest_digest":"{digest}","config_digest":"{digest}",
            "platform":{{"os":"linux","architecture":"amd64","variant":null}},"config":{{"env":[],"cmd":null,"entrypoint":null,"working_dir":null,"user":null,
            "exposed_ports":[],"volumes":[],"labels":{{}},"stop_signal":null}},"layers":[{layers}],"fsmeta_bytes":8192,"notes":[{notes}]}}}}"#
        )
    };
    let layer = |size: u64| {
        format!(
            r#"{{"diff_id":"{digest}","digest":"{digest}","media_type":"a","size":{size},"image_bytes":{size},"sidecar_bytes":200}}"#
        )
    };
    let texts = [
        ("one", record(&layer(4096), r#"{"kind":"opaque-root"}"#)),
        ("none", record("", "")),
        (
            "two",
            record(
                &format!("{},{}", layer(4096), layer(8192)),
                r#"{"kind":"truncated","omitted":7}"#,
            ),
        ),
        (
            "huge",
            record(&format!("{},{}", layer(u64::MAX), layer(u64::MAX)), ""),
        ),
        ("newer", r#"{"format":2}"#.to_owned()),
        ("other", record("", "").replace("/x:t", "/y:t")),
    ];
    named(&texts)
}

pub(crate) fn challenges() -> Seeds {
    let texts = [
        ("hub", r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#.to_owned()),
        ("basic", r#"Basic realm="x""#.to_owned()),
        ("several", r#"Negotiate, Basic realm="a", Bearer realm="b",error="invalid_token""#.to_owned()),
        ("escapes", r#"bEARER  Realm = "a\"b\\" ,	service=plain , x="""#.to_owned()),
        ("token68", "Negotiate YWJj==".to_owned()),
        ("open", r#"Bearer realm="open"#.to_owned()),
        ("bytes", "Bearer realm=\"\u{fc}\u{202e}\"".to_owned()),
    ];
    named(&texts)
}

fn named(texts: &[(&str, String)]) -> Seeds {
    let seed = |(name, text): &(&str, String)| (name.to_string(), text.clone().into_bytes());
    texts.iter().map(seed).collect()
}
