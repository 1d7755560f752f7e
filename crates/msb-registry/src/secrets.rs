//! Secrets in memory, and their removal from text that a server sends back.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// What stands for a secret in a text.
const MARK: &str = "[redacted]";
/// A piece of a secret of this many bytes is redacted too: servers quote the beginning of a token, or one line of a key.
const WINDOW_BYTES: usize = 12;
/// A shorter secret may be part of any word, so a text that contains it is not shown at all.
const SHORT_BYTES: usize = 4;
/// The longest text that is examined, in bytes; the rest is cut off. No message is longer.
const MAX_TEXT_BYTES: usize = 32 << 10;

/// A text that is wiped from memory when it is dropped, and that `Debug` does not show.
pub(crate) struct Secret(Zeroizing<String>);

impl Secret {
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Every secret that a client has sent or received and still holds.
///
/// Only weak references are kept here, so that a secret is wiped when its owner drops it.
#[derive(Debug, Default)]
pub(crate) struct Secrets(Mutex<Vec<Weak<Secret>>>);

impl Secrets {
    /// Adds a secret; it is redacted from every text for as long as the returned value lives.
    pub(crate) fn add(&self, text: Zeroizing<String>) -> Arc<Secret> {
        let secret = Arc::new(Secret(text));
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|secret| secret.strong_count() > 0);
        known.push(Arc::downgrade(&secret));
        secret
    }

    /// Returns `text` without any of the secrets: as they are, in base64 and percent-encoded, whole or in pieces.
    pub(crate) fn redact(&self, text: &str) -> String {
        let known = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let mut page = Page::new(text);
        for secret in known.iter().filter_map(Weak::upgrade) {
            page.strike(secret.expose());
        }
        page.finish()
    }
}

/// A text in which secrets are being marked.
struct Page<'a> {
    text: &'a str,
    /// The text as it is, percent-decoded, and percent-decoded twice.
    views: Vec<View>,
    /// For each byte of `text`, whether it is part of a secret.
    struck: Vec<bool>,
    all: bool,
}

/// Decoded bytes, each with the place in the text that it comes from.
struct View {
    bytes: Vec<u8>,
    /// `source[i]..source[i + 1]` is the place of `bytes[i]`; one longer than `bytes`.
    source: Vec<usize>,
}

impl<'a> Page<'a> {
    fn new(text: &'a str) -> Self {
        let mut end = text.len().min(MAX_TEXT_BYTES);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let text = &text[..end];
        let plain = View {
            bytes: text.as_bytes().to_vec(),
            source: (0..=text.len()).collect(),
        };
        let mut views = vec![plain];
        for _ in 0..2 {
            match views.last().and_then(View::decoded) {
                Some(view) => views.push(view),
                None => break,
            }
        }
        Self {
            text,
            views,
            struck: vec![false; text.len()],
            all: false,
        }
    }

    fn strike(&mut self, secret: &str) {
        if secret.is_empty() {
            return;
        }
        for form in forms(secret) {
            for view in &self.views {
                for (start, length) in view.find(&form) {
                    self.all |= secret.len() < SHORT_BYTES;
                    self.struck[view.source[start]..view.source[start + length]].fill(true);
                }
            }
        }
    }

    fn finish(self) -> String {
        if self.all {
            return MARK.to_owned();
        }
        let mut out = String::with_capacity(self.text.len());
        let mut inside = false;
        for (at, c) in self.text.char_indices() {
            if self.struck[at..at + c.len_utf8()].contains(&true) {
                if !inside {
                    out.push_str(MARK);
                }
                inside = true;
            } else {
                out.push(c);
                inside = false;
            }
        }
        out
    }
}

impl View {
    /// Decodes `%XX` once more; `None` if there is none.
    fn decoded(&self) -> Option<Self> {
        if !self.bytes.contains(&b'%') {
            return None;
        }
        let (mut bytes, mut source) = (Vec::new(), Vec::new());
        let mut at = 0;
        while at < self.bytes.len() {
            source.push(self.source[at]);
            let escape = match self.bytes[at..] {
                [b'%', high, low, ..] => hex_digit(high).zip(hex_digit(low)),
                _ => None,
            };
            match escape {
                Some((high, low)) => {
                    bytes.push(high << 4 | low);
                    at += 3;
                }
                None => {
                    bytes.push(self.bytes[at]);
                    at += 1;
                }
            }
        }
        source.push(self.source[self.bytes.len()]);
        Some(Self { bytes, source })
    }

