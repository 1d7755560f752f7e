use std::fmt;

use msb_oci::json::{Loose, Object, Size};
use msb_oci::{Digest, Excerpt, StatedPlatform, media_type};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::{OddReason, Offer, Platform};

/// A descriptor in an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// One of those in [`msb_oci::media_type`].
    media_type: Option<&'static str>,
    digest: Digest,
    /// At most `i64::MAX`.
    size: u64,
    pub(super) offer: Option<Offer>,
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

impl Child {
    /// Returns the kind of document that the media type announces.
    #[must_use]
    pub fn kind(&self) -> ChildKind {
        match self.media_type {
            Some(text) if media_type::is_index(text) => ChildKind::Index,
            _ => ChildKind::Manifest,
        }
    }

    /// Returns the media type, if there is one: always one of those in [`msb_oci::media_type`].
    #[must_use]
    pub fn media_type(&self) -> Option<&'static str> {
        self.media_type
    }

    /// Returns the digest of the document.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Returns the document's length in bytes, as stated in the index.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns the platform, if there is one.
    #[must_use]
    pub fn platform(&self) -> Option<&Platform> {
        self.offer.as_ref().map(Offer::platform)
    }

    /// Returns whether this is an attestation and not an image.
    #[must_use]
    pub fn is_attestation(&self) -> bool {
        self.attestation
    }
}

/// The members of a child, as written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Members {
    #[serde(default)]
    media_type: Loose<String>,
    #[serde(default)]
    digest: Loose<String>,
    #[serde(default)]
    size: Loose<Size>,
    #[serde(default)]
    platform: Loose<Object<StatedPlatform>>,
    #[serde(default)]
    annotations: Loose<Object<Annotations>>,
}

impl Members {
    pub(super) fn check(self) -> Result<Child, OddReason> {
        let odd_type = |text: &str| OddReason::MediaType {
            media_type: Excerpt::new(text),
        };
        let media_type = match self.media_type {
            Loose::Absent => None,
            Loose::Value(text) if text.is_empty() => None,
            Loose::Value(text) => Some(media_type::known(&text).ok_or_else(|| odd_type(&text))?),
            Loose::Other => return Err(odd_type("not a string")),
        };
        let digest: Option<Digest> = self.digest.value().and_then(|text| text.parse().ok());
        let digest = digest.ok_or(OddReason::Digest)?;
        let Size(size) = self.size.value().ok_or(OddReason::Size)?;
        let offer = match self.platform {
            Loose::Absent => None,
            Loose::Other => return Err(OddReason::Platform),
            // Some tools write an empty object, or empty strings, for an unknown platform.
            Loose::Value(Object(stated)) if stated == StatedPlatform::default() => None,
            Loose::Value(Object(stated)) => {
                Some(Offer::of_child(&stated).ok_or(OddReason::Platform)?)
            }
        };
        let is_unknown = offer
            .as_ref()
            .is_some_and(|offer| offer.platform().is_unknown());
        let annotations = self.annotations.value();
        Ok(Child {
            media_type,
            digest,
            size,
            offer,
            attestation: is_unknown || annotations.is_some_and(|Object(a)| a.mark_attestation),
        })
    }
}

/// Whether annotations mark an attestation, as BuildKit writes them. Other annotations may have any type.
struct Annotations {
    mark_attestation: bool,
}

impl<'de> Deserialize<'de> for Annotations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnnotationsVisitor;

        impl<'de> Visitor<'de> for AnnotationsVisitor {
            type Value = Annotations;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("annotations")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Annotations, A::Error> {
                let mut mark_attestation = false;
                while let Some(name) = members.next_key::<String>()? {
                    if name == "vnd.docker.reference.type" {
                        let kind = members.next_value::<Loose<String>>()?.value();
                        mark_attestation |= kind.as_deref() == Some("attestation-manifest");
                    } else {
                        members.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Annotations { mark_attestation })
            }
        }
        deserializer.deserialize_map(AnnotationsVisitor)
    }
}
