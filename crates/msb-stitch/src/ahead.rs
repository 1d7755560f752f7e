use std::fmt;
use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use msb_sidecar::{Changes, Sidecar};

use crate::{DeviceId, DiskLayout, LayerSet, Merge, PerDevice, StitchError};

/// Merges layers while they are converted, each as soon as it and those below it can be replayed.
///
/// It does no work by itself and needs no runtime: a task alternates between [`ready`](Self::ready), which waits, and
/// [`merge_next`](Self::merge_next), which blocks.
///
/// ```text
///  one task for each layer ──LayerEvents──▶ one state for each device ──▶ ready ─▶ merge_next ─▶ ... ─▶ finish ─▶ Merge, DiskLayout
/// ```
///
/// The result is valid only if [`LayerEvents::are_all_cached`] holds in the end, because layers are merged before they are verified.
pub struct MergeAhead<K> {
    shared: Arc<Shared>,
    layers: Arc<LayerSet<K>>,
    open: Arc<OpenSidecar>,
    merge: Merge,
    /// Layers of the stack that are merged.
    merged: usize,
}

/// Opens the sidecar of a layer that is complete.
type OpenSidecar = dyn Fn(DeviceId) -> io::Result<File> + Send + Sync;

/// What happened to a layer; see [`LayerSender`].
#[derive(Debug)]
enum LayerEvent {
    Read(Changes<File>),
    Planned { image_bytes: u64 },
    Cached { image_bytes: u64 },
    StartedOver,
}

/// Sends the events of all layers of one disk. Dropping it ends the merge, unless all layers are complete.
#[derive(Debug)]
pub struct LayerEvents {
    shared: Arc<Shared>,
}

/// Sends the events of one layer.
#[derive(Clone, Copy, Debug)]
pub struct LayerSender<'a> {
    events: &'a LayerEvents,
    device: DeviceId,
}

impl LayerSender<'_> {
    /// Reports that the archive was read to its end, so that these changes can be replayed. Nothing is verified yet.
    pub fn read(self, changes: Changes<File>) {
        self.events.send(self.device, LayerEvent::Read(changes));
    }

    /// Reports the length that the image of a layer will have, in bytes, before it is complete.
    pub fn planned(self, image_bytes: u64) {
        self.events
            .send(self.device, LayerEvent::Planned { image_bytes });
    }

    /// Reports that the layer is complete and verified, and that its sidecar can be opened.
    pub fn cached(self, image_bytes: u64) {
        self.events
            .send(self.device, LayerEvent::Cached { image_bytes });
    }

    /// Reports that the layer starts over from its beginning: what was merged of it is void.
    pub fn started_over(self) {
        self.events.send(self.device, LayerEvent::StartedOver);
    }
}

/// What a [`MergeAhead`] is ready for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// The next layer can be merged: call [`MergeAhead::merge_next`].
    Layer,
    /// All layers are merged and all lengths are known: call [`MergeAhead::finish`].
    Complete,
    /// A layer that was merged started over, or the layers were abandoned: nothing of the merge can be used.
    Void,
}

/// Creates both ends of a merge of layers that are being converted. `merge` has no layers yet.
///
/// `open` opens the sidecar of a layer that is complete, once to merge it and again whenever inline data is read from it. Sidecars
/// do not stay open, because there may be hundreds.
#[must_use]
pub fn merge_ahead<K>(
    layers: Arc<LayerSet<K>>,
    merge: Merge,
    open: impl Fn(DeviceId) -> io::Result<File> + Send + Sync + 'static,
) -> (LayerEvents, MergeAhead<K>) {
    let shared = Arc::new(Shared(Mutex::new(State {
        layers: layers.per_device(|_| LayerState::Pending),
        waker: None,
        is_closed: false,
    })));
    let open: Arc<OpenSidecar> = Arc::new(open);
    let merge = {
        let (shared, open) = (Arc::clone(&shared), Arc::clone(&open));
        merge.reopening(move |device| match shared.get(device) {
            LayerState::Read { changes, .. } => changes.source().try_clone(),
            LayerState::Cached { .. } => open(device),
            LayerState::Pending | LayerState::Void => Err(io::ErrorKind::NotFound.into()),
        })
    };
    let events = LayerEvents {
        shared: Arc::clone(&shared),
    };
    let ahead = MergeAhead {
        shared,
        layers,
        open,
        merge,
        merged: 0,
    };
    (events, ahead)
}

