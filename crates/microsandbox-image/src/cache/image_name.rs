use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use msb_oci::{Digest, Error as NameError, Reference};
use msb_platform::Platform;

use super::record::ImageRecord;
use super::{CacheError, GlobalCache};

/// A name of an image in the cache: the reference that it was pulled by, or its digest or id, whole or shortened.
///
/// A digest is that of the image's manifest; an id, as `docker images` prints it, is the digest of its config. Both may be shortened
/// to their first 12 or more hexadecimal digits, with or without `sha256:` before them.
///
/// ```
/// use microsandbox_image::ImageName;
///
/// for text in ["alpine:3.22", "sha256:4b7ce07002c6", "4b7ce07002c6"] {
///     assert_eq!(text.parse::<ImageName>()?.to_string(), text);
/// }
/// # Ok::<(), microsandbox_image::NameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageName {
    text: String,
    /// `None` for a text that can only be an id.
    reference: Option<Reference>,
    id: Option<IdPrefix>,
}

/// The beginning of a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
struct IdPrefix {
    /// `None` where only hexadecimal digits were given.
    algorithm: Option<String>,
    /// Lower case, at least [`MIN_ID_DIGITS`].
    hex: String,
}

/// Fewest digits of an id, as Docker prints them.
const MIN_ID_DIGITS: usize = 12;

impl FromStr for ImageName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let id = IdPrefix::parse(text);
        let reference = match text.parse() {
            Ok(reference) => Some(reference),
            Err(error) if id.is_none() => return Err(error),
            Err(_) => None,
        };
        Ok(Self {
            text: text.to_owned(),
            reference,
            id,
        })
    }
}

impl ImageName {
    /// Returns the name as a reference; `None` for a text that can only be a digest or an id.
    #[must_use]
    pub fn reference(&self) -> Option<&Reference> {
        self.reference.as_ref()
    }
}

impl From<Reference> for ImageName {
    fn from(reference: Reference) -> Self {
        Self {
            text: reference.to_string(),
            reference: Some(reference),
            id: None,
        }
    }
}

impl fmt::Display for ImageName {
    /// Prints the text as it was given.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escape_text::escape(&self.text).fmt(f)
    }
}

impl IdPrefix {
    fn parse(text: &str) -> Option<Self> {
        let (algorithm, hex) = match text.split_once(':') {
            Some((algorithm @ ("sha256" | "sha512"), hex)) => (Some(algorithm), hex),
            Some(_) => return None,
            None => (None, text),
        };
        let is_hex = hex.bytes().all(|b| b.is_ascii_hexdigit());
        (is_hex && hex.len() >= MIN_ID_DIGITS).then(|| Self {
            algorithm: algorithm.map(str::to_owned),
            hex: hex.to_ascii_lowercase(),
        })
    }

    fn begins(&self, digest: &Digest) -> bool {
        let text = digest.to_string();
        let (algorithm, hex) = text.split_once(':').unwrap_or_default();
        self.algorithm.as_deref().is_none_or(|own| own == algorithm) && hex.starts_with(&self.hex)
    }
}

impl GlobalCache {
    /// Returns the reference and platform of every record that a name stands for; not empty. Blocks on file I/O.
    ///
    /// A reference is returned as it is, cached or not, with `platform` or, without one, Linux on this machine's architecture. A digest or
    /// id stands for all records of that image, or those for `platform`. A text that can be both is a reference if the
    /// cache has it.
    ///
    /// # Errors
    /// [`CacheError::UnknownId`], [`CacheError::AmbiguousId`], [`CacheError::Store`].
    pub fn named(
        &self,
        name: &ImageName,
        platform: Option<&Platform>,
    ) -> Result<Vec<(Reference, Platform)>, CacheError> {
        let itself = name.reference.clone().map(|reference| {
            let platform = platform.cloned().unwrap_or_else(Platform::host_linux);
            (reference, platform)
        });
        let Some(id) = &name.id else {
            // OK because a name without an id has a reference.
            return Ok(itself.into_iter().collect());
        };
        let mut found = Vec::new();
        for listed in self.existing()?.list_images::<ImageRecord>()? {
            // A record that cannot be read is reported by listings.
            let Ok((key, record)) = listed.record else {
                continue;
            };
            let (Ok(reference), Ok(pulled_for)) = (
                key.reference().parse::<Reference>(),
                key.platform().parse::<Platform>(),
            ) else {
                continue;
            };
            if itself
                .as_ref()
                .is_some_and(|(itself, _)| *itself == reference)
            {
                return Ok(itself.into_iter().collect());
            }
            // The digest of an index is known where the image was pulled by it.
            let digests = [
                Some(&record.manifest_digest),
                Some(&record.config_digest),
                reference.digest(),
            ];
            let is_named = digests
                .into_iter()
                .flatten()
                .any(|digest| id.begins(digest));
            if is_named && platform.is_none_or(|platform| *platform == pulled_for) {
                found.push((record.manifest_digest, (reference, pulled_for)));
            }
        }
        one_image(name, found)
    }
}

/// A cached image's manifest, and the reference and platform of its record.
type Found = (Digest, (Reference, Platform));

/// Returns the records if they are of one image; of several, those for this machine.
fn one_image(
    name: &ImageName,
    found: Vec<Found>,
) -> Result<Vec<(Reference, Platform)>, CacheError> {
    let manifests = |found: &[Found]| -> BTreeSet<Digest> {
        found.iter().map(|(manifest, _)| *manifest).collect()
    };
    let all = manifests(&found);
    if all.is_empty() {
        return Err(CacheError::UnknownId {
            id: name.to_string(),
        });
    }
    let here = Platform::host_linux();
    let of_host: Vec<Found> = found
        .iter()
        .filter(|(_, (_, platform))| *platform == here)
        .cloned()
        .collect();
    let chosen = match (all.len(), manifests(&of_host).len()) {
        (1, _) => found,
        (_, 1) => of_host,
        _ => {
            return Err(CacheError::AmbiguousId {
                id: name.to_string(),
                manifests: all.into_iter().collect(),
            });
        }
    };
    Ok(chosen.into_iter().map(|(_, image)| image).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_twelve_or_more_hexadecimal_digits() {
        let id = |text: &str| text.parse::<ImageName>().ok().and_then(|name| name.id);
        let digest = Digest::sha256_of(b"x");
        let text = digest.to_string();
        let hex = &*digest.hex();
        for text in [
            text.as_str(),
            hex,
            &hex[..12],
            &format!("sha256:{}", &hex[..12]),
            &hex[..20].to_uppercase(),
        ] {
            assert!(id(text).is_some_and(|id| id.begins(&digest)), "{text}");
        }
        for text in [
            &hex[..11],
            "alpine",
            "alpine:4b7ce07002c6",
            "docker.io/library/4b7ce07002c6",
            "md5:4b7ce07002c6",
        ] {
            assert_eq!(id(text), None, "{text}");
        }
        assert!(id(&format!("sha512:{hex}")).is_some_and(|id| !id.begins(&digest)));
        assert!("sha256:".parse::<ImageName>().is_err());
    }
}
