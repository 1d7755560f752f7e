use std::fmt;
use std::str::FromStr;

/// How one pull goes about it. Write it with `..Default::default()`: more may be added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PullOptions {
    /// Whether the cache or the registry has the first word.
    pub pull_policy: PullPolicy,
    /// Fetches and writes everything anew, even what the cache has.
    pub force: bool,
    /// Makes it an error when something of the image cannot be represented exactly, where otherwise the result carries a
    /// [`Note`](crate::Note).
    pub strict: bool,
}

/// Whether the cache or the registry has the first word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PullPolicy {
    /// A cached image is taken as it is, and nobody is asked.
    #[default]
    IfMissing,
    /// The registry is asked for the manifest; cached layers are used where their digests still fit.
    Always,
    /// Only the cache is looked at.
    Never,
}

impl PullPolicy {
    /// `if-missing`, `always` or `never`.
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

/// The text is no pull policy.
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
