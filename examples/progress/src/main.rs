//! Pulls an image with a progress bar, and prints where its disk is: `progress REF CACHE`.
use microsandbox_image::{GlobalCache, Platform, PullOptions, PullProgress, Registry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [reference, cache] = &arguments[..] else {
        return Err("usage: progress REF CACHE".into());
    };
    let registry = Registry::new(Platform::host_linux(), GlobalCache::new(cache)?)?;
    let options = PullOptions::default();
    let (mut progress, task) = registry.pull_with_progress(&reference.parse()?, &options);
    let (mut layers, mut length, mut state) = (Vec::new(), 1, "");
    while let Some(event) = progress.recv().await {
        match event {
            PullProgress::Resolved { layer_count, total_bytes, .. } => {
                layers = vec![0; layer_count];
                length = total_bytes.max(1);
            }
            PullProgress::LayerCached { layer, total_bytes, .. } => layers[layer] = total_bytes,
            PullProgress::LayerUnpackProgress { layer, unpacked_bytes, .. } => {
                layers[layer] = unpacked_bytes
            }
            PullProgress::Merging => state = "merging",
            _ => {}
        }
        let done: u64 = layers.iter().sum();
        let bar = "=".repeat((done * 40 / length) as usize);
        eprint!("\r[{bar:40}] {done} of {length} bytes {state}\x1b[K");
    }
    eprintln!();
    println!("{}", task.await??.vmdk.display());
    Ok(())
}
