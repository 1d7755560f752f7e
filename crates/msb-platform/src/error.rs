//! The errors of platforms and indexes.

use msb_oci::Excerpt;

use crate::{Available, Platform};

/// Why a text is not a platform, or an index cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is not a platform.
    #[error("platform `{input}` is not of the form OS/ARCHITECTURE[/VARIANT]")]
    PlatformForm {
        /// The text.
        input: Excerpt,
    },
    /// The bytes are not JSON, or a member is repeated.
    #[error("index is malformed JSON")]
    Json {
        /// The position and the cause.
        #[source]
        source: serde_json::Error,
    },
    /// The document is JSON, but has no list of manifests.
    #[error("index has no list `manifests`")]
    NotAnIndex,
    /// The document has members of an image manifest too, or an image manifest's media type.
    #[error("index is an image manifest as well")]
    Ambiguous,
    /// There is no image for the platform.
    #[error("no image for {wanted}; there is {available}")]
    NoMatch {
        /// The requested platform.
        wanted: Platform,
        /// The available images.
        available: Box<Available>,
    },
}

impl Error {
    /// Returns whether the index is valid and lacks the platform.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NoMatch { .. })
    }

    /// Returns whether the index is malformed.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        matches!(self, Self::Json { .. } | Self::NotAnIndex | Self::Ambiguous)
    }
}
