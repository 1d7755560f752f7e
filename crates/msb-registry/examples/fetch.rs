//! Fetches an image's manifest and every blob it names, verifies all digests, and prints how long that took.
//!
//! `cargo run -p msb-registry --example fetch -- REFERENCE [PLAIN_HTTP_HOST]`; a user and a password are taken from
//! `REGISTRY_USER` and `REGISTRY_PASSWORD`.

#![allow(clippy::print_stdout, reason = "an example shows what it did")]

use std::time::Instant;

use msb_oci::{Digest, Hasher, Reference};
use msb_registry::{BlobEvent, BlobRequest, Client, RegistryAuth};
use serde_json::Value;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let mut reference: Reference = args.next().ok_or("which image?")?.parse()?;
    let mut builder = Client::builder();
    for host in args {
        builder = builder.plain_http(host);
    }
    if let Ok(username) = std::env::var("REGISTRY_USER") {
        let password = std::env::var("REGISTRY_PASSWORD")?;
        builder = builder.auth(RegistryAuth::Basic { username, password });
    }
    let client = builder.build()?;

    let mut document = client.manifest(&reference).await?;
    println!("{reference}: {} {}", document.media_type, document.digest);
    if document.is_index() {
        let index: Value = serde_json::from_slice(&document.bytes)?;
        let first = index["manifests"][0]["digest"]
            .as_str()
            .ok_or("an empty index")?;
        reference = reference.with_digest(first.parse()?);
        document = client.manifest(&reference).await?;
        println!("{reference}: {}", document.media_type);
    }
    let manifest: Value = serde_json::from_slice(&document.bytes)?;
    let (digest, size) = descriptor(&manifest["config"])?;
    println!(
        "config {}: {} bytes",
        digest,
        client.config(&reference, &digest, size).await?.bytes.len()
    );

    for layer in manifest["layers"].as_array().into_iter().flatten() {
        let (digest, size) = descriptor(layer)?;
        let begun = Instant::now();
        let mut hasher = Hasher::new(digest.algorithm());
        let mut blob = client.blob(&reference, BlobRequest::new(digest, size));
        while let Some(event) = blob.next_event().await? {
            match event {
                BlobEvent::Data(bytes) => hasher.update(&bytes),
                BlobEvent::Restarted => hasher = Hasher::new(digest.algorithm()),
            }
        }
        assert_eq!(hasher.finish(), digest, "the registry sent other bytes");
        println!("layer {digest}: {size} bytes in {:?}", begun.elapsed());
    }
    Ok(())
}

fn descriptor(value: &Value) -> Result<(Digest, u64), Box<dyn std::error::Error>> {
    let digest = value["digest"]
        .as_str()
        .ok_or("a descriptor without a digest")?;
    Ok((
        digest.parse()?,
        value["size"]
            .as_u64()
            .ok_or("a descriptor without a size")?,
    ))
}
