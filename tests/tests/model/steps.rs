//! The operations.

use crate::model::Model;
use crate::random::Random;

/// One operation; the number is that of an image.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// Pulls the image.
    Pull(usize),
    /// Asks the registry again, and reuses cached layers.
    PullAlways(usize),
    /// Starts a pull and ends it by a signal after some milliseconds.
    KillPull {
        image: usize,
        signal: Signal,
        millis: u64,
    },
    /// Runs two pulls of two images at once.
    PullBoth(usize, usize),
    /// Removes the image's record.
    Remove(usize),
    /// Deletes what no image needs.
    Prune,
    /// Keeps the image's files through a lease of this process.
    Lease(usize),
    /// Drops the oldest lease.
    Release,
    /// Pins the image.
    Pin(usize),
    /// Removes the first pin.
    Unpin,
    /// Prunes with a budget of this many kilobytes.
    Budget(usize),
    /// Damages one artifact of the image.
    Damage { image: usize, how: Harm },
}

/// How a pull ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Signal {
    Interrupt,
    Terminate,
    Kill,
}

/// What happens to an artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Harm {
    Truncated,
    Deleted,
    Flipped,
}

impl Step {
    /// Chooses an operation that the model allows now.
    pub(crate) fn choose(model: &Model<'_>, random: &mut Random) -> Self {
        let image = random.below(model.len());
        match random.below(23) {
            0..=3 => Self::Pull(image),
            4 => Self::PullAlways(image),
            5..=8 => Self::KillPull {
                image,
                signal: [Signal::Interrupt, Signal::Terminate, Signal::Kill][random.below(3)],
                millis: random.below(60) as u64,
            },
            9 => Self::PullBoth(image, random.below(model.len())),
            10..=12 => Self::Remove(image),
            13 | 14 => Self::Prune,
            15 | 16 if model.is_cached(image) => Self::Lease(image),
            17 => Self::Release,
            20 if model.is_cached(image) => Self::Pin(image),
            21 => Self::Unpin,
            22 => Self::Budget(random.below(12_000)),
            18 | 19 if model.is_cached(image) => Self::Damage {
                image,
                how: [Harm::Truncated, Harm::Deleted, Harm::Flipped][random.below(3)],
            },
            _ => Self::Pull(image),
        }
    }
}
