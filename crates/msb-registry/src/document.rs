//! Small documents: manifests, indexes and configs, with their exact bytes.

use bytes::Bytes;
use msb_oci::json::{self, Loose, Object};
use msb_oci::{Digest, Excerpt, media_type};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::error::Category;

use crate::error::{Error, ManifestProblem};
use crate::shown::At;

/// A document as the registry served it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Document {
    /// The exact bytes.
    pub bytes: Bytes,
    /// The digest of `bytes`: the one that was requested, or the SHA-256 for a request by tag.
    pub digest: Digest,
    /// The media type. For a manifest or an index it is decided from the bytes and is one of the four in
    /// [`msb_oci::media_type`]; for a config it is the `Content-Type`, or empty if there is no printable one.
    pub media_type: String,
}

impl Document {
    /// Creates a document from a manifest or an index that was kept: the caller has verified that `bytes` have `digest`. `None` if
    /// they are neither a manifest nor an index.
    #[must_use]
    pub fn from_verified(bytes: Bytes, digest: Digest) -> Option<Self> {
        let shape = json::from_slice(&bytes).ok()?;
        let media_type = classify(shape, None).ok()?.to_owned();
        Some(Self {
            bytes,
            digest,
            media_type,
        })
    }

    /// Returns whether this is an index or a manifest list.
    #[must_use]
    pub fn is_index(&self) -> bool {
        media_type::is_index(&self.media_type)
    }
}

/// Decides the media type of a manifest or an index, first from what the bytes state.
///
/// The `Content-Type` only decides between OCI's and Docker's names if the bytes do not: it is not covered by the digest, and
/// mirrors serve generic ones. Members that do not matter here are skipped, so that this takes no memory worth mentioning.
pub(crate) fn manifest_type(
    bytes: &[u8],
    content_type: Option<&str>,
    at: &At,
) -> Result<&'static str, Error> {
    let shape = match json::from_slice(bytes) {
        Ok(shape) => shape,
        Err(_) if looks_like_html(bytes) => return Err(Error::Html { at: at.clone() }),
        Err(error) if error.classify() == Category::Data => {
            let reason = Excerpt::new(&error.to_string());
            return Err(Error::Manifest {
                at: at.clone(),
                problem: ManifestProblem::Malformed { reason },
            });
        }
        Err(error) => {
            return Err(Error::NotJson {
                at: at.clone(),
                line: error.line(),
                column: error.column(),
            });
        }
    };
    classify(shape, content_type).map_err(|problem| Error::Manifest {
        at: at.clone(),
        problem,
    })
}

/// The members that tell an index, an image manifest and a schema 1 manifest apart.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    #[serde(default)]
    schema_version: Loose<SchemaVersion>,
    #[serde(default)]
    media_type: Loose<String>,
    manifests: Option<IgnoredAny>,
    layers: Option<IgnoredAny>,
    #[serde(default)]
    config: Loose<Object<ConfigShape>>,
    fs_layers: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConfigShape {
    #[serde(default)]
    media_type: Loose<String>,
}

struct SchemaVersion(u64);

impl json::Expected<'_> for SchemaVersion {
    fn from_unsigned(number: u64) -> Option<Self> {
        Some(Self(number))
    }
}

fn classify(
    shape: Loose<Object<Shape>>,
    content_type: Option<&str>,
) -> Result<&'static str, ManifestProblem> {
    let Some(Object(shape)) = shape.value() else {
        return Err(ManifestProblem::Unknown);
    };
    let index = shape.manifests.is_some();
    let manifest = shape.layers.is_some() || shape.config.is_present();
    // CVE-2021-41190: one document must not be an index to one reader and a manifest to another.
    if index && manifest {
        return Err(ManifestProblem::Ambiguous);
    }
    let version = shape.schema_version.value();
    if version.is_some_and(|version| version.0 == 1) || shape.fs_layers.is_some() {
        return Err(ManifestProblem::Schema1);
    }
    if !index && !manifest {
        return Err(ManifestProblem::Unknown);
    }
    let own = shape.media_type.value();
    let own = own.and_then(|text| media_type::known(&text));
    let fits = |media_type: &&'static str| media_type::is_index(media_type) == index;
    if own.is_some_and(|own| !fits(&own)) {
        return Err(ManifestProblem::Ambiguous);
    }
    let served = content_type
        .and_then(|text| media_type::known(essence(text)))
        .filter(fits);
    let by_shape = if index {
        media_type::OCI_INDEX
    } else if is_docker_config(shape.config) {
        media_type::DOCKER_MANIFEST
    } else {
        media_type::OCI_MANIFEST
    };
    Ok(own.or(served).unwrap_or(by_shape))
}

/// Returns the `Content-Type` without its parameters, printable.
pub(crate) fn shown_type(content_type: Option<&str>) -> String {
    content_type
        .map(|text| Excerpt::new(essence(text)).to_string())
        .unwrap_or_default()
}

/// Removes parameters such as `; charset=utf-8`.
fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

fn is_docker_config(config: Loose<Object<ConfigShape>>) -> bool {
    let config = config
        .value()
        .and_then(|config| config.0.media_type.value());
    config.is_some_and(|config| config.starts_with("application/vnd.docker.container.image"))
}

fn looks_like_html(bytes: &[u8]) -> bool {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    text.trim_ascii_start().starts_with(b"<")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shown::{ShownUrl, Step};

    fn decide(text: &str, content_type: Option<&str>) -> Result<&'static str, Error> {
        let url = "https://registry.example/".parse().unwrap();
        let at = At {
            step: Step::Manifest,
            reference: Box::new("x".parse().unwrap()),
            url: ShownUrl::new(&url),
        };
        manifest_type(text.as_bytes(), content_type, &at)
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
    fn a_member_in_another_case_counts_and_twice_is_an_error() {
        assert_eq!(
            decide("\u{feff}{\"Manifests\":[]}", None).unwrap(),
            media_type::OCI_INDEX
        );
        for text in [
            r#"{"manifests":[],"manifests":[]}"#,
            r#"{"layers":[],"Layers":[]}"#,
            r#"{"layers":[],"mediaType":"","MEDIATYPE":""}"#,
            r#"{"layers":[],"config":{"mediaType":"","mediatype":""}}"#,
        ] {
            let error = decide(text, None).unwrap_err();
            assert!(
                error.is_corrupt() && error.to_string().contains("duplicate field"),
                "{error}"
            );
        }
        let both = decide(r#"{"manifests":[],"Layers":[]}"#, None).unwrap_err();
        assert!(both.to_string().contains("at once"), "{both}");
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
        for text in ["{}", "[]", "null", "3", r#"{"layers":null}"#] {
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
