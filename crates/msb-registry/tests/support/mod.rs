//! A registry with faults: HTTP/1.1 over a socket, with responses that the test writes.

#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "a test may panic; not every test file uses everything"
)]

mod reply;
mod request;
mod server;

use std::time::Duration;

use msb_registry::{BlobEvent, BlobStream, Error, Timeouts};

pub(crate) use reply::Reply;
pub(crate) use request::Request;
pub(crate) use server::Server;

/// A manifest that is enough for the client.
pub(crate) const INDEX: &str = r#"{"schemaVersion":2,"manifests":[]}"#;

/// Short timeouts, so that faults show soon.
pub(crate) fn hasty() -> Timeouts {
    Timeouts::default()
        .with_first_byte(Duration::from_secs(2))
        .with_stall(Duration::from_millis(200))
        .with_backoff(Duration::from_millis(2))
        .with_backoff_max(Duration::from_millis(20))
        .with_retry_time(Duration::from_millis(1500))
}

/// All bytes of a stream and how often it restarted.
pub(crate) async fn drain(mut blob: BlobStream) -> Result<(Vec<u8>, u32), Error> {
    let (mut bytes, mut restarts) = (Vec::new(), 0);
    while let Some(event) = blob.next_event().await? {
        match event {
            BlobEvent::Data(data) => bytes.extend_from_slice(&data),
            BlobEvent::Restarted => {
                bytes.clear();
                restarts += 1;
            }
        }
        if restarts == 0 {
            assert!(blob.position() >= bytes.len() as u64);
        } else {
            assert_eq!(blob.position(), bytes.len() as u64);
        }
    }
    Ok((bytes, restarts))
}

/// Bytes that differ from place to place.
pub(crate) fn content(length: usize) -> Vec<u8> {
    (0..length)
        .map(|index| u8::try_from(index * 7 % 251).unwrap())
        .collect()
}

/// One line, nothing unprintable.
pub(crate) fn assert_presentable(error: &Error) {
    let shown = error.to_string();
    assert!(!shown.chars().any(char::is_control), "{shown:?}");
}
