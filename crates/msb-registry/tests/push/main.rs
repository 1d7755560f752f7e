//! Pushing, against a registry with faults.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod blobs;
mod faults;
mod manifests;
#[path = "../support/mod.rs"]
mod support;

use std::sync::{Arc, Mutex};

use msb_oci::Digest;
use msb_registry::{BlobUpload, Client, Limits};
use support::{Reply, Request, Server};

/// What a registry has received of the upload `1`, and what it has accepted.
#[derive(Debug, Default)]
pub(crate) struct Received {
    pub(crate) bytes: Vec<u8>,
    pub(crate) is_open: bool,
    pub(crate) blob: Option<Vec<u8>>,
}

pub(crate) type State = Arc<Mutex<Received>>;

/// Answers as a registry without faults does.
pub(crate) fn answer(state: &State, request: &Request) -> Reply {
    let mut state = state.lock().unwrap();
    let range = |length: usize| format!("0-{}", length.saturating_sub(1));
    let location = "/v2/a/blobs/uploads/1?state=x";
    match request.method.as_str() {
        "HEAD" if state.blob.is_some() => Reply::ok(""),
        "HEAD" => Reply::new(404, ""),
        "POST" => {
            state.bytes.clear();
            state.is_open = true;
            Reply::new(202, "").header("Location", location)
        }
        "GET" if state.is_open => Reply::new(204, "")
            .header("Location", location)
            .header("Range", &range(state.bytes.len())),
        "PATCH" if state.is_open => {
            let (first, last) = request
                .header("content-range")
                .unwrap()
                .split_once('-')
                .unwrap();
            let first: usize = first.parse().unwrap();
            if first != state.bytes.len() {
                return Reply::new(416, "").header("Location", location);
            }
            state.bytes.extend_from_slice(request.body.as_bytes());
            assert_eq!(state.bytes.len() - 1, last.parse::<usize>().unwrap());
            Reply::new(202, "")
                .header("Location", location)
                .header("Range", &range(state.bytes.len()))
        }
        "PUT" if state.is_open => {
            assert!(request.path.contains("state=x&digest=sha256%3A"));
            state.bytes.extend_from_slice(request.body.as_bytes());
            let digest = Digest::sha256_of(&state.bytes).to_string();
            state.blob = Some(std::mem::take(&mut state.bytes));
            Reply::new(201, "").header("Docker-Content-Digest", &digest)
        }
        _ => Reply::new(404, ""),
    }
}

pub(crate) fn text(length: usize) -> Vec<u8> {
    (0..length)
        .map(|index| b'a' + u8::try_from(index * 7 % 26).unwrap())
        .collect()
}

pub(crate) fn upload_of(bytes: &[u8]) -> BlobUpload {
    let digest = Digest::sha256_of(bytes);
    BlobUpload::new(digest, bytes.len() as u64, Arc::new(bytes.to_vec()))
}

/// A client that sends chunks of ten bytes.
pub(crate) fn chunking(server: &Server) -> Client {
    let limits = Limits::default().with_upload_chunk_bytes(10);
    server.client().limits(limits).build().unwrap()
}

pub(crate) fn methods(server: &Server) -> Vec<String> {
    let requests = server.requests();
    requests
        .iter()
        .map(|request| request.method.clone())
        .collect()
}
