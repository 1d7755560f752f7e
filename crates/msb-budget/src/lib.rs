//! One resource budget (memory, entries, bytes on disk) for an image, shared by its layers and their merge.
//!
//! ```text
//!  ImageLimits ─▶ ImageBudget ─┬─▶ Account of layer 1 ─┐
//!                (one per pull)├─▶ Account of layer 2  ├─ set(limit, level): charges the difference to its last level, or fails
//!                              └─▶ Account of the merge┘  dropped: releases its levels
//! ```
//!
//! A limit per layer would be multiplied by the number of layers in progress. Instead, every part of a pull has an [`Account`] of
//! the same [`ImageBudget`], and the sum of all accounts stays within [`ImageLimits`]. The budget also cancels long work:
//! [`Account::set`] fails after [`ImageBudget::cancel`].
//!
//! This crate does no I/O and measures nothing; its callers report their current usage as levels.
//!
//! ```
//! use msb_budget::{ImageBudget, ImageLimit, ImageLimits};
//!
//! let mut limits = ImageLimits::default();
//! limits.entries = 10;
//! let budget = ImageBudget::new(limits);
//! let (mut layer, mut other) = (budget.account(), budget.account());
//! layer.set(ImageLimit::Entries, 7)?;
//! assert!(other.set(ImageLimit::Entries, 4).is_err());
//! drop(layer);
//! other.set(ImageLimit::Entries, 4)?;
//! # Ok::<(), msb_budget::BudgetError>(())
//! ```

mod account;
mod budget;
mod error;
mod limits;

pub use account::Account;
pub use budget::{CancelOnDrop, ImageBudget};
pub use error::BudgetError;
pub use limits::{ImageLimit, ImageLimits};
