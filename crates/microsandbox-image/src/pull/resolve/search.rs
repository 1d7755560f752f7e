//! The search from a reference's document to one image.
//!
//! ```text
//!   root ──▶ index ──candidates, best first──▶ index ──▶ ... ──▶ manifest ──▶ config: does it fit?
//!                        ▲                                                       │ no
//!                        └────────────────── the next candidate ◀────────────────┘
//! ```
//!
//! The search is depth-first, and bounded by the depth of indexes and by the number of documents.

use std::collections::HashSet;

use bytes::Bytes;
use msb_oci::{Config, Descriptor, Digest, Excerpt, Manifest, Reference, media_type};
use msb_platform::{Available, Child, Index, Offer, Platform};
use msb_sidecar::Note;

use super::{by_digest, fetch_config};
use crate::engine::Engine;
use crate::source::{Document, ImageSource};
use crate::{AnnouncedProblem, ManifestProblem, PullError};

/// The number of indexes that may lie inside one another.
const MAX_INDEX_DEPTH: usize = 4;

/// The number of indexes, manifests and configs that one search may read.
const MAX_DOCUMENTS: usize = 100;

/// An image that fits.
#[derive(Debug)]
pub(super) struct FoundImage {
    pub(super) document: Document,
    pub(super) manifest: Manifest,
    pub(super) config_bytes: Bytes,
    pub(super) config: Config,
    pub(super) platform: Platform,
    pub(super) notes: Vec<Note>,
}

/// Finds the first image that fits the platform, below `root` or `root` itself.
pub(super) async fn find(
    engine: &Engine,
    source: &dyn ImageSource,
    reference: &Reference,
    root: Document,
) -> Result<FoundImage, PullError> {
    let mut search = Search {
        engine,
        source,
        reference,
        documents_left: MAX_DOCUMENTS,
        stack: Vec::new(),
        seen: HashSet::new(),
        available: Available::default(),
        unusable: None,
        is_too_deep: false,
    };
    search.count_document()?;
    let mut current = Some((root, None));
    while let Some((document, candidate)) = current {
        if let Some(image) = search.visit(document, candidate).await? {
            return Ok(image);
        }
        current = search.next().await?;
    }
    Err(search.no_match())
}

struct Search<'a> {
    engine: &'a Engine,
    source: &'a dyn ImageSource,
    reference: &'a Reference,
    documents_left: usize,
    /// The candidates that are not tried yet, the next one last.
    stack: Vec<Candidate>,
    seen: HashSet<Digest>,
    /// What was there and did not fit.
    available: Available,
    /// The first candidate that is not an image.
    unusable: Option<PullError>,
    is_too_deep: bool,
}

struct Candidate {
    child: Child,
    /// The number of indexes above it.
    depth: usize,
}

