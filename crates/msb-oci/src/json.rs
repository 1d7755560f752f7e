//! JSON documents from registries, archives and caches, decoded so that each one has a single meaning.
//!
//! Tools disagree about JSON that repeats a member: some read the first, some the last, and Go's decoder also takes `Layers` for
//! `layers`. Such a document has one digest and two meanings. This module reads what Go reads and refuses what is ambiguous:
//!
//! ```text
//!   bytes ──skip one byte order mark──▶ serde_json ──Folding──▶ a type with #[derive(Deserialize)]
//!                                                      │
//!            keys of structs are matched as Go matches them; the same key twice is an error,
//!            an array never stands for a struct, unknown members are skipped without building values
//! ```
//!
//! Memory is bounded by the bytes of the members that the type keeps. [`List`], [`Few`] and [`Map`] bound the number of their
//! elements as well, because an element can take more memory than its JSON.
//!
//! ```
//! #[derive(Debug, serde::Deserialize)]
//! struct Manifest { layers: Vec<u64> }
//!
//! let manifest: Manifest = msb_oci::json::from_slice(b"\xef\xbb\xbf{\"Layers\": [1], \"other\": {}}")?;
//! assert_eq!(manifest.layers, [1]);
//! let error = msb_oci::json::from_slice::<Manifest>(br#"{"layers": [1], "Layers": [2]}"#).unwrap_err();
//! assert!(error.to_string().starts_with("duplicate field `layers`"));
//! # Ok::<(), serde_json::Error>(())
//! ```

mod collections;
mod folding;
mod loose;

use serde::Deserialize;

pub use collections::{Few, List, Map};
pub use loose::{Annotation, Expected, Loose, Object, Size};

use folding::Folding;

/// The UTF-8 byte order mark.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Decodes one document.
///
/// # Errors
///
/// [`serde_json::Error`] with line and column: for text that is not JSON, for a value of another type than `T` expects, and for a
/// known member that is repeated, in any case.
pub fn from_slice<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, serde_json::Error> {
    let text = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = T::deserialize(Folding::new(&mut deserializer))?;
    deserializer.end()?;
    Ok(value)
}
