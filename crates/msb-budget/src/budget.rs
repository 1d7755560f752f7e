use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::{BudgetError, ImageLimit, ImageLimits};

/// The budget of one image. Clones are the same budget.
#[derive(Clone, Debug, Default)]
pub struct ImageBudget(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    limits: ImageLimits,
    /// The total of all accounts, by [`ImageLimit`].
    used: [AtomicU64; ImageLimit::COUNT],
    cancelled: AtomicBool,
}

impl ImageBudget {
    /// Creates a budget with these limits.
    #[must_use]
    pub fn new(limits: ImageLimits) -> Self {
        Self(Arc::new(Shared {
            limits,
            ..Shared::default()
        }))
    }

    /// Cancels the work on the image: every account fails from now on.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Relaxed);
    }

    /// Returns whether the work was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Relaxed)
    }

    /// Returns a guard that cancels the work when it is dropped.
    #[must_use]
    pub fn cancel_on_drop(&self) -> CancelOnDrop {
        CancelOnDrop(self.clone())
    }

    /// Charges `needed`, and up to `ahead` more if far below the limit. Returns the charged amount.
    pub(crate) fn charge(
        &self,
        limit: ImageLimit,
        needed: u64,
        ahead: u64,
    ) -> Result<u64, BudgetError> {
        let allowed = self.0.limits.allowed(limit);
        let used = &self.0.used[limit as usize];
        let mut actual = used.load(Ordering::Relaxed);
        loop {
            let least = actual.saturating_add(needed);
            if least > allowed {
                return Err(BudgetError::Exceeded {
                    limit,
                    allowed,
                    actual: least,
                });
            }
            // Nothing is charged ahead near the limit, so that the limit is exact.
            let most = least.saturating_add(ahead);
            let next = if most <= allowed / 2 { most } else { least };
            match used.compare_exchange_weak(actual, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(next - actual),
                Err(current) => actual = current,
            }
        }
    }

    pub(crate) fn release(&self, limit: ImageLimit, amount: u64) {
        self.0.used[limit as usize].fetch_sub(amount, Ordering::Relaxed);
    }
}

/// Cancels the work on an image when it is dropped.
#[derive(Debug)]
pub struct CancelOnDrop(ImageBudget);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
