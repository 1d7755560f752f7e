use msb_sidecar::Note;

/// The bytes of notes that an image record may hold, encoded. A record is limited to 16 MiB, with the image's config and layers
/// in it.
pub(super) const MAX_BYTES: usize = 1 << 20;

/// The notes of an image, bottom to top, bounded in bytes.
///
/// What is kept is the longest beginning that fits, in whatever order the layers arrive. A final note counts the rest.
#[derive(Debug)]
pub(super) struct ImageNotes {
    /// Of each layer in the order of the devices, with their encoded lengths.
    layers: Vec<Vec<(Note, usize)>>,
    /// The sum of the encoded lengths; at most [`MAX_BYTES`] between calls.
    bytes: usize,
    omitted: u64,
}

impl ImageNotes {
    pub(super) fn new(layers: usize) -> Self {
        Self {
            layers: vec![Vec::new(); layers],
            bytes: 0,
            omitted: 0,
        }
    }

    /// Adds the notes of a layer.
    pub(super) fn add(&mut self, layer: usize, notes: Vec<Note>) {
        for note in notes {
            if let Note::Truncated { omitted } = note {
                self.omitted = self.omitted.saturating_add(omitted);
                continue;
            }
            let bytes = encoded_bytes(&note);
            self.bytes += bytes;
            self.layers[layer].push((note, bytes));
        }
        let mut last = self.layers.len();
        while self.bytes > MAX_BYTES && last > 0 {
            match self.layers[last - 1].pop() {
                Some((_, bytes)) => {
                    self.bytes -= bytes;
                    self.omitted += 1;
                }
                None => last -= 1,
            }
        }
    }

    /// Returns the notes, and one more if any were left out.
    pub(super) fn into_vec(self) -> Vec<Note> {
        let notes = self.layers.into_iter().flatten();
        let mut notes: Vec<Note> = notes.map(|(note, _)| note).collect();
        if self.omitted > 0 {
            notes.push(Note::Truncated {
                omitted: self.omitted,
            });
        }
        notes
    }
}

/// Returns the length of the note in the record, with its comma.
fn encoded_bytes(note: &Note) -> usize {
    // A note that cannot be encoded would fail the record; none is known.
    serde_json::to_vec(note).map_or(MAX_BYTES + 1, |json| json.len() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(layer: usize, n: usize, bytes: usize) -> Note {
        Note::AufsFile {
            path: format!("{layer}/{n}/{}", "\u{1}".repeat(bytes / 6)),
        }
    }

    #[test]
    fn notes_are_bounded_in_bytes_and_the_rest_is_counted() {
        const LAYERS: usize = 40;
        let of = |layer| -> Vec<Note> {
            let mut notes: Vec<Note> = (0..100).map(|n| note(layer, n, 4000)).collect();
            notes.push(Note::Truncated { omitted: 7 });
            notes
        };
        let collect = |order: &mut dyn Iterator<Item = usize>| {
            let mut notes = ImageNotes::new(LAYERS);
            for layer in order {
                notes.add(layer, of(layer));
            }
            notes.into_vec()
        };
        let up = collect(&mut (0..LAYERS));
        assert_eq!(up, collect(&mut (0..LAYERS).rev()));
        assert!(serde_json::to_vec(&up).unwrap().len() <= MAX_BYTES + 100);
        let Some((Note::Truncated { omitted }, kept)) = up.split_last() else {
            panic!("nothing was counted");
        };
        assert_eq!(kept.len() as u64 + omitted, 107 * LAYERS as u64);
        assert!(kept.len() > 200, "{}", kept.len());
        assert_eq!(kept[0], note(0, 0, 4000));
    }

    #[test]
    fn few_notes_are_kept_as_they_are() {
        let mut notes = ImageNotes::new(2);
        notes.add(1, vec![Note::OpaqueRoot]);
        notes.add(0, vec![note(0, 0, 1)]);
        assert_eq!(notes.into_vec(), [note(0, 0, 1), Note::OpaqueRoot]);
    }
}
