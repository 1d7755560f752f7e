//! Pushing a manifest or an index.

use bytes::Bytes;
use msb_oci::{Digest, Excerpt, Reference};
use reqwest::Method;
use reqwest::header::HeaderValue;

use super::exists::verify_reported;
use crate::client::Client;
use crate::client::ask::Ask;
use crate::client::sender::Sender;
use crate::context::Step;
use crate::error::Error;
use crate::exchange::content::RequestBody;

/// A manifest that a registry has accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PushedManifest {
    /// The digest of its bytes.
    pub digest: Digest,
    /// Whether the registry lists it as a referrer of its subject.
    pub is_listed: bool,
}

impl Client {
    /// Pushes a manifest or an index under the digest of `reference` if it has one, else under its tag. What it names must have been
    /// pushed before.
    ///
    /// # Errors
    ///
    /// [`Error::UploadContent`] if `reference` has another digest than `bytes`; [`Error::MediaType`]; [`Error::DigestMismatch`] if the
    /// registry reports another digest, because it has rewritten the manifest; every fault of a request.
    pub async fn push_manifest(
        &self,
        reference: &Reference,
        media_type: &str,
        bytes: &Bytes,
    ) -> Result<PushedManifest, Error> {
        let content_type = HeaderValue::from_str(media_type).map_err(|_| Error::MediaType {
            media_type: Excerpt::new(media_type),
        })?;
        let mut retry = self.sender.new_retry();
        loop {
            let pushed = push_once(&self.sender, reference, &content_type, bytes);
            match pushed.await {
                Ok(pushed) => return Ok(pushed),
                Err(error) => retry.after(error).await?,
            }
        }
    }
}

async fn push_once(
    sender: &Sender,
    reference: &Reference,
    content_type: &HeaderValue,
    bytes: &Bytes,
) -> Result<PushedManifest, Error> {
    let digest = match reference.digest() {
        Some(expected) => {
            let actual = Digest::of(expected.algorithm(), bytes);
            if actual != *expected {
                return Err(Error::UploadContent {
                    context: sender.blob_context(Step::PushManifest, reference, expected)?,
                    expected: *expected,
                });
            }
            actual
        }
        None => Digest::sha256_of(bytes),
    };
    let path = format!("manifests/{}", reference.identifier());
    let mut ask = Ask::push(Step::PushManifest, reference, Method::PUT, &path, None);
    ask.body = Some(RequestBody {
        content_type: content_type.clone(),
        ..RequestBody::bytes("", bytes.clone())
    });
    let (response, _) = sender.send(&ask).await?;
    verify_reported(&response, &digest)?;
    Ok(PushedManifest {
        digest,
        is_listed: response.inner.headers().contains_key("oci-subject"),
    })
}
