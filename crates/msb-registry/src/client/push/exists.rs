//! What a repository has already.

use msb_oci::{Digest, Reference};
use reqwest::Method;

use crate::client::ask::Ask;
use crate::client::sender::Sender;
use crate::context::Step;
use crate::error::Error;
use crate::exchange::request::Response;

/// Returns whether the registry has the blob `digest` in the repository.
pub(super) async fn blob_exists(
    sender: &Sender,
    reference: &Reference,
    digest: &Digest,
) -> Result<bool, Error> {
    let path = format!("blobs/{digest}");
    let ask = Ask::push(Step::PushBlob, reference, Method::HEAD, &path, None);
    match sender.send(&ask).await {
        Ok(_) => Ok(true),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Compares the digest that a registry reports for what was pushed. A registry may leave it out.
pub(super) fn verify_reported(response: &Response, expected: &Digest) -> Result<(), Error> {
    let reported = response.inner.headers().get("docker-content-digest");
    let reported = reported
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.trim().parse::<Digest>().ok());
    match reported {
        // Under another algorithm it may be the same bytes.
        Some(actual) if actual.algorithm() == expected.algorithm() && actual != *expected => {
            Err(Error::DigestMismatch {
                context: response.context.clone(),
                expected: *expected,
                actual,
            })
        }
        _ => Ok(()),
    }
}
