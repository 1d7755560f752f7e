//! What can be wrong with a name.

use std::fmt;

use crate::{Algorithm, Excerpt};

/// A text that is no digest or no reference.
///
/// Every message is one line and shows only [`Excerpt`]s of what was parsed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text has no colon between an algorithm and its hexadecimal.
    #[error("digest `{input}` is not of the form ALGORITHM:HEX")]
    DigestForm {
        /// What was parsed.
        input: Excerpt,
    },
    /// The algorithm is not one of sha256, sha384 and sha512.
    #[error("digest `{input}` has an algorithm other than sha256, sha384 and sha512")]
    DigestAlgorithm {
        /// What was parsed.
        input: Excerpt,
    },
    /// The hexadecimal is too short or too long for its algorithm.
    #[error("digest `{input}` has {actual} hexadecimal digits, {algorithm} has {expected}")]
    DigestLength {
        /// What was parsed.
        input: Excerpt,
        /// The algorithm that the text names.
        algorithm: Algorithm,
        /// Digits that the algorithm has.
        expected: usize,
        /// Bytes that stand behind the colon.
        actual: usize,
    },
    /// Something other than `0-9` and `a-f` stands behind the colon.
    #[error("digest `{input}` is not lower-case hexadecimal")]
    DigestHex {
        /// What was parsed.
        input: Excerpt,
    },
    /// One part of a reference breaks its grammar.
    #[error("reference `{input}`: {part} {problem}")]
    Reference {
        /// What was parsed.
        input: Excerpt,
        /// The part that is wrong.
        part: ReferencePart,
        /// What is wrong with it, to be read after the part's name.
        problem: &'static str,
    },
    /// The digest of a reference is none.
    #[error("reference `{input}` does not end in a digest")]
    ReferenceDigest {
        /// What was parsed.
        input: Excerpt,
        /// What is wrong with the digest.
        #[source]
        source: Box<Error>,
    },
}

/// A part of a [`Reference`](crate::Reference), as errors name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReferencePart {
    /// All of it.
    Whole,
    /// Host and port.
    Registry,
    /// The path below the registry.
    Repository,
    /// What stands behind the last colon.
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
