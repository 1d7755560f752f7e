//! Fetching a manifest or an index.

use msb_oci::{Digest, Reference};
use reqwest::header::CONTENT_TYPE;

use super::ask::Ask;
use super::sender::Sender;
use crate::document::{Document, manifest_type};
use crate::error::Error;
use crate::exchange::request::Response;

/// Every media type that a manifest may have. Without it, some registries convert.
const ACCEPT_MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    application/json;q=0.5, */*;q=0.1";

/// Fetches the manifest or index that `reference` names from the first host that serves it, once, and verifies it.
pub(super) async fn fetch_manifest(
    sender: &Sender,
    reference: &Reference,
) -> Result<Document, Error> {
    let ask = Ask::manifest(reference, ACCEPT_MANIFESTS);
    let mut candidates = sender.candidates(&ask).await?;
    loop {
        let candidate = candidates.next()?;
        let fetched = async {
            let (response, _) = sender.send_to(&candidate, &ask).await?;
            verify(sender, reference, response).await
        };
        match fetched.await {
            Ok(document) => return Ok(document),
            // Wrong bytes count as a failure of the host.
            Err(error) => candidates.fail(&candidate, error)?,
        }
    }
}

/// Reads a manifest or an index, and verifies it.
async fn verify(
    sender: &Sender,
    reference: &Reference,
    response: Response,
) -> Result<Document, Error> {
    let content_type = response.inner.headers().get(CONTENT_TYPE);
    let content_type = content_type
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let limits = &sender.exchange().limits;
    let either = limits.manifest_bytes.max(limits.index_bytes);
    let (bytes, context) = sender.exchange().read(response, either).await?;
    let verified = match reference.digest() {
        Some(expected) => {
            let actual = Digest::of(expected.algorithm(), &bytes);
            if actual == *expected {
                Ok(actual)
            } else {
                Err((*expected, actual))
            }
        }
        None => Ok(Digest::sha256_of(&bytes)),
    };
    // An HTML page has another digest too, but that it is one is the better message.
    let media_type = match (
        manifest_type(&bytes, content_type.as_deref(), &context),
        &verified,
    ) {
        (Ok(media_type), _) => media_type,
        (Err(error), Ok(_)) => return Err(error),
        (Err(error @ Error::Html { .. }), Err(_)) => return Err(error),
        (Err(_), Err(_)) => "",
    };
    let digest = verified.map_err(|(expected, actual)| Error::DigestMismatch {
        context: context.clone(),
        expected,
        actual,
    })?;
    let limit = if msb_oci::media_type::is_index(media_type) {
        limits.index_bytes
    } else {
        limits.manifest_bytes
    };
    if bytes.len() as u64 > limit {
        return Err(Error::OverLimit { context, limit });
    }
    Ok(Document {
        bytes,
        digest,
        media_type: media_type.to_owned(),
    })
}
