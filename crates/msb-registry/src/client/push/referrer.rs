//! Pushing a manifest that refers to another one.

use std::collections::BTreeMap;

use bytes::Bytes;
use msb_oci::{Digest, Reference, media_type};
use serde_json::{Map, Value, json};

use super::manifest::PushedManifest;
use crate::client::Client;
use crate::document::Document;
use crate::error::{Error, ManifestProblem};

/// How often the fallback tag is written until it is read back with the entry: another client may replace it in between.
const MAX_ATTEMPTS: u32 = 4;

/// How a manifest is listed among the referrers of its subject.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReferrerEntry {
    /// The manifest that it refers to.
    pub subject: Digest,
    /// The media type of the referring manifest.
    pub media_type: String,
    /// What the referring manifest is.
    pub artifact_type: String,
    /// The annotations of the referring manifest.
    pub annotations: BTreeMap<String, String>,
}

impl ReferrerEntry {
    /// Returns the entry of an OCI image manifest with the type `artifact_type`, without annotations.
    #[must_use]
    pub fn new(subject: Digest, artifact_type: impl Into<String>) -> Self {
        Self {
            subject,
            media_type: media_type::OCI_MANIFEST.to_owned(),
            artifact_type: artifact_type.into(),
            annotations: BTreeMap::new(),
        }
    }

    /// Sets [`annotations`](Self::annotations).
    #[must_use]
    pub fn with_annotations(self, annotations: BTreeMap<String, String>) -> Self {
        Self {
            annotations,
            ..self
        }
    }
}

impl Client {
    /// Pushes the manifest `bytes`, whose `subject` is that of `entry`, under its digest. If the registry has no referrers API, the
    /// manifest is also listed in the index under the tag `ALGORITHM-HEX` (distribution specification 1.1, "Referrers Tag Schema").
    ///
    /// The fallback tag has no lock: it is read back, and written again if another client has replaced it.
    ///
    /// # Errors
    ///
    /// As [`push_manifest`](Self::push_manifest); those of [`manifest`](Self::manifest) if the fallback tag holds something else than
    /// an index.
    pub async fn push_referrer(
        &self,
        reference: &Reference,
        entry: &ReferrerEntry,
        bytes: &Bytes,
    ) -> Result<PushedManifest, Error> {
        let digest = Digest::sha256_of(bytes);
        let by_digest = reference.with_digest(digest);
        let pushed = self
            .push_manifest(&by_digest, &entry.media_type, bytes)
            .await?;
        if pushed.is_listed {
            return Ok(pushed);
        }
        let tag = entry.subject.to_string().replace(':', "-");
        let Ok(tagged) = reference.with_tag(&tag) else {
            // The tag of a SHA-512 digest is too long, so that there is no fallback.
            return Ok(pushed);
        };
        let descriptor = descriptor(entry, &digest, bytes.len());
        for attempt in 1.. {
            let current = match self.manifest(&tagged).await {
                Ok(document) => Some(document),
                Err(error) if error.is_not_found() => None,
                Err(error) => return Err(error),
            };
            let mut manifests = match &current {
                Some(document) => entries(document).ok_or_else(|| self.not_an_index(&tagged))?,
                None => Vec::new(),
            };
            let text = digest.to_string();
            let is_listed =
                |entry: &Value| entry.get("digest").and_then(Value::as_str) == Some(&text);
            if manifests.iter().any(is_listed) || attempt > MAX_ATTEMPTS {
                break;
            }
            manifests.push(descriptor.clone());
            let index = json!({
                "schemaVersion": 2,
                "mediaType": media_type::OCI_INDEX,
                "manifests": manifests,
            });
            let index = Bytes::from(index.to_string());
            self.push_manifest(&tagged, media_type::OCI_INDEX, &index)
                .await?;
        }
        Ok(pushed)
    }

    fn not_an_index(&self, reference: &Reference) -> Error {
        let digest = Digest::sha256_of(&[]);
        let step = crate::context::Step::PushManifest;
        match self.sender.blob_context(step, reference, &digest) {
            Ok(context) => Error::Manifest {
                context,
                problem: ManifestProblem::Unknown,
            },
            Err(error) => error,
        }
    }
}

/// Returns the entries of an index, with all their members.
fn entries(document: &Document) -> Option<Vec<Value>> {
    if !document.is_index() {
        return None;
    }
    let value: Value = serde_json::from_slice(&document.bytes).ok()?;
    value.get("manifests")?.as_array().cloned()
}

fn descriptor(entry: &ReferrerEntry, digest: &Digest, size: usize) -> Value {
    let mut descriptor = Map::new();
    descriptor.insert("mediaType".into(), entry.media_type.clone().into());
    descriptor.insert("digest".into(), digest.to_string().into());
    descriptor.insert("size".into(), size.into());
    descriptor.insert("artifactType".into(), entry.artifact_type.clone().into());
    if !entry.annotations.is_empty() {
        descriptor.insert("annotations".into(), json!(entry.annotations));
    }
    descriptor.into()
}
