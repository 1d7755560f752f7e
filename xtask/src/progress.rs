//! Prints the progress of a pull, and the commands that use its result.

use std::io::{self, Write};
use std::time::Instant;

use microsandbox_image::{PullProgress, PullResult, Reference, Registry};

use crate::show;

/// Pulls an image and prints its progress.
pub(crate) fn pull(
    registry: &Registry,
    reference: &Reference,
    out: &mut dyn Write,
) -> Result<PullResult, Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let start = Instant::now();
    let result = runtime.block_on(async {
        let (mut progress, task) = registry.pull_with_progress(reference, &Default::default());
        while let Some(event) = progress.recv().await {
            if let Some(text) = line(&event) {
                writeln!(out, "  {:>6.2} s  {text}", start.elapsed().as_secs_f64())?;
            }
        }
        Ok::<_, io::Error>(task.await)
    })?;
    Ok(result??)
}

/// Returns one line for an event, or `None` for frequent events.
fn line(event: &PullProgress) -> Option<String> {
    Some(match event {
        PullProgress::Resolving { reference } => format!("resolving {reference}"),
        PullProgress::Resolved {
            manifest_digest,
            layer_count,
            total_bytes,
            ..
        } => {
            format!("manifest {manifest_digest}: {layer_count} layers, {total_bytes} bytes")
        }
        PullProgress::LayerWaiting { layer, .. } => {
            format!("layer {layer}: another pull is building it")
        }
        PullProgress::LayerCached { layer, .. } => format!("layer {layer}: cached"),
        PullProgress::LayerStarted {
            layer,
            digest,
            total_bytes,
            resumed_bytes,
            ..
        } => match resumed_bytes {
            0 => format!("layer {layer}: fetching {digest}, {total_bytes} bytes"),
            _ => {
                format!("layer {layer}: resuming {digest} at byte {resumed_bytes} of {total_bytes}")
            }
        },
        PullProgress::LayerDownloaded { layer, .. } => format!("layer {layer}: downloaded"),
        PullProgress::LayerMaterialized { layer, bytes, .. } => {
            format!("layer {layer}: EROFS image of {bytes} bytes")
        }
        PullProgress::Merging => "merging".to_owned(),
        PullProgress::FsmetaWritten { bytes, .. } => format!("fsmeta of {bytes} bytes"),
        PullProgress::VmdkWritten => "disk descriptor".to_owned(),
        PullProgress::Complete { cached: true, .. } => "complete, from the cache".to_owned(),
        PullProgress::Complete { .. } => "complete".to_owned(),
        PullProgress::Failed { error, .. } => format!("failed: {error}"),
        _ => return None,
    })
}

/// Prints the commands that mount or boot a pulled image.
pub(crate) fn commands(result: &PullResult, out: &mut dyn Write) -> io::Result<()> {
    let mut files = result
        .extents
        .iter()
        .map(|extent| show::quoted(&extent.path));
    let fsmeta = files.next().unwrap_or_default();
    let devices: String = files
        .map(|file| format!(",device=$(losetup -rf --show {file})"))
        .collect();
    writeln!(out, "mount it (root; Linux 5.16 or newer):")?;
    writeln!(
        out,
        "  mount -t erofs -o ro,nosuid,nodev{devices} $(losetup -rf --show {fsmeta}) /mnt"
    )?;
    writeln!(
        out,
        "boot it (Linux 6.12 or newer as VMLINUZ, with virtio and erofs built in or in an initramfs):"
    )?;
    writeln!(
        out,
        "  qemu-system-x86_64 -m 512 -nographic -kernel VMLINUZ -append 'console=ttyS0 root=/dev/vda rootfstype=erofs ro' \
         -drive file={},format=vmdk,if=virtio,readonly=on",
        show::quoted(&result.vmdk)
    )
}
