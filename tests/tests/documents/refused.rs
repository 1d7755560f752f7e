//! Documents that are refused before a layer is downloaded.

use super::*;

#[test]
fn children_that_are_not_as_announced_are_refused() {
    let setup = Setup::new();
    let amd = setup.image("amd", "linux", "amd64").descriptor();
    let size = amd["size"].as_u64().unwrap();
    for (member, value, words) in [
        (
            "size",
            json!(size + 1),
            ["size mismatch", &*(size + 1).to_string()],
        ),
        (
            "size",
            json!(size - 1),
            ["size mismatch", &*size.to_string()],
        ),
        (
            "mediaType",
            json!(OCI_INDEX),
            ["media type mismatch", "image.index.v1"],
        ),
        (
            "mediaType",
            json!("application/vnd.docker.distribution.manifest.v2+json"),
            ["media type mismatch", "docker"],
        ),
    ] {
        let mut child = amd.clone();
        child[member] = value;
        setup.tag(setup.index(&[child]));
        setup.refuses(
            AMD64,
            &[words[0], words[1], amd["digest"].as_str().unwrap()],
        );
    }
    let mut nested = setup.index(std::slice::from_ref(&amd));
    nested["mediaType"] = OCI_MANIFEST.into();
    setup.tag(setup.index(&[nested]));
    setup.refuses(AMD64, &["media type mismatch"]);
}

#[test]
fn repeated_members_are_refused_wherever_they_are() {
    let setup = Setup::new();
    let built = setup.image("a", "linux", "amd64");
    let child = with_platform(built.descriptor(), on("linux", "amd64"));
    let twice = child
        .to_string()
        .replacen("\"digest\"", "\"Digest\":\"sha256:0\",\"digest\"", 1);
    let manifest = String::from_utf8(built.manifest.clone()).unwrap();
    let layers = manifest.replacen("\"layers\"", "\"Layers\":[],\"layers\"", 1);
    for (media_type, document) in [
        (
            OCI_INDEX,
            format!(r#"{{"schemaVersion":2,"manifests":[{child}],"manifests":[]}}"#),
        ),
        (
            OCI_INDEX,
            format!(r#"{{"schemaVersion":2,"manifests":[{twice}]}}"#),
        ),
        (OCI_MANIFEST, layers),
        (
            OCI_MANIFEST,
            manifest.replacen("\"size\"", "\"size\":1,\"size\"", 1),
        ),
    ] {
        setup.tag(setup.document(media_type, &document));
        setup.refuses(AMD64, &["duplicate field `"]);
    }
    let config =
        br#"{"os":"linux","architecture":"amd64","Architecture":"arm64","rootfs":{"diff_ids":[]}}"#;
    let image = ImageBuilder::new().config_bytes(&config[..]);
    image.write_layout(setup.layout.path(), "t").unwrap();
    setup.refuses(
        AMD64,
        &["image config sha256:", "duplicate field `architecture`"],
    );
}

#[test]
fn sizes_beyond_63_bits_are_refused_by_name() {
    let setup = Setup::new();
    let mut layers = json!([null]);
    for size in [json!(1_u64 << 63), json!(u64::MAX), json!(-1)] {
        layers[0] = json!({"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": format!("sha256:{:064}", 1), "size": size});
        let image = image("a").manifest_patch(json!({"layers": layers}));
        image.write_layout(setup.layout.path(), "t").unwrap();
        setup.refuses(
            AMD64,
            &["manifest sha256:", "layer 1: sha256:0000", "2^63 - 1"],
        );
    }
    layers[0]["size"] = json!(i64::MAX);
    layers = json!([layers[0], layers[0]]);
    let image = image("a").manifest_patch(json!({"layers": layers}));
    image.write_layout(setup.layout.path(), "t").unwrap();
    setup.refuses(AMD64, &["manifest sha256:", "in total"]);
}

#[test]
fn a_search_reads_a_bounded_number_of_documents() {
    let setup = Setup::new();
    let children: Vec<Value> = (0..200)
        .map(|number| {
            let image = image("a").platform("linux", &format!("a{number}"));
            image
                .write_layout(setup.layout.path(), "image")
                .unwrap()
                .descriptor()
        })
        .collect();
    setup.tag(setup.index(&children));
    setup.refuses(AMD64, &["first 100 documents"]);
    assert!(setup.registry.requests().len() <= 110);
    // More nested indexes than the limit.
    let mut nested = setup.index(&[]);
    for _ in 0..6 {
        nested = setup.index(&[nested]);
    }
    setup.tag(nested);
    setup.refuses(AMD64, &["more than 4 indexes inside one another"]);
}
