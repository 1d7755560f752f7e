//! One blob on its way to a registry.

use std::sync::Arc;

use bytes::Bytes;
use msb_oci::Reference;
use reqwest::Method;

use super::exists::{blob_exists, verify_reported};
use super::session::{Session, received};
use super::{BlobUpload, Pushed};
use crate::client::ask::Ask;
use crate::client::sender::Sender;
use crate::context::Step;
use crate::error::Error;
use crate::exchange::content::{Content, RequestBody, SourceRange};

const OCTETS: &str = "application/octet-stream";

/// The state of an upload across its faults.
#[derive(Debug)]
pub(super) struct Upload<'a> {
    sender: &'a Sender,
    reference: &'a Reference,
    blob: &'a BlobUpload,
    session: Option<Session>,
    /// Whether the registry refused a chunk, and is sent the whole blob at once.
    is_whole: bool,
    /// Sessions that were lost.
    restarts: u32,
    /// The largest offset that was reached.
    reached: u64,
}

impl<'a> Upload<'a> {
    pub(super) fn new(sender: &'a Sender, reference: &'a Reference, blob: &'a BlobUpload) -> Self {
        Self {
            sender,
            reference,
            blob,
            session: None,
            is_whole: blob.size <= sender.exchange().limits.upload_chunk_bytes,
            restarts: 0,
            reached: 0,
        }
    }

    pub(super) async fn run(mut self) -> Result<Pushed, Error> {
        let mut retry = self.sender.new_retry();
        loop {
            let before = self.reached;
            match self.attempt().await {
                Ok(pushed) => return Ok(pushed),
                Err(error) => {
                    retry.progress(self.reached - before);
                    retry.after(error).await?;
                }
            }
        }
    }

    /// Mounts the blob, if the registry allows that, and sends nothing otherwise.
    pub(super) async fn mount(mut self) -> Result<bool, Error> {
        let mut retry = self.sender.new_retry();
        loop {
            let begun = match self.begin().await {
                Err(error) if error.is_answer() || is_refusal(&error) => return Ok(false),
                begun => begun,
            };
            match begun {
                Ok(true) => return Ok(true),
                Ok(false) => break,
                Err(error) => retry.after(error).await?,
            }
        }
        if let Some(session) = self.session.take() {
            let mut ask = self.ask(Method::DELETE, None);
            ask.url = Some(session.url);
            // The registry removes it after some time otherwise.
            if let Err(error) = self.sender.send(&ask).await {
                tracing::debug!(%error, "an upload that is not needed remains");
            }
        }
        Ok(false)
    }

    /// Begins the upload, or resumes it after a fault.
    async fn attempt(&mut self) -> Result<Pushed, Error> {
        let (sender, reference, blob) = (self.sender, self.reference, self.blob);
        // After a fault too: the registry may have received all of it.
        if blob_exists(sender, reference, &blob.digest).await? {
            return Ok(if self.session.is_some() {
                Pushed::Uploaded
            } else {
                Pushed::Existing
            });
        }
        if self.session.is_some() {
            self.synchronize().await?;
        }
        if self.session.is_none() && self.begin().await? {
            return Ok(Pushed::Mounted);
        }
        if !self.is_whole {
            self.send_chunks().await?;
        }
        self.close().await?;
        Ok(Pushed::Uploaded)
    }

    /// Begins a session. Returns whether the registry mounted the blob instead.
    async fn begin(&mut self) -> Result<bool, Error> {
        let blob = self.blob;
        let mut query = url_query();
        if let Some(from) = &blob.mount_from {
            query
                .append_pair("mount", &blob.digest.to_string())
                .append_pair("from", from);
        }
        let mut ask = self.ask(Method::POST, blob.mount_from.clone());
        ask.path = format!("{}/blobs/uploads/", self.reference.repository());
        ask.query = blob.mount_from.as_ref().map(|_| query.finish());
        ask.body = Some(RequestBody::bytes(OCTETS, Bytes::new()));
        let (response, upstream) = match self.sender.send(&ask).await {
            Ok(sent) => sent,
            // The other repository may not be readable; then the blob is sent.
            Err(error)
                if blob.mount_from.is_some() && (error.is_answer() || is_refusal(&error)) =>
            {
                let mut ask = self.ask(Method::POST, None);
                ask.path = format!("{}/blobs/uploads/", self.reference.repository());
                ask.body = Some(RequestBody::bytes(OCTETS, Bytes::new()));
                self.sender.send(&ask).await?
            }
            Err(error) => return Err(error),
        };
        if response.inner.status().as_u16() == 201 {
            verify_reported(&response, &blob.digest)?;
            return Ok(true);
        }
        let url = self.sender.upload_url(&ask, &upstream, &response)?;
        self.session = Some(Session::new(url, response.inner.headers()));
        Ok(false)
    }

