//! Pulls an image with a progress bar, and prints where its disk is: `progress REF CACHE`.
use indicatif::{ProgressBar, ProgressStyle};
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
    let style =
        ProgressStyle::with_template("{bar:40} {bytes} of {total_bytes}, {eta} left {msg}")?;
    let (bar, mut layers) = (ProgressBar::no_length().with_style(style), Vec::new());
    while let Some(event) = progress.recv().await {
        match event {
            PullProgress::Resolved { layer_count, total_bytes, .. } => {
                layers = vec![0; layer_count];
                bar.set_length(total_bytes);
            }
            PullProgress::LayerCached { layer, total_bytes, .. } => layers[layer] = total_bytes,
            PullProgress::LayerUnpackProgress { layer, unpacked_bytes, .. } => {
                layers[layer] = unpacked_bytes
            }
            PullProgress::Merging => bar.set_message("merging"),
            _ => {}
        }
        bar.set_position(layers.iter().sum());
    }
    bar.finish_and_clear();
    println!("{}", task.await??.vmdk.display());
    Ok(())
}
