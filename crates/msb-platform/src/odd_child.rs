//! Children of an index that cannot be used.

use msb_oci::Excerpt;

/// A child that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct OddChild {
    /// Its position in the list, from 0.
    pub position: usize,
    /// Why it cannot be used.
    pub reason: OddReason,
}

/// Why a child cannot be used. The message is a predicate, to follow the child's name.
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
