//! The EROFS form of an image, as the index that the user named offers it.

use msb_oci::{Digest, Reference};

use super::{LayerSource, PublishedImage};
use crate::cache::keys::FORMAT;
use crate::published::parse;
use crate::source::{Document, ImageSource};
use crate::{PublishedProblem, PullError, SourceForm};

/// The image whose EROFS form is wanted.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    pub(super) reference: &'a Reference,
    /// The digest of its manifest.
    pub(super) original: Digest,
    pub(super) layers: &'a [LayerSource],
}

/// Finds the EROFS form of an image in the document that a reference led to. Only that document counts, because its digest may be the
/// user's.
///
/// # Errors
/// If EROFS layers are required: [`PullError::NotPublished`], [`PullError::PublishedManifest`], and those of the source. Otherwise only the
/// temporary ones.
pub(super) async fn find(
    source: &dyn ImageSource,
    index: &Document,
    wanted: &Wanted<'_>,
    from: SourceForm,
) -> Result<Option<PublishedImage>, PullError> {
    let is_required = from == SourceForm::Erofs;
    match read(source, index, wanted).await {
        Ok(Some(layers)) => Ok(Some(PublishedImage {
            layers,
            is_required,
        })),
        Ok(None) if is_required => Err(PullError::NotPublished {
            reference: Box::new(wanted.reference.clone()),
        }),
        Ok(None) => Ok(None),
        Err(error) if !is_required && error.is_of_published() => {
            let reference = wanted.reference;
            tracing::warn!(%reference, %error, "the EROFS layers cannot be used; the original ones are");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

async fn read(
    source: &dyn ImageSource,
    index: &Document,
    wanted: &Wanted<'_>,
) -> Result<Option<Vec<parse::PublishedLayer>>, PullError> {
    if !index.is_index() {
        return Ok(None);
    }
    let Some(entry) = parse::entry(&index.bytes, &wanted.original) else {
        return Ok(None);
    };
    let document = source.manifest(entry.digest).await?;
    let failed = |problem| PullError::PublishedManifest {
        digest: entry.digest,
        problem: Box::new(problem),
    };
    let actual = document.bytes.len() as u64;
    if actual != entry.size {
        return Err(failed(PublishedProblem::Size {
            expected: entry.size,
            actual,
        }));
    }
    let layers = parse::layers(&document.bytes, wanted.original, FORMAT.0, wanted.layers);
    layers.map(Some).map_err(failed)
}
