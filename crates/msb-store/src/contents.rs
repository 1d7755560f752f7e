//! What the artifacts of a cache are needed for, and how long they are: the basis of a prune and of a report on disk usage.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use msb_oci::Digest;
use serde::de::DeserializeOwned;

use crate::artifact::{ArtifactKey, ArtifactKind, BLOB, DISK, LAYER, LAYER_BLOB, PARTIAL_BLOB};
use crate::error::Result;
use crate::inventory::Stored;
use crate::pin::Pin;
use crate::{DiskKey, ImageKey, LayerKey, References, Store};

/// One artifact of an image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Artifact {
    Layer(LayerKey),
    Disk(DiskKey),
    Blob(Digest),
    LayerBlob(Digest),
}

/// An image of the cache.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    pub(crate) key: ImageKey,
    /// The file name of its record.
    pub(crate) record: String,
    /// See [`Store::use_image`].
    pub(crate) used: SystemTime,
    pub(crate) artifacts: BTreeSet<Artifact>,
    /// The names of its pins.
    pub(crate) pins: Vec<String>,
    pub(crate) is_leased: bool,
}

/// All artifacts, images and holds of a cache.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) stored: BTreeMap<Artifact, Stored>,
    /// Sum of the lengths of the partial blobs.
    pub(crate) partial_bytes: u64,
    pub(crate) images: Vec<Image>,
    pub(crate) leased: BTreeSet<Artifact>,
    pub(crate) pinned: BTreeSet<Artifact>,
    /// The file names of the records that cannot be decoded.
    pub(crate) corrupt: Vec<String>,
}

