//! The client: what can be asked of a registry.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use msb_oci::{Digest, Reference};
use reqwest::header::CONTENT_TYPE;
use reqwest::{StatusCode, Url};

use crate::auth::RegistryAuth;
use crate::blob::{BlobRequest, BlobStream};
use crate::builder::ClientBuilder;
use crate::document::{Document, manifest_type};
use crate::error::Error;
use crate::exchange::{Answer, Question};
use crate::limits::{Limits, Timeouts};
use crate::origin::{PlainHosts, base_url};
use crate::retry::Retry;
use crate::shown::{At, ShownUrl, Step};
use crate::token::Tokens;
use crate::transport::{Transport, is_refused, speaks_no_tls};

/// Every media type that a manifest may have; without it, some registries convert.
const ACCEPT_MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    application/json;q=0.5, */*;q=0.1";

/// Talks to registries. Cheap to make and to clone; clones share connections and tokens.
///
/// Works on any tokio runtime that has its I/O and time drivers enabled. Futures are `Send` and may be dropped at any point.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) auth: RegistryAuth,
    pub(crate) plain_hosts: PlainHosts,
    pub(crate) limits: Limits,
    pub(crate) timeouts: Timeouts,
    pub(crate) transport: Transport,
    pub(crate) tokens: Tokens,
    /// The scheme of each loopback registry that has been spoken to.
    pub(crate) loopback_schemes: Mutex<HashMap<String, &'static str>>,
}

impl Client {
    /// A client with everything at its default.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// The manifest or index that `reference` names, by its digest if it has one, else by its tag.
    ///
    /// The digest is computed over the exact bytes received; with a digest in the reference it is checked as well. A
    /// `Docker-Content-Digest` header proves nothing and is not believed.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Unauthorized`] and all else that can go wrong with a request; [`Error::Html`], [`Error::NotJson`]
    /// and [`Error::Manifest`] for what is no manifest; [`Error::DigestMismatch`]; [`Error::OverLimit`].
    pub async fn manifest(&self, reference: &Reference) -> Result<Document, Error> {
        let mut retry = self.inner.new_retry();
        loop {
            match self.inner.manifest_once(reference).await {
                Ok(document) => return Ok(document),
                Err(error) => retry.after(error).await?,
            }
        }
    }

    /// The config `digest` of the image `reference`, `size` bytes long as its descriptor declares, both checked.
    ///
    /// # Errors
    ///
    /// As [`Client::blob_bytes`], with [`Limits::config_bytes`] as the limit.
    pub async fn config(
        &self,
        reference: &Reference,
        digest: &Digest,
        size: u64,
    ) -> Result<Document, Error> {
        let limit = self.inner.limits.config_bytes;
        self.collect(Step::Config, reference, digest, size, limit)
            .await
    }

    /// A blob of the repository that `reference` names, as a stream. Nothing is sent before it is polled.
    ///
    /// The stream checks the length; **the caller checks the digest**.
    #[must_use]
    pub fn blob(&self, reference: &Reference, request: BlobRequest) -> BlobStream {
        BlobStream::new(self.clone(), reference.clone(), request, Step::Blob)
    }

    /// A small blob, whole and with size and digest checked.
    ///
    /// # Errors
    ///
    /// [`Error::OverLimit`] if `size` is above `limit`, [`Error::DigestMismatch`], and all that can go wrong with a request.
    pub async fn blob_bytes(
        &self,
        reference: &Reference,
        digest: &Digest,
        size: u64,
        limit: u64,
    ) -> Result<Document, Error> {
        self.collect(Step::Blob, reference, digest, size, limit)
            .await
    }

    async fn collect(
        &self,
        step: Step,
        reference: &Reference,
        digest: &Digest,
        size: u64,
        limit: u64,
    ) -> Result<Document, Error> {
        if size > limit {
            return Err(Error::OverLimit {
                at: self.inner.at_blob(step, reference, digest)?,
                limit,
            });
        }
        let request = BlobRequest::new(digest.clone(), size);
        BlobStream::new(self.clone(), reference.clone(), request, step)
            .collect()
            .await
    }
}

impl Inner {
    pub(crate) fn new_retry(&self) -> Retry {
        Retry::new(self.timeouts.clone(), self.limits.retries)
    }

    /// For errors that come without a request.
    pub(crate) fn at_blob(
        &self,
        step: Step,
        reference: &Reference,
        digest: &Digest,
    ) -> Result<At, Error> {
        let (base, _) = self.base(reference)?;
        let url = endpoint(&base, reference, &format!("blobs/{digest}"))?;
        Ok(At {
            step,
            reference: Box::new(reference.clone()),
            url: ShownUrl::new(&url),
        })
    }

    async fn manifest_once(&self, reference: &Reference) -> Result<Document, Error> {
        let question = Question {
            step: Step::Manifest,
            reference,
            accept: ACCEPT_MANIFESTS,
            from: 0,
        };
        let answer = self
            .send(&question, &format!("manifests/{}", reference.identifier()))
            .await?;
        if answer.response.status() != StatusCode::OK {
            return Err(self.refused(answer).await);
        }
        let content_type = answer.response.headers().get(CONTENT_TYPE);
        let content_type = content_type
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let either = self.limits.manifest_bytes.max(self.limits.index_bytes);
        let (bytes, at) = self.read(answer, either).await?;
        let verified = match reference.digest() {
            Some(expected) => {
                let actual = Digest::of(expected.algorithm(), &bytes);
                if actual == *expected {
                    Ok(actual)
                } else {
                    Err((expected.clone(), actual))
                }
            }
            None => Ok(Digest::sha256_of(&bytes)),
        };
        // An HTML page has another digest too, but that is not what a reader wants to know.
        let media_type = match (
            manifest_type(&bytes, content_type.as_deref(), &at),
            &verified,
        ) {
            (Ok(media_type), _) => media_type,
            (Err(error), Ok(_)) => return Err(error),
            (Err(error @ Error::Html { .. }), Err(_)) => return Err(error),
            (Err(_), Err(_)) => "",
        };
        let digest = verified.map_err(|(expected, actual)| Error::DigestMismatch {
            at: at.clone(),
            expected,
            actual,
        })?;
        let limit = if msb_oci::media_type::is_index(media_type) {
            self.limits.index_bytes
        } else {
            self.limits.manifest_bytes
        };
        if bytes.len() as u64 > limit {
            return Err(Error::OverLimit { at, limit });
        }
        Ok(Document {
            bytes,
            digest,
            media_type: media_type.to_owned(),
        })
    }

    /// Asks the registry for `path` below the repository, once, with whatever authorization and scheme that takes.
    ///
    /// The answer's status is 200, 206, or 416 to a question from the middle; all else is an error.
    pub(crate) async fn send(&self, question: &Question<'_>, path: &str) -> Result<Answer, Error> {
        let (base, open) = self.base(question.reference)?;
        let url = endpoint(&base, question.reference, path)?;
        let answer = self.send_to(question, &base, &url).await;
        if !open {
            return answer;
        }
        let no_tls = match &answer {
            // Of the registry itself, not of what it points at.
            Err(Error::Connect { at, source }) if at.url == ShownUrl::new(&url) => {
                speaks_no_tls(source) || (question.reference.port().is_none() && is_refused(source))
            }
            _ => false,
        };
        if !no_tls {
            if answer.is_ok() {
                self.remember_scheme(question.reference, "https");
            }
            return answer;
        }
        let base = base_url("http", question.reference)?;
        let url = endpoint(&base, question.reference, path)?;
        let answer = self.send_to(question, &base, &url).await;
        if !matches!(answer, Err(Error::Connect { .. })) {
            self.remember_scheme(question.reference, "http");
        }
        answer
    }

    /// The registry's root, and whether it may turn out to speak plain HTTP instead.
    fn base(&self, reference: &Reference) -> Result<(Url, bool), Error> {
        let plain = base_url("http", reference)?;
        if self.plain_hosts.allow(&plain) {
            return Ok((plain, false));
        }
        let open = reference.is_loopback() && !self.transport.has_extra_roots();
        let known = if open {
            let schemes = self
                .loopback_schemes
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            schemes.get(reference.registry()).copied()
        } else {
            None
        };
        Ok((
            base_url(known.unwrap_or("https"), reference)?,
            open && known.is_none(),
        ))
    }

    fn remember_scheme(&self, reference: &Reference, scheme: &'static str) {
        let mut schemes = self
            .loopback_schemes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        schemes.insert(reference.registry().to_owned(), scheme);
    }

    async fn send_to(
        &self,
        question: &Question<'_>,
        base: &Url,
        url: &Url,
    ) -> Result<Answer, Error> {
        let mut authorization = self.authorization(base, question.reference).await?;
        let mut renewed = false;
        loop {
            let answer = self.exchange(question, url, authorization.as_ref()).await?;
            match answer.response.status() {
                StatusCode::OK | StatusCode::PARTIAL_CONTENT => return Ok(answer),
                StatusCode::RANGE_NOT_SATISFIABLE if question.from > 0 => return Ok(answer),
                StatusCode::UNAUTHORIZED if !answer.left => {
                    let at = answer.at.clone();
                    let used = authorization.as_ref();
                    let fresh = if renewed {
                        None
                    } else {
                        self.renew(base, question.reference, used, &answer.response)
                            .await?
                    };
                    let said = self.said(answer).await;
                    if fresh.is_none() {
                        return Err(Error::Unauthorized {
                            at,
                            credentials: self.seen(base),
                            said,
                        });
                    }
                    authorization = fresh;
                    renewed = true;
                }
                _ => return Err(self.refused(answer).await),
            }
        }
    }
}

fn endpoint(base: &Url, reference: &Reference, path: &str) -> Result<Url, Error> {
    // Names, tags and digests hold nothing that a URL's path would have to escape.
    base.join(&format!("/v2/{}/{path}", reference.repository()))
        .map_err(|_| Error::RegistryUrl {
            registry: msb_oci::Excerpt::new(reference.registry()),
        })
}
