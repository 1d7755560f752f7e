//! What a client has asked for.

use tokio::io::{AsyncRead, AsyncReadExt};

/// A request as it came in.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) body: String,
    /// Path and query.
    pub(crate) path: String,
    headers: Vec<(String, String)>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The first and last byte that `Range` asks for, if it asks for a closed range.
    pub(crate) fn range(&self) -> Option<(usize, usize)> {
        let (first, last) = self
            .header("range")?
            .strip_prefix("bytes=")?
            .split_once('-')?;
        Some((first.parse().ok()?, last.parse().ok()?))
    }

    /// The first byte that is asked for. Panics on an open range.
    pub(crate) fn from(&self) -> usize {
        match self.header("range") {
            None => 0,
            Some(range) => self.range().expect(range).0,
        }
    }
}

impl Request {
    /// The next one of a connection, whose bytes so far are in `buffer`; none when it ends.
    pub(super) async fn read(
        stream: &mut (impl AsyncRead + Unpin),
        buffer: &mut Vec<u8>,
    ) -> Option<Self> {
        let end = loop {
            if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            match stream.read_buf(buffer).await {
                Ok(count) if count > 0 => {}
                _ => return None,
            }
        };
        let head = String::from_utf8(buffer.drain(..end + 4).collect()).unwrap();
        let mut lines = head.lines();
        let mut first = lines.next().unwrap().split(' ');
        let method = first.next().unwrap().to_owned();
        let path = first.next().unwrap().to_owned();
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let mut request = Self {
            method,
            body: String::new(),
            path,
            headers,
        };
        let length = request.header("content-length");
        let length = length.map_or(0, |length| length.parse().unwrap());
        while buffer.len() < length {
            stream
                .read_buf(buffer)
                .await
                .ok()
                .filter(|count| *count > 0)?;
        }
        request.body = String::from_utf8(buffer.drain(..length).collect()).unwrap();
        Some(request)
    }
}
