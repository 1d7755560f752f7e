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

/// Bytes of inline data that are read from the sidecar at once.
const READ_AHEAD_BYTES: usize = 128 << 10;

/// Layers with more names are not merged while they are converted: the layer's tree and the merged tree would be in memory at
/// the same time.
const MAX_NAMES_AHEAD: usize = 100_000;

/// The two empty files of a layer.
#[derive(Debug)]
pub(crate) struct Targets {
    pub(crate) image: File,
    /// Also open for reading.
    pub(crate) sidecar: File,
}

/// Limits and budget of reading an archive.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) limits: LayerLimits,
    pub(crate) account: Account,
    /// Set when the pull ends.
    pub(crate) cancelled: Arc<AtomicBool>,
}

/// The result of reading an archive.
#[derive(Debug)]
pub(crate) struct Ingested {
    /// The layer's share of the budget.
    pub(crate) account: Account,
    pub(crate) image: ImageSummary,
    pub(crate) entries: u64,
    pub(crate) notes: Vec<Note>,
}

/// A layer whose archive has been read completely and whose image lacks the metadata.
///
/// It is not verified yet. A result of merging it must be discarded if the layer fails.
#[derive(Debug)]
pub struct ReadLayer {
    /// Its changes, read from the sidecar that is still being written.
    pub changes: Changes<File>,
    /// The length that its image will have, in bytes, once it is planned. The sender is dropped if the layer fails.
    pub image_bytes: watch::Receiver<Option<u64>>,
}

/// Reads an uncompressed tar archive, which `next` returns chunk by chunk until `None`, and writes the layer's two files. Calls
/// `notify` with the layer as soon as it can be merged, unless that would take much memory.
pub(crate) fn ingest<C: AsRef<[u8]>>(
    mut next: impl FnMut() -> Result<Option<C>, LayerError>,
    media_type: &str,
    targets: Targets,
    work: Work,
    uuid: [u8; 16],
    notify: impl FnOnce(ReadLayer),
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
        // Every chunk but the last is far longer than the examined beginning.
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
        notify(ReadLayer {
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
    // The file is complete now, including buffered data.
    meter.data()?;
    Ok(Ingested {
        account: meter.into_account(),
        image,
        entries: end.entries,
        notes,
    })
}

/// Checks that the stream begins like a tar archive. Leaves damage to the parser if the media type is unknown.
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

/// Inline data, read from the sidecar that contains it.
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
