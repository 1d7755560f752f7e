use crate::{BudgetError, ImageBudget, ImageLimit};

const LIMITS: [ImageLimit; ImageLimit::COUNT] = [
    ImageLimit::MemoryBytes,
    ImageLimit::Entries,
    ImageLimit::TreeEntries,
    ImageLimit::PathSteps,
    ImageLimit::UncompressedBytes,
    ImageLimit::DiskBytes,
];

/// The share of an [`ImageBudget`] that one part of the work uses. Returned when dropped, unless the work [is kept](Self::keep).
#[derive(Debug)]
pub struct Account {
    budget: ImageBudget,
    /// Charged amounts by [`ImageLimit`]; at least the reported level.
    charged: [u64; ImageLimit::COUNT],
    level: [u64; ImageLimit::COUNT],
}

impl ImageBudget {
    /// Opens an account.
    #[must_use]
    pub fn account(&self) -> Account {
        Account {
            budget: self.clone(),
            charged: [0; ImageLimit::COUNT],
            level: [0; ImageLimit::COUNT],
        }
    }
}

impl Account {
    /// Sets the total that this part of the work uses. A lower level than before returns nothing.
    ///
    /// # Errors
    /// [`BudgetError::Exceeded`] if the image would exceed the limit, [`BudgetError::Cancelled`].
    #[inline]
    pub fn set(&mut self, limit: ImageLimit, level: u64) -> Result<(), BudgetError> {
        let charged = self.charged[limit as usize];
        if level <= charged {
            self.level[limit as usize] = level;
            return self.check();
        }
        self.charge(limit, level, level - charged)
    }

    /// Adds to the total that this part of the work uses.
    ///
    /// # Errors
    /// Those of [`set`](Self::set).
    pub fn add(&mut self, limit: ImageLimit, more: u64) -> Result<(), BudgetError> {
        let level = self.level[limit as usize].saturating_add(more);
        self.set(limit, level)
    }

    /// Checks that the work is not cancelled.
    ///
    /// # Errors
    /// [`BudgetError::Cancelled`].
    pub fn check(&self) -> Result<(), BudgetError> {
        if self.budget.is_cancelled() {
            return Err(BudgetError::Cancelled);
        }
        Ok(())
    }

    /// Ends successful work. Only memory is returned, since everything else remains used by the image.
    pub fn keep(mut self) {
        for limit in LIMITS {
            if !limit.is_transient() {
                let at = limit as usize;
                let ahead = self.charged[at].saturating_sub(self.level[at]);
                self.budget.release(limit, ahead);
                self.charged[at] = 0;
            }
        }
    }

    #[cold]
    fn charge(&mut self, limit: ImageLimit, level: u64, needed: u64) -> Result<(), BudgetError> {
        self.check()?;
        self.charged[limit as usize] += self.budget.charge(limit, needed, limit.ahead())?;
        self.level[limit as usize] = level;
        Ok(())
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        for limit in LIMITS {
            self.budget.release(limit, self.charged[limit as usize]);
        }
    }
}
