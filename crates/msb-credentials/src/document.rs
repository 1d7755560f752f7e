//! A JSON value whose strings are wiped after use.

use serde_json::{Map, Value};
use zeroize::Zeroize as _;

/// A parsed JSON object that may hold secrets.
#[derive(Default)]
pub(crate) struct Document(Value);

impl Document {
    /// Takes over a value.
    pub(crate) fn new(value: Value) -> Self {
        Self(value)
    }

    /// Returns the object; `None` for every other value.
    pub(crate) fn object(&self) -> Option<&Map<String, Value>> {
        self.0.as_object()
    }
}

impl Drop for Document {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// Wipes all text of a value. The recursion is as deep as the parser allows, 128 levels.
fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(values) => values.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
