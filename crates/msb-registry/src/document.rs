//! Small documents: manifests, indexes and configs, with their exact bytes.

use bytes::Bytes;
use msb_oci::{Digest, Excerpt, media_type};
use serde_json::Value;

use crate::context::RequestContext;
use crate::error::{Error, ManifestProblem};

/// A document as the registry served it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Document {
    /// The exact bytes.
    pub bytes: Bytes,
    /// The digest of `bytes`: the one that was asked for, or, where a tag was asked for, the SHA-256.
    pub digest: Digest,
    /// What `bytes` are. Of a manifest or index this is decided from the bytes and one of the four media types in
    /// [`msb_oci::media_type`]; of a config it is the `Content-Type`, if there is one that makes sense, and empty otherwise.
    pub media_type: String,
}

impl Document {
    /// A manifest or index that was fetched before and kept: `bytes` have `digest`, as the caller has verified. `None` if
    /// they are neither.
    #[must_use]
    pub fn from_verified(bytes: Bytes, digest: Digest) -> Option<Self> {
        let value = serde_json::from_slice(&bytes).ok()?;
        let media_type = classify(&value, None).ok()?.to_owned();
        Some(Self {
            bytes,
            digest,
            media_type,
        })
    }

    /// Whether this is an index or a manifest list.
    #[must_use]
    pub fn is_index(&self) -> bool {
        media_type::is_index(&self.media_type)
    }
}

/// Decides what a manifest's bytes are, first from what they say themselves.
///
/// The `Content-Type` only helps where the bytes do not say: it is not covered by the digest, and mirrors serve
/// generic ones.
pub(crate) fn manifest_type(
    bytes: &[u8],
    content_type: Option<&str>,
    context: &RequestContext,
) -> Result<&'static str, Error> {
    let value: Value = match serde_json::from_slice(bytes) {
        Ok(value) => value,
        Err(_) if looks_like_html(bytes) => {
            return Err(Error::Html {
                context: context.clone(),
            });
        }
        Err(error) => {
            return Err(Error::NotJson {
                context: context.clone(),
                line: error.line(),
                column: error.column(),
            });
        }
    };
    classify(&value, content_type).map_err(|problem| Error::Manifest {
        context: context.clone(),
        problem,
    })
}

fn classify(value: &Value, content_type: Option<&str>) -> Result<&'static str, ManifestProblem> {
    let has = |name: &str| value.get(name).is_some_and(|field| !field.is_null());
    // CVE-2021-41190: one document must not be read as either, as it pleases its reader.
    let (index, manifest) = (has("manifests"), has("layers") || has("config"));
    if index && manifest {
        return Err(ManifestProblem::Ambiguous);
    }
    if value.get("schemaVersion").and_then(Value::as_u64) == Some(1) || has("fsLayers") {
        return Err(ManifestProblem::Schema1);
    }
    let own = value
        .get("mediaType")
        .and_then(Value::as_str)
        .and_then(known);
    if !index && !manifest {
        return Err(ManifestProblem::Unknown);
    }
    let fits = |media_type: &&'static str| media_type::is_index(media_type) == index;
    if own.is_some_and(|own| !fits(&own)) {
        return Err(ManifestProblem::Ambiguous);
    }
    let served = content_type
        .and_then(|text| known(essence(text)))
        .filter(fits);
    let by_shape = if index {
        media_type::OCI_INDEX
    } else if is_docker_config(value) {
        media_type::DOCKER_MANIFEST
    } else {
        media_type::OCI_MANIFEST
    };
    Ok(own.or(served).unwrap_or(by_shape))
}

/// A `Content-Type` to hand out: printable, without parameters.
pub(crate) fn shown_type(content_type: Option<&str>) -> String {
    content_type
        .map(|text| Excerpt::new(essence(text)).to_string())
        .unwrap_or_default()
}

/// Without parameters such as `; charset=utf-8`.
fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

fn known(text: &str) -> Option<&'static str> {
    [
        media_type::OCI_INDEX,
        media_type::OCI_MANIFEST,
        media_type::DOCKER_LIST,
        media_type::DOCKER_MANIFEST,
    ]
    .into_iter()
    .find(|known| known.eq_ignore_ascii_case(text))
}

fn is_docker_config(manifest: &Value) -> bool {
    let config = manifest
        .get("config")
        .and_then(|config| config.get("mediaType"))
        .and_then(Value::as_str);
    config.is_some_and(|config| config.starts_with("application/vnd.docker.container.image"))
}

fn looks_like_html(bytes: &[u8]) -> bool {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    text.trim_ascii_start().starts_with(b"<")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Step;
    use crate::redact::RedactedUrl;
    use crate::secrets::Secrets;

    fn decide(text: &str, content_type: Option<&str>) -> Result<&'static str, Error> {
        let url = "https://registry.example/".parse().unwrap();
        let url = RedactedUrl::new(&url, &Secrets::default());
        let context = RequestContext::new(Step::Manifest, &"x".parse().unwrap(), url);
        manifest_type(text.as_bytes(), content_type, &context)
    }

    #[test]
    fn generic_content_types_are_seen_through() {
        for (text, expected) in [
            (r#"{"manifests":[]}"#, media_type::OCI_INDEX),
            (r#"{"layers":[],"config":{}}"#, media_type::OCI_MANIFEST),
            (
                r#"{"layers":[],"config":{"mediaType":"application/vnd.docker.container.image.v1+json"}}"#,
                media_type::DOCKER_MANIFEST,
            ),
            (
                r#"{"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json","manifests":[]}"#,
                media_type::DOCKER_LIST,
            ),
        ] {
            for content_type in [
                None,
                Some("application/json"),
                Some("text/plain; charset=utf-8"),
                Some("\u{1}"),
            ] {
                assert_eq!(decide(text, content_type).unwrap(), expected);
            }
        }
        let served =
            Some("application/vnd.docker.distribution.manifest.list.v2+json; charset=utf-8");
        assert_eq!(
            decide(r#"{"manifests":[]}"#, served).unwrap(),
            media_type::DOCKER_LIST
        );
        // A header that contradicts the bytes loses.
        assert_eq!(
            decide(r#"{"layers":[]}"#, served).unwrap(),
            media_type::OCI_MANIFEST
        );
    }

    #[test]
    fn what_is_no_manifest_is_named() {
        let problem = |text| match decide(text, None).unwrap_err() {
            Error::Manifest { problem, .. } => problem,
            other => panic!("{other}"),
        };
        assert_eq!(
            problem(r#"{"manifests":[],"layers":[]}"#),
            ManifestProblem::Ambiguous
        );
        assert_eq!(
            problem(r#"{"mediaType":"application/vnd.oci.image.index.v1+json","layers":[]}"#),
            ManifestProblem::Ambiguous
        );
        assert_eq!(
            problem(r#"{"schemaVersion":1,"fsLayers":[]}"#),
            ManifestProblem::Schema1
        );
        for text in ["{}", "[]", "null", "3"] {
            assert_eq!(problem(text), ManifestProblem::Unknown);
        }
        assert!(matches!(
            decide("\n <!DOCTYPE html>", None),
            Err(Error::Html { .. })
        ));
        assert!(matches!(
            decide("{\"a\":", None),
            Err(Error::NotJson { line: 1, .. })
        ));
        assert!(decide(&"[".repeat(100_000), None).is_err());
    }
}
