use std::fmt;
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use microsandbox_image::{PullProgress, Reference};

use super::tally::Tally;
use crate::output::{Bytes, count, short};

/// How often bytes are told of.
const INTERVAL: Duration = Duration::from_secs(3);

/// One line for each thing that happens, and now and then one that says how many bytes have come.
#[derive(Debug)]
pub(crate) struct Plain {
    reference: String,
    tally: Tally,
    /// When bytes were last told of.
    told: Instant,
}

impl Plain {
    pub(crate) fn new(reference: &Reference) -> Self {
        Self {
            reference: reference.to_string(),
            tally: Tally::default(),
            told: Instant::now(),
        }
    }

    pub(crate) fn show(&mut self, event: &PullProgress) {
        self.tally.add(event);
        match event {
            PullProgress::Resolving { .. } => self.line(format_args!("resolving")),
            PullProgress::Resolved {
                manifest_digest,
                layer_count,
                total_bytes,
                ..
            } => {
                self.told = Instant::now();
                self.line(format_args!(
                    "{}, {}, {}",
                    short(manifest_digest),
                    count(*layer_count as u64, "layer"),
                    Bytes(*total_bytes)
                ));
            }
            PullProgress::LayerWaiting { layer, .. } => {
                self.layer(*layer, format_args!("waiting for another pull of it"));
            }
            PullProgress::LayerCached { layer, .. } => self.layer(*layer, format_args!("cached")),
            PullProgress::LayerStarted {
                layer,
                digest,
                total_bytes,
                resumed_bytes,
                ..
            } => {
                let (digest, total) = (short(digest), Bytes(*total_bytes));
                match resumed_bytes {
                    0 => self.layer(*layer, format_args!("downloading {digest}, {total}")),
                    resumed => self.layer(
                        *layer,
                        format_args!("downloading {digest}, {total}, from {}", Bytes(*resumed)),
                    ),
                }
            }
            PullProgress::LayerDownloadProgress { .. } => self.bytes(),
            PullProgress::LayerDownloaded { layer, .. } => {
                self.layer(*layer, format_args!("downloaded"));
            }
            PullProgress::LayerMaterialized {
                layer, image_bytes, ..
            } => self.layer(
                *layer,
                format_args!("done, {} unpacked", Bytes(*image_bytes)),
            ),
            PullProgress::Merging => self.line(format_args!("joining the layers")),
            PullProgress::Complete { cached, .. } => {
                let how = if *cached { ", all from the cache" } else { "" };
                self.line(format_args!("complete{how}"));
            }
            // Details of what was told already; and errors are told by whoever gets them.
            _ => {}
        }
    }

    fn bytes(&mut self) {
        if self.told.elapsed() < INTERVAL {
            return;
        }
        self.told = Instant::now();
        self.line(format_args!(
            "{} of {}, {} of {} layers",
            Bytes(self.tally.come_bytes()),
            Bytes(self.tally.total_bytes),
            self.tally.done_layers,
            self.tally.layer_count
        ));
    }

    fn layer(&self, layer: usize, what: fmt::Arguments<'_>) {
        let count = self.tally.layer_count;
        self.line(format_args!("layer {}/{count}: {what}", layer + 1));
    }

    fn line(&self, what: fmt::Arguments<'_>) {
        let text = format!("{}: {what}\n", self.reference);
        // Where stderr is closed, nobody can be told.
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }
}
