//! Removing what no image needs, no lease keeps, and no pull has just written.

use std::time::{Duration, SystemTime};

use msb_oci::Digest;
use serde::de::DeserializeOwned;

use crate::artifact::{
    ArtifactKey, ArtifactKind, BLOB, DISK, LAYER, LAYER_BLOB, PARTIAL_BLOB, Place,
};
use crate::budget::{Limits, UnmetBudget, choose};
use crate::contents::{Artifact, Contents};
use crate::error::Result;
use crate::lock::{Lock, LockOn};
use crate::presence::Dirs;
use crate::{DiskKey, ImageKey, LayerKey, PartialBlob, References, Store, Swept};

/// What a prune may remove.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PruneOptions {
    /// Nothing that was written more recently than this is removed, needed or not. 10 minutes by default.
    pub grace: Duration,
    /// Remove the image records that cannot be decoded, instead of refusing to prune because of them.
    pub remove_corrupt_records: bool,
    /// Remove images, those that were not used for longest first, until all artifacts have at most this many bytes.
    pub max_bytes: Option<u64>,
    /// Remove images that were not used for this long.
    pub older_than: Option<Duration>,
    /// Remove nothing, and return what would be removed.
    pub dry_run: bool,
}

impl Default for PruneOptions {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(600),
            remove_corrupt_records: false,
            max_bytes: None,
            older_than: None,
            dry_run: false,
        }
    }
}

impl PruneOptions {
    /// Returns the defaults with another grace age.
    #[must_use]
    pub fn with_grace(grace: Duration) -> Self {
        Self {
            grace,
            ..Self::default()
        }
    }
}

/// What a prune removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pruned {
    /// The images removed because of the budget or their age.
    pub images: Vec<ImageKey>,
    /// The layers removed.
    pub layers: Vec<LayerKey>,
    /// The disks removed.
    pub disks: Vec<DiskKey>,
    /// The raw manifests and configs removed.
    pub blobs: Vec<Digest>,
    /// The kept blobs of layers removed.
    pub layer_blobs: Vec<Digest>,
    /// How many partial blobs were removed.
    pub partial_blobs: u64,
    /// How many image records were removed because they could not be decoded.
    pub corrupt_records: u64,
    /// How many temporary files of dead writers were removed.
    pub temporaries: u64,
    /// How many lock files that no process held were removed.
    pub locks: u64,
    /// Sum of the lengths of all of these.
    pub bytes: u64,
    /// What no image needs and was kept because it is younger than the grace age.
    pub kept_young: Kept,
    /// What no image needs and was kept because a pull, a lease or a pin uses it.
    pub kept_in_use: Kept,
    /// [`PruneOptions::max_bytes`] and what holds the bytes above it, if it could not be met.
    pub unmet: Option<UnmetBudget>,
}

/// Artifacts that a prune kept though no image needs them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Kept {
    /// Number of layers, disks, blobs and partial blobs.
    pub artifacts: u64,
    /// Sum of their lengths.
    pub bytes: u64,
}

