//! What the layers should tell of: `LAYER KIND key=value...`, the layer counted from 1, the rest as in the JSON of a note.
//!
//! `*` is a note of any kind. Every note of a loss has to be named, so a file without this part says that nothing is lost. Of the others, which tell of
//! a layer's image alone, those that are named have to be there.

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
                        return Err(format!("layer {number} tells of a loss: {note}").into());
                    }
                    None => {}
                }
            }
        }
        match wanted.first() {
            None => Ok(()),
            Some(line) => {
                let told: Vec<_> = disk.layers.iter().map(|layer| &layer.made.notes).collect();
                Err(format!("nobody tells of {line:?} in {told:?}").into())
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
