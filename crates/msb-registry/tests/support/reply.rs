//! Responses of a registry, faults included.

use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};

/// A response, with the faults of its connection.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    declared: Option<usize>,
    chunked: bool,
    sent: Option<usize>,
    piece: usize,
    pause: Duration,
    stall: bool,
    delay: Duration,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
            declared: None,
            chunked: false,
            sent: None,
            piece: usize::MAX,
            pause: Duration::ZERO,
            stall: false,
            delay: Duration::ZERO,
        }
    }

    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::new(200, body)
    }

    /// Returns a 206 with the right `Content-Range` for `whole[from..]`.
    pub(crate) fn partial(whole: &[u8], from: usize) -> Self {
        let range = format!("bytes {from}-{}/{}", whole.len() - 1, whole.len());
        Self::new(206, &whole[from..]).header("Content-Range", &range)
    }

    /// Returns a 206 with the right `Content-Range` for `whole[first..=last]`.
    pub(crate) fn range(whole: &[u8], (first, last): (usize, usize)) -> Self {
        let range = format!("bytes {first}-{last}/{}", whole.len());
        Self::new(206, &whole[first..=last]).header("Content-Range", &range)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sends that many bytes of the body, then closes the connection.
    pub(crate) fn cut_after(mut self, bytes: usize) -> Self {
        self.sent = Some(bytes);
        self
    }

    /// Sends that many bytes of the body, then nothing, and leaves the connection open.
    pub(crate) fn stall_after(mut self, bytes: usize) -> Self {
        self.stall = true;
        self.cut_after(bytes)
    }

    /// Declares another length than that of the body.
    pub(crate) fn declared(mut self, bytes: usize) -> Self {
        self.declared = Some(bytes);
        self
    }

    /// Sends the body in pieces with a pause before each.
    pub(crate) fn slowly(mut self, piece: usize, pause: Duration) -> Self {
        (self.piece, self.pause) = (piece, pause);
        self
    }

    /// Waits before the header.
    pub(crate) fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Frames the body without a length.
    pub(crate) fn chunked(mut self) -> Self {
        self.chunked = true;
        self
    }

    /// Sends the response. Returns whether the connection can be used further.
    pub(super) async fn write(
        &self,
        stream: &mut (impl AsyncWrite + Unpin),
    ) -> std::io::Result<bool> {
        tokio::time::sleep(self.delay).await;
        let mut head = format!("HTTP/1.1 {} X\r\n", self.status);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += &if self.chunked {
            "Transfer-Encoding: chunked\r\n\r\n".to_owned()
        } else {
            format!(
                "Content-Length: {}\r\n\r\n",
                self.declared.unwrap_or(self.body.len())
            )
        };
        stream.write_all(head.as_bytes()).await?;
        let sent = &self.body[..self.sent.unwrap_or(self.body.len())];
        for piece in sent.chunks(self.piece.min(sent.len().max(1))) {
            tokio::time::sleep(self.pause).await;
            if self.chunked {
                stream
                    .write_all(format!("{:x}\r\n", piece.len()).as_bytes())
                    .await?;
            }
            stream.write_all(piece).await?;
            if self.chunked {
                stream.write_all(b"\r\n").await?;
            }
            stream.flush().await?;
        }
        if self.stall {
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        if self.chunked && self.sent.is_none() {
            stream.write_all(b"0\r\n\r\n").await?;
        }
        stream.flush().await?;
        Ok(self.sent.is_none())
    }
}