impl Store {
    /// Reads all records, pins and leases, and lists all artifacts.
    ///
    /// # Errors
    /// A record that cannot be read might refer to anything, so it is an error, unless `skips_corrupt`. A damaged pin always is one.
    pub(crate) fn contents<T: DeserializeOwned>(
        &self,
        leased: Vec<References>,
        skips_corrupt: bool,
        mut references: impl FnMut(&ImageKey, T) -> References,
    ) -> Result<Contents> {
        let mut contents = Contents::default();
        for mut lease in leased {
            // A lease does not tell documents from blobs of layers.
            lease.layer_blobs.clone_from(&lease.blobs);
            contents.leased.extend(artifacts_of(lease));
        }
        let pins: Vec<Pin> = self.pins()?;
        for pin in &pins {
            contents.pinned.extend(artifacts_of(pin.artifacts.clone()));
        }
        for listed in self.list_images()? {
            let (key, image) = match listed.record {
                Ok(record) => record,
                Err(error) if error.is_corrupt() && skips_corrupt => {
                    contents.corrupt.push(listed.name);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let artifacts: BTreeSet<_> = artifacts_of(references(&key, image)).collect();
            let is_disk = |artifact: &&Artifact| matches!(artifact, Artifact::Disk(_));
            let mut disks = artifacts.iter().filter(is_disk);
            contents.images.push(Image {
                pins: pins
                    .iter()
                    .filter(|pin| pin.key == key)
                    .map(|pin| pin.name.to_string())
                    .collect(),
                is_leased: disks.any(|disk| contents.leased.contains(disk)),
                key,
                record: listed.name,
                used: listed.used,
                artifacts,
            });
        }
        self.store_all(&mut contents)?;
        Ok(contents)
    }

    /// Returns the sum of the lengths of all artifacts.
    pub(crate) fn artifact_bytes(&self) -> Result<u64> {
        let mut all = Contents::default();
        self.store_all(&mut all)?;
        Ok(all.total_bytes())
    }

    /// Adds all artifacts to `contents`.
    fn store_all(&self, contents: &mut Contents) -> Result<()> {
        self.store_into(contents, &LAYER, Artifact::Layer)?;
        self.store_into(contents, &DISK, Artifact::Disk)?;
        self.store_into(contents, &BLOB, Artifact::Blob)?;
        self.store_into(contents, &LAYER_BLOB, Artifact::LayerBlob)?;
        for stored in self.artifacts::<Digest>(&PARTIAL_BLOB)?.values() {
            contents.partial_bytes = contents.partial_bytes.saturating_add(stored.bytes);
        }
        Ok(())
    }

    fn store_into<K: ArtifactKey>(
        &self,
        contents: &mut Contents,
        kind: &ArtifactKind,
        artifact: impl Fn(K) -> Artifact,
    ) -> Result<()> {
        let stored = self.artifacts::<K>(kind)?.into_iter();
        contents
            .stored
            .extend(stored.map(|(key, stored)| (artifact(key), stored)));
        Ok(())
    }
}

impl Contents {
    /// Returns the sum of the lengths of all artifacts.
    pub(crate) fn total_bytes(&self) -> u64 {
        self.stored
            .values()
            .map(|stored| stored.bytes)
            .fold(self.partial_bytes, u64::saturating_add)
    }

    /// Returns the sum of the lengths of these artifacts.
    pub(crate) fn bytes_of<'a>(&self, artifacts: impl IntoIterator<Item = &'a Artifact>) -> u64 {
        artifacts
            .into_iter()
            .filter_map(|artifact| self.stored.get(artifact))
            .map(|stored| stored.bytes)
            .fold(0, u64::saturating_add)
    }

    /// Returns how many of the images have each artifact.
    pub(crate) fn counts(&self) -> BTreeMap<Artifact, usize> {
        let mut counts = BTreeMap::new();
        for artifact in self.images.iter().flat_map(|image| &image.artifacts) {
            *counts.entry(artifact.clone()).or_default() += 1;
        }
        counts
    }

    /// Returns whether a lease or a pin holds the artifact.
    pub(crate) fn is_held(&self, artifact: &Artifact) -> bool {
        self.leased.contains(artifact) || self.pinned.contains(artifact)
    }
}

fn artifacts_of(references: References) -> impl Iterator<Item = Artifact> {
    let References {
        layers,
        disks,
        blobs,
        layer_blobs,
    } = references;
    let layers = layers.into_iter().map(Artifact::Layer);
    let disks = disks.into_iter().map(Artifact::Disk);
    layers
        .chain(disks)
        .chain(blobs.into_iter().map(Artifact::Blob))
        .chain(layer_blobs.into_iter().map(Artifact::LayerBlob))
}

impl Store {
    /// Returns the disk usage of the cache, by image. Reads every record, and the length of every file.
    ///
    /// # Errors
    /// [`Error::NoCache`](crate::Error::NoCache) if there is no cache; [`Error::BadPin`](crate::Error::BadPin). Images whose record is damaged are left out.
    pub fn usage<T: DeserializeOwned>(
        &self,
        references: impl FnMut(&ImageKey, T) -> References,
    ) -> Result<Usage> {
        self.require()?;
        let leased = self.leased_now()?;
        let contents = self.contents(leased, true, references)?;
        let counts = contents.counts();
        let is_own = |artifact: &&Artifact| counts.get(*artifact) == Some(&1);
        let images = contents.images.iter().map(|image| {
            let bytes = contents.bytes_of(&image.artifacts);
            let own_bytes = contents.bytes_of(
                image
                    .artifacts
                    .iter()
                    .filter(is_own)
                    .filter(|artifact| !contents.is_held(artifact)),
            );
            let shared = image.artifacts.iter().filter(|artifact| !is_own(artifact));
            ImageUsage {
                key: image.key.clone(),
                bytes,
                own_bytes,
                shared_bytes: contents.bytes_of(shared),
                used: image.used,
                pins: image.pins.clone(),
                is_leased: image.is_leased,
            }
        });
        let unneeded = contents
            .stored
            .keys()
            .filter(|artifact| !counts.contains_key(artifact) && !contents.is_held(artifact));
        let reclaimable_bytes = contents
            .bytes_of(unneeded)
            .saturating_add(contents.partial_bytes);
        Ok(Usage {
            images: images.collect(),
            total_bytes: contents.total_bytes(),
            reclaimable_bytes,
        })
    }
}

/// The disk usage of a cache.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// In the order of their records' file names.
    pub images: Vec<ImageUsage>,
    /// Sum of the lengths of all artifacts.
    pub total_bytes: u64,
    /// Sum of the lengths of the artifacts that no image, lease or pin needs.
    pub reclaimable_bytes: u64,
}

/// The disk usage of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageUsage {
    /// The image.
    pub key: ImageKey,
    /// Sum of the lengths of its artifacts.
    pub bytes: u64,
    /// What removing this image alone would free: the artifacts that no other image, lease or pin needs.
    pub own_bytes: u64,
    /// The artifacts that other images need too.
    pub shared_bytes: u64,
    /// When it was last used; see [`Store::use_image`].
    pub used: SystemTime,
    /// The names of its pins.
    pub pins: Vec<String>,
    /// Whether a process holds a lease on its disk.
    pub is_leased: bool,
}
