//! An upload that a registry has begun.

use reqwest::Url;
use reqwest::header::{HeaderMap, RANGE};

/// Where an upload continues.
#[derive(Debug, Clone)]
pub(super) struct Session {
    /// The URL of the next request.
    pub(super) url: Url,
    /// The number of bytes that the registry has.
    pub(super) offset: u64,
    /// The shortest chunk that the registry takes, but for the last one.
    pub(super) least_chunk: u64,
}

impl Session {
    pub(super) fn new(url: Url, headers: &HeaderMap) -> Self {
        let least = headers.get("oci-chunk-min-length");
        let least = least
            .and_then(|value| value.to_str().ok())
            .and_then(|text| text.trim().parse().ok());
        Self {
            url,
            offset: 0,
            least_chunk: least.unwrap_or(0),
        }
    }

    /// Returns the URL of the request that ends the upload.
    pub(super) fn closing_url(&self, digest: &msb_oci::Digest) -> Url {
        let mut url = self.url.clone();
        url.query_pairs_mut()
            .append_pair("digest", &digest.to_string());
        url
    }
}

/// Returns the number of bytes that a registry has of an upload: `Range: 0-9` is 10. Some send `bytes=0-9`, and `0-0` for none.
pub(super) fn received(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(RANGE)?.to_str().ok()?.trim();
    let text = text.strip_prefix("bytes=").unwrap_or(text);
    let (first, last) = text.split_once('-')?;
    match (first.parse::<u64>().ok()?, last.parse::<u64>().ok()?) {
        (0, 0) => Some(0),
        (0, last) => last.checked_add(1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_of_an_upload_is_understood_in_each_form() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RANGE, text.parse().unwrap());
            received(&headers)
        };
        assert_eq!(of("0-9"), Some(10));
        assert_eq!(of("bytes=0-9"), Some(10));
        assert_eq!(of("0-0"), Some(0));
        for odd in ["", "9", "5-9", "0-x", "0-18446744073709551615", "-9"] {
            assert_eq!(of(odd), None, "{odd}");
        }
        assert_eq!(received(&HeaderMap::new()), None);
    }
}