impl Search<'_> {
    /// Looks at a document. Returns the image if it is one that fits.
    async fn visit(
        &mut self,
        document: Document,
        candidate: Option<Candidate>,
    ) -> Result<Option<FoundImage>, PullError> {
        let depth = candidate.as_ref().map_or(0, |candidate| candidate.depth);
        let child = candidate.map(|candidate| candidate.child);
        if document.is_index() {
            self.open_index(&document, child.as_ref(), depth)?;
            return Ok(None);
        }
        match self.try_image(document, child.as_ref()).await {
            // A child that states no platform may be something else than an image.
            Err(error)
                if child.is_some_and(|child| child.platform().is_none())
                    && error.is_of_document() =>
            {
                self.unusable.get_or_insert(error);
                Ok(None)
            }
            tried => tried,
        }
    }

    /// Puts the candidates of an index on the stack.
    fn open_index(
        &mut self,
        document: &Document,
        child: Option<&Child>,
        depth: usize,
    ) -> Result<(), PullError> {
        let index = Index::parse(&document.bytes).map_err(|source| self.platform_error(source))?;
        check_announced(child, document, index.media_type())?;
        if depth == MAX_INDEX_DEPTH {
            self.is_too_deep = true;
            return Ok(());
        }
        self.available.extend(index.available());
        let candidates = match index.candidates(&self.engine.platform) {
            Ok(candidates) => candidates,
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => return Err(self.platform_error(error)),
        };
        // More than this many are never tried.
        let candidates = candidates.into_iter().take(self.documents_left + 1);
        let mut candidates: Vec<_> = candidates
            .map(|child| Candidate {
                child: child.clone(),
                depth: depth + 1,
            })
            .collect();
        candidates.reverse();
        self.stack.append(&mut candidates);
        Ok(())
    }

    /// Reads the config of a manifest, and returns the image if it fits.
    async fn try_image(
        &mut self,
        document: Document,
        child: Option<&Child>,
    ) -> Result<Option<FoundImage>, PullError> {
        let manifest =
            Manifest::parse(&document.bytes).map_err(|source| PullError::ManifestDocument {
                digest: document.digest,
                source,
            })?;
        check_announced(child, &document, manifest.media_type.as_deref())?;
        self.count_document()?;
        let config_bytes = fetch_config(self.engine, self.source, &manifest.config).await?;
        let config = Config::parse(&config_bytes)
            .map_err(|source| config_error(&document, &manifest.config, source))?;
        let wanted = &self.engine.platform;
        let stated = child.and_then(Child::platform);
        let Some((offer, is_assumed)) = Offer::of_config(&config.platform, stated, wanted) else {
            return Err(PullError::ConfigPlatform {
                digest: manifest.config.digest,
            });
        };
        if !offer.fits(wanted) {
            self.available.insert(offer);
            return Ok(None);
        }
        let platform = offer.platform().clone();
        let note = is_assumed.then(|| Note::UnstatedPlatform {
            assumed: platform.to_string(),
        });
        Ok(Some(FoundImage {
            document,
            manifest,
            config_bytes,
            config,
            platform,
            notes: note.into_iter().collect(),
        }))
    }

    /// Fetches the next candidate; `None` if there is none left.
    async fn next(&mut self) -> Result<Option<(Document, Option<Candidate>)>, PullError> {
        while let Some(candidate) = self.stack.pop() {
            if !self.seen.insert(*candidate.child.digest()) {
                continue;
            }
            self.count_document()?;
            let digest = candidate.child.digest();
            let document = by_digest(self.engine, self.source, digest).await?;
            return Ok(Some((document, Some(candidate))));
        }
        Ok(None)
    }

    fn count_document(&mut self) -> Result<(), PullError> {
        match self.documents_left.checked_sub(1) {
            Some(left) => {
                self.documents_left = left;
                Ok(())
            }
            None => Err(PullError::TooManyDocuments {
                reference: Box::new(self.reference.clone()),
                limit: MAX_DOCUMENTS,
            }),
        }
    }

    fn no_match(self) -> PullError {
        if self.is_too_deep {
            return PullError::IndexDepth {
                reference: Box::new(self.reference.clone()),
                limit: MAX_INDEX_DEPTH,
            };
        }
        match self.unusable {
            Some(error) if self.available.is_empty() => error,
            _ => self.platform_error(msb_platform::Error::NoMatch {
                wanted: self.engine.platform.clone(),
                available: Box::new(self.available.clone()),
            }),
        }
    }

    fn platform_error(&self, source: msb_platform::Error) -> PullError {
        PullError::Platform {
            reference: Box::new(self.reference.clone()),
            source,
        }
    }
}

/// Compares a document with the child of an index that led to it. `own` is the media type that the document states.
fn check_announced(
    child: Option<&Child>,
    document: &Document,
    own: Option<&str>,
) -> Result<(), PullError> {
    let Some(child) = child else {
        return Ok(());
    };
    let fault = |problem| {
        Err(PullError::Announced {
            digest: document.digest,
            problem,
        })
    };
    let actual = document.bytes.len() as u64;
    if actual != child.size() {
        let expected = child.size();
        return fault(AnnouncedProblem::Size { expected, actual });
    }
    let Some(expected) = child.media_type() else {
        return Ok(());
    };
    let is_other_kind = media_type::is_index(expected) != document.is_index();
    // A document without a media type of its own is classified by its members, which OCI's and Docker's forms share.
    let own = own.filter(|own| !own.is_empty());
    if is_other_kind || own.is_some_and(|own| !own.eq_ignore_ascii_case(expected)) {
        let own = own.unwrap_or(&document.media_type);
        return fault(AnnouncedProblem::MediaType {
            expected,
            actual: Excerpt::new(own),
        });
    }
    Ok(())
}

/// Returns the error for a config that cannot be parsed. Some images have a config of an unknown media type, so that it is no fault alone.
fn config_error(document: &Document, config: &Descriptor, source: serde_json::Error) -> PullError {
    if media_type::is_config(&config.media_type) {
        return PullError::Config {
            digest: config.digest,
            source,
        };
    }
    PullError::Manifest {
        digest: document.digest,
        problem: ManifestProblem::NotAnImage {
            config_type: Excerpt::new(&config.media_type),
        },
    }
}
