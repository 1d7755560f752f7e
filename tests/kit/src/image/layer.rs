//! Layer blobs: an archive, its compression and its descriptor.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::{
    KitError,
    digest::{self, Hashing},
    oracle::{Tool, find},
};

/// The compression of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Uncompressed.
    Plain,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

/// A layer: an archive and the blob it is stored as.
#[derive(Debug, Clone)]
pub struct Layer {
    tar: Vec<u8>,
    blob: Blob,
    digest: String,
    size: u64,
    diff_id: String,
    compression: Compression,
    media_type: Option<String>,
    urls: Vec<String>,
}

/// The location of a blob's bytes.
#[derive(Debug, Clone)]
pub(super) enum Blob {
    Bytes(Vec<u8>),
    File(PathBuf),
    Absent,
}

impl Layer {
    /// Creates a layer of this archive, not yet compressed.
    pub fn tar(archive: impl Into<Vec<u8>>) -> Layer {
        let tar = archive.into();
        Layer {
            blob: Blob::Bytes(tar.clone()),
            digest: digest::sha256(&tar),
            size: tar.len() as u64,
            diff_id: digest::sha256(&tar),
            tar,
            compression: Compression::Plain,
            media_type: None,
            urls: Vec::new(),
        }
    }

    /// Creates a layer of the archive that a recipe describes (see [`crate::tar`]).
    ///
    /// # Panics
    ///
    /// On an error in the recipe.
    #[track_caller]
    #[must_use]
    pub fn recipe(text: &str) -> Layer {
        Layer::tar(crate::tar::recipe(text))
    }

    /// Creates a layer that is too large for memory. The output of `write` goes through `gzip -1` or `zstd -1` into the
    /// new file `blob`.
    ///
    /// # Errors
    ///
    /// Those of `write`, of the compressor and of the file.
    pub fn stream(
        blob: &Path,
        compression: Compression,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<Layer, KitError> {
        let file = File::create(blob).map_err(KitError::io("create", blob))?;
        let tool = match compression {
            Compression::Plain => None,
            Compression::Gzip => Some((find(Tool::Gzip)?, "-1n")),
            Compression::Zstd => Some((find(Tool::Zstd)?, "-1")),
        };
        let (diff_id, _) = match tool {
            None => {
                let mut out = Hashing::new(io::BufWriter::new(file));
                write(&mut out)
                    .and_then(|()| out.flush())
                    .map_err(KitError::io("write", blob))?;
                out.finish()
            }
            Some((program, option)) => {
                let spawn = |source| KitError::Spawn {
                    program: program.display().to_string(),
                    source,
                };
                let mut child = Command::new(&program)
                    .args(["-c", option])
                    .stdin(Stdio::piped())
                    .stdout(file)
                    .spawn()
                    .map_err(spawn)?;
                let pipe = child
                    .stdin
                    .take()
                    .expect("standard input was asked to be a pipe");
                let mut out = Hashing::new(io::BufWriter::with_capacity(1 << 20, pipe));
                let written = write(&mut out).and_then(|()| out.flush());
                let digests = out.finish();
                let status = child
                    .wait()
                    .map_err(KitError::io("wait for the compressor of", blob))?;
                written.map_err(KitError::io("write", blob))?;
                if !status.success() {
                    return Err(KitError::Command {
                        command: program.display().to_string(),
                        status,
                        output: String::new(),
                    });
                }
                digests
            }
        };
        Layer::file(blob, compression, diff_id)
    }

    /// Creates a layer whose blob exists as a file, with the digest of its uncompressed bytes.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn file(blob: &Path, compression: Compression, diff_id: String) -> Result<Layer, KitError> {
        let (digest, size) = digest::sha256_file(blob)?;
        let blob = Blob::File(blob.to_owned());
        Ok(Layer {
            tar: Vec::new(),
            blob,
            digest,
            size,
            diff_id,
            compression,
            media_type: None,
            urls: Vec::new(),
        })
    }

    /// Stores the archive uncompressed.
    #[must_use]
    pub fn plain(self) -> Layer {
        let blob = self.tar.clone();
        self.compressed(Compression::Plain, blob)
    }

    /// Compresses the archive as one gzip member.
    #[must_use]
    pub fn gzip(self) -> Layer {
        self.gzip_members(1)
    }