impl<K> MergeAhead<K> {
    /// Waits until there is something to do. Cancel safe.
    pub async fn ready(&mut self) -> Readiness {
        let next = self.layers.stack().get(self.merged).copied();
        poll_fn(|context| {
            let mut state = self.shared.lock();
            match state.readiness(next) {
                Some(readiness) => Poll::Ready(readiness),
                None => {
                    state.waker = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Merges the next layer of the stack. Blocks.
    ///
    /// # Errors
    /// As [`Merge::add`]; [`StitchError::Sidecar`] for a layer that cannot be opened. All are final.
    pub fn merge_next(&mut self) -> Result<(), StitchError> {
        let Some(&device) = self.layers.stack().get(self.merged) else {
            return Ok(());
        };
        match self.shared.get(device) {
            LayerState::Read { changes, .. } => self.merge.add(device, &changes)?,
            LayerState::Pending | LayerState::Cached { .. } | LayerState::Void => {
                let sidecar = (self.open)(device)
                    .map_err(|source| msb_sidecar::Error::Read { offset: 0, source })
                    .and_then(Sidecar::open)
                    .map_err(|source| StitchError::Sidecar { device, source })?;
                self.merge.add(device, sidecar.changes())?;
            }
        }
        self.merged += 1;
        Ok(())
    }

    /// Returns the merged layers and the layout of their disk.
    ///
    /// # Errors
    /// [`StitchError::ImageLength`] if the length of a layer is unknown or wrong.
    pub fn finish(self) -> Result<(Merge, DiskLayout<K>), StitchError> {
        let image_bytes = {
            let state = self.shared.lock();
            let lengths = state.layers.iter().map(LayerState::image_bytes);
            lengths.map(Option::unwrap_or_default).collect()
        };
        Ok((self.merge, DiskLayout::new(self.layers, image_bytes)?))
    }
}

impl LayerEvents {
    /// Returns the sender of one layer's events.
    #[must_use]
    pub fn of(&self, device: DeviceId) -> LayerSender<'_> {
        LayerSender {
            events: self,
            device,
        }
    }

    /// Applies an event of a layer. It overwrites the state that earlier events of that layer made, so that events take no memory.
    fn send(&self, device: DeviceId, event: LayerEvent) {
        let waker = {
            let mut state = self.shared.lock();
            state.layers[device].advance(event);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Returns whether every layer is complete, with the contents that were merged.
    #[must_use]
    pub fn are_all_cached(&self) -> bool {
        let state = self.shared.lock();
        let mut layers = state.layers.iter();
        layers.all(|layer| matches!(layer, LayerState::Cached { .. }))
    }
}

impl Drop for LayerEvents {
    fn drop(&mut self) {
        let waker = {
            let mut state = self.shared.lock();
            state.is_closed = true;
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

struct Shared(Mutex<State>);

struct State {
    layers: PerDevice<LayerState>,
    /// Of the task that waits for the next event.
    waker: Option<Waker>,
    /// Whether no further events can come.
    is_closed: bool,
}

/// What is known of a layer.
#[derive(Clone, Debug)]
enum LayerState {
    /// It cannot be merged yet.
    Pending,
    /// It can be merged, and is not verified yet.
    Read {
        changes: Arc<Changes<File>>,
        image_bytes: Option<u64>,
    },
    /// It is complete.
    Cached { image_bytes: u64 },
    /// It was read, and then started over.
    Void,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, device: DeviceId) -> LayerState {
        self.lock().layers[device].clone()
    }
}

impl State {
    /// Returns what can be done, if `next` is the next layer of the stack; `None` if an event has to come first.
    fn readiness(&self, next: Option<DeviceId>) -> Option<Readiness> {
        let mut layers = self.layers.iter();
        if layers.any(|layer| matches!(layer, LayerState::Void)) {
            return Some(Readiness::Void);
        }
        let mut layers = self.layers.iter();
        let readiness = match next {
            Some(device) => {
                (!matches!(self.layers[device], LayerState::Pending)).then_some(Readiness::Layer)
            }
            None => layers
                .all(|layer| layer.image_bytes().is_some())
                .then_some(Readiness::Complete),
        };
        readiness.or(self.is_closed.then_some(Readiness::Void))
    }
}

impl LayerState {
    fn image_bytes(&self) -> Option<u64> {
        match self {
            Self::Read { image_bytes, .. } => *image_bytes,
            Self::Cached { image_bytes } => Some(*image_bytes),
            Self::Pending | Self::Void => None,
        }
    }

    fn advance(&mut self, event: LayerEvent) {
        if matches!(self, Self::Void) {
            return;
        }
        match event {
            LayerEvent::Read(changes) => {
                *self = Self::Read {
                    changes: Arc::new(changes),
                    image_bytes: None,
                };
            }
            LayerEvent::Planned { image_bytes: bytes } => {
                if let Self::Read { image_bytes, .. } = self {
                    *image_bytes = Some(bytes);
                }
            }
            LayerEvent::Cached { image_bytes } => *self = Self::Cached { image_bytes },
            LayerEvent::StartedOver => {
                if matches!(self, Self::Read { .. }) {
                    *self = Self::Void;
                }
            }
        }
    }
}

impl<K> fmt::Debug for MergeAhead<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MergeAhead")
            .field("merged", &self.merged)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::pin::pin;
    use std::task::Context;

    use fs_tree::{Change, ChangeKind, Metadata, NewNode};
    use msb_sidecar::{ImageSummary, SidecarWriter};

    use super::*;
    use crate::LayerNames;

    fn device(number: u16) -> DeviceId {
        DeviceId::new(number).unwrap()
    }

    /// The sidecar of a layer with one directory.
    fn sidecar(name: &str) -> File {
        let file = tempfile::tempfile().unwrap();
        let mut writer = SidecarWriter::new(file.try_clone().unwrap());
        let kind = ChangeKind::Node {
            metadata: Metadata::default(),
            xattrs: &[],
            node: NewNode::Directory,
        };
        let path = name.as_bytes();
        writer.change(&Change { path, kind }, None).unwrap();
        let image = ImageSummary {
            bytes: 4096,
            crc32c: 0,
        };
        writer.finish(image, &[]).unwrap();
        file
    }

    fn changes(name: &str) -> Changes<File> {
        Sidecar::open(sidecar(name)).unwrap().into_changes()
    }

    fn layers(stack: &[&'static str]) -> Arc<LayerSet<&'static str>> {
        let names = |name: &&'static str| LayerNames {
            tag: (*name).into(),
            file: format!("{name}.erofs"),
        };
        Arc::new(LayerSet::new("fsmeta.erofs", stack.iter().copied(), names).unwrap())
    }

    fn start(stack: &[&'static str]) -> (LayerEvents, MergeAhead<&'static str>) {
        let layers = layers(stack);
        let known = Arc::clone(&layers);
        merge_ahead(layers, Merge::new(), move |device| {
            Ok(sidecar(known.get(device).unwrap()))
        })
    }

    fn poll<K>(ahead: &mut MergeAhead<K>) -> Option<Readiness> {
        let mut context = Context::from_waker(Waker::noop());
        match pin!(ahead.ready()).poll(&mut context) {
            Poll::Ready(readiness) => Some(readiness),
            Poll::Pending => None,
        }
    }

    #[test]
    fn layers_are_merged_in_order_as_they_come() {
        let (events, mut ahead) = start(&["a", "b", "a"]);
        events.send(device(2), LayerEvent::Cached { image_bytes: 8192 });
        assert_eq!(poll(&mut ahead), None);
        events.send(device(1), LayerEvent::Read(changes("a")));
        for _ in 0..3 {
            assert_eq!(poll(&mut ahead), Some(Readiness::Layer));
            ahead.merge_next().unwrap();
        }
        assert_eq!(poll(&mut ahead), None);
        events.send(device(1), LayerEvent::Planned { image_bytes: 4096 });
        assert_eq!(poll(&mut ahead), Some(Readiness::Complete));
        assert!(!events.are_all_cached());
        events.send(device(1), LayerEvent::Cached { image_bytes: 4096 });
        assert!(events.are_all_cached());
        // The layers are complete, so that nothing more is needed of them.
        drop(events);
        assert_eq!(poll(&mut ahead), Some(Readiness::Complete));
        let (merge, layout) = ahead.finish().unwrap();
        assert_eq!(merge.tree().entry_count(), 2);
        let output = Cursor::new(Vec::new());
        merge.write_fsmeta(output, &layout, [0; 16]).unwrap();
    }

    #[test]
    fn a_layer_that_was_read_and_started_over_stays_void() {
        let (events, mut ahead) = start(&["a", "b"]);
        events.send(device(1), LayerEvent::Read(changes("a")));
        assert_eq!(poll(&mut ahead), Some(Readiness::Layer));
        events.send(device(1), LayerEvent::StartedOver);
        for event in [
            LayerEvent::Read(changes("a")),
            LayerEvent::Planned { image_bytes: 4096 },
            LayerEvent::Cached { image_bytes: 4096 },
        ] {
            events.send(device(1), event);
            assert_eq!(poll(&mut ahead), Some(Readiness::Void));
        }
        events.send(device(2), LayerEvent::Cached { image_bytes: 4096 });
        assert!(!events.are_all_cached());
    }

    #[test]
    fn a_layer_that_starts_over_before_it_was_read_can_be_merged() {
        let (events, mut ahead) = start(&["a"]);
        events.send(device(1), LayerEvent::StartedOver);
        assert_eq!(poll(&mut ahead), None);
        events.send(device(1), LayerEvent::Cached { image_bytes: 4096 });
        assert!(events.are_all_cached());
        assert_eq!(poll(&mut ahead), Some(Readiness::Layer));
    }

    #[test]
    fn a_merge_ends_when_its_layers_are_abandoned() {
        let (events, mut ahead) = start(&["a", "b"]);
        events.send(device(1), LayerEvent::Cached { image_bytes: 4096 });
        ahead.merge_next().unwrap();
        assert_eq!(poll(&mut ahead), None);
        drop(events);
        assert_eq!(poll(&mut ahead), Some(Readiness::Void));
    }

    #[test]
    fn the_file_of_a_layer_is_closed_when_the_layer_is_complete() {
        let (events, mut ahead) = start(&["a", "b"]);
        let changes = changes("a");
        events.send(device(1), LayerEvent::Read(changes));
        ahead.merge_next().unwrap();
        let held = || match events.shared.get(device(1)) {
            LayerState::Read { changes, .. } => Arc::downgrade(&changes),
            other => panic!("{other:?}"),
        };
        let held = held();
        assert!(held.upgrade().is_some());
        events.send(device(1), LayerEvent::Cached { image_bytes: 4096 });
        assert!(held.upgrade().is_none());
    }
}
