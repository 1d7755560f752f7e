//! Small bodies, and refusals.

use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use reqwest::StatusCode;
use reqwest::header::RETRY_AFTER;

use super::Exchange;
use super::request::Response;
use super::retry_after::parse_retry_after;
use crate::context::{RequestContext, Step};
use crate::error::{CredentialUse, Error, Wait};
use crate::redact::ServerMessage;
use crate::transport::fault::TransportFault;

/// The longest time that is spent on reading the body of a refusal.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(5);

impl Exchange {
    /// Reads the whole body of `response`, at most `limit` bytes.
    pub(crate) async fn read(
        &self,
        mut response: Response,
        limit: u64,
    ) -> Result<(Bytes, RequestContext), Error> {
        let declared = response.inner.content_length();
        if declared.is_some_and(|declared| declared > limit) {
            return Err(Error::OverLimit {
                context: response.context,
                limit,
            });
        }
        let context = response.context.clone();
        let body = async {
            let context = response.context;
            let mut body = BytesMut::new();
            loop {
                let stall = self.timeouts.stall;
                let received = body.len() as u64;
                match tokio::time::timeout(stall, response.inner.chunk()).await {
                    Err(_) => {
                        return Err(Error::Timeout {
                            context,
                            wait: Wait::Stall,
                            limit: stall,
                        });
                    }
                    Ok(Err(source)) => {
                        return Err(Error::Body {
                            context,
                            received,
                            source: TransportFault::new(&source),
                        });
                    }
                    Ok(Ok(None)) => return Ok((body.freeze(), context)),
                    Ok(Ok(Some(chunk))) if received.saturating_add(chunk.len() as u64) > limit => {
                        return Err(Error::OverLimit { context, limit });
                    }
                    Ok(Ok(Some(chunk))) => body.extend_from_slice(&chunk),
                }
            }
        };
        let limit = self.timeouts.document;
        match tokio::time::timeout(limit, body).await {
            Ok(read) => read,
            Err(_) => Err(Error::Timeout {
                context,
                wait: Wait::Document,
                limit,
            }),
        }
    }

    /// Reads the message of a refusal. The message is empty if that takes long, or is long. Also frees the connection for the
    /// next request.
    pub(crate) async fn message(&self, response: Response) -> ServerMessage {
        let limit = self.timeouts.stall.min(MESSAGE_TIMEOUT);
        let read = self.read(response, self.limits.error_bytes);
        match tokio::time::timeout(limit, read).await {
            Ok(Ok((body, _))) => ServerMessage::parse(&body, &self.secrets),
            _ => ServerMessage::default(),
        }
    }

    /// Returns the error for a response that is not a success.
    pub(crate) async fn refused(&self, response: Response, credentials: CredentialUse) -> Error {
        let status = response.inner.status();
        let retry_after = response
            .inner
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .and_then(|text| parse_retry_after(text, SystemTime::now()));
        let context = response.context.clone();
        // A token service that is not there does not make an image one that is not there.
        let is_object = !matches!(context.step, Step::Token | Step::Challenge);
        let message = self.message(response).await;
        match status {
            StatusCode::UNAUTHORIZED => Error::Unauthorized {
                context,
                credentials,
                message,
            },
            StatusCode::NOT_FOUND if is_object => Error::NotFound {
                context,
                credentials,
                message,
            },
            StatusCode::FORBIDDEN => Error::Denied {
                context,
                credentials,
                message,
            },
            _ => Error::Status {
                context,
                status: status.as_u16(),
                retry_after,
                message,
            },
        }
    }
}
