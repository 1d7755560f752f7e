use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;

use msb_oci::Digest;
use msb_ranges::Encoded;
use msb_store::Store;

use super::PushError;
use crate::PullResult;
use crate::cache::keys::layer_key;
use crate::cache::open_file::open_file;
use crate::inspect::{verify_checksum, verify_file};

/// A file of the cache that is published.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    /// The layer image of this diff_id.
    Image(Digest),
    Sidecar(Digest),
    Fsmeta,
}

/// Compresses a file of the cache into one without a name, in the folder of the cache. A layer is verified before, because its damage would
/// spread to every host.
pub(super) async fn encode(
    store: &Store,
    image: &PullResult,
    source: Source,
) -> Result<(Encoded, File), PushError> {
    let (store, fsmeta) = (store.clone(), image.fsmeta.clone());
    let disk = image.lease().key().clone();
    let work = move || {
        let path = match source {
            Source::Image(diff_id) => {
                let path = store.layer_image_path(&layer_key(&diff_id));
                verify_checksum(&path)?;
                path
            }
            Source::Sidecar(diff_id) => store.layer_sidecar_path(&layer_key(&diff_id)),
            Source::Fsmeta => {
                let recorded = store.fsmeta_checksum(&disk);
                if let Some(checksum) = recorded.map_err(|error| PushError::Cache(error.into()))? {
                    verify_file(&fsmeta, checksum)?;
                }
                fsmeta
            }
        };
        encode_file(&store, path)
    };
    let encoded = tokio::task::spawn_blocking(work).await;
    encoded.map_err(|_| PushError::Worker)?
}

fn encode_file(store: &Store, path: PathBuf) -> Result<(Encoded, File), PushError> {
    let directory = store.root();
    let temporary = |source| PushError::Temporary {
        directory: directory.to_path_buf(),
        source,
    };
    let file = open_file(&path).map_err(|source| PushError::Read {
        path: path.clone(),
        source,
    })?;
    let output = tempfile::tempfile_in(directory).map_err(temporary)?;
    let mut output = BufWriter::new(output);
    let encoded = msb_ranges::encode(&file, &mut output)
        .map_err(|source| PushError::Encode { path, source })?;
    output.flush().map_err(temporary)?;
    let output = output.into_inner();
    let output = output.map_err(|error| temporary(error.into_error()))?;
    Ok((encoded, output))
}
