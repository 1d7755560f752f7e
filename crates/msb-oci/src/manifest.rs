//! The manifest of one image.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};

use crate::descriptor::Checked;
use crate::json::{self, Loose};
use crate::{Descriptor, DescriptorError, media_type};

/// An OCI image manifest or a Docker manifest of schema 2: a config and layers (OCI image specification, manifest.md).
///
/// Members that a pull does not need are skipped, whatever they contain. Decoding allocates memory only for the layers.
///
/// ```
/// use msb_oci::Manifest;
///
/// let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
/// let text = format!(r#"{{"schemaVersion": 2, "annotations": {{"a": null}},
///     "config": {{"digest": "sha256:{hex}", "size": 2}},
///     "layers": [{{"digest": "sha256:{hex}", "size": 9223372036854775808}}]}}"#);
/// let error = Manifest::parse(text.as_bytes()).unwrap_err();
/// assert!(error.to_string().starts_with("layer 1: sha256:e3b0"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Manifest {
    /// The manifest's own media type, as written.
    pub media_type: Option<String>,
    /// The config.
    pub config: Descriptor,
    /// The layers, bottom to top.
    pub layers: Vec<Descriptor>,
    /// The sum of the layers' sizes in bytes; at most 2^63 - 1.
    pub total_bytes: u64,
}

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The document is not JSON, or a member is repeated or has a wrong type.
    #[error("malformed JSON")]
    Json {
        /// The position and the cause.
        #[source]
        source: serde_json::Error,
    },
    /// The document has members of an index too, or an index's media type.
    #[error("the document is an index and an image manifest at once")]
    Ambiguous,
    /// A descriptor cannot be used.
    #[error("{place}: {problem}")]
    Descriptor {
        /// Its place in the manifest.
        place: DescriptorPlace,
        /// Why it cannot be used.
        problem: DescriptorError,
    },
    /// The sizes of the layers add up to more than 2^63 - 1 bytes.
    #[error("the layers have more than 2^63 - 1 bytes in total")]
    TotalSize,
}

/// The place of a descriptor in a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DescriptorPlace {
    /// The image's config.
    Config,
    /// A layer, counted from 1, bottom to top.
    Layer(usize),
}

impl Manifest {
    /// Parses a manifest.
    ///
    /// # Errors
    ///
    /// See [`ManifestError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let members: Members =
            json::from_slice(bytes).map_err(|source| ManifestError::Json { source })?;
        let media_type = members.media_type.value();
        let is_index = media_type.as_deref().is_some_and(media_type::is_index);
        if members.manifests.is_some() || is_index {
            return Err(ManifestError::Ambiguous);
        }
        let descriptor = |place, checked: Result<Descriptor, DescriptorError>| {
            checked.map_err(|problem| ManifestError::Descriptor { place, problem })
        };
        let config = members
            .config
            .unwrap_or(Checked(Err(DescriptorError::NoDigest)));
        let config = descriptor(DescriptorPlace::Config, config.0)?;
        let layers = members.layers.unwrap_or_default();
        if let Some(error) = layers.error {
            let place = DescriptorPlace::Layer(layers.good.len() + 1);
            descriptor(place, Err(error))?;
        }
        let total = layers
            .good
            .iter()
            .try_fold(0_i64, |total, layer| total.checked_add_unsigned(layer.size));
        let total = total.ok_or(ManifestError::TotalSize)?;
        Ok(Self {
            media_type,
            config,
            layers: layers.good,
            total_bytes: total.unsigned_abs(),
        })
    }
}

impl fmt::Display for DescriptorPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config => f.write_str("the config"),
            Self::Layer(position) => write!(f, "layer {position}"),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Members {
    #[serde(default)]
    media_type: Loose<String>,
    config: Option<Checked>,
    layers: Option<Layers>,
    /// The member of an index.
    manifests: Option<IgnoredAny>,
}

/// The layers up to the first that cannot be used.
#[derive(Default)]
struct Layers {
    good: Vec<Descriptor>,
    error: Option<DescriptorError>,
}

impl<'de> Deserialize<'de> for Layers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LayersVisitor;

        impl<'de> Visitor<'de> for LayersVisitor {
            type Value = Layers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of layers")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Layers, A::Error> {
                let mut layers = Layers::default();
                while let Some(Checked(layer)) = elements.next_element()? {
                    match layer {
                        Ok(layer) => layers.good.push(layer),
                        Err(error) => {
                            layers.error = Some(error);
                            break;
                        }
                    }
                }
                while elements.next_element::<IgnoredAny>()?.is_some() {}
                Ok(layers)
            }
        }
        deserializer.deserialize_seq(LayersVisitor)
    }
}
