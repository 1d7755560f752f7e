//! Which images a prune removes to stay within a budget.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use crate::contents::{Artifact, Contents, Image};
use crate::record::USE_INTERVAL;

/// A budget that cannot be met, and what holds the bytes that remain. An artifact with several holds is counted at the first of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct UnmetBudget {
    /// The budget in bytes.
    pub max_bytes: u64,
    /// What remains.
    pub actual_bytes: u64,
    /// What leases hold; a pull holds a lease on what it pulls.
    pub leased_bytes: u64,
    /// What pins hold.
    pub pinned_bytes: u64,
    /// What was written or used within the grace age.
    pub young_bytes: u64,
}

impl fmt::Display for UnmetBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the cache has {} bytes, {} more than its budget of {}: leases hold {}, pins {}, and {} were used within the grace age",
            self.actual_bytes,
            self.actual_bytes.saturating_sub(self.max_bytes),
            self.max_bytes,
            self.leased_bytes,
            self.pinned_bytes,
            self.young_bytes,
        )
    }
}

impl std::error::Error for UnmetBudget {}

/// What may be removed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) now: SystemTime,
    pub(crate) grace: Duration,
    pub(crate) max_bytes: Option<u64>,
    pub(crate) older_than: Option<Duration>,
}

/// Returns the places in [`Contents::images`] of the images to remove, and what remains above the budget.
///
/// Images that were not used for longest go first. A lease, a pin and the grace age keep an image. In the end, an image whose removal
/// was of no use is kept.
pub(crate) fn choose(contents: &Contents, limits: &Limits) -> (Vec<usize>, Option<UnmetBudget>) {
    let mut counts = contents.counts();
    let mut bytes = contents.bytes_of(
        contents
            .stored
            .iter()
            .filter(|(artifact, stored)| {
                counts.contains_key(artifact)
                    || contents.is_held(artifact)
                    || limits.is_young(stored.modified)
            })
            .map(|(artifact, _)| artifact),
    );
    let mut by_age: Vec<usize> = (0..contents.images.len())
        .filter(|place| limits.may_remove(&contents.images[*place]))
        .collect();
    by_age.sort_by_key(|place| (contents.images[*place].used, *place));
    let is_expired = |image: &Image| {
        let age = limits.now.duration_since(image.used).unwrap_or_default();
        limits.older_than.is_some_and(|limit| age >= limit)
    };
    let mut expired = Vec::new();
    let mut evicted = Vec::new();
    for place in by_age {
        let image = &contents.images[place];
        let is_over = limits.max_bytes.is_some_and(|max_bytes| bytes > max_bytes);
        if is_expired(image) {
            expired.push(place);
        } else if is_over {
            evicted.push(place);
        } else {
            continue;
        }
        bytes -= change(contents, limits, image, &mut counts, Change::Remove);
    }
    // The one that was used last is the first to stay.
    while let Some(place) = evicted.pop() {
        let image = &contents.images[place];
        let more = change(contents, limits, image, &mut counts, Change::Keep);
        if limits
            .max_bytes
            .is_some_and(|max_bytes| bytes + more > max_bytes && more > 0)
        {
            change(contents, limits, image, &mut counts, Change::Remove);
            expired.push(place);
        } else {
            bytes += more;
        }
    }
    expired.sort_unstable();
    let unmet = limits
        .max_bytes
        .filter(|max_bytes| bytes > *max_bytes)
        .map(|max_bytes| unmet(contents, limits, &expired, max_bytes, bytes));
    (expired, unmet)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Remove,
    Keep,
}

/// Counts the artifacts of an image once less, or once more. Returns the bytes that this frees or takes.
fn change(
    contents: &Contents,
    limits: &Limits,
    image: &Image,
    counts: &mut BTreeMap<Artifact, usize>,
    change: Change,
) -> u64 {
    let mut bytes: u64 = 0;
    for artifact in &image.artifacts {
        let count = counts.entry(artifact.clone()).or_default();
        // The count without this image.
        let others = match change {
            Change::Remove => {
                *count = count.saturating_sub(1);
                *count
            }
            Change::Keep => {
                *count += 1;
                *count - 1
            }
        };
        if let Some(stored) = contents.stored.get(artifact)
            && others == 0
            && !contents.is_held(artifact)
            && !limits.is_young(stored.modified)
        {
            bytes += stored.bytes;
        }
    }
    bytes
}

fn unmet(
    contents: &Contents,
    limits: &Limits,
    removed: &[usize],
    max_bytes: u64,
    actual_bytes: u64,
) -> UnmetBudget {
    let mut unmet = UnmetBudget {
        max_bytes,
        actual_bytes,
        leased_bytes: 0,
        pinned_bytes: 0,
        young_bytes: 0,
    };
    let kept: Vec<&Image> = (0..contents.images.len())
        .filter(|place| removed.binary_search(place).is_err())
        .map(|place| &contents.images[place])
        .collect();
    for (artifact, stored) in &contents.stored {
        let users = || {
            kept.iter()
                .filter(|image| image.artifacts.contains(artifact))
        };
        let held = if contents.leased.contains(artifact) || users().any(|image| image.is_leased) {
            &mut unmet.leased_bytes
        } else if contents.pinned.contains(artifact) || users().any(|image| !image.pins.is_empty())
        {
            &mut unmet.pinned_bytes
        } else if limits.is_young(stored.modified) || users().next().is_some() {
            &mut unmet.young_bytes
        } else {
            continue;
        };
        *held = held.saturating_add(stored.bytes);
    }
    unmet
}

