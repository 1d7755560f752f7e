//! The correct response to a request, from an OCI layout.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::Request;
use crate::image::blob_path;

/// A response before faults are applied.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

impl Reply {
    pub(super) fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Reply {
        let headers = vec![("Content-Type", content_type.to_owned())];
        Reply {
            status,
            headers,
            body: body.into(),
        }
    }

    /// Returns an error response with the code that registries use.
    pub(super) fn problem(status: u16) -> Reply {
        let code = match status {
            401 => "UNAUTHORIZED",
            404 => "MANIFEST_UNKNOWN",
            429 => "TOOMANYREQUESTS",
            _ => "UNKNOWN",
        };
        let body =
            format!("{{\"errors\":[{{\"code\":\"{code}\",\"message\":\"injected fault\"}}]}}");
        Reply::new(status, "application/json", body)
    }

    /// Returns the correct response to a request.
    pub(super) fn to(
        request: &Request,
        layouts: &BTreeMap<String, PathBuf>,
        obeys_range: bool,
    ) -> Reply {
        let path = request.path.split('?').next().unwrap_or_default();
        if path == "/v2/" {
            return Reply::new(200, "application/json", "{}");
        }
        let rest = path.strip_prefix("/v2/").unwrap_or_default();
        let split = |kind: &str| {
            let (name, wanted) = rest.rsplit_once(kind)?;
            Some((layouts.get(name)?, wanted.to_owned()))
        };
        if let Some((layout, wanted)) = split("/manifests/") {
            let digest = if wanted.contains(':') {
                Some(wanted)
            } else {
                tagged(layout, &wanted)
            };
            let Some((digest, bytes)) =
                digest.and_then(|digest| blob(layout, &digest).map(|bytes| (digest, bytes)))
            else {
                return Reply::problem(404);
            };
            let document: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            let media_type = document["mediaType"]
                .as_str()
                .unwrap_or("application/octet-stream");
            let mut reply = Reply::new(200, media_type, bytes);
            reply.headers.push(("Docker-Content-Digest", digest));
            return reply;
        }
        let Some(mut file) = split("/blobs/").and_then(|(layout, digest)| open(layout, &digest))
        else {
            return Reply::problem(404);
        };
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let is_whole = request.to.is_none() && request.from == 0;
        let (from, end) = match request.to {
            _ if is_whole || !obeys_range => (0, length),
            Some(to) => (request.from, length.min(to.saturating_add(1))),
            None => (request.from, length),
        };
        let mut bytes = Vec::new();
        let is_read = file.seek(SeekFrom::Start(from as u64)).is_ok()
            && file
                .take(end.saturating_sub(from) as u64)
                .read_to_end(&mut bytes)
                .is_ok();
        if !is_read || (from >= end && !is_whole) {
            return Reply::problem(416);
        }
        let is_partial = obeys_range && !is_whole;
        let status = if is_partial { 206 } else { 200 };
        let mut reply = Reply::new(status, "application/octet-stream", bytes);
        if is_partial {
            let range = format!("bytes {from}-{}/{length}", end - 1);
            reply.headers.push(("Content-Range", range));
        }
        reply
    }
}

fn blob(layout: &Path, digest: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    open(layout, digest)?.read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn open(layout: &Path, digest: &str) -> Option<File> {
    // A digest is a part of a path here.
    let is_digest = digest
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b':');
    is_digest.then(|| File::open(blob_path(layout, digest)).ok())?
}

fn tagged(layout: &Path, tag: &str) -> Option<String> {
    let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json")).ok()?).ok()?;
    let named =
        |manifest: &&Value| manifest["annotations"]["org.opencontainers.image.ref.name"] == tag;
    let manifest = index["manifests"].as_array()?.iter().find(named)?;
    manifest["digest"].as_str().map(str::to_owned)
}
