mod meter;
mod notes;
mod sink;

use std::fs::File;
use std::io::BufWriter;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use erofs_writer::{ImageWriter, InlineData, Options};
use fs_tree::{LayerApplier, Tree};
use msb_budget::Account;
use msb_sidecar::{Changes, ImageSummary, InlineReader, Note, SidecarWriter};
use tokio::sync::watch;

use crate::format::{START_BYTES, check_start};
use crate::tar::{PushError, TarParser};
use crate::writeback::{Writeback, is_cancelled};
use crate::{LayerError, LayerLimits};
use meter::Meter;
use sink::Sink;

/// Inline data that is read back from the sidecar at a time.
const READ_AHEAD_BYTES: usize = 128 << 10;

/// A layer with more names than this is not merged before it is done: its tree and what is merged of it would be in memory at
/// once.
const MAX_NAMES_AHEAD: usize = 100_000;

/// Where a layer goes: two empty files.
#[derive(Debug)]
pub(crate) struct Targets {
    pub(crate) image: File,
    /// Opened for reading too.
    pub(crate) sidecar: File,
}

/// What the reading of an archive may take.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) limits: LayerLimits,
    pub(crate) account: Account,
    /// Set when the pull is over.
    pub(crate) cancelled: Arc<AtomicBool>,
}

/// What was made of an archive.
#[derive(Debug)]
pub(crate) struct Ingested {
    /// What the layer's files hold of the budget.
    pub(crate) account: Account,
    pub(crate) image: ImageSummary,
    pub(crate) entries: u64,
    pub(crate) notes: Vec<Note>,
}

/// A layer whose archive was read to its end, while its image still lacks the metadata.
///
/// Nothing of it is verified: what is made of it may be kept only if the layer itself turns out well.
#[derive(Debug)]
pub struct ReadLayer {
    /// Its changes, from the sidecar that is still being written.
    pub changes: Changes<File>,
    /// The length that its image will have, in bytes, once that is planned. The sender is dropped if the layer fails.
    pub image_bytes: watch::Receiver<Option<u64>>,
}

/// Reads a plain tar archive, which comes through `next` chunk by chunk until `None`, and writes the layer's two files. `tell`
/// gets the layer as soon as it can be merged, unless that would take much memory.
pub(crate) fn ingest<C: AsRef<[u8]>>(
    mut next: impl FnMut() -> Result<Option<C>, LayerError>,
    media_type: &str,
    targets: Targets,
    work: Work,
    uuid: [u8; 16],
    tell: impl FnOnce(ReadLayer),
) -> Result<Ingested, LayerError> {
    let Work {
        limits,
        account,
        cancelled,
    } = work;
    let file = Writeback::new(targets.image, Arc::clone(&cancelled));
    let image_written = file.written_bytes();
    let image = ImageWriter::new(file, Options::default().with_uuid(uuid)).map_err(image_error)?;
    let sidecar_handle = || {
        let handle = targets.sidecar.try_clone();
        handle.map_err(|source| sidecar_error(msb_sidecar::Error::Write { offset: 0, source }))
    };
    let mut tree = Tree::new();
    let sidecar = BufWriter::with_capacity(128 << 10, sidecar_handle()?);
    let mut sink = Sink::new(
        image,
        SidecarWriter::new(sidecar),
        LayerApplier::new(&mut tree),
        &limits,
        Meter::new(account, cancelled, image_written),
    );
    let mut parser = TarParser::new(limits.tar);
    let mut is_start = true;
    while let Some(chunk) = next()? {
        // Every chunk but the last one is far longer than what is examined.
        if std::mem::take(&mut is_start) {
            check_format(chunk.as_ref(), media_type)?;
        }
        parser.push(chunk.as_ref(), &mut sink).map_err(push_error)?;
    }
    let end = parser.finish::<LayerError>().map_err(push_error)?;

    let steps = sink.steps();
    let Sink {
        image,
        sidecar,
        notes,
        mut meter,
        ..
    } = sink;
    meter.measure(&tree, steps, sidecar.position())?;
    let notes = notes.finish(&tree);
    let sidecar = sidecar.end_changes().map_err(sidecar_error)?;
    let (planned, image_bytes) = watch::channel(None);
    if tree.entry_count() <= MAX_NAMES_AHEAD {
        tell(ReadLayer {
            changes: sidecar.changes(sidecar_handle()?),
            image_bytes,
        });
    }
    meter.plan(&tree)?;
    let data_bytes = image.position();
    let image = image.plan(&tree).map_err(image_error)?;
    meter.image(image.bytes(), data_bytes)?;
    planned.send_replace(Some(image.bytes()));
    let inline = InlineReader::new(sidecar_handle()?, READ_AHEAD_BYTES);
    let (written, image) = image
        .write(&mut SidecarInline(inline))
        .map_err(image_error)?;
    image
        .finish()
        .map_err(|source| LayerError::Sync { source })?;
    let image = ImageSummary {
        bytes: written.bytes(),
        crc32c: written.crc32c.get(),
    };
    sidecar.finish(image, &notes).map_err(sidecar_error)?;
    // Now that all of the image is in its file.
    meter.data()?;
    Ok(Ingested {
        account: meter.into_account(),
        image,
        entries: end.entries,
        notes,
    })
}

/// Checks that the stream begins like a tar archive. Damage is left to the parser where the media type is not known.
fn check_format(start: &[u8], media_type: &str) -> Result<(), LayerError> {
    match check_start(&start[..start.len().min(START_BYTES)]) {
        Ok(()) => Ok(()),
        Err(None) if media_type.is_empty() => Ok(()),
        Err(format) => Err(LayerError::Format {
            media_type: media_type.to_owned(),
            format,
        }),
    }
}

/// Inline data, read back from the sidecar that it was written to.
struct SidecarInline(InlineReader);

impl InlineData for SidecarInline {
    fn read(&mut self, key: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        self.0.read(key, buffer)
    }
}

fn push_error(error: PushError<LayerError>) -> LayerError {
    match error {
        PushError::Tar(source) => LayerError::Tar { source },
        PushError::Sink(error) => error,
    }
}

fn image_error(source: erofs_writer::Error) -> LayerError {
    match source {
        erofs_writer::Error::Write { source, .. } if is_cancelled(&source) => LayerError::Cancelled,
        source => LayerError::Image { source },
    }
}

fn sidecar_error(source: msb_sidecar::Error) -> LayerError {
    LayerError::Sidecar { source }
}

fn apply_error(source: fs_tree::ApplyError) -> LayerError {
    LayerError::Apply { source }
}
