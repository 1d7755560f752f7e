//! The registry's access log, in Apache's combined format.

/// One answered request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `HEAD`, ...
    pub method: String,
    /// Path with its query.
    pub path: String,
    /// Status code of the answer.
    pub status: u16,
    /// Bytes of the answer's body.
    pub bytes: u64,
    /// The client's User-Agent.
    pub user_agent: String,
}

/// The requests in a log; other lines are the registry's own and are passed over.
pub(super) fn requests(log: &str) -> Vec<Request> {
    log.lines().filter_map(request).collect()
}

/// `127.0.0.1 - - [date] "GET /v2/ HTTP/1.1" 200 2 "referer" "agent"`
fn request(line: &str) -> Option<Request> {
    let mut quoted = line.split('"');
    let before = quoted.next()?;
    if !before.contains(" - ") || before.contains("level=") {
        return None;
    }
    let mut line = quoted.next()?.split(' ');
    let (method, path) = (line.next()?.to_owned(), line.next()?.to_owned());
    line.next().filter(|version| version.starts_with("HTTP/"))?;
    let mut numbers = quoted.next()?.split_whitespace();
    let status = numbers.next()?.parse().ok()?;
    let bytes = numbers.next()?.parse().unwrap_or_default();
    let user_agent = quoted.nth(2).unwrap_or_default().to_owned();
    Some(Request {
        method,
        path,
        status,
        bytes,
        user_agent,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_access_lines_are_requests() {
        let log = "time=\"2026\" level=info msg=\"response completed\" http.request.method=GET\n\
            127.0.0.1 - - [23/Nov/2026:08:45:00 +0000] \"GET /v2/a/blobs/sha256:00 HTTP/1.1\" 206 17 \"\" \"skopeo/1\"\n";
        let expected = Request {
            method: "GET".into(),
            path: "/v2/a/blobs/sha256:00".into(),
            status: 206,
            bytes: 17,
            user_agent: "skopeo/1".into(),
        };
        assert_eq!(requests(log), [expected]);
    }
}