    /// Compresses the archive as `count` gzip members, one after the other, as in estargz.
    #[must_use]
    pub fn gzip_members(self, count: usize) -> Layer {
        let mut blob = Vec::new();
        for part in parts(&self.tar, count) {
            let mut encoder = flate2::read::GzEncoder::new(part, flate2::Compression::new(1));
            encoder
                .read_to_end(&mut blob)
                .expect("reading from memory does not fail");
        }
        self.compressed(Compression::Gzip, blob)
    }

    /// Compresses the archive as one Zstandard frame.
    #[must_use]
    pub fn zstd(self) -> Layer {
        self.zstd_frames(1, false)
    }

    /// Compresses the archive as `count` Zstandard frames, each followed by a skippable one on request, as in
    /// zstd:chunked.
    #[must_use]
    pub fn zstd_frames(self, count: usize, skippable: bool) -> Layer {
        let mut blob = Vec::new();
        for part in parts(&self.tar, count) {
            blob.extend(zstd::encode_all(part, 1).expect("reading from memory does not fail"));
            if skippable {
                blob.extend_from_slice(&[
                    0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, b's', b'k', b'i', b'p',
                ]);
            }
        }
        self.compressed(Compression::Zstd, blob)
    }

    /// Sets the bytes of the blob, independent of the archive: truncated, with bytes after its end, or noise.
    #[must_use]
    pub fn with_blob(self, blob: Vec<u8>) -> Layer {
        let compression = self.compression;
        self.compressed(compression, blob)
    }

    /// Sets the diff_id.
    #[must_use]
    pub fn with_diff_id(mut self, diff_id: &str) -> Layer {
        diff_id.clone_into(&mut self.diff_id);
        self
    }

    /// Sets the size in the descriptor.
    #[must_use]
    pub fn with_size(mut self, size: u64) -> Layer {
        self.size = size;
        self
    }

    /// Sets the media type.
    #[must_use]
    pub fn media_type(mut self, media_type: &str) -> Layer {
        self.media_type = Some(media_type.to_owned());
        self
    }

    /// Makes the layer a foreign one: the layout lacks its blob, and its descriptor has these URLs.
    #[must_use]
    pub fn foreign(mut self, urls: &[&str]) -> Layer {
        self.blob = Blob::Absent;
        self.urls = urls.iter().map(|url| (*url).to_owned()).collect();
        self
    }

    /// Returns the digest of the blob.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Returns the digest of the archive.
    #[must_use]
    pub fn diff_id(&self) -> &str {
        &self.diff_id
    }

    /// Returns the blob, if it is in memory.
    #[must_use]
    pub fn blob_bytes(&self) -> Option<&[u8]> {
        match &self.blob {
            Blob::Bytes(bytes) => Some(bytes),
            Blob::File(_) | Blob::Absent => None,
        }
    }

    /// Returns the archive, if it is in memory.
    #[must_use]
    pub fn tar_bytes(&self) -> &[u8] {
        &self.tar
    }

    pub(super) fn blob(&self) -> &Blob {
        &self.blob
    }

    pub(super) fn descriptor(&self, docker: bool) -> Value {
        let media_type = match (&self.media_type, docker, self.compression) {
            (Some(media_type), _, _) => media_type,
            (None, false, Compression::Plain) => "application/vnd.oci.image.layer.v1.tar",
            (None, false, Compression::Gzip) => "application/vnd.oci.image.layer.v1.tar+gzip",
            (None, false, Compression::Zstd) => "application/vnd.oci.image.layer.v1.tar+zstd",
            (None, true, Compression::Plain) => "application/vnd.docker.image.rootfs.diff.tar",
            (None, true, Compression::Gzip) => "application/vnd.docker.image.rootfs.diff.tar.gzip",
            (None, true, Compression::Zstd) => "application/vnd.docker.image.rootfs.diff.tar.zstd",
        };
        let mut descriptor =
            json!({ "mediaType": media_type, "digest": self.digest, "size": self.size });
        if !self.urls.is_empty() {
            descriptor["urls"] = json!(self.urls);
        }
        descriptor
    }

    fn compressed(self, compression: Compression, blob: Vec<u8>) -> Layer {
        Layer {
            digest: digest::sha256(&blob),
            size: blob.len() as u64,
            blob: Blob::Bytes(blob),
            compression,
            ..self
        }
    }
}

fn parts(bytes: &[u8], count: usize) -> impl Iterator<Item = &[u8]> {
    let each = bytes.len().div_ceil(count.max(1)).max(1);
    bytes.chunks(each)
}