    /// Asks the registry how much it has of the session. Forgets the session if the registry does.
    async fn synchronize(&mut self) -> Result<(), Error> {
        let Some(session) = self.session.take() else {
            return Ok(());
        };
        if self.is_whole {
            return Ok(());
        }
        let mut ask = self.ask(Method::GET, None);
        ask.url = Some(session.url.clone());
        match self.sender.send(&ask).await {
            Ok((response, upstream)) => {
                let offset = received(response.inner.headers()).unwrap_or(0);
                if offset > self.blob.size {
                    return Err(Error::UploadOffset {
                        context: response.context,
                        expected: session.offset,
                        actual: offset,
                    });
                }
                let url = self.sender.upload_url(&ask, &upstream, &response);
                self.session = Some(Session {
                    url: url.unwrap_or_else(|_| session.url.clone()),
                    offset,
                    ..session
                });
                Ok(())
            }
            Err(error) if error.is_temporary() => {
                self.session = Some(session);
                Err(error)
            }
            Err(error) => self.restart(error),
        }
    }

    /// Lets the next attempt begin a new session, within the limit.
    fn restart(&mut self, error: Error) -> Result<(), Error> {
        self.session = None;
        self.restarts += 1;
        if self.restarts > self.sender.exchange().limits.restarts {
            return Err(error);
        }
        tracing::debug!(%error, "the upload starts over");
        Ok(())
    }

    /// Sends what the registry lacks, in chunks.
    async fn send_chunks(&mut self) -> Result<(), Error> {
        while let Some(session) = &self.session {
            let (offset, url) = (session.offset, session.url.clone());
            let left = self.blob.size.saturating_sub(offset);
            if left == 0 {
                return Ok(());
            }
            let limit = self.sender.exchange().limits.upload_chunk_bytes;
            let length = limit.max(session.least_chunk).clamp(1, left);
            let mut ask = self.ask(Method::PATCH, None);
            ask.url = Some(url);
            let mut body = self.body(offset, length);
            body.range = Some((offset, offset + (length - 1)));
            ask.body = Some(body);
            match self.sender.send(&ask).await {
                Ok((response, upstream)) => {
                    let expected = offset + length;
                    let actual = received(response.inner.headers()).unwrap_or(expected);
                    if actual <= offset || actual > expected {
                        return Err(Error::UploadOffset {
                            context: response.context,
                            expected,
                            actual,
                        });
                    }
                    // The specification requires a location; without one, the URL stays.
                    let next = self.sender.upload_url(&ask, &upstream, &response);
                    let next = match next {
                        Err(_) if !response.inner.headers().contains_key("location") => None,
                        next => Some(next?),
                    };
                    if let Some(session) = &mut self.session {
                        session.offset = actual;
                        session.url = next.unwrap_or_else(|| session.url.clone());
                    }
                    self.reached = self.reached.max(actual);
                }
                Err(error) if is_refusal(&error) && offset == 0 => {
                    // Some registries take no chunks.
                    tracing::debug!(%error, "the blob is sent as a whole");
                    self.is_whole = true;
                    self.session = None;
                    self.begin().await?;
                }
                Err(error) if is_refusal(&error) || error.is_not_found() => {
                    self.restart(error)?;
                    self.begin().await?;
                }
                Err(error) => return Err(error),
            }
            if self.is_whole {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Sends the request that ends the upload, with the whole blob if no chunks were sent.
    async fn close(&mut self) -> Result<(), Error> {
        let Some(session) = &self.session else {
            return Ok(());
        };
        let mut ask = self.ask(Method::PUT, None);
        ask.url = Some(session.closing_url(&self.blob.digest));
        ask.body = Some(if self.is_whole {
            self.body(0, self.blob.size)
        } else {
            RequestBody::bytes(OCTETS, Bytes::new())
        });
        let (response, _) = self.sender.send(&ask).await?;
        verify_reported(&response, &self.blob.digest)
    }

    fn body(&self, offset: u64, length: u64) -> RequestBody {
        RequestBody {
            content: Content::Source(SourceRange {
                source: Arc::clone(&self.blob.source),
                offset,
                length,
            }),
            ..RequestBody::bytes(OCTETS, Bytes::new())
        }
    }

    fn ask(&self, method: Method, from: Option<String>) -> Ask<'a> {
        Ask::push(
            Step::PushBlob,
            self.reference,
            method,
            "blobs/uploads/",
            from,
        )
    }
}

/// Returns whether the registry refuses the form of a request, so that another form may succeed.
fn is_refusal(error: &Error) -> bool {
    let status = match error {
        Error::Status { status, .. } => *status,
        Error::NotFound { .. } => 404,
        _ => return false,
    };
    matches!(status, 400 | 404 | 405 | 411 | 413 | 415 | 416 | 501)
}

fn url_query() -> url::form_urlencoded::Serializer<'static, String> {
    url::form_urlencoded::Serializer::new(String::new())
}
