//! Why no manifest fits.

use msb_oci::Excerpt;

use crate::{Available, Platform};

/// What is wrong with a platform or an index.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is not a platform.
    #[error("platform `{input}` is not of the form OS/ARCHITECTURE[/VARIANT]")]
    PlatformForm {
        /// The text.
        input: Excerpt,
    },
    /// The bytes are not JSON, or a member comes twice.
    #[error("index is malformed JSON")]
    Json {
        /// Where, and what is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// It is JSON, but has no list of manifests.
    #[error("index has no list `manifests`")]
    NotAnIndex,
    /// It has the members of an image manifest as well, or states an image manifest's media type.
    #[error("index is an image manifest as well")]
    Ambiguous,
    /// There is no image for the platform.
    #[error("no image for {wanted}; there is {available}")]
    NoMatch {
        /// The platform that was asked for.
        wanted: Platform,
        /// What there is instead.
        available: Box<Available>,
    },
}

impl Error {
    /// Returns whether the index is sound and only lacks the platform.
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
