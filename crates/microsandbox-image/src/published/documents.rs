//! Writing the documents. Equal inputs result in equal bytes.

use std::collections::BTreeMap;

use bytes::Bytes;
use msb_oci::{Digest, media_type};
use msb_platform::Platform;
use msb_ranges::Encoded;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    CONFIG_TYPE, DIFF_ID, FEATURE, FSMETA_TYPE, LAYER_TYPE, METADATA_TYPE, ORIGINAL, RANGES,
    SIDECAR, SIDECAR_TYPE, VERSION,
};

const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";

/// The config of an artifact that has none.
pub(crate) const EMPTY: &[u8] = b"{}";

type Annotations = BTreeMap<&'static str, String>;

/// A layer that was encoded.
#[derive(Clone, Debug)]
pub(crate) struct EncodedLayer {
    pub(crate) diff_id: Digest,
    pub(crate) image: Encoded,
    pub(crate) sidecar: Encoded,
}

/// A document and its digest.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) bytes: Bytes,
    pub(crate) digest: Digest,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: Digest,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<&'static str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: Annotations,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<Stated>,
}

#[derive(Serialize)]
struct Stated {
    architecture: String,
    os: String,
    #[serde(rename = "os.features", skip_serializing_if = "Vec::is_empty")]
    features: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    schema_version: u8,
    media_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<&'static str>,
    config: Descriptor,
    layers: Vec<Descriptor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<Descriptor>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: Annotations,
}

impl Written {
    fn new(document: &impl Serialize) -> Self {
        // OK because all of it is text and numbers.
        let bytes = serde_json::to_vec(document).unwrap_or_default();
        Self {
            digest: Digest::sha256_of(&bytes),
            bytes: bytes.into(),
        }
    }

    fn descriptor(&self, media_type: &str) -> Descriptor {
        Descriptor {
            media_type: media_type.to_owned(),
            digest: self.digest,
            size: self.bytes.len() as u64,
            artifact_type: None,
            annotations: Annotations::new(),
            platform: None,
        }
    }
}

/// Returns the original config with the digests of the layer images as diff_ids; `None` if it is not a JSON object.
pub(crate) fn config(original: &[u8], layers: &[EncodedLayer]) -> Option<Written> {
    let mut config: Map<String, Value> = serde_json::from_slice(original).ok()?;
    // A decoder of Go takes a member in any case.
    config.retain(|name, _| !name.eq_ignore_ascii_case("rootfs"));
    let diff_ids = layers
        .iter()
        .map(|layer| Value::from(layer.image.content_digest.to_string()));
    let mut rootfs = Map::new();
    rootfs.insert("type".into(), "layers".into());
    rootfs.insert("diff_ids".into(), diff_ids.collect());
    config.insert("rootfs".into(), rootfs.into());
    Some(Written::new(&config))
}

/// Returns the EROFS manifest.
pub(crate) fn manifest(
    original: Digest,
    version: u32,
    config: &Written,
    layers: &[EncodedLayer],
) -> Written {
    let layer = |layer: &EncodedLayer| {
        let sidecar = format!("{} {}", layer.sidecar.digest, layer.sidecar.bytes);
        encoded(LAYER_TYPE, &layer.image)
            .with(DIFF_ID, layer.diff_id)
            .with(SIDECAR, sidecar)
    };
    Written::new(&Manifest {
        schema_version: 2,
        media_type: media_type::OCI_MANIFEST,
        artifact_type: None,
        config: config.descriptor(CONFIG_TYPE),
        layers: layers.iter().map(layer).collect(),
        subject: None,
        annotations: Annotations::from([
            (ORIGINAL, original.to_string()),
            (VERSION, version.to_string()),
        ]),
    })
}

/// Returns the manifest of the merged metadata and the sidecars, which refers to the EROFS manifest.
pub(crate) fn metadata(erofs: &Written, fsmeta: &Encoded, layers: &[EncodedLayer]) -> Written {
    let mut files = vec![encoded(FSMETA_TYPE, fsmeta)];
    let mut seen = std::collections::BTreeSet::new();
    let distinct = layers.iter().filter(|layer| seen.insert(layer.diff_id));
    files.extend(
        distinct.map(|layer| encoded(SIDECAR_TYPE, &layer.sidecar).with(DIFF_ID, layer.diff_id)),
    );
    let empty = Written {
        bytes: Bytes::from_static(EMPTY),
        digest: Digest::sha256_of(EMPTY),
    };
    Written::new(&Manifest {
        schema_version: 2,
        media_type: media_type::OCI_MANIFEST,
        artifact_type: Some(METADATA_TYPE),
        config: empty.descriptor(EMPTY_TYPE),
        layers: files,
        subject: Some(erofs.descriptor(media_type::OCI_MANIFEST)),
        annotations: Annotations::new(),
    })
}

