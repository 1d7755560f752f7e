use std::{
    fs::File,
    io::Write,
    path::Path,
    sync::mpsc::{Receiver, Sender, channel, sync_channel},
};

use sha2::{Digest as _, Sha256};

use super::{Client, Options, Plain, Unpack, Upto, image::Layer, small_file};
use crate::BenchError;

/// Buffers between the two threads of a layer.
const QUEUED: usize = 8;

/// Fetches one layer as far as `upto` says; gives the number of plain bytes.
pub(super) fn fetch(
    client: &mut Client,
    name: &str,
    layer: &Layer,
    folder: &Path,
    options: Options,
) -> Result<u64, BenchError> {
    let (plain, queue) = sync_channel::<Plain>(QUEUED);
    let (give_back, empty) = channel();
    std::thread::scope(|scope| {
        let writer =
            scope.spawn(move || hash_and_write(&queue, &give_back, layer, folder, options.upto));
        let inflated = inflate(client, name, layer, options, |chunk| {
            // A writer that failed says why itself.
            plain.send(chunk).map_err(|_| BenchError::Stopped)?;
            Ok(empty.try_recv().unwrap_or_default())
        });
        drop(plain);
        let written = match writer.join() {
            Ok(written) => written,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        match (inflated, written) {
            (Err(BenchError::Stopped), Err(error)) | (Err(error), _) | (Ok(()), Err(error)) => {
                Err(error)
            }
            (Ok(()), Ok(plain_bytes)) => Ok(plain_bytes),
        }
    })
}

fn inflate(
    client: &mut Client,
    name: &str,
    layer: &Layer,
    options: Options,
    mut out: impl FnMut(Plain) -> Result<Vec<u8>, BenchError>,
) -> Result<(), BenchError> {
    let mut hasher = Sha256::new();
    let upto = options.upto;
    let mut unpack = Unpack::new(options.codec);
    let path = format!("/v2/{name}/blobs/{}", layer.digest);
    let length = client.stream(&path, "*/*", &mut |bytes| {
        if upto >= Upto::HashBlob {
            hasher.update(bytes);
        }
        if upto >= Upto::Inflate {
            unpack.push(bytes, &mut out)?;
        }
        Ok(())
    })?;
    if length != layer.blob_bytes {
        return Err(BenchError::Length {
            digest: layer.digest.clone(),
            expected: layer.blob_bytes,
            actual: length,
        });
    }
    if upto >= Upto::HashBlob {
        check(&layer.digest, hasher)?;
    }
    if upto >= Upto::Inflate {
        unpack.finish(&mut out)?;
    }
    Ok(())
}

fn hash_and_write(
    queue: &Receiver<Plain>,
    give_back: &Sender<Vec<u8>>,
    layer: &Layer,
    folder: &Path,
    upto: Upto,
) -> Result<u64, BenchError> {
    let name = layer.diff_id.replace(':', "-");
    let path = folder.join(&name);
    let mut file = match upto {
        Upto::Write | Upto::Sync => {
            Some(File::create(&path).map_err(BenchError::io("create", &path))?)
        }
        _ => None,
    };
    let mut hasher = Sha256::new();
    let mut plain_bytes = 0;
    for chunk in queue {
        let bytes = &chunk.buffer[..chunk.len];
        plain_bytes += bytes.len() as u64;
        if upto >= Upto::HashPlain {
            hasher.update(bytes);
        }
        if let Some(file) = &mut file {
            file.write_all(bytes)
                .map_err(BenchError::io("write", &path))?;
        }
        // Nobody takes it back at the end.
        let _ = give_back.send(chunk.buffer);
    }
    if upto >= Upto::HashPlain {
        check(&layer.diff_id, hasher)?;
    }
    if let (Upto::Sync, Some(file)) = (upto, file) {
        file.sync_all().map_err(BenchError::io("sync", &path))?;
        small_file(folder, &format!("{name}.layer"), layer.diff_id.as_bytes())?;
    }
    Ok(plain_bytes)
}

/// Holds what was hashed against what was promised.
pub(super) fn check(expected: &str, hasher: Sha256) -> Result<(), BenchError> {
    let hex: String = hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let actual = format!("sha256:{hex}");
    if actual == expected {
        return Ok(());
    }
    Err(BenchError::Digest {
        expected: expected.to_owned(),
        actual,
    })
}
