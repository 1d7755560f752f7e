//! Why no manifest could be picked.

use std::fmt;

use msb_oci::Excerpt;

use crate::Platform;

/// What went wrong with a platform or an index.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is no platform.
    #[error("platform `{input}` is not of the form OS/ARCHITECTURE[/VARIANT]")]
    PlatformForm {
        /// What was parsed.
        input: Excerpt,
    },
    /// The bytes are not JSON.
    #[error("index is not JSON")]
    Json {
        /// Where it breaks.
        #[source]
        source: serde_json::Error,
    },
    /// It is JSON, but has no list of manifests.
    #[error("index has no list `manifests`")]
    NotAnIndex,
    /// The index holds nothing for the platform.
    #[error("no image for {wanted}; there is {available}")]
    NoMatch {
        /// The platform that was asked for.
        wanted: Platform,
        /// The platforms that the index has.
        available: Available,
    },
}

impl Error {
    /// Whether the index is in order and only lacks the platform.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NoMatch { .. })
    }

    /// Whether the index's bytes make no sense.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        matches!(self, Self::Json { .. } | Self::NotAnIndex)
    }
}

/// The platforms of an index, for a message: sorted, each once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Available(Vec<Platform>);

impl Available {
    /// More than this many are counted, not shown.
    const MAX_SHOWN: usize = 24;

    /// All of them.
    #[must_use]
    pub fn platforms(&self) -> &[Platform] {
        &self.0
    }
}

impl FromIterator<Platform> for Available {
    fn from_iter<I: IntoIterator<Item = Platform>>(platforms: I) -> Self {
        let mut platforms: Vec<_> = platforms.into_iter().collect();
        platforms.sort();
        platforms.dedup();
        Self(platforms)
    }
}

impl fmt::Display for Available {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none at all");
        }
        for (position, platform) in self.0.iter().take(Self::MAX_SHOWN).enumerate() {
            let comma = if position == 0 { "" } else { ", " };
            write!(f, "{comma}{platform}")?;
        }
        match self.0.len().saturating_sub(Self::MAX_SHOWN) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
