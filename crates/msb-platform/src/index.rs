//! An index's children, and the order in which to try them.

mod child;

use msb_oci::json::{self, Loose, Object};
use msb_oci::{Digest, Excerpt, media_type};
use serde::Deserialize;
use serde::de::{IgnoredAny, SeqAccess};

use crate::{Available, Error, Offer, Platform};
use child::Members;

/// The most children that are set aside and described; further ones are only counted.
const MAX_ODD_SHOWN: usize = 16;

/// An OCI image index or a Docker manifest list.
///
/// Children are decoded one by one. A child that cannot be used is set aside in [`Index::odd`] and does not fail the index; a
/// member that comes twice does, because the index would then mean two things.
#[derive(Debug, Clone)]
pub struct Index {
    media_type: Option<String>,
    children: Vec<Child>,
    odd: Vec<OddChild>,
    odd_count: usize,
}

/// A descriptor in an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// One of those in [`msb_oci::media_type`].
    media_type: Option<&'static str>,
    digest: Digest,
    /// At most `i64::MAX`.
    size: u64,
    offer: Option<Offer>,
    attestation: bool,
}

/// The kind of document that a child's media type announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChildKind {
    /// The manifest of one image. A child without a media type counts as one.
    Manifest,
    /// Another index.
    Index,
}

/// A child that was set aside.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct OddChild {
    /// Its place in the list, from 0.
    pub position: usize,
    /// Why it was set aside.
    pub reason: OddReason,
}

/// Why a child was set aside; to be read after its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[non_exhaustive]
pub enum OddReason {
    /// It is not a JSON object.
    #[error("is not an object")]
    NotAnObject,
    /// Its media type is neither a manifest's nor an index's.
    #[error("has the media type `{media_type}`")]
    MediaType {
        /// The beginning of the media type.
        media_type: Excerpt,
    },
    /// It has no valid digest.
    #[error("has no usable digest")]
    Digest,
    /// It has no size from 0 to 2^63 - 1.
    #[error("has no usable size")]
    Size,
    /// Its platform has another type, or names that are not names.
    #[error("has a malformed platform")]
    Platform,
}

