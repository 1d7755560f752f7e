//! What comes from a server, made fit to be shown.

use std::fmt;

use msb_oci::{Excerpt, Reference};
use reqwest::Url;
use serde_json::Value;

/// A URL without user, query and fragment, which may hold secrets (signed URLs carry theirs in the query).
#[derive(Clone, PartialEq, Eq)]
pub struct ShownUrl(Excerpt);

impl ShownUrl {
    pub(crate) fn new(url: &Url) -> Self {
        let mut url = url.clone();
        url.set_query(None);
        url.set_fragment(None);
        // Fails only for URLs that cannot have a user.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        // Paths are percent-encoded; an excerpt also bounds their length.
        Self(Excerpt::new(url.as_str()))
    }

    /// The URL as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for ShownUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ShownUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What was being fetched, for whom, and from where: `manifest of docker.io/library/alpine:latest from https://...`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct At {
    /// What was being done.
    pub step: Step,
    /// For which image.
    pub reference: Box<Reference>,
    /// The URL that was asked last.
    pub url: ShownUrl,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} from {}", self.step, self.reference, self.url)
    }
}

/// A step of talking to a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// Fetching a manifest or an index.
    Manifest,
    /// Fetching an image config.
    Config,
    /// Fetching a blob.
    Blob,
    /// Fetching a token to fetch something else with.
    Token,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Manifest => "manifest",
            Self::Config => "config",
            Self::Blob => "blob",
            Self::Token => "token",
        })
    }
}

/// What a registry said about its refusal: the first entry of the distribution specification's `errors`, made printable.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Said {
    code: Option<Excerpt>,
    message: Option<Excerpt>,
}

impl Said {
    /// From an error's body; empty for anything but the specified JSON.
    pub(crate) fn parse(body: &[u8]) -> Self {
        let Ok(value) = serde_json::from_slice::<Value>(body) else {
            return Self::default();
        };
        let first = value.get("errors").and_then(|errors| errors.get(0));
        let text = |name: &str| {
            let text = first?.get(name)?.as_str()?;
            Some(Excerpt::new(&without_queries(text))).filter(|text| !text.is_empty())
        };
        Self {
            code: text("code"),
            message: text("message"),
        }
    }

    /// The error code, such as `MANIFEST_UNKNOWN`.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.code.as_ref().map(Excerpt::as_str)
    }
}

/// Cuts the query from whatever looks like a URL: servers quote the URLs that they signed.
fn without_queries(text: &str) -> String {
    let mut words = Vec::new();
    for word in text.split(' ') {
        words.push(match word.split_once('?') {
            Some((head, _)) if head.contains("://") => head,
            _ => word,
        });
    }
    words.join(" ")
}

impl fmt::Display for Said {
    /// Nothing, or ` (the registry says CODE: message)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.code, &self.message) {
            (None, None) => Ok(()),
            (Some(code), Some(message)) => write!(f, " (the registry says {code}: {message})"),
            (Some(one), None) | (None, Some(one)) => write!(f, " (the registry says {one})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lose_their_secrets() {
        let url: Url = "https://user:pw@cdn.example.com/a/b?X-Signature=secret#secret"
            .parse()
            .unwrap();
        assert_eq!(ShownUrl::new(&url).as_str(), "https://cdn.example.com/a/b");
    }

    #[test]
    fn what_a_server_says_is_made_printable() {
        let body = r#"{"errors":[{"code":"DENIED","message":"no \u001b[31m\n see https://x/y?sig=secret now"}]}"#;
        let shown = Said::parse(body.as_bytes()).to_string();
        assert!(
            shown.starts_with(" (the registry says DENIED: no "),
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
            assert_eq!(Said::parse(odd.as_bytes()).to_string(), "", "{odd}");
        }
    }
}
