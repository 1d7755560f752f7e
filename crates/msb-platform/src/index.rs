//! An index's children, and the order in which they are tried.

mod child;

pub use child::{Child, ChildKind};

use msb_oci::json::{self, Loose, Object};
use msb_oci::media_type;
use serde::Deserialize;
use serde::de::{IgnoredAny, SeqAccess};

use crate::{Available, Error, OddChild, OddReason, Platform};
use child::Members;

/// Maximum number of odd children that are described; the others are only counted.
const MAX_ODD_SHOWN: usize = 16;

/// An OCI image index or a Docker manifest list.
///
/// Children are decoded one by one. A child that cannot be used is listed in [`Index::odd`] and does not fail the index. A
/// repeated member does, because other tools may read the index differently.
#[derive(Debug, Clone)]
pub struct Index {
    media_type: Option<String>,
    children: Vec<Child>,
    odd: Vec<OddChild>,
    odd_count: usize,
}

impl Index {
    /// Parses an index.
    ///
    /// # Errors
    ///
    /// [`Error::Json`], [`Error::NotAnIndex`] and [`Error::Ambiguous`]. A child that cannot be used is not an error.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Document {
            #[serde(default)]
            media_type: Loose<String>,
            #[serde(default)]
            manifests: Loose<Children>,
            // The members of an image manifest.
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

    /// Returns the index's own media type, as written.
    #[must_use]
    pub fn media_type(&self) -> Option<&str> {
        self.media_type.as_deref()
    }

    /// Returns the children that can be used, including attestations, in the index's order.
    #[must_use]
    pub fn children(&self) -> &[Child] {
        &self.children
    }

    /// Returns the first 16 children that cannot be used.
    #[must_use]
    pub fn odd(&self) -> &[OddChild] {
        &self.odd
    }

    /// Returns the number of children that cannot be used.
    #[must_use]
    pub fn odd_count(&self) -> usize {
        self.odd_count
    }

    /// Returns the children to try for `wanted`, best first; never empty.
    ///
    /// First come manifests whose platform fits, nearest variant first, equals in the index's order; then indexes that fit
    /// or have no platform; then manifests without a platform, whose config decides (see
    /// [`Offer::of_config`](crate::Offer::of_config)). Children that need a feature of the operating system are omitted.
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

    /// Returns the platforms of the children, and the children that cannot be used.
    #[must_use]
    pub fn available(&self) -> Available {
        let images = self.children.iter().filter(|child| !child.is_attestation());
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
        if child.is_attestation() {
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
