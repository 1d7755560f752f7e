use std::path::Path;

use msb_testkit::fault_registry::{Fault, FaultRegistry};
use msb_testkit::image::{ImageBuilder, Layer};

use crate::common::run;
use crate::pty::Terminal;

/// The number of layers of the image.
const LAYERS: usize = 40;
const LAYER_BYTES: usize = 400_000;
/// The first layer that is held in the middle. As many as are downloaded at once are.
const MIDDLE: usize = 20;

/// A registry with an image.
pub(crate) struct Served {
    registry: FaultRegistry,
    pub(crate) reference: String,
    /// The paths of the blobs, bottom to top.
    blobs: Vec<String>,
}

/// Returns whether the layers below the middle are done, and the others have arrived as far as they are held.
pub(crate) fn is_middle(screen: &str) -> bool {
    let mut layers = screen.lines().skip(2);
    screen.contains("20/40") && layers.clone().count() == 4 && layers.all(|line| line.contains('>'))
}

impl Served {
    /// Serves an image of 40 layers.
    pub(crate) fn new() -> Self {
        Self::serve(vec![LAYER_BYTES; LAYERS])
    }

    /// Serves an image of one layer that is long enough for a partial blob.
    pub(crate) fn of_one_layer() -> Self {
        Self::serve(vec![12_000_000])
    }

    fn serve(lengths: Vec<usize>) -> Self {
        let layout = tempfile::tempdir().unwrap();
        let mut image = ImageBuilder::new();
        let mut blobs = Vec::new();
        for (index, length) in lengths.into_iter().enumerate() {
            let recipe = format!("file f{index} size={length} seed={index} fill=random");
            let layer = Layer::recipe(&recipe).plain();
            blobs.push(format!("/blobs/{}", layer.digest()));
            image = image.layer(layer);
        }
        image.write_layout(layout.path(), "v1").unwrap();
        let registry = FaultRegistry::start().unwrap();
        registry.serve("team/app", &layout.keep());
        let reference = format!("{}/team/app:v1", registry.host());
        Self {
            registry,
            reference,
            blobs,
        }
    }

    /// Holds the downloads of the first layers.
    pub(crate) fn hold_at_start(&self) {
        self.hold(0);
    }

    /// Holds the downloads of four layers in the middle.
    pub(crate) fn hold_at_middle(&self) {
        self.hold(MIDDLE);
    }

    fn hold(&self, first: usize) {
        for (place, blob) in self.blobs.iter().skip(first).take(4).enumerate() {
            let bytes = (place + 1) * LAYER_BYTES / 5;
            self.registry.fault(blob, Fault::HoldAfter(bytes));
        }
    }

    /// Lets all downloads continue.
    pub(crate) fn release(&self) {
        self.registry.heal();
    }

    /// Refuses every request for a manifest.
    pub(crate) fn require_credentials(&self) {
        let challenge = Fault::Challenge("Basic realm=\"registry\"".into());
        self.registry.fault("/manifests/", challenge);
    }

    /// Leaves a partial blob of the only layer in the cache.
    pub(crate) fn interrupt(&self, cache: &Path) {
        self.registry
            .fault_times(&self.blobs[0], 1, Fault::CutAfter(10_000_000));
        self.registry.fault(&self.blobs[0], Fault::Status(404));
        let output = run(cache, self.args());
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        self.registry.heal();
    }

    pub(crate) fn args(&self) -> [&str; 4] {
        ["pull", &self.reference, "--platform", "linux/amd64"]
    }

    pub(crate) fn pull(
        &self,
        cache: &Path,
        columns: u16,
        more: &[&str],
        environment: &[(&str, &str)],
    ) -> Terminal {
        let args = [&self.args()[..], more].concat();
        Terminal::start(cache, columns, &args, environment)
    }
}