impl Index {
    /// Parses an index.
    ///
    /// # Errors
    ///
    /// [`Error::Json`] and [`Error::NotAnIndex`]; a single child that cannot be used is not an error.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Document {
            #[serde(default)]
            media_type: Loose<String>,
            #[serde(default)]
            manifests: Loose<Children>,
            // Those of an image manifest.
            config: Option<IgnoredAny>,
            layers: Option<IgnoredAny>,
        }
        let document: Loose<Object<Document>> =
            json::from_slice(bytes).map_err(|source| Error::Json { source })?;
        let Some(Object(document)) = document.value() else {
            return Err(Error::NotAnIndex);
        };
        let children = document.manifests.value().ok_or(Error::NotAnIndex)?;
        let media_type = document.media_type.value();
        let is_manifest = media_type.as_deref().is_some_and(media_type::is_manifest);
        if document.config.is_some() || document.layers.is_some() || is_manifest {
            return Err(Error::Ambiguous);
        }
        Ok(Self {
            media_type,
            children: children.good,
            odd: children.odd,
            odd_count: children.odd_count,
        })
    }

    /// Returns the media type that the index states for itself, as it is written.
    #[must_use]
    pub fn media_type(&self) -> Option<&str> {
        self.media_type.as_deref()
    }

    /// Returns the children that can be used, in the index's order; attestations included.
    #[must_use]
    pub fn children(&self) -> &[Child] {
        &self.children
    }

    /// Returns the children that were set aside; the first 16.
    #[must_use]
    pub fn odd(&self) -> &[OddChild] {
        &self.odd
    }

    /// Returns the number of children that were set aside.
    #[must_use]
    pub fn odd_count(&self) -> usize {
        self.odd_count
    }

    /// Returns the children to try for `wanted`, best first; never empty.
    ///
    /// First come manifests whose platform fits, nearest variant first and among equals in the index's order; then
    /// indexes that fit or state no platform; then manifests that state none, whose config decides (see [`Offer::of_config`]).
    /// Children that need a feature of the operating system are left out.
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`], which lists what the index has.
    pub fn candidates(&self, wanted: &Platform) -> Result<Vec<&Child>, Error> {
        let mut ranked: Vec<(Rank, &Child)> = self
            .children
            .iter()
            .filter_map(|child| Some((Rank::of(child, wanted)?, child)))
            .collect();
        if ranked.is_empty() {
            return Err(Error::NoMatch {
                wanted: wanted.clone(),
                available: Box::new(self.available()),
            });
        }
        // Stable: the specification prefers the first of equals.
        ranked.sort_by_key(|(rank, _)| *rank);
        Ok(ranked.into_iter().map(|(_, child)| child).collect())
    }

    /// Returns what the index has: the platforms that its children state, and the children that were set aside.
    #[must_use]
    pub fn available(&self) -> Available {
        let images = self.children.iter().filter(|child| !child.attestation);
        let mut available: Available = images.filter_map(|child| child.offer.clone()).collect();
        available.add_odd(&self.odd, self.odd_count);
        available
    }
}

/// The order of candidates; smaller is better.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Manifest { distance: u32 },
    Index { distance: u32 },
    Unnamed,
}

impl Rank {
    fn of(child: &Child, wanted: &Platform) -> Option<Self> {
        if child.attestation {
            return None;
        }
        match (child.kind(), &child.offer) {
            (ChildKind::Manifest, Some(offer)) => Some(Self::Manifest {
                distance: offer.distance_from(wanted)?,
            }),
            (ChildKind::Index, Some(offer)) => Some(Self::Index {
                distance: offer.distance_from(wanted)?,
            }),
            (ChildKind::Index, None) => Some(Self::Index { distance: u32::MAX }),
            (ChildKind::Manifest, None) => Some(Self::Unnamed),
        }
    }
}

impl Child {
    /// Returns the kind of document that it announces.
    #[must_use]
    pub fn kind(&self) -> ChildKind {
        match self.media_type {
            Some(text) if media_type::is_index(text) => ChildKind::Index,
            _ => ChildKind::Manifest,
        }
    }

    /// Returns the media type, if it states one: always one of those in [`msb_oci::media_type`].
    #[must_use]
    pub fn media_type(&self) -> Option<&'static str> {
        self.media_type
    }

    /// Returns the digest of its bytes.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Returns its length in bytes, as the index states it.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns the platform, if it states one.
    #[must_use]
    pub fn platform(&self) -> Option<&Platform> {
        self.offer.as_ref().map(Offer::platform)
    }

    /// Returns whether this is a companion of an image and not an image.
    #[must_use]
    pub fn is_attestation(&self) -> bool {
        self.attestation
    }
}

/// The children of an index, decoded one by one.
#[derive(Default)]
struct Children {
    good: Vec<Child>,
    odd: Vec<OddChild>,
    odd_count: usize,
}

impl<'de> json::Expected<'de> for Children {
    fn from_array<A: SeqAccess<'de>>(mut elements: A) -> Result<Option<Self>, A::Error> {
        let mut children = Self::default();
        for position in 0.. {
            let Some(member) = elements.next_element::<Loose<Object<Members>>>()? else {
                break;
            };
            let checked = match member {
                Loose::Value(Object(members)) => members.check(),
                Loose::Absent | Loose::Other => Err(OddReason::NotAnObject),
            };
            match checked {
                Ok(child) => children.good.push(child),
                Err(reason) => {
                    children.odd_count += 1;
                    if children.odd.len() < MAX_ODD_SHOWN {
                        children.odd.push(OddChild { position, reason });
                    }
                }
            }
        }
        Ok(Some(children))
    }
}
