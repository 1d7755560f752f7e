//! Pulls an image into a cache directory, with progress: `pull CACHE REFERENCE`.

use microsandbox_image::{GlobalCache, Platform, PullOptions, PullProgress, Registry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(cache), Some(reference)) = (args.next(), args.next()) else {
        return Err("usage: pull CACHE REFERENCE".into());
    };
    let registry = Registry::new(Platform::host_linux(), GlobalCache::new(cache)?)?;
    let (mut progress, task) =
        registry.pull_with_progress(&reference.parse()?, &PullOptions::default());
    while let Some(event) = progress.recv().await {
        if !matches!(event, PullProgress::LayerDownloadProgress { .. }) {
            eprintln!("{event:?}");
        }
    }
    let result = task.await??;
    println!("{}", result.vmdk.display());
    Ok(())
}
