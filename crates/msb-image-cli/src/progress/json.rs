use std::collections::HashMap;
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use microsandbox_image::{PullProgress, Reference};

use crate::output::ascii_json;

/// Time between two lines with counts of the same kind and layer.
const INTERVAL: Duration = Duration::from_millis(200);

/// Prints each event as a JSON object on one line: the members of [`PullProgress`] and the reference of the image.
#[derive(Debug)]
pub(crate) struct Json {
    reference: String,
    /// Time of the last line of each kind and layer.
    counted: HashMap<(u8, usize), Instant>,
}

impl Json {
    pub(crate) fn new(reference: &Reference) -> Self {
        Self {
            reference: reference.to_string(),
            counted: HashMap::new(),
        }
    }

    pub(crate) fn show(&mut self, event: &PullProgress, now: Instant) {
        if !self.is_due(event, now) {
            return;
        }
        let Ok(serde_json::Value::Object(mut object)) = serde_json::to_value(event) else {
            return;
        };
        object.insert("reference".into(), self.reference.clone().into());
        let text = serde_json::Value::Object(object).to_string();
        let line = format!("{}\n", ascii_json(&text));
        // A failure to write has nowhere to be reported.
        let _ = io::stderr().lock().write_all(line.as_bytes());
    }

    /// Returns whether an event is printed. Counts are not, if they come too soon: an event of another kind ends each stage.
    fn is_due(&mut self, event: &PullProgress, now: Instant) -> bool {
        let key = match event {
            PullProgress::LayerDownloadProgress { layer, .. } => (0, *layer),
            PullProgress::LayerUnpackProgress { layer, .. } => (1, *layer),
            PullProgress::MergeProgress { .. } => (2, 0),
            _ => return true,
        };
        let last = self.counted.get(&key);
        if last.is_some_and(|last| now.saturating_duration_since(*last) < INTERVAL) {
            return false;
        }
        self.counted.insert(key, now);
        true
    }
}