impl Limits {
    fn may_remove(&self, image: &Image) -> bool {
        image.pins.is_empty() && !image.is_leased && !self.is_recently_used(image.used)
    }

    /// Returns whether an artifact was written within the grace age. A time in the future, after the clock was set back, is young.
    fn is_young(&self, written: SystemTime) -> bool {
        self.now
            .duration_since(written)
            .map_or(true, |age| age < self.grace)
    }

    /// Returns whether an image may have been used within the grace age: its time is recorded only now and then.
    fn is_recently_used(&self, used: SystemTime) -> bool {
        let within = self.grace.saturating_add(USE_INTERVAL);
        !self.grace.is_zero()
            && self
                .now
                .duration_since(used)
                .map_or(true, |age| age < within)
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use msb_oci::{Digest, Reference};

    use super::*;
    use crate::ImageKey;
    use crate::inventory::Stored;

    const LIMITS: Limits = Limits {
        now: UNIX_EPOCH,
        grace: Duration::ZERO,
        max_bytes: None,
        older_than: None,
    };

    fn artifact(name: &str) -> Artifact {
        Artifact::Blob(Digest::sha256_of(name.as_bytes()))
    }

    /// Returns a cache of images, from the one that was not used for longest on; each artifact has as many bytes as its name states after
    /// the letter.
    fn contents(images: &[&[&str]]) -> Contents {
        let mut contents = Contents::default();
        for (age, artifacts) in images.iter().enumerate() {
            for name in *artifacts {
                let stored = Stored {
                    bytes: name[1..].parse().unwrap(),
                    modified: UNIX_EPOCH,
                };
                contents.stored.insert(artifact(name), stored);
            }
            let reference: Reference = format!("image{age}").parse().unwrap();
            contents.images.push(Image {
                key: ImageKey::new(&reference, "linux/amd64"),
                record: String::new(),
                used: UNIX_EPOCH + Duration::from_secs(age as u64),
                artifacts: artifacts.iter().map(|name| artifact(name)).collect(),
                pins: Vec::new(),
                is_leased: false,
            });
        }
        contents
    }

    fn limits(max_bytes: u64, seconds: u64) -> Limits {
        Limits {
            now: UNIX_EPOCH + Duration::from_secs(seconds),
            max_bytes: Some(max_bytes),
            ..LIMITS
        }
    }

    #[test]
    fn the_images_that_were_not_used_for_longest_go_first() {
        let cache = contents(&[&["a10"], &["b20"], &["c30"]]);
        for (max_bytes, removed) in [
            (60, &[][..]),
            (59, &[0]),
            (50, &[0]),
            // The first one alone would not suffice, and is kept if the second one does.
            (40, &[1]),
            (30, &[0, 1]),
            // The last one is larger than the budget.
            (29, &[0, 2]),
            (19, &[1, 2]),
            (9, &[0, 1, 2]),
            (0, &[0, 1, 2]),
        ] {
            let (chosen, unmet) = choose(&cache, &limits(max_bytes, 100));
            assert_eq!(chosen, removed, "{max_bytes}");
            assert!(unmet.is_none());
        }
    }

    #[test]
    fn shared_artifacts_count_once_and_useless_removals_are_not_made() {
        let cache = contents(&[&["s50", "a1"], &["s50", "b2"], &["c9"]]);
        assert_eq!(choose(&cache, &limits(62, 100)).0, [0; 0]);
        assert_eq!(choose(&cache, &limits(61, 100)).0, [0]);
        assert_eq!(choose(&cache, &limits(58, 100)).0, [0, 1]);
        let mut cache = contents(&[&["s50"], &["s50", "b2"], &["c9"]]);
        cache.images[1].pins.push("p".into());
        let (chosen, unmet) = choose(&cache, &limits(53, 100));
        // Removing the first one frees nothing.
        assert_eq!(chosen, [2]);
        assert!(unmet.is_none());
    }

    #[test]
    fn what_is_held_stays_and_is_named() {
        let mut cache = contents(&[&["a10"], &["b20"], &["c30"], &["d40"]]);
        cache.images[0].is_leased = true;
        cache.images[1].pins.push("p".into());
        cache.leased.insert(artifact("a10"));
        cache.pinned.insert(artifact("b20"));
        let grace = Limits {
            grace: Duration::from_secs(1),
            ..limits(5, 2 + 301)
        };
        let (chosen, unmet) = choose(&cache, &grace);
        assert_eq!(chosen, [2]);
        let unmet = unmet.unwrap();
        assert_eq!(
            (unmet.actual_bytes, unmet.max_bytes, unmet.leased_bytes),
            (70, 5, 10)
        );
        assert_eq!((unmet.pinned_bytes, unmet.young_bytes), (20, 40));
        let text = unmet.to_string();
        assert!(text.contains("65 more than its budget of 5"), "{text}");
    }

    #[test]
    fn an_image_that_was_not_used_for_the_age_goes_whatever_the_budget() {
        let cache = contents(&[&["a10"], &["b20"], &["c30"]]);
        let limits = Limits {
            now: UNIX_EPOCH + Duration::from_secs(10),
            older_than: Some(Duration::from_secs(9)),
            ..LIMITS
        };
        assert_eq!(choose(&cache, &limits).0, [0, 1]);
    }
}
