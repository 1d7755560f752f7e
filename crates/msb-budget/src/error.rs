use crate::ImageLimit;

/// Why an account cannot be charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BudgetError {
    /// The accounts of the image together exceed a limit.
    #[error("{limit}: {actual}, more than the allowed {allowed}")]
    Exceeded {
        /// The limit.
        limit: ImageLimit,
        /// Its value.
        allowed: u64,
        /// The total that all accounts would use.
        actual: u64,
    },
    /// The work was cancelled.
    #[error("the work on the image was cancelled")]
    Cancelled,
}
