//! Text from a server, made fit to be shown.

use std::borrow::Cow;
use std::fmt;

use msb_oci::Excerpt;
use reqwest::Url;
use serde::Deserialize;
use serde_json::Value;

use crate::secrets::Secrets;

/// More than an [`Excerpt`] shows, in characters.
const MAX_MESSAGE_CHARS: usize = 2048;

/// A URL without user, password, query and fragment: signed URLs carry secrets in their query.
#[derive(Clone, PartialEq, Eq)]
pub struct RedactedUrl(Excerpt);

impl RedactedUrl {
    /// Redacts `url`, and every one of `secrets` in its path.
    pub(crate) fn new(url: &Url, secrets: &Secrets) -> Self {
        let mut url = url.clone();
        url.set_query(None);
        url.set_fragment(None);
        // Fails only for URLs that cannot have a user.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        // Paths are percent-encoded; an excerpt also bounds their length.
        Self(Excerpt::new(&secrets.redact(url.as_str())))
    }

    /// Returns the URL as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for RedactedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RedactedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A server's message about its refusal: the first entry of the distribution specification's `errors`, made printable and
/// without secrets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerMessage {
    code: Option<Excerpt>,
    message: Option<Excerpt>,
}

#[derive(Deserialize)]
struct Errors {
    errors: Vec<Value>,
}

impl ServerMessage {
    /// Parses an error's body. The message is empty for anything but the specified JSON.
    pub(crate) fn parse(body: &[u8], secrets: &Secrets) -> Self {
        let Ok(Errors { errors }) = serde_json::from_slice(body) else {
            return Self::default();
        };
        let text = |name: &str| {
            let text = errors.first()?.get(name)?.as_str()?;
            Some(excerpt(text, secrets)).filter(|text| !text.is_empty())
        };
        Self {
            code: text("code"),
            message: text("message"),
        }
    }

    /// Returns the error code, such as `MANIFEST_UNKNOWN`.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.code.as_ref().map(Excerpt::as_str)
    }
}

impl fmt::Display for ServerMessage {
    /// Writes nothing, or ` (the server answered CODE: message)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.code, &self.message) {
            (None, None) => Ok(()),
            (Some(code), Some(message)) => write!(f, " (the server answered {code}: {message})"),
            (Some(one), None) | (None, Some(one)) => write!(f, " (the server answered {one})"),
        }
    }
}

/// Returns an excerpt of a server's text without `secrets`, and without the secret parts of URLs in it.
pub(crate) fn excerpt(text: &str, secrets: &Secrets) -> Excerpt {
    Excerpt::new(&redact_urls(&secrets.redact(text)))
}

/// Cuts user, password, query and fragment from everything that looks like a URL. Text that no message can show is cut off.
fn redact_urls(text: &str) -> String {
    let text = match text.char_indices().nth(MAX_MESSAGE_CHARS) {
        Some((end, _)) => &text[..end],
        None => text,
    };
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, separator)) = first_of(rest, &["://", "%3a%2f%2f"]) {
        let (head, tail) = rest.split_at(at + separator);
        out.push_str(head);
        let is_end = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>' | '|');
        let end = tail.find(is_end).unwrap_or(tail.len());
        let (url, after) = tail.split_at(end);
        let url = first_of(url, &["?", "%3f", "#", "%23"]).map_or(url, |(cut, _)| &url[..cut]);
        out.push_str(&without_user(url));
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Cuts user and password from the authority at the start of `url`.
fn without_user(url: &str) -> Cow<'_, str> {
    let authority_end = first_of(url, &["/", "%2f", "\\"]).map_or(url.len(), |(cut, _)| cut);
    let authority = &url[..authority_end];
    if let Some(end) = user_end(authority) {
        return Cow::Borrowed(&url[end..]);
    }
    // A password may hold a slash, or the server has cut the URL within it: then what follows the colon is no port.
    let port = authority.rsplit_once(':').map_or("", |(_, port)| port);
    if authority.ends_with(']') || port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Cow::Borrowed(url);
    }
    match user_end(url) {
        Some(end) => Cow::Borrowed(&url[end..]),
        None => Cow::Owned(format!("[redacted]{}", &url[authority_end..])),
    }
}

/// Returns where the last `@` of `text` ends.
fn user_end(text: &str) -> Option<usize> {
    let plain = text.rfind('@').map(|at| at + 1);
    let encoded = text.to_ascii_lowercase().rfind("%40").map(|at| at + 3);
    plain.max(encoded)
}

/// Returns place and length of the first of `patterns` (in lower case) in `text`.
fn first_of(text: &str, patterns: &[&str]) -> Option<(usize, usize)> {
    let lower = text.to_ascii_lowercase();
    patterns
        .iter()
        .filter_map(|pattern| Some((lower.find(pattern)?, pattern.len())))
        .min()
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    #[test]
    fn urls_lose_their_secrets() {
        let url: Url = "https://user:pw@cdn.example.com/a/b?X-Signature=secret#secret"
            .parse()
            .unwrap();
        let shown = RedactedUrl::new(&url, &Secrets::default());
        assert_eq!(shown.as_str(), "https://cdn.example.com/a/b");
        let secrets = Secrets::default();
        let _held = secrets.add(Zeroizing::new("hunter2".into()));
        let echo: Url = "https://cdn.example.com/%68unter2/x".parse().unwrap();
        assert_eq!(
            RedactedUrl::new(&echo, &secrets).as_str(),
            "https://cdn.example.com/[redacted]/x"
        );
    }

    #[test]
    fn urls_within_a_message_lose_user_and_query() {
        for (text, expected) in [
            ("see https://x/y?sig=secret now", "see https://x/y now"),
            ("at \"https://u:secret@x/y#secret\".", "at \"https://x/y\"."),
            ("ftp://u:se/cret@x", "ftp://x"),
            ("ftp://u:secr", "ftp://[redacted]"),
            (
                "http://[::1]:5000/x and http://[::1]",
                "http://[::1]:5000/x and http://[::1]",
            ),
            (
                "(https://u%3asecret%40x.y/z%3Fsig=secret)",
                "(https://x.y/z",
            ),
            (
                "next=https%3A%2F%2Fu:secret@x%2Fy%3Fsig%3Dsecret ok",
                "next=https%3A%2F%2Fx%2Fy ok",
            ),
            ("a://b://c", "a://b://c"),
            ("no url? at all", "no url? at all"),
        ] {
            assert_eq!(redact_urls(text), expected);
        }
    }

    #[test]
    fn a_servers_message_is_made_printable() {
        let body = r#"{"errors":[{"code":"DENIED","message":"no \u001b[31m\n see https://x/y?sig=secret now"}]}"#;
        let shown = ServerMessage::parse(body.as_bytes(), &Secrets::default()).to_string();
        assert!(
            shown.starts_with(" (the server answered DENIED: no "),
            "{shown}"
        );
        assert!(
            !shown.contains("secret") && !shown.chars().any(char::is_control),
            "{shown}"
        );
        for odd in [
            "",
            "<html>",
            "[]",
            r#"{"errors":{}}"#,
            r#"{"errors":[]}"#,
            r#"{"errors":[{"code":3}]}"#,
        ] {
            let parsed = ServerMessage::parse(odd.as_bytes(), &Secrets::default());
            assert_eq!(parsed.to_string(), "", "{odd}");
        }
    }
}
