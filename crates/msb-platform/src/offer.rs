//! The platform that an image is built for.

use std::fmt;

use msb_oci::{Excerpt, StatedPlatform};

use crate::Platform;

/// The platform that an image is built for, with the version and the features of the operating system that it names.
///
/// Every feature is mandatory (image-index.md, config.md: `os.features`), and a microVM's kernel promises none of them, so an
/// offer with features fits no platform.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Offer {
    platform: Platform,
    os_version: Option<Excerpt>,
    features: Option<Excerpt>,
}

impl Offer {
    /// Returns the offer of an image with this config.
    ///
    /// A property that the config lacks is taken from `child`, the index's child for the image, else from `wanted`. The
    /// specification requires `os` and `architecture`, so this also returns whether one of them is missing in both the config and
    /// `child`.
    ///
    /// Returns `None` if a name in the config is malformed.
    #[must_use]
    pub fn of_config(
        config: &StatedPlatform,
        child: Option<&Platform>,
        wanted: &Platform,
    ) -> Option<(Self, bool)> {
        let fallback = child.unwrap_or(wanted);
        let or = |stated: &str, fallback: &str| match stated {
            "" => fallback.to_owned(),
            stated => stated.to_owned(),
        };
        let os = or(&config.os, fallback.os());
        let architecture = or(&config.architecture, fallback.architecture());
        let mut platform = Platform::with_variant(&os, &architecture, &config.variant);
        let same = |other: &Platform| {
            (other.os(), other.architecture()) == (platform.os(), platform.architecture())
        };
        if config.variant.is_empty() {
            // Many builders omit the variant, and for arm that would mean v7.
            platform = match child {
                Some(child) if same(child) => child.clone(),
                None if same(wanted) && !wanted.accepts(&platform) => wanted.clone(),
                _ => platform,
            };
        }
        let assumed = child.is_none() && (config.os.is_empty() || config.architecture.is_empty());
        Some((Self::new(platform, config)?, assumed))
    }

    /// Returns the offer of an index's child. Returns `None` if a name is missing or malformed.
    pub(crate) fn of_child(stated: &StatedPlatform) -> Option<Self> {
        let platform = Platform::with_variant(&stated.os, &stated.architecture, &stated.variant);
        Self::new(platform, stated)
    }

    fn new(platform: Platform, stated: &StatedPlatform) -> Option<Self> {
        let excerpt = |text: &str| (!text.is_empty()).then(|| Excerpt::new(text));
        let mut features = stated.os_features.join(", ");
        if features.is_empty() && !stated.os_features.is_empty() {
            "without a name".clone_into(&mut features);
        }
        platform.is_well_formed().then(|| Self {
            platform,
            os_version: excerpt(&stated.os_version),
            features: excerpt(&features),
        })
    }

    /// Returns the platform.
    #[must_use]
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// Returns whether a guest of `wanted` runs the image.
    #[must_use]
    pub fn fits(&self, wanted: &Platform) -> bool {
        self.distance_from(wanted).is_some()
    }

    pub(crate) fn distance_from(&self, wanted: &Platform) -> Option<u32> {
        match self.features {
            None => wanted.distance(&self.platform),
            Some(_) => None,
        }
    }
}

impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.platform)?;
        if let Some(version) = &self.os_version {
            write!(f, " (os.version {version})")?;
        }
        if let Some(features) = &self.features {
            write!(f, " (needs os.features {features}, which is not supported)")?;
        }
        Ok(())
    }
}
