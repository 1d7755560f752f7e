//! What a registry is asked, whichever of its hosts answers.

use msb_oci::{Digest, Reference};
use reqwest::{Method, Url};

use crate::context::Step;
use crate::exchange::content::RequestBody;
use crate::exchange::request::Access;
use crate::hosts::Capabilities;

/// A request without its host.
#[derive(Debug, Clone)]
pub(super) struct Ask<'a> {
    pub(super) step: Step,
    pub(super) reference: &'a Reference,
    /// Below the root of the API.
    pub(super) path: String,
    /// Percent-encoded.
    pub(super) query: Option<String>,
    pub(super) accept: &'static str,
    /// First and last byte of a range.
    pub(super) range: Option<(u64, u64)>,
    pub(super) method: Method,
    pub(super) access: Access,
    pub(super) body: Option<RequestBody>,
    /// Replaces path and query: the registry returned it for the next step of an upload.
    pub(super) url: Option<Url>,
    needs: Need,
}

/// The capability that a host must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Pull,
    Resolve,
    Referrers,
    /// The registry itself: a mirror takes no uploads, and its blobs are not the registry's.
    Push,
}

impl<'a> Ask<'a> {
    /// Asks for the manifest or index that `reference` names. A tag needs a host that may resolve it.
    pub(super) fn manifest(reference: &'a Reference, accept: &'static str) -> Self {
        let path = format!("manifests/{}", reference.identifier());
        let needs = match reference.digest() {
            Some(_) => Need::Pull,
            None => Need::Resolve,
        };
        Self::below(Step::Manifest, reference, &path, accept, needs)
    }

    pub(super) fn blob(step: Step, reference: &'a Reference, digest: &Digest) -> Self {
        let accept = "application/octet-stream, */*";
        let path = format!("blobs/{digest}");
        Self::below(step, reference, &path, accept, Need::Pull)
    }

    /// Asks for the tags of the repository, on the page that `query` selects.
    pub(super) fn tags(reference: &'a Reference, query: Option<String>) -> Self {
        let accept = "application/json";
        Self {
            query,
            ..Self::below(Step::Tags, reference, "tags/list", accept, Need::Resolve)
        }
    }

    pub(super) fn referrers(
        reference: &'a Reference,
        subject: &Digest,
        accept: &'static str,
    ) -> Self {
        let path = format!("referrers/{subject}");
        Self::below(Step::Referrers, reference, &path, accept, Need::Referrers)
    }

    /// Asks for the root of the API, which a registry serves to authenticated users.
    pub(super) fn sign_in(reference: &'a Reference) -> Self {
        Self {
            step: Step::SignIn,
            reference,
            path: String::new(),
            query: None,
            accept: "*/*",
            range: None,
            method: Method::GET,
            access: Access::Pull,
            body: None,
            url: None,
            needs: Need::Pull,
        }
    }

    /// Asks, with `method`, for something that pushing needs. Only the registry itself is asked.
    pub(super) fn push(
        step: Step,
        reference: &'a Reference,
        method: Method,
        path: &str,
        from: Option<String>,
    ) -> Self {
        Self {
            method,
            access: Access::Push { from },
            ..Self::below(step, reference, path, "*/*", Need::Push)
        }
    }

    /// Returns whether only the registry itself may be asked.
    pub(super) fn is_of_server(&self) -> bool {
        self.needs == Need::Push || self.step == Step::SignIn
    }

    fn below(
        step: Step,
        reference: &'a Reference,
        path: &str,
        accept: &'static str,
        needs: Need,
    ) -> Self {
        Self {
            step,
            reference,
            path: format!("{}/{path}", reference.repository()),
            query: None,
            accept,
            range: None,
            method: Method::GET,
            access: Access::Pull,
            body: None,
            url: None,
            needs,
        }
    }

    /// Returns whether a host with `capabilities` may be asked.
    pub(super) fn fits(&self, capabilities: Capabilities) -> bool {
        match self.needs {
            Need::Pull => capabilities.pull,
            Need::Resolve => capabilities.resolve,
            Need::Referrers => capabilities.referrers,
            Need::Push => true,
        }
    }

    /// Returns the name of the capability that a host must have.
    pub(super) fn capability(&self) -> &'static str {
        match self.needs {
            Need::Pull => "pull",
            Need::Resolve => "resolve",
            Need::Referrers => "referrers",
            Need::Push => "push",
        }
    }
}