impl Kept {
    fn add(&mut self, bytes: u64) {
        self.artifacts += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

impl Store {
    /// Removes every layer, disk and blob that no image record refers to, as `references` returns for each record. With
    /// [`PruneOptions::max_bytes`] or [`PruneOptions::older_than`], removes images first: never one that is pinned, leased, or used within
    /// the grace age.
    ///
    /// Stale partial blobs, the temporary files of dead writers and unused lock files go as well. What stays: what is leased and the
    /// layers and blobs of it, what is locked, and what is younger than the grace age. No record is published and no lease
    /// taken while this runs; they wait, so `references` must do neither.
    ///
    /// # Errors
    /// [`Error::NoCache`](crate::Error::NoCache) if there is no cache; nothing is created.
    /// A record that cannot be read might refer to anything, so it is an error, and nothing is removed; see
    /// [`PruneOptions::remove_corrupt_records`]. A later version's record is always an error.
    pub fn prune<T: DeserializeOwned>(
        &self,
        options: &PruneOptions,
        references: impl FnMut(&ImageKey, T) -> References,
    ) -> Result<Pruned> {
        self.require()?;
        let mut pruned = Pruned::default();
        if !self.has_content()? {
            return Ok(pruned);
        }
        let _gate = self.begin_prune()?;
        let leased = self.leased()?;
        let mut contents = self.contents(leased, options.remove_corrupt_records, references)?;
        let (removed, unmet) = choose(
            &contents,
            &Limits {
                now: SystemTime::now(),
                grace: options.grace,
                max_bytes: options.max_bytes,
                older_than: options.older_than,
            },
        );
        pruned.unmet = unmet;
        for name in std::mem::take(&mut contents.corrupt) {
            if let Some(bytes) = self.remove_record(&name, options)? {
                pruned.bytes = pruned.bytes.saturating_add(bytes);
                pruned.corrupt_records += 1;
            }
        }
        // From the last on, so that the places of the others stay.
        for place in removed.into_iter().rev() {
            let image = contents.images.remove(place);
            self.remove_record(&image.record, options)?;
            pruned.images.push(image.key);
        }
        pruned.images.reverse();
        if !options.dry_run {
            let Swept { files, bytes } = self.sweep_stale_temporaries()?;
            pruned.temporaries = files;
            pruned.bytes = pruned.bytes.saturating_add(bytes);
            pruned.locks = self.sweep_unused_locks()?;
        }
        self.prune_unreferenced(options, &contents, &mut pruned)?;
        if !options.dry_run {
            // The locks of what was removed.
            self.sweep_unused_locks()?;
        }
        Ok(pruned)
    }

    fn remove_record(&self, name: &str, options: &PruneOptions) -> Result<Option<u64>> {
        if options.dry_run {
            return self.record_bytes(name);
        }
        self.remove_record_file(name)
    }

    fn prune_unreferenced(
        &self,
        options: &PruneOptions,
        contents: &Contents,
        pruned: &mut Pruned,
    ) -> Result<()> {
        let grace = Grace {
            now: SystemTime::now(),
            age: options.grace,
            dry_run: options.dry_run,
        };
        let counts = contents.counts();
        let is_needed = |artifact: Artifact| counts.contains_key(&artifact);
        let is_held = |artifact: Artifact| contents.is_held(&artifact);
        // Disks before their layers: a descriptor never points at a file that is gone.
        let is_needed_disk = |key: &DiskKey| is_needed(Artifact::Disk(key.clone()));
        pruned.disks = self.prune_kind(&DISK, &grace, pruned, is_needed_disk, |key| {
            if is_held(Artifact::Disk(key.clone())) {
                return Ok(None);
            }
            Ok(self.try_lock(LockOn::Disk(key))?.map(Guard::Lock))
        })?;
        let outdated = self.remove_outdated_disks(&grace, is_held, pruned)?;
        pruned.disks.extend(outdated);
        let is_needed_layer = |key: &LayerKey| is_needed(Artifact::Layer(key.clone()));
        pruned.layers = self.prune_kind(&LAYER, &grace, pruned, is_needed_layer, |key| {
            if is_held(Artifact::Layer(key.clone())) {
                return Ok(None);
            }
            Ok(self.try_lock(LockOn::Layer(&key.diff_id))?.map(Guard::Lock))
        })?;
        let is_needed_blob = |digest: &Digest| is_needed(Artifact::Blob(*digest));
        pruned.blobs = self.prune_kind(&BLOB, &grace, pruned, is_needed_blob, |digest| {
            Ok((!is_held(Artifact::Blob(*digest))).then_some(Guard::None))
        })?;
        let is_needed_blob = |digest: &Digest| is_needed(Artifact::LayerBlob(*digest));
        pruned.layer_blobs =
            self.prune_kind(&LAYER_BLOB, &grace, pruned, is_needed_blob, |digest| {
                Ok((!is_held(Artifact::LayerBlob(*digest))).then_some(Guard::None))
            })?;
        let partial = self.prune_kind(
            &PARTIAL_BLOB,
            &grace,
            pruned,
            |_: &Digest| false,
            |digest| {
                // Only its lock shows whether a pull has it open; opening it takes the lock.
                let open = self.open_partial_blob(digest, u64::MAX)?;
                Ok(open.map(Guard::Partial))
            },
        )?;
        pruned.partial_blobs = u64::try_from(partial.len()).unwrap_or(u64::MAX);
        Ok(())
    }

    /// Removes the artifacts of a kind that are not needed, old and not in use; returns their keys. Counts what it keeps.
    ///
    /// `guard` returns what excludes other users of the artifact while it is removed; `None` if it is in use.
    fn prune_kind<K: ArtifactKey>(
        &self,
        kind: &ArtifactKind,
        grace: &Grace,
        pruned: &mut Pruned,
        is_needed: impl Fn(&K) -> bool,
        guard: impl Fn(&K) -> Result<Option<Guard>>,
    ) -> Result<Vec<K>> {
        let mut removed = Vec::new();
        for (key, stored) in self.artifacts::<K>(kind)? {
            if is_needed(&key) {
                continue;
            }
            if !grace.is_over(stored.modified) {
                pruned.kept_young.add(stored.bytes);
                continue;
            }
            let Some(_guard) = guard(&key)? else {
                pruned.kept_in_use.add(stored.bytes);
                continue;
            };
            if grace.dry_run || self.remove_if_old(kind, &key, grace)? {
                pruned.bytes = pruned.bytes.saturating_add(stored.bytes);
                removed.push(key);
            }
        }
        Ok(removed)
    }

    /// Removes an artifact's files, the one that marks it complete first, if none of them is younger than the grace age.
    ///
    /// Called while other users are excluded: it may have been published again since it was listed.
    fn remove_if_old(
        &self,
        kind: &ArtifactKind,
        key: &impl ArtifactKey,
        grace: &Grace,
    ) -> Result<bool> {
        let places: Vec<Place> = (0..kind.files.len())
            .rev()
            .map(|file| kind.place(key, file))
            .collect();
        let mut dirs = Dirs::default();
        for Place { dir, name, .. } in &places {
            if let Some(dir) = dirs.open(self, dir)?
                && let Some(entry) = dir.stat(name)?
                && (!grace.is_over(entry.modified) || entry.is_dir())
            {
                return Ok(false);
            }
        }
        let mut is_removed = false;
        for Place { dir, name, .. } in &places {
            if let Some(dir) = dirs.open(self, dir)? {
                is_removed |= dir.remove_file(name)?;
            }
        }
        Ok(is_removed)
    }
}

/// What excludes other users of an artifact while it is removed; released on drop.
#[expect(dead_code, reason = "held, not read")]
enum Guard {
    /// A blob needs none: the lease of a pull that needs it keeps it.
    None,
    Lock(Lock),
    Partial(PartialBlob),
}

/// The time of a prune, and the age below which nothing is removed.
pub(crate) struct Grace {
    now: SystemTime,
    age: Duration,
    /// Whether nothing is removed at all.
    pub(crate) dry_run: bool,
}

impl Grace {
    /// Returns whether the grace age is over. A time in the future, after the clock was set back, is young.
    pub(crate) fn is_over(&self, modified: SystemTime) -> bool {
        self.now
            .duration_since(modified)
            .is_ok_and(|age| age >= self.age)
    }
}