    /// Returns start and length of every occurrence of `form`, or of a piece of it that is long enough.
    fn find(&self, form: &[u8]) -> Vec<(usize, usize)> {
        let length = form.len().min(WINDOW_BYTES);
        if length == 0 || self.bytes.len() < length {
            return Vec::new();
        }
        let mut places: HashMap<&[u8], Vec<usize>> = HashMap::new();
        for (start, window) in self.bytes.windows(length).enumerate() {
            places.entry(window).or_default().push(start);
        }
        form.windows(length)
            .filter_map(|window| places.remove(window))
            .flatten()
            .map(|start| (start, length))
            .collect()
    }
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// Returns the spellings of a secret that are looked for; percent-encoding is undone in the text instead.
fn forms(secret: &str) -> Vec<Zeroizing<Vec<u8>>> {
    let raw = secret.as_bytes();
    let mut forms = vec![Zeroizing::new(raw.to_vec())];
    if secret.contains(' ') {
        forms.push(Zeroizing::new(secret.replace(' ', "+").into_bytes()));
    }
    // As a JSON string, where it differs: servers quote what they do not understand.
    if let Ok(json) = serde_json::to_string(secret) {
        let inner = json.as_bytes()[1..json.len() - 1].to_vec();
        if inner != raw {
            forms.push(Zeroizing::new(inner));
        }
    }
    for shift in 0..3 {
        let encoded = base64_inside(raw, shift);
        if encoded.len() >= SHORT_BYTES {
            let url_safe = encoded
                .iter()
                .map(|byte| match byte {
                    b'+' => b'-',
                    b'/' => b'_',
                    other => *other,
                })
                .collect();
            forms.push(Zeroizing::new(url_safe));
            forms.push(encoded);
        }
    }
    forms
}

/// Returns what `bytes` look like within the base64 of a longer text in which they stand at an offset of `shift` modulo 3:
/// the digits that depend on nothing else.
fn base64_inside(bytes: &[u8], shift: usize) -> Zeroizing<Vec<u8>> {
    let mut padded = Zeroizing::new(vec![0; shift]);
    padded.extend_from_slice(bytes);
    let encoded = Zeroizing::new(STANDARD.encode(padded.as_slice()).into_bytes());
    let first = (shift * 8).div_ceil(6);
    let last = padded.len() * 8 / 6;
    Zeroizing::new(encoded.get(first..last).unwrap_or_default().to_vec())
}

#[cfg(test)]
mod tests {
    use percent_encoding::{NON_ALPHANUMERIC, percent_encode, utf8_percent_encode};

    use super::*;

    const PASSWORD: &str = "s3cr\u{e9}t/ p+ss?word";

    fn redacted(text: &str) -> String {
        let secrets = Secrets::default();
        let _held = secrets.add(Zeroizing::new(PASSWORD.to_owned()));
        secrets.redact(text)
    }

    #[test]
    fn a_secret_is_redacted_in_every_spelling() {
        let percent = utf8_percent_encode(PASSWORD, NON_ALPHANUMERIC).to_string();
        let all_percent: String = PASSWORD
            .bytes()
            .map(|byte| format!("%{byte:02x}"))
            .collect();
        let spellings = [
            PASSWORD.to_owned(),
            STANDARD.encode(PASSWORD),
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(PASSWORD),
            percent.clone(),
            percent.to_lowercase(),
            all_percent,
            percent_encode(percent.as_bytes(), NON_ALPHANUMERIC).to_string(),
            PASSWORD.replace(' ', "+"),
            PASSWORD.chars().take(13).collect(),
        ];
        for spelling in spellings {
            let text = redacted(&format!("you sent '{spelling}', sorry"));
            assert_eq!(text, "you sent '[redacted]', sorry", "{spelling}");
        }
    }

    #[test]
    fn base64_of_a_longer_text_hides_the_secret_within() {
        for before in ["", "a", "ab", "alice:"] {
            let encoded = STANDARD.encode(format!("{before}{PASSWORD}and more"));
            let text = redacted(&encoded);
            assert!(text.contains(MARK), "{text}");
            let left = text.replace(MARK, "");
            assert!(left.len() <= encoded.len() - PASSWORD.len(), "{text}");
        }
    }

    #[test]
    fn a_secret_of_a_few_letters_hides_the_whole_text() {
        let secrets = Secrets::default();
        let _held = secrets.add(Zeroizing::new("ab".to_owned()));
        assert_eq!(secrets.redact("cabbage"), MARK);
        assert_eq!(secrets.redact("bread"), "bread");
    }

    #[test]
    fn a_dropped_secret_is_forgotten() {
        let secrets = Secrets::default();
        drop(secrets.add(Zeroizing::new("hunter2".to_owned())));
        assert_eq!(secrets.redact("hunter2"), "hunter2");
        let _other = secrets.add(Zeroizing::new("other".to_owned()));
        assert_eq!(secrets.0.lock().unwrap().len(), 1);
    }

    #[test]
    fn text_around_is_kept_and_hostile_text_is_bounded() {
        assert_eq!(redacted("100% of \u{e9}%zz%"), "100% of \u{e9}%zz%");
        assert!(redacted(&"%25".repeat(100_000)).len() <= MAX_TEXT_BYTES);
    }
}
