//! Changes single members of a JSON object and leaves every other byte of the text alone.
//!
//! Order, white space, duplicate names, numbers beyond any machine type and fields of later versions survive, which no parsed
//! representation promises.

use std::fmt;
use std::ops::Range;

use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// Text of a JSON object, without white space around it.
pub(crate) type ObjectText = Zeroizing<String>;

/// Returns the text of a member's value; the last one where the name is there several times, as parsers take it.
pub(crate) fn member<'a>(object: &'a str, name: &str) -> serde_json::Result<Option<&'a str>> {
    let members = members(object)?;
    let found = members.iter().rfind(|member| member.name == name);
    Ok(found.map(|member| &object[member.value.clone()]))
}

/// Sets a member. `depth` is the number of tabs before a line of the object itself, for one that is still empty.
pub(crate) fn set(
    object: &str,
    name: &str,
    value: &str,
    depth: usize,
) -> serde_json::Result<ObjectText> {
    let members = members(object)?;
    if let Some(member) = members.iter().rfind(|member| member.name == name) {
        return Ok(spliced(object, member.value.clone(), &[value]));
    }
    let name = serde_json::to_string(name)?;
    let (Some(first), Some(last)) = (members.first(), members.last()) else {
        let (inner, outer) = ("\t".repeat(depth + 1), "\t".repeat(depth));
        return Ok(Zeroizing::new(format!(
            "{{\n{inner}{name}: {value}\n{outer}}}"
        )));
    };
    // The new member stands like the first one: on its own line or not.
    let space = &object[1..first.whole.start];
    let end = last.whole.end;
    Ok(spliced(object, end..end, &[",", space, &name, ": ", value]))
}

/// Removes every member whose name matches; `None` if there is none.
pub(crate) fn remove(
    object: &str,
    matches: impl Fn(&str) -> bool,
) -> serde_json::Result<Option<ObjectText>> {
    let members = members(object)?;
    let is_kept = |member: &Member| !matches(&member.name);
    if members.iter().all(is_kept) {
        return Ok(None);
    }
    if !members.iter().any(is_kept) {
        return Ok(Some(Zeroizing::new("{}".to_owned())));
    }
    let mut out = Zeroizing::new(String::with_capacity(object.len()));
    for (index, member) in members.iter().enumerate() {
        if !is_kept(member) {
            continue;
        }
        if out.is_empty() {
            out.push_str(&object[..members[0].whole.start]);
        } else {
            // The comma and the space before this member; it has one before it, because one was kept.
            out.push_str(&object[members[index - 1].whole.end..member.whole.start]);
        }
        out.push_str(&object[member.whole.clone()]);
    }
    if let Some(last) = members.last() {
        out.push_str(&object[last.whole.end..]);
    }
    Ok(Some(out))
}

/// Builds a text of known length at once: growing would leave copies behind.
fn spliced(text: &str, range: Range<usize>, pieces: &[&str]) -> ObjectText {
    let added: usize = pieces.iter().map(|piece| piece.len()).sum();
    let mut out = Zeroizing::new(String::with_capacity(text.len() + added));
    out.push_str(&text[..range.start]);
    for piece in pieces {
        out.push_str(piece);
    }
    out.push_str(&text[range.end..]);
    out
}

/// Where a member stands in the text of its object.
struct Member {
    name: String,
    /// From the quotation mark before the name to the end of the value.
    whole: Range<usize>,
    value: Range<usize>,
}

fn members(object: &str) -> serde_json::Result<Vec<Member>> {
    let mut deserializer = serde_json::Deserializer::from_str(object);
    let pairs = deserializer.deserialize_map(Pairs)?;
    deserializer.end()?;
    // Both are slices of `object`.
    let range = |raw: &RawValue| {
        let text = raw.get();
        let start = text.as_ptr() as usize - object.as_ptr() as usize;
        start..start + text.len()
    };
    let members = pairs.into_iter().map(|(name, value)| {
        let value = range(value);
        Ok(Member {
            name: serde_json::from_str(name.get())?,
            whole: range(name).start..value.end,
            value,
        })
    });
    members.collect()
}

struct Pairs;

impl<'de> Visitor<'de> for Pairs {
    type Value = Vec<(&'de RawValue, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(pairs)
    }
}

/// Returns whether a text is a JSON object.
pub(crate) fn is_object(text: &str) -> bool {
    text.starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok()
}
