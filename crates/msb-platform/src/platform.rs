//! An operating system, an architecture and its variant.

use std::fmt;

use msb_oci::Excerpt;
use serde::{Deserialize, Serialize};

use crate::normalize::{normalize, variant_distance};

/// The platform of a guest or an image: `linux/amd64`, `linux/arm/v7`.
///
/// An architecture alone, such as `arm64`, is parsed as Linux on that architecture.
///
/// Uses Go's names, as all of OCI does, and normalizes them: `linux/aarch64` and `linux/arm64/v8` are equal to
/// `linux/arm64`. Serialized as an object with `os`, `architecture` and `variant`, which is null if there is none.
///
/// ```
/// use msb_platform::Platform;
///
/// assert_eq!("linux/aarch64".parse::<Platform>()?, Platform::new("linux", "arm64"));
/// assert_eq!(Platform::with_variant("linux", "arm", "7").to_string(), "linux/arm/v7");
/// # Ok::<(), msb_platform::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "Fields")]
pub struct Platform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

/// A platform as written in JSON, not normalized.
#[derive(Deserialize)]
struct Fields {
    os: String,
    architecture: String,
    #[serde(default)]
    variant: Option<String>,
}

impl From<Fields> for Platform {
    fn from(fields: Fields) -> Self {
        Self::make(&fields.os, &fields.architecture, fields.variant.as_deref())
    }
}

impl Platform {
    /// Returns Linux on this machine's architecture: the platform of a microVM, whatever system the host runs.
    #[must_use]
    pub fn host_linux() -> Self {
        let little = cfg!(target_endian = "little");
        let architecture = match std::env::consts::ARCH {
            "powerpc64" if little => "ppc64le",
            "powerpc64" => "ppc64",
            "mips64" if little => "mips64le",
            // All others have one name, or are covered by the normalization.
            other => other,
        };
        Self::new("linux", architecture)
    }

    /// Creates a platform without a variant, or with the one that its architecture implies (`arm` is `arm/v7`).
    #[must_use]
    pub fn new(os: impl AsRef<str>, architecture: impl AsRef<str>) -> Self {
        Self::make(os.as_ref(), architecture.as_ref(), None)
    }

    /// Creates a platform with a variant.
    #[must_use]
    pub fn with_variant(
        os: impl AsRef<str>,
        architecture: impl AsRef<str>,
        variant: impl AsRef<str>,
    ) -> Self {
        Self::make(os.as_ref(), architecture.as_ref(), Some(variant.as_ref()))
    }

    fn make(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let (os, architecture, variant) = normalize(os, architecture, variant);
        Self {
            os,
            architecture,
            variant,
        }
    }

    /// Returns the operating system, such as `linux`.
    #[must_use]
    pub fn os(&self) -> &str {
        &self.os
    }

    /// Returns the architecture, such as `amd64`.
    #[must_use]
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// Returns the variant, such as `v7`.
    #[must_use]
    pub fn variant(&self) -> Option<&str> {
        self.variant.as_deref()
    }

    /// Returns whether a guest of this platform runs images of `offered`: the same platform, or a lower variant of it.
    #[must_use]
    pub fn accepts(&self, offered: &Self) -> bool {
        self.distance(offered).is_some()
    }

    /// Returns how well images of `offered` fit: 0 for the same platform, higher for lower variants, `None` if they do not run.
    pub(crate) fn distance(&self, offered: &Self) -> Option<u32> {
        if self.os != offered.os || self.architecture != offered.architecture {
            return None;
        }
        variant_distance(&self.architecture, self.variant(), offered.variant())
    }

    /// Returns whether this is the platform of attestations and other companions of images.
    pub(crate) fn is_unknown(&self) -> bool {
        self.os == "unknown" || self.architecture == "unknown"
    }

    pub(crate) fn is_well_formed(&self) -> bool {
        let is_name = |text: &str| {
            !text.is_empty()
                && text.len() <= 64
                && text
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        };
        is_name(&self.os) && is_name(&self.architecture) && self.variant().is_none_or(is_name)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `new` accepts any text, and a message must stay one line.
        write!(
            f,
            "{}/{}",
            Excerpt::new(&self.os),
            Excerpt::new(&self.architecture)
        )?;
        match &self.variant {
            Some(variant) => write!(f, "/{}", Excerpt::new(variant)),
            None => Ok(()),
        }
    }
}
