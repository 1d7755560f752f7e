//! The crate by itself: its example, and what it depends on.

#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "a test, and what it calls, fails by panicking; the example has a main function of its own"
)]

#[path = "../examples/explore.rs"]
mod explore;
mod support;

use msb_oci::Digest;
use support::{Reply, Server};

#[tokio::test]
async fn the_example_lists_resolves_and_streams_a_verified_blob() {
    const LAYER: &[u8] = b"the bytes of a layer";
    for (served, is_right) in [(LAYER, true), (b"the bytes of a-layer".as_slice(), false)] {
        let server = Server::start(move |request, _| {
            if request.path.ends_with("/tags/list") {
                return Reply::ok(r#"{"name":"a","tags":["v1"]}"#);
            }
            if request.path.contains("/manifests/v1") {
                let digest = Digest::sha256_of(LAYER);
                let layer = format!(r#"{{"digest":"{digest}","size":{}}}"#, LAYER.len());
                return Reply::ok(format!(r#"{{"config":{{}},"layers":[{layer}]}}"#));
            }
            match request.path.contains("/blobs/") {
                true => Reply::ok(served),
                false => Reply::new(404, ""),
            }
        })
        .await;
        let client = server.client().build().unwrap();
        let explored = explore::explore(&client, &server.reference("a:v1")).await;
        assert_eq!(explored.is_ok(), is_right);
    }
    let lines = include_str!("../examples/explore.rs").lines().count();
    assert!(lines < 40, "{lines} lines");
}

#[test]
fn no_crate_of_images_is_among_the_dependencies() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let tree = std::process::Command::new(cargo)
        .args([
            "tree",
            "--offline",
            "-p",
            "msb-registry",
            "-e",
            "normal",
            "--prefix",
            "none",
        ])
        .output()
        .unwrap();
    let tree = String::from_utf8(tree.stdout).unwrap();
    assert!(tree.contains("msb-oci"), "{tree}");
    for unwanted in [
        "erofs",
        "fs-tree",
        "msb-store",
        "msb-layer",
        "msb-hosts",
        "msb-credentials",
    ] {
        assert!(!tree.contains(unwanted), "{tree}");
    }
}
