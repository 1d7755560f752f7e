//! The requests that the registry received.

use std::io::{self, BufRead};

/// A received request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET` or `HEAD`.
    pub method: String,
    /// Path with its query.
    pub path: String,
    /// The first byte of `Range`; 0 without one.
    pub from: usize,
    /// The last byte of `Range`, where it states one.
    pub to: Option<usize>,
    /// The `Authorization` header.
    pub authorization: Option<String>,
}

impl Request {
    /// Reads the head of a request. Returns `None` at the end of the connection.
    pub(super) fn read(input: &mut impl BufRead) -> io::Result<Option<Request>> {
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split(' ').map(str::to_owned);
        let (method, path) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        let mut request = Request {
            method,
            path,
            from: 0,
            to: None,
            authorization: None,
        };
        loop {
            let mut line = String::new();
            if input.read_line(&mut line)? == 0 || line.trim().is_empty() {
                return Ok(Some(request));
            }
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            match name.to_ascii_lowercase().as_str() {
                "range" => {
                    let range = value.trim().strip_prefix("bytes=");
                    if let Some((from, to)) = range.and_then(|range| range.split_once('-')) {
                        request.from = from.parse().unwrap_or_default();
                        request.to = to.parse().ok();
                    }
                }
                "authorization" => request.authorization = Some(value.trim().to_owned()),
                _ => {}
            }
        }
    }
}
