//! What a request is for, as every error names it.

use std::fmt;

use msb_oci::Reference;

use crate::redact::RedactedUrl;

/// The step, the image and the URL of a request: `manifest of docker.io/library/alpine:latest from https://...`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestContext {
    /// What was being done.
    pub step: Step,
    /// The image that it was done for.
    pub reference: Box<Reference>,
    /// The last URL of the request's redirects.
    pub url: RedactedUrl,
}

impl RequestContext {
    pub(crate) fn new(step: Step, reference: &Reference, url: RedactedUrl) -> Self {
        Self {
            step,
            reference: Box::new(reference.clone()),
            url,
        }
    }
}

impl fmt::Display for RequestContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.step {
            Step::SignIn => write!(f, "sign-in at {}", self.url),
            Step::Tags => write!(f, "tags of {} from {}", self.reference.name(), self.url),
            step @ (Step::PushBlob | Step::PushManifest) => {
                write!(f, "{step} of {} to {}", self.reference, self.url)
            }
            step => write!(f, "{step} of {} from {}", self.reference, self.url),
        }
    }
}

/// A step in the exchange with a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// Fetching a manifest or an index.
    Manifest,
    /// Fetching an image config.
    Config,
    /// Fetching a blob.
    Blob,
    /// Fetching a token for another request.
    Token,
    /// Asking the registry how to authenticate.
    Challenge,
    /// Verifying credentials.
    SignIn,
    /// Listing tags.
    Tags,
    /// Listing referrers.
    Referrers,
    /// Pushing a blob.
    PushBlob,
    /// Pushing a manifest or an index.
    PushManifest,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Manifest => "manifest",
            Self::Config => "config",
            Self::Blob => "blob",
            Self::Token => "token",
            Self::Challenge => "challenge",
            Self::SignIn => "sign-in",
            Self::Tags => "tags",
            Self::Referrers => "referrers",
            Self::PushBlob => "push of a blob",
            Self::PushManifest => "push of a manifest",
        })
    }
}
