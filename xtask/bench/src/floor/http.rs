use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
};

use crate::BenchError;

/// Bytes asked of the socket at a time.
const SOCKET_BYTES: usize = 256 << 10;
/// The longest line of a response's head.
const LINE_BYTES: u64 = 16 << 10;

/// One HTTP/1.1 connection to a registry on loopback, kept for one request after the other.
///
/// It reads answers of status 200 with a Content-Length, which is what docker-registry gives, and nothing else.
#[derive(Debug)]
pub struct Client {
    host: String,
    stream: BufReader<TcpStream>,
}

impl Client {
    /// Connects to `host`, an address and a port.
    ///
    /// # Errors
    /// [`BenchError::Http`].
    pub fn connect(host: &str) -> Result<Client, BenchError> {
        let stream = TcpStream::connect(host).and_then(|stream| {
            stream.set_nodelay(true)?;
            Ok(stream)
        });
        let stream = stream.map_err(|source| BenchError::http(host, source))?;
        Ok(Client {
            host: host.to_owned(),
            stream: BufReader::with_capacity(SOCKET_BYTES, stream),
        })
    }

    /// A small body as a whole.
    ///
    /// # Errors
    /// [`BenchError::Http`].
    pub fn get(&mut self, path: &str, accept: &str) -> Result<Vec<u8>, BenchError> {
        let mut body = Vec::new();
        self.stream(path, accept, &mut |bytes| {
            body.extend_from_slice(bytes);
            Ok(())
        })?;
        Ok(body)
    }

    /// Hands each piece of the body to `take` as it comes; gives its length in bytes.
    ///
    /// # Errors
    /// [`BenchError::Http`], and those of `take`.
    pub fn stream(
        &mut self,
        path: &str,
        accept: &str,
        take: &mut dyn FnMut(&[u8]) -> Result<(), BenchError>,
    ) -> Result<u64, BenchError> {
        let url = format!("http://{}{path}", self.host);
        let fail = |source| BenchError::http(&url, source);
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nAccept: {accept}\r\n\r\n",
            self.host
        );
        self.stream
            .get_mut()
            .write_all(request.as_bytes())
            .map_err(fail)?;
        let status = self.line().map_err(fail)?;
        if !status.starts_with("HTTP/1.1 200 ") {
            return Err(BenchError::Status { url, status });
        }
        let mut length = None;
        loop {
            let line = self.line().map_err(fail)?;
            if line.is_empty() {
                break;
            }
            if let Some((key, value)) = line.split_once(':')
                && key.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse::<u64>().ok();
            }
        }
        let Some(length) = length else {
            return Err(BenchError::Status {
                url,
                status: "no Content-Length".to_owned(),
            });
        };
        let mut left = length;
        while left > 0 {
            let ready = self.stream.fill_buf().map_err(fail)?;
            if ready.is_empty() {
                return Err(fail(std::io::ErrorKind::UnexpectedEof.into()));
            }
            let len = ready.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            take(&ready[..len])?;
            self.stream.consume(len);
            left -= len as u64;
        }
        Ok(length)
    }

    fn line(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        (&mut self.stream).take(LINE_BYTES).read_line(&mut line)?;
        line.truncate(line.trim_end().len());
        Ok(line)
    }
}
