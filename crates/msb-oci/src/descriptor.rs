//! Descriptors, by which a manifest refers to blobs.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::json::{Few, Loose, Object, Size};
use crate::{Digest, Error, Excerpt};

/// Maximum number of `urls` of a descriptor that are kept.
pub(crate) const MAX_URLS: usize = 16;

/// A content descriptor: the identity of a blob (OCI image specification, descriptor.md).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Descriptor {
    /// The media type as written; empty if it is missing.
    pub media_type: String,
    /// The digest of the blob.
    pub digest: Digest,
    /// The length of the blob in bytes; at most 2^63 - 1.
    pub size: u64,
    /// Other locations of the blob; at most 16.
    pub urls: Vec<String>,
}

/// Why a descriptor cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DescriptorError {
    /// It is not a JSON object.
    #[error("is not an object")]
    NotAnObject,
    /// Its media type is not text.
    #[error("has a media type that is not text")]
    MediaType,
    /// It has no digest.
    #[error("has no digest")]
    NoDigest,
    /// Its digest is malformed.
    #[error("{0}")]
    Digest(Error),
    /// Its size is missing, negative, above 2^63 - 1 or not an integer.
    #[error("{digest} has no size from 0 to 2^63 - 1")]
    Size {
        /// Its digest.
        digest: Digest,
    },
}

impl Descriptor {
    /// Creates a descriptor without `urls`.
    #[must_use]
    pub fn new(media_type: impl Into<String>, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.into(),
            digest,
            size,
            urls: Vec::new(),
        }
    }
}

impl fmt::Display for Descriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let media_type = Excerpt::new(&self.media_type);
        write!(f, "{} ({media_type}, {} bytes)", self.digest, self.size)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Members {
    #[serde(default)]
    media_type: Loose<String>,
    #[serde(default)]
    digest: Loose<String>,
    #[serde(default)]
    size: Loose<Size>,
    #[serde(default)]
    urls: Loose<Few<String, MAX_URLS>>,
}

/// The result of parsing a descriptor, so that an error can name its position in an array.
#[derive(Debug)]
pub(crate) struct Checked(pub(crate) Result<Descriptor, DescriptorError>);

impl<'de> Deserialize<'de> for Checked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let members = Loose::<Object<Members>>::deserialize(deserializer)?;
        Ok(Self(match members {
            Loose::Value(Object(members)) => members.check(),
            Loose::Absent | Loose::Other => Err(DescriptorError::NotAnObject),
        }))
    }
}

impl Members {
    fn check(self) -> Result<Descriptor, DescriptorError> {
        let media_type = match self.media_type {
            Loose::Absent => String::new(),
            Loose::Value(media_type) => media_type,
            Loose::Other => return Err(DescriptorError::MediaType),
        };
        let digest = self.digest.value().ok_or(DescriptorError::NoDigest)?;
        let digest: Digest = digest.parse().map_err(DescriptorError::Digest)?;
        let Some(Size(size)) = self.size.value() else {
            return Err(DescriptorError::Size { digest });
        };
        Ok(Descriptor {
            media_type,
            digest,
            size,
            urls: self.urls.value().map(|urls| urls.0).unwrap_or_default(),
        })
    }
}

impl<'de> Deserialize<'de> for Descriptor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Checked::deserialize(deserializer)?
            .0
            .map_err(|error| de::Error::custom(format_args!("a descriptor {error}")))
    }
}
