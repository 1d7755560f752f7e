//! Lists tags, resolves a tag, lists its referrers, streams a verified blob: `cargo run --example explore -- REFERENCE`.
#![allow(clippy::print_stdout, reason = "an example shows what it did")]

use std::error::Error;

use msb_oci::{Digest, Hasher, Reference};
use msb_registry::{BlobEvent, BlobRequest, Client};

pub(crate) async fn explore(client: &Client, name: &Reference) -> Result<u64, Box<dyn Error>> {
    println!("tags: {:?}", client.tags(name).await?);
    let manifest = client.manifest(name).await?;
    println!("{name} is {} ({})", manifest.digest, manifest.media_type);
    for referrer in client.referrers(name, &manifest.digest).await?.referrers {
        println!("{:?} refers to it", referrer.artifact_type);
    }
    let json: serde_json::Value = serde_json::from_slice(&manifest.bytes)?;
    let layer = &json["layers"][0];
    let digest: Digest = layer["digest"].as_str().ok_or("an index")?.parse()?;
    let size = layer["size"].as_u64().ok_or("no size")?;
    let mut blob = client.blob(name, BlobRequest::new(digest, size));
    let mut hasher = Hasher::new(digest.algorithm());
    while let Some(event) = blob.next_event().await? {
        match event {
            BlobEvent::Data(bytes) => hasher.update(&bytes),
            BlobEvent::Restarted => hasher = Hasher::new(digest.algorithm()),
        }
    }
    if hasher.finish() != digest {
        return Err("the blob has another digest".into());
    }
    Ok(size)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let name = std::env::args().nth(1).ok_or("which image?")?.parse()?;
    explore(&Client::builder().build()?, &name).await.map(drop)
}