/// The manifests that an index gets.
#[derive(Clone, Debug)]
pub(crate) struct Pair<'a> {
    pub(crate) original: &'a Written,
    pub(crate) original_type: &'a str,
    pub(crate) erofs: &'a Written,
    pub(crate) platform: &'a Platform,
}

/// Returns the index of the pair. Entries of `existing`, the index that it replaces, for other platforms stay as they are.
///
/// The original comes first: a client that knows no `os.features` takes the first entry for its platform.
pub(crate) fn index(pair: &Pair<'_>, existing: Option<&[u8]>) -> Written {
    let stated = |features| {
        let platform = pair.platform;
        Some(Stated {
            architecture: platform.architecture().to_owned(),
            os: platform.os().to_owned(),
            features,
            variant: platform.variant().map(str::to_owned),
        })
    };
    let original = Descriptor {
        platform: stated(Vec::new()),
        ..pair.original.descriptor(pair.original_type)
    };
    let erofs = Descriptor {
        platform: stated(vec![FEATURE]),
        ..pair.erofs.descriptor(media_type::OCI_MANIFEST)
    };
    let erofs = erofs.with(ORIGINAL, pair.original.digest);
    let own = [original, erofs].map(|own| serde_json::to_value(own).unwrap_or_default());
    let mut manifests: Vec<Value> = own.into();
    let existing: Option<Value> = existing.and_then(|bytes| serde_json::from_slice(bytes).ok());
    let existing = existing.as_ref().and_then(|index| index.get("manifests"));
    let others = existing.and_then(Value::as_array).into_iter().flatten();
    manifests.extend(
        others
            .filter(|entry| is_of_other_platform(entry, pair.platform))
            .cloned(),
    );
    Written::new(&serde_json::json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_INDEX,
        "manifests": manifests,
    }))
}

/// Returns whether an entry states another platform. An attestation has the platform `unknown`, and stays.
fn is_of_other_platform(entry: &Value, platform: &Platform) -> bool {
    let Some(stated) = entry.get("platform") else {
        return false;
    };
    let member = |name: &str| stated.get(name).and_then(Value::as_str);
    let (Some(os), Some(architecture)) = (member("os"), member("architecture")) else {
        return false;
    };
    let other = match member("variant") {
        Some(variant) => Platform::with_variant(os, architecture, variant),
        None => Platform::new(os, architecture),
    };
    other != *platform
}

fn encoded(media_type: &str, file: &Encoded) -> Descriptor {
    let table = &file.table;
    let ranges = format!("{} {} {}", table.offset, table.bytes, table.digest);
    Descriptor {
        media_type: media_type.to_owned(),
        digest: file.digest,
        size: file.bytes,
        artifact_type: None,
        annotations: Annotations::from([(RANGES, ranges)]),
        platform: None,
    }
}

impl Descriptor {
    fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.annotations.insert(name, value.to_string());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &'static str) -> Written {
        Written {
            bytes: Bytes::from_static(text.as_bytes()),
            digest: Digest::sha256_of(text.as_bytes()),
        }
    }

    #[test]
    fn an_index_keeps_entries_of_other_platforms_and_replaces_those_of_its_own() {
        let platform = Platform::new("linux", "amd64");
        let (original, erofs) = (written("original"), written("erofs"));
        let pair = Pair {
            original: &original,
            original_type: media_type::OCI_MANIFEST,
            erofs: &erofs,
            platform: &platform,
        };
        let existing = br#"{"manifests":[
            {"digest":"a","platform":{"os":"linux","architecture":"arm64","variant":"v8"},"x":1},
            {"digest":"b","platform":{"os":"linux","architecture":"amd64"}},
            {"digest":"c","platform":{"os":"unknown","architecture":"unknown"}},
            {"digest":"d"}]}"#;
        let index = super::index(&pair, Some(existing));
        let value: Value = serde_json::from_slice(&index.bytes).unwrap();
        let digests: Vec<&str> = value["manifests"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["digest"].as_str().unwrap())
            .collect();
        let own = [&original.digest, &erofs.digest].map(ToString::to_string);
        assert_eq!(digests, [own[0].as_str(), own[1].as_str(), "a", "c"]);
        assert_eq!(value["manifests"][2]["x"], 1);
        let again = super::index(&pair, Some(&index.bytes));
        assert_eq!(again.bytes, index.bytes, "a second push changes nothing");
    }

    #[test]
    fn the_config_keeps_everything_but_the_diff_ids() {
        let original = br#"{"config":{"Env":["A=b"]},"RootFS":{"diff_ids":["x"]},"os":"linux"}"#;
        let config = config(original, &[]).unwrap();
        let expected =
            r#"{"config":{"Env":["A=b"]},"os":"linux","rootfs":{"diff_ids":[],"type":"layers"}}"#;
        assert_eq!(config.bytes, expected.as_bytes());
        assert!(super::config(b"[]", &[]).is_none());
    }
}
