//! Reading the documents, which are untrusted: every member that a pull relies on is checked here, once.

use std::collections::BTreeMap;

use msb_oci::json;
use msb_oci::{Digest, Excerpt};
use serde::Deserialize;

use super::{DIFF_ID, FEATURE, LAYER_TYPE, ORIGINAL, SIDECAR, VERSION};
use crate::document::{Blob, LayerSource};

/// The longest blob of a sidecar, in bytes.
const MAX_SIDECAR_BYTES: u64 = 1 << 30;

/// The EROFS form of a layer.
#[derive(Clone, Debug)]
pub(crate) struct PublishedLayer {
    /// The compressed layer image.
    pub(crate) image: Blob,
    /// The compressed sidecar.
    pub(crate) sidecar: Blob,
}

/// Reports what is wrong with an image that is published as EROFS layers.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishedProblem {
    /// The manifest is malformed.
    #[error("parsing it")]
    Json(#[source] serde_json::Error),
    /// The manifest names another original image.
    #[error("it belongs to another image than {expected}")]
    OtherOriginal {
        /// The digest of the original manifest.
        expected: Digest,
    },
    /// The layers are of a format that this version does not read.
    #[error("its format has version {actual}, this program reads version {expected}")]
    Version {
        /// The version that is read.
        expected: u32,
        /// The version that it states.
        actual: Excerpt,
    },
    /// The manifest has other layers than the original image.
    #[error("it has other layers than the original image")]
    OtherLayers,
    /// A layer states no sidecar, or one that is too long.
    #[error("layer {diff_id}: its annotations are missing or malformed")]
    Annotations {
        /// The layer.
        diff_id: Digest,
    },
    /// The document has another length than its descriptor states.
    #[error("size mismatch: its descriptor states {expected} bytes, it has {actual}")]
    Size {
        /// The descriptor's.
        expected: u64,
        /// The document's.
        actual: u64,
    },
}

/// An entry of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

