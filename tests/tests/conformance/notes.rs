//! The expected fidelity notes: `LAYER KIND key=value...`, layers counted from 1, the rest as in the JSON of a note.
//!
//! `*` is a note of any kind. Every note of a loss must be expected, so a file without this section expects no loss. Of the other notes,
//! which concern a layer's image alone, the expected ones must exist.

use integration_tests::Failure;
use integration_tests::disk::Disk;
use msb_sidecar::Note;
use serde_json::Value;

#[derive(Debug, Default)]
pub(crate) struct ExpectedNotes {
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    layer: usize,
    kind: String,
    fields: Vec<(String, String)>,
}

impl ExpectedNotes {
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let mut lines = Vec::new();
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mut words = line.split_whitespace();
            let layer = words.next().ok_or("a layer's number")?.parse()?;
            let kind = words.next().ok_or("a note's kind")?.to_owned();
            let fields: Option<Vec<_>> = words
                .map(|word| word.split_once('='))
                .map(|pair| pair.map(|(key, text)| (key.to_owned(), text.to_owned())))
                .collect();
            lines.push(Line {
                layer,
                kind,
                fields: fields.ok_or("not key=value")?,
            });
        }
        Ok(Self { lines })
    }

    pub(crate) fn verify(&self, disk: &Disk) -> Result<(), Failure> {
        let mut wanted: Vec<&Line> = self.lines.iter().collect();
        for (layer, number) in disk.layers.iter().zip(1..) {
            for note in &layer.made.notes {
                match wanted.iter().position(|line| line.is(number, note)) {
                    Some(index) => drop(wanted.remove(index)),
                    None if note.is_loss() => {
                        return Err(format!(
                            "layer {number} has an unexpected note of a loss: {note}"
                        )
                        .into());
                    }
                    None => {}
                }
            }
        }
        match wanted.first() {
            None => Ok(()),
            Some(line) => {
                let notes: Vec<_> = disk.layers.iter().map(|layer| &layer.made.notes).collect();
                Err(format!("no note {line:?} in {notes:?}").into())
            }
        }
    }
}

impl Line {
    fn is(&self, layer: usize, note: &Note) -> bool {
        let json = serde_json::to_value(note).unwrap();
        let field = |key: &str| match &json[key] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        self.layer == layer
            && (self.kind == "*" || field("kind") == self.kind)
            && self.fields.iter().all(|(key, text)| field(key) == *text)
    }
}
