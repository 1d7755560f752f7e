//! Writes an archive of `docker save`: uncompressed layers, configs, and `manifest.json`, which names them.
//!
//! ```text
//!   manifest.json     [{"Config": "HEX.json", "RepoTags": [...], "Layers": ["HEX.tar", ...]}, ...]
//!   HEX.json          configs; HEX is the SHA-256 digest of the bytes, which is the image's id
//!   HEX.tar           layers; HEX is the diff_id; each once, sorted
//! ```

use std::collections::BTreeMap;

use msb_oci::Digest;
use msb_store::Store;
use serde::Serialize;

use super::SaveError;
use super::archive::Archive;
use super::blob::LayerBlob;
use super::image::SavedImage;

/// One image.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Row {
    config: String,
    repo_tags: Vec<String>,
    layers: Vec<String>,
}

/// Writes the images, which are sorted.
pub(super) fn write(
    store: &Store,
    images: &[SavedImage<'_>],
    mut archive: Archive<'_, '_>,
) -> Result<(), SaveError> {
    let mut rows: Vec<Row> = Vec::new();
    let mut configs: BTreeMap<String, &[u8]> = BTreeMap::new();
    let mut layers: BTreeMap<Digest, &LayerBlob> = BTreeMap::new();
    for image in images {
        let config = format!("{}.json", Digest::sha256_of(&image.config).hex());
        let name = image.name.as_ref().map(ToString::to_string);
        configs.insert(config.clone(), &image.config);
        layers.extend(image.layers.iter().map(|layer| (layer.diff_id, layer)));
        match rows.iter_mut().find(|row| row.config == config) {
            // The config has the diff_ids, so that the layers are the same.
            Some(row) => row.repo_tags.extend(name),
            None => rows.push(Row {
                config,
                repo_tags: name.into_iter().collect(),
                layers: image
                    .layers
                    .iter()
                    .map(|layer| layer_name(&layer.diff_id))
                    .collect(),
            }),
        }
    }
    // OK because all of it is text.
    let manifest = serde_json::to_vec(&rows).unwrap_or_default();
    archive.file("manifest.json", &manifest)?;
    for (name, bytes) in configs {
        archive.file(&name, bytes)?;
    }
    for (diff_id, layer) in layers {
        write_layer(store, &layer_name(&diff_id), layer, &mut archive)?;
    }
    archive.finish()
}

/// Writes a layer. It is decompressed twice, because the header that precedes it has its length.
fn write_layer(
    store: &Store,
    name: &str,
    layer: &LayerBlob,
    archive: &mut Archive<'_, '_>,
) -> Result<(), SaveError> {
    let bytes = layer.decompress(store, |_| Ok(()))?;
    archive.file_with(name, bytes, |sink| {
        let written = layer.decompress(store, |piece| Ok(sink.write(piece)?))?;
        if written == bytes {
            Ok(())
        } else {
            // Another process has written to the blob in between.
            Err(layer.length(bytes, written))
        }
    })
}

fn layer_name(diff_id: &Digest) -> String {
    format!("{}.tar", diff_id.hex())
}
