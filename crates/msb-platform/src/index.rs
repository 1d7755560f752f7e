//! An index's children, and which of them to fetch.

use msb_oci::{Digest, Excerpt, media_type};
use serde_json::{Map, Value};

use crate::{Available, Error, Platform};

/// An OCI image index or a Docker manifest list.
///
/// Children are decoded one by one: one that makes no sense is set aside in [`Index::odd`] and fails nothing.
#[derive(Debug, Clone)]
pub struct Index {
    children: Vec<Child>,
    odd: Vec<OddChild>,
}

/// A descriptor in an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    kind: ChildKind,
    digest: Digest,
    /// At most `i64::MAX`.
    size: u64,
    platform: Option<Platform>,
    attestation: bool,
}

/// What a child's media type says that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChildKind {
    /// The manifest of one image; also what has no media type.
    Manifest,
    /// Another index, to descend into.
    Index,
}

/// A child that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OddChild {
    /// Its place in the list, from 0.
    pub position: usize,
    /// What is odd about it.
    pub reason: OddReason,
}

/// Why a child was set aside.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OddReason {
    /// It is no JSON object.
    #[error("is not an object")]
    NotAnObject,
    /// Its media type is neither a manifest's nor an index's.
    #[error("has the media type `{media_type}`")]
    MediaType {
        /// The beginning of the media type.
        media_type: Excerpt,
    },
    /// It has no digest that can be used.
    #[error("has no usable digest")]
    Digest,
    /// It has no size that can be used.
    #[error("has no usable size")]
    Size,
    /// Its platform is of the wrong shape.
    #[error("has a platform that makes no sense")]
    Platform,
}

impl Index {
    /// Decodes an index.
    ///
    /// # Errors
    ///
    /// [`Error::Json`] and [`Error::NotAnIndex`]; never because of a single child.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let value: Value =
            serde_json::from_slice(bytes).map_err(|source| Error::Json { source })?;
        let list = value
            .get("manifests")
            .and_then(Value::as_array)
            .ok_or(Error::NotAnIndex)?;
        let (mut children, mut odd) = (Vec::new(), Vec::new());
        for (position, child) in list.iter().enumerate() {
            match Child::decode(child) {
                Ok(child) => children.push(child),
                Err(reason) => odd.push(OddChild { position, reason }),
            }
        }
        Ok(Self { children, odd })
    }

    /// The children that make sense, in the index's order; attestations included.
    #[must_use]
    pub fn children(&self) -> &[Child] {
        &self.children
    }

    /// The children that were set aside.
    #[must_use]
    pub fn odd(&self) -> &[OddChild] {
        &self.odd
    }

    /// The children to try for `wanted`, best first; never empty.
    ///
    /// First come manifests whose platform fits, nearest variant first and among equals in the index's order; then
    /// indexes that fit or say nothing; then manifests that name no platform, of which the config decides (see
    /// [`Platform::of_config`]).
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`], which lists what there is.
    pub fn candidates(&self, wanted: &Platform) -> Result<Vec<&Child>, Error> {
        let mut ranked: Vec<(Rank, &Child)> = self
            .children
            .iter()
            .filter_map(|child| Some((Rank::of(child, wanted)?, child)))
            .collect();
        if ranked.is_empty() {
            return Err(Error::NoMatch {
                wanted: wanted.clone(),
                available: self.available(),
            });
        }
        // Stable: the specification prefers the first of equals.
        ranked.sort_by_key(|(rank, _)| *rank);
        Ok(ranked.into_iter().map(|(_, child)| child).collect())
    }

    /// The platforms that the children name.
    #[must_use]
    pub fn available(&self) -> Available {
        self.children
            .iter()
            .filter(|child| !child.is_attestation())
            .filter_map(|child| child.platform.clone())
            .collect()
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
        match (child.kind, &child.platform) {
            (ChildKind::Manifest, Some(offered)) => Some(Self::Manifest {
                distance: wanted.distance(offered)?,
            }),
            (ChildKind::Index, Some(offered)) => Some(Self::Index {
                distance: wanted.distance(offered)?,
            }),
            (ChildKind::Index, None) => Some(Self::Index { distance: u32::MAX }),
            (ChildKind::Manifest, None) => Some(Self::Unnamed),
        }
    }
}

impl Child {
    /// Manifest or index.
    #[must_use]
    pub fn kind(&self) -> ChildKind {
        self.kind
    }

    /// The digest of its bytes.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Its length in bytes, as the index declares it.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The platform, if it names one.
    #[must_use]
    pub fn platform(&self) -> Option<&Platform> {
        self.platform.as_ref()
    }

    /// Whether this is a companion of an image and not an image.
    #[must_use]
    pub fn is_attestation(&self) -> bool {
        self.attestation
    }

    fn decode(value: &Value) -> Result<Self, OddReason> {
        let object = value.as_object().ok_or(OddReason::NotAnObject)?;
        let kind = match object.get("mediaType") {
            None | Some(Value::Null) => ChildKind::Manifest,
            Some(Value::String(text)) if media_type::is_index(text) => ChildKind::Index,
            Some(Value::String(text)) if media_type::is_manifest(text) || text.is_empty() => {
                ChildKind::Manifest
            }
            Some(Value::String(text)) => {
                return Err(OddReason::MediaType {
                    media_type: Excerpt::new(text),
                });
            }
            Some(_) => {
                return Err(OddReason::MediaType {
                    media_type: Excerpt::new("not a string"),
                });
            }
        };
        let digest = object
            .get("digest")
            .and_then(Value::as_str)
            .and_then(|text| text.parse().ok())
            .ok_or(OddReason::Digest)?;
        // The specification's sizes are int64.
        let size = object
            .get("size")
            .and_then(Value::as_i64)
            .and_then(|size| u64::try_from(size).ok());
        let platform = decode_platform(object)?;
        let attestation =
            platform.as_ref().is_some_and(Platform::is_unknown) || is_annotated_attestation(object);
        Ok(Self {
            kind,
            digest,
            size: size.ok_or(OddReason::Size)?,
            platform,
            attestation,
        })
    }
}

fn decode_platform(object: &Map<String, Value>) -> Result<Option<Platform>, OddReason> {
    let fields = match object.get("platform") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(fields)) => fields,
        Some(_) => return Err(OddReason::Platform),
    };
    let text = |name: &str| match fields.get(name) {
        None | Some(Value::Null) => Ok(""),
        Some(Value::String(text)) => Ok(text.as_str()),
        Some(_) => Err(OddReason::Platform),
    };
    let (os, architecture, variant) = (text("os")?, text("architecture")?, text("variant")?);
    // Some tools write an empty object, or empty strings, for "not said".
    if os.is_empty() && architecture.is_empty() {
        return Ok(None);
    }
    let platform = Platform::with_variant(os, architecture, variant);
    if platform.is_well_formed() {
        Ok(Some(platform))
    } else {
        Err(OddReason::Platform)
    }
}

/// How BuildKit marks attestations.
fn is_annotated_attestation(object: &Map<String, Value>) -> bool {
    object
        .get("annotations")
        .and_then(|annotations| annotations.get("vnd.docker.reference.type"))
        .and_then(Value::as_str)
        == Some("attestation-manifest")
}
