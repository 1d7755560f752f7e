//! The correct response to a request, from an OCI layout.

use std::{
    collections::BTreeMap,
    fs,
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
        let Some(bytes) = split("/blobs/").and_then(|(layout, digest)| blob(layout, &digest))
        else {
            return Reply::problem(404);
        };
        let length = bytes.len();
        match request.from {
            from if from == 0 || !obeys_range => Reply::new(200, "application/octet-stream", bytes),
            from if from < length => {
                let mut reply = Reply::new(206, "application/octet-stream", &bytes[from..]);
                let range = format!("bytes {from}-{}/{length}", length - 1);
                reply.headers.push(("Content-Range", range));
                reply
            }
            _ => Reply::problem(416),
        }
    }
}

fn blob(layout: &Path, digest: &str) -> Option<Vec<u8>> {
    // A digest is a part of a path here.
    let is_digest = digest
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b':');
    fs::read(blob_path(layout, digest))
        .ok()
        .filter(|_| is_digest)
}

fn tagged(layout: &Path, tag: &str) -> Option<String> {
    let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json")).ok()?).ok()?;
    let named =
        |manifest: &&Value| manifest["annotations"]["org.opencontainers.image.ref.name"] == tag;
    let manifest = index["manifests"].as_array()?.iter().find(named)?;
    manifest["digest"].as_str().map(str::to_owned)
}
