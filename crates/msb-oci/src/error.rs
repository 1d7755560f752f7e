//! The errors of digests and references.

use std::fmt;

use crate::{Algorithm, Excerpt};

/// Why a text is not a digest or not a reference.
///
/// Every message is one line and contains only [`Excerpt`]s of the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text has no colon between an algorithm and its hexadecimal.
    #[error("digest `{input}` is not of the form ALGORITHM:HEX")]
    DigestForm {
        /// The text.
        input: Excerpt,
    },
    /// The algorithm is not one of sha256, sha384 and sha512.
    #[error("digest `{input}` has an algorithm other than sha256, sha384 and sha512")]
    DigestAlgorithm {
        /// The text.
        input: Excerpt,
    },
    /// The hexadecimal is too short or too long for its algorithm.
    #[error("digest `{input}` has {actual} hexadecimal digits, {algorithm} has {expected}")]
    DigestLength {
        /// The text.
        input: Excerpt,
        /// The algorithm that the text names.
        algorithm: Algorithm,
        /// The number of digits of the algorithm.
        expected: usize,
        /// The number of bytes after the colon.
        actual: usize,
    },
    /// The part after the colon has a character other than `0-9` and `a-f`.
    #[error("digest `{input}` is not lower-case hexadecimal")]
    DigestHex {
        /// The text.
        input: Excerpt,
    },
    /// A part of a reference breaks its grammar.
    #[error("reference `{input}`: {part} {problem}")]
    Reference {
        /// The text.
        input: Excerpt,
        /// The part.
        part: ReferencePart,
        /// The problem, to follow the part's name.
        problem: &'static str,
    },
    /// A URL instead of a reference, such as `https://docker.io/library/alpine` or `docker://alpine`.
    #[error("reference `{input}` is a URL; write `{reference}`")]
    ReferenceUrl {
        /// The text.
        input: Excerpt,
        /// The text without its scheme.
        reference: Excerpt,
    },
    /// The digest of a reference is malformed.
    #[error("reference `{input}` does not end in a digest")]
    ReferenceDigest {
        /// The text.
        input: Excerpt,
        /// Why the digest is malformed.
        #[source]
        source: Box<Error>,
    },
}

/// A part of a [`Reference`](crate::Reference), as errors name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReferencePart {
    /// The whole reference.
    Whole,
    /// Host and port.
    Registry,
    /// The path below the registry.
    Repository,
    /// The part after the last colon.
    Tag,
}

impl fmt::Display for ReferencePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Whole => "it",
            Self::Registry => "the registry",
            Self::Repository => "the repository",
            Self::Tag => "the tag",
        })
    }
}
