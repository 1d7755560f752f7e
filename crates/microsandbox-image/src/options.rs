use std::fmt;
use std::str::FromStr;

/// Options of one pull. Construct it with `..Default::default()`, because fields may be added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PullOptions {
    /// When to contact the registry instead of using the cache. [`PullPolicy::IfMissing`] by default.
    pub pull_policy: PullPolicy,
    /// Download and build everything again, even what is cached. Has no effect with [`PullPolicy::Never`].
    pub force: bool,
    /// Fail with [`PullError::NotExact`](crate::PullError::NotExact) if a part of the image cannot be represented exactly.
    /// Otherwise the result has a [`Note`](crate::Note) on it.
    pub strict: bool,
    /// Keep the blobs of the layers as their source has them, so that [`GlobalCache::save`](crate::GlobalCache::save) can write the image
    /// with its digests. An image that is cached without them counts as missing: they are downloaded once. They are removed with the
    /// last image that uses them.
    pub keep_blobs: bool,
    /// Add a hash tree of dm-verity to the end of the disk, with which a guest verifies every block that it reads; see
    /// [`PullResult::verity`](crate::PullResult::verity). An image that is cached without one gets it from the cached files, which are
    /// read once.
    pub verity: bool,
    /// Which form of the layers to download. [`SourceForm::Tar`] by default, and always with [`keep_blobs`](Self::keep_blobs).
    pub source: SourceForm,
}

/// The form in which layers are downloaded, for an image that was published with [`Registry::push`](crate::Registry::push).
///
/// An EROFS layer is downloaded as it is mounted, so that nothing has to be converted. The digests of the index cover it, but that it is what
/// the layer's archive unpacks to is the publisher's claim. So it is not the default. A pull of the original layers never uses a layer that
/// only a publisher vouches for, and no EROFS layer replaces one that is cached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourceForm {
    /// The original layers, whose contents are verified against the config.
    #[default]
    Tar,
    /// EROFS layers if the index offers them and they can be used, else the original ones.
    Auto,
    /// EROFS layers. An image without them fails with [`PullError::NotPublished`](crate::PullError::NotPublished).
    Erofs,
}

/// When a pull contacts the registry instead of using the cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PullPolicy {
    /// Only if the image is not cached.
    #[default]
    IfMissing,
    /// Always, for the manifest. Cached layers that it names are used.
    Always,
    /// Never. An image that is not cached fails with [`CacheError::NotCached`](crate::CacheError::NotCached).
    Never,
}

impl PullPolicy {
    /// Returns `if-missing`, `always` or `never`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IfMissing => "if-missing",
            Self::Always => "always",
            Self::Never => "never",
        }
    }
}

impl fmt::Display for PullPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Reports a text that is not the name of a pull policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a pull policy is one of if-missing, always and never")]
pub struct UnknownPolicy;

impl FromStr for PullPolicy {
    type Err = UnknownPolicy;

    fn from_str(text: &str) -> Result<Self, UnknownPolicy> {
        let all = [Self::IfMissing, Self::Always, Self::Never];
        all.into_iter()
            .find(|policy| policy.as_str() == text)
            .ok_or(UnknownPolicy)
    }
}
