mod notes;
mod sink;

use std::fs::File;
use std::io::BufWriter;

use erofs_writer::{ImageWriter, InlineData, Options};
use fs_tree::{LayerApplier, Tree};
use msb_sidecar::{ImageSummary, InlineReader, Note, SidecarWriter};

use crate::tar::{PushError, TarParser};
use crate::writeback::Writeback;
use crate::{LayerError, LayerLimits};
use sink::Sink;

/// Inline data that is read back from the sidecar at a time.
const READ_AHEAD_BYTES: usize = 128 << 10;

/// Where a layer goes: two empty files.
#[derive(Debug)]
pub(crate) struct Targets {
    pub(crate) image: File,
    /// Opened for reading too.
    pub(crate) sidecar: File,
}

/// What was made of an archive.
#[derive(Debug)]
pub(crate) struct Ingested {
    pub(crate) image: ImageSummary,
    pub(crate) entries: u64,
    pub(crate) notes: Vec<Note>,
}

/// Reads a plain tar archive, which comes through `next` chunk by chunk until `None`, and writes the layer's two files.
pub(crate) fn ingest<C: AsRef<[u8]>>(
    mut next: impl FnMut() -> Result<Option<C>, LayerError>,
    targets: Targets,
    limits: &LayerLimits,
    uuid: [u8; 16],
) -> Result<Ingested, LayerError> {
    let image = ImageWriter::new(
        Writeback::new(targets.image),
        Options {
            uuid,
            ..Options::default()
        },
    )
    .map_err(image_error)?;
    let sidecar_reader = targets
        .sidecar
        .try_clone()
        .map_err(|source| sidecar_error(msb_sidecar::Error::Write { offset: 0, source }))?;
    let mut tree = Tree::new();
    let sidecar = BufWriter::with_capacity(128 << 10, targets.sidecar);
    let mut sink = Sink::new(
        image,
        SidecarWriter::new(sidecar),
        LayerApplier::new(&mut tree),
        limits,
    );
    let mut parser = TarParser::new(limits.tar);
    while let Some(chunk) = next()? {
        parser.push(chunk.as_ref(), &mut sink).map_err(push_error)?;
    }
    let end = parser.finish::<LayerError>().map_err(push_error)?;

    let Sink {
        image,
        mut sidecar,
        notes,
        ..
    } = sink;
    let notes = notes.finish(&tree);
    sidecar.flush().map_err(sidecar_error)?;
    let (written, image) = image
        .finish(
            &tree,
            &mut SidecarInline(InlineReader::new(sidecar_reader, READ_AHEAD_BYTES)),
        )
        .map_err(image_error)?;
    image
        .finish()
        .map_err(|source| LayerError::Sync { source })?;
    let image = ImageSummary {
        bytes: written.bytes(),
        crc32c: written.crc32c.get(),
    };
    sidecar.finish(image, &notes).map_err(sidecar_error)?;
    Ok(Ingested {
        image,
        entries: end.entries,
        notes,
    })
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
    LayerError::Image { source }
}

fn sidecar_error(source: msb_sidecar::Error) -> LayerError {
    LayerError::Sidecar { source }
}

fn apply_error(source: fs_tree::ApplyError) -> LayerError {
    LayerError::Apply { source }
}
