//! The available images, for errors when none fits.

use std::collections::BTreeSet;
use std::fmt;

use crate::{OddChild, Offer};

/// The images that were considered, for an error message: their offers, sorted and distinct, and the odd children.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Available {
    offers: BTreeSet<Offer>,
    odd: Vec<OddChild>,
    odd_count: usize,
}

impl Available {
    /// Maximum number of offers in a message; the others are only counted.
    const MAX_SHOWN: usize = 24;
    /// Maximum number of odd children in a message; the others are only counted.
    const MAX_ODD_SHOWN: usize = 3;

    /// Returns all offers.
    pub fn offers(&self) -> impl Iterator<Item = &Offer> {
        self.offers.iter()
    }

    /// Returns whether nothing was considered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.offers.is_empty() && self.odd_count == 0
    }

    /// Adds an offer.
    pub fn insert(&mut self, offer: Offer) {
        self.offers.insert(offer);
    }

    /// Adds the contents of `other`.
    pub fn extend(&mut self, other: Self) {
        self.offers.extend(other.offers);
        self.add_odd(&other.odd, other.odd_count);
    }

    pub(crate) fn add_odd(&mut self, odd: &[OddChild], count: usize) {
        let room = Self::MAX_ODD_SHOWN.saturating_sub(self.odd.len());
        self.odd.extend(odd.iter().take(room).cloned());
        self.odd_count += count;
    }
}

impl FromIterator<Offer> for Available {
    fn from_iter<I: IntoIterator<Item = Offer>>(offers: I) -> Self {
        Self {
            offers: offers.into_iter().collect(),
            ..Self::default()
        }
    }
}

impl fmt::Display for Available {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.offers.is_empty() {
            f.write_str("none at all")?;
        }
        for (position, offer) in self.offers.iter().take(Self::MAX_SHOWN).enumerate() {
            let comma = if position == 0 { "" } else { ", " };
            write!(f, "{comma}{offer}")?;
        }
        match self.offers.len().saturating_sub(Self::MAX_SHOWN) {
            0 => {}
            more => write!(f, " and {more} more")?,
        }
        for odd in &self.odd {
            write!(f, "; child {} {}", odd.position, odd.reason)?;
        }
        match self.odd_count - self.odd.len() {
            0 => Ok(()),
            more => write!(f, "; {more} more children cannot be used"),
        }
    }
}
