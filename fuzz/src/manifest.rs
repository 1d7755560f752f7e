//! Target `manifest`: a manifest or an index, as a registry serves it.
//!
//! Asserted, for every input:
//! - it never parses both as a manifest and as an index, and the classification of the client agrees;
//! - a parsed document means the same to a reader that takes the last of repeated members and compares their names as Go does;
//! - sizes and their total fit 63 bits;
//! - the candidates of an index for a platform are children of that platform;
//! - the memory is bounded by the input.

use msb_oci::{Digest, Manifest};
use msb_platform::{Index, Platform};
use msb_registry::Document;
use serde_json::Value;

use crate::errors::check_message;
use crate::heap;

/// Runs the target.
///
/// # Panics
/// When something that is asserted does not hold.
pub fn run(bytes: &[u8]) {
    let (mut manifest, mut index, mut document) = (None, None, None);
    // A child of an index takes more memory than its shortest JSON, a digest.
    heap::bounded(16 * bytes.len() + (64 << 10), || {
        manifest = match Manifest::parse(bytes) {
            Ok(manifest) => Some(manifest),
            Err(error) => {
                check_message(&error);
                None
            }
        };
        index = match Index::parse(bytes) {
            Ok(index) => Some(index),
            Err(error) => {
                check_message(&error);
                None
            }
        };
        let digest = Digest::sha256_of(bytes);
        document = Document::from_verified(bytes.to_vec().into(), digest);
    });
    assert!(manifest.is_none() || index.is_none(), "it is both");
    if let Some(document) = document {
        assert!(if document.is_index() {
            manifest.is_none()
        } else {
            index.is_none()
        });
    }
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    // serde_json refuses some input that is skipped here: invalid UTF-8, half a surrogate pair, a number out of range, deep
    // nesting.
    let value = serde_json::from_str::<Value>(&String::from_utf8_lossy(text));
    if let (Some(manifest), Ok(value)) = (&manifest, &value) {
        is_the_same(manifest, value);
    }
    if let Some(index) = index {
        choices(&index);
    }
}

fn is_the_same(manifest: &Manifest, value: &Value) {
    let config = member(value, "config").expect("it has a config");
    let layers = member(value, "layers").and_then(Value::as_array);
    let layers = layers.map_or(&[][..], Vec::as_slice);
    assert_eq!(layers.len(), manifest.layers.len());
    let blobs = manifest.layers.iter().zip(layers);
    for (blob, value) in blobs.chain([(&manifest.config, config)]) {
        let digest = member(value, "digest").and_then(Value::as_str);
        assert_eq!(digest, Some(blob.digest.to_string().as_str()));
        assert_eq!(
            member(value, "size").and_then(Value::as_i64),
            i64::try_from(blob.size).ok()
        );
    }
    let total: u128 = manifest
        .layers
        .iter()
        .map(|layer| u128::from(layer.size))
        .sum();
    assert_eq!(total, u128::from(manifest.total_bytes));
    assert!(i64::try_from(manifest.total_bytes).is_ok());
}

/// Returns the member that Go's decoder takes for `name`, and asserts that there is only one.
fn member<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let fold = |text: &str| {
        text.replace('\u{17f}', "s")
            .replace('\u{212a}', "k")
            .to_ascii_lowercase()
    };
    let mut found = value
        .as_object()?
        .iter()
        .filter(|(key, _)| fold(key) == name.to_ascii_lowercase());
    let first = found.next();
    assert!(found.next().is_none(), "{name} comes twice");
    first.map(|(_, value)| value)
}

fn choices(index: &Index) {
    assert!(index.odd().len() <= index.odd_count());
    for wanted in ["linux/amd64", "linux/arm64", "linux/arm/v7"] {
        let wanted: Platform = wanted.parse().expect("it is a platform");
        match index.candidates(&wanted) {
            Ok(candidates) => {
                assert!(!candidates.is_empty() && candidates.len() <= index.children().len());
                for child in candidates {
                    assert!(!child.is_attestation() && i64::try_from(child.size()).is_ok());
                    assert!(
                        child
                            .platform()
                            .is_none_or(|offered| wanted.accepts(offered))
                    );
                }
            }
            Err(error) => check_message(&error),
        }
    }
}