#[derive(Deserialize)]
struct Index {
    #[serde(default)]
    manifests: Vec<Child>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Child {
    digest: String,
    size: u64,
    platform: Option<Platform>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Platform {
    #[serde(default, rename = "os.features")]
    features: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    layers: Vec<Layer>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Layer {
    #[serde(default)]
    media_type: String,
    digest: Digest,
    size: u64,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

/// Returns the entry of an index for the EROFS form of the image `original`. The first one counts; an index that is not of the usual form
/// has none.
pub(crate) fn entry(index: &[u8], original: &Digest) -> Option<Entry> {
    let index: Index = json::from_slice(index).ok()?;
    let original = original.to_string();
    let found = index.manifests.into_iter().find(|child| {
        let features = child.platform.as_ref().and_then(|p| p.features.as_ref());
        let names = child.annotations.as_ref().and_then(|a| a.get(ORIGINAL));
        features.is_some_and(|features| features.as_slice() == [FEATURE])
            && names == Some(&original)
    })?;
    Some(Entry {
        digest: found.digest.parse().ok()?,
        size: found.size,
    })
}

/// Returns the layers of an EROFS manifest, which must be those of the image `original`, in the same order.
pub(crate) fn layers(
    manifest: &[u8],
    original: Digest,
    version: u32,
    expected: &[LayerSource],
) -> Result<Vec<PublishedLayer>, PublishedProblem> {
    let manifest: Manifest = json::from_slice(manifest).map_err(PublishedProblem::Json)?;
    let annotations = manifest.annotations.unwrap_or_default();
    if annotations.get(ORIGINAL) != Some(&original.to_string()) {
        return Err(PublishedProblem::OtherOriginal { expected: original });
    }
    let stated = annotations.get(VERSION).map_or("", String::as_str);
    if stated != version.to_string() {
        return Err(PublishedProblem::Version {
            expected: version,
            actual: Excerpt::new(stated),
        });
    }
    if manifest.layers.len() != expected.len() {
        return Err(PublishedProblem::OtherLayers);
    }
    let pairs = manifest.layers.into_iter().zip(expected);
    pairs
        .map(|(layer, source)| published(layer, source))
        .collect()
}

fn published(layer: Layer, source: &LayerSource) -> Result<PublishedLayer, PublishedProblem> {
    let diff_id = source.diff_id;
    let annotations = layer.annotations.unwrap_or_default();
    if annotations.get(DIFF_ID) != Some(&diff_id.to_string()) || layer.media_type != LAYER_TYPE {
        return Err(PublishedProblem::OtherLayers);
    }
    let sidecar = annotations.get(SIDECAR).and_then(|text| {
        let (digest, bytes) = text.split_once(' ')?;
        Some((digest.parse().ok()?, bytes.parse::<u64>().ok()?))
    });
    let (digest, bytes) = sidecar
        .filter(|(_, bytes)| *bytes <= MAX_SIDECAR_BYTES)
        .filter(|_| layer.size <= i64::MAX.unsigned_abs())
        .ok_or(PublishedProblem::Annotations { diff_id })?;
    let blob = |digest, bytes| Blob {
        digest,
        bytes,
        media_type: layer.media_type.clone(),
        urls: Vec::new(),
    };
    Ok(PublishedLayer {
        image: blob(layer.digest, layer.size),
        sidecar: blob(digest, bytes),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> LayerSource {
        LayerSource {
            blob: Blob {
                digest: Digest::sha256_of(b"tar"),
                bytes: 3,
                media_type: String::new(),
                urls: Vec::new(),
            },
            diff_id: Digest::sha256_of(b"diff"),
        }
    }

    fn manifest(change: &dyn Fn(&mut serde_json::Value)) -> Vec<u8> {
        let (original, layer) = (Digest::sha256_of(b"original"), Digest::sha256_of(b"layer"));
        let mut value = serde_json::json!({
            "annotations": {ORIGINAL: original.to_string(), VERSION: "1"},
            "layers": [{
                "mediaType": LAYER_TYPE,
                "digest": layer.to_string(),
                "size": 9,
                "annotations": {
                    DIFF_ID: source().diff_id.to_string(),
                    SIDECAR: format!("{layer} 7"),
                },
            }],
        });
        change(&mut value);
        value.to_string().into_bytes()
    }

    fn parse(manifest: &[u8]) -> Result<Vec<PublishedLayer>, PublishedProblem> {
        layers(manifest, Digest::sha256_of(b"original"), 1, &[source()])
    }

    #[test]
    fn a_manifest_of_the_image_is_read_and_any_other_refused() {
        let layers = parse(&manifest(&|_| {})).unwrap();
        assert_eq!((layers[0].image.bytes, layers[0].sidecar.bytes), (9, 7));
        let refused = |change: &dyn Fn(&mut serde_json::Value)| {
            parse(&manifest(change)).unwrap_err().to_string()
        };
        let other = Digest::sha256_of(b"other").to_string();
        let problem = refused(&|value| value["annotations"][ORIGINAL] = other.as_str().into());
        assert!(problem.contains("another image"), "{problem}");
        let problem = refused(&|value| value["annotations"][VERSION] = "2\u{1b}".into());
        assert!(
            problem.contains("version") && !problem.contains('\u{1b}'),
            "{problem}"
        );
        for change in [
            |value: &mut serde_json::Value| value["layers"] = serde_json::json!([]),
            |value: &mut serde_json::Value| {
                value["layers"][0]["mediaType"] = "application/vnd.erofs.layer.v1".into()
            },
            |value: &mut serde_json::Value| value["layers"][0]["annotations"][DIFF_ID] = "x".into(),
        ] {
            assert!(refused(&change).contains("other layers"));
        }
        for sidecar in ["", "x 7", "sha256:1 7", " 7"] {
            let problem = refused(&|value| {
                value["layers"][0]["annotations"][SIDECAR] = sidecar.into();
            });
            assert!(problem.contains("annotations"), "{problem}");
        }
        assert!(parse(b"[").is_err() && parse(b"{}").is_err());
    }

    #[test]
    fn the_entry_is_that_of_the_original_manifest_and_of_the_feature() {
        let original = Digest::sha256_of(b"original");
        let of = |features: &str, named: &Digest| {
            let digest = Digest::sha256_of(b"erofs");
            let index = format!(
                r#"{{"manifests":[{{"digest":"sha256:x","size":1}},{{"digest":"{digest}","size":5,
                "platform":{{"os.features":[{features}]}},"annotations":{{"{ORIGINAL}":"{named}"}}}}]}}"#
            );
            entry(index.as_bytes(), &original).map(|entry| entry.size)
        };
        assert_eq!(of("\"erofs\"", &original), Some(5));
        assert_eq!(of("\"erofs\",\"x\"", &original), None);
        assert_eq!(of("", &original), None);
        assert_eq!(of("\"erofs\"", &Digest::sha256_of(b"")), None);
        assert_eq!(entry(b"[]", &original), None);
    }
}
