//! One record: `"<length> <keyword>=<value>\n"`.

use super::super::{PaxFault, Timestamp, number};
use super::Field;

/// Splits off one record, `"<length> <keyword>=<value>\n"`. Returns keyword, value and the record's length.
pub(super) fn record(body: &[u8]) -> Result<(&[u8], &[u8], usize), PaxFault> {
    // No length that fits a body has more digits.
    let head = &body[..body.len().min(20)];
    let space = head
        .iter()
        .position(|byte| *byte == b' ')
        .ok_or(PaxFault::Length)?;
    let len = number::decimal(&body[..space]).ok_or(PaxFault::Length)?;
    let len = usize::try_from(len).map_err(|_| PaxFault::PastEnd)?;
    if len > body.len() {
        return Err(PaxFault::PastEnd);
    }
    let record = body.get(space + 1..len).ok_or(PaxFault::Length)?;
    let record = record.strip_suffix(b"\n").ok_or(PaxFault::LineFeed)?;
    let equals = record
        .iter()
        .position(|byte| *byte == b'=')
        .ok_or(PaxFault::Keyword)?;
    let (keyword, value) = (&record[..equals], &record[equals + 1..]);
    if keyword.is_empty() {
        return Err(PaxFault::Keyword);
    }
    if keyword.contains(&0) {
        return Err(PaxFault::Nul);
    }
    Ok((keyword, value, len))
}

/// A malformed record and where it starts in the body.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct BadRecord {
    pub(in super::super) position: usize,
    pub(in super::super) fault: PaxFault,
}

pub(super) fn parsed<T>(
    value: &[u8],
    parse: impl FnOnce(&[u8]) -> Option<T>,
    fault: PaxFault,
) -> Result<Field<T>, PaxFault> {
    if value.is_empty() {
        return Ok(Field::Deleted);
    }
    parse(value).map(Field::Set).ok_or(fault)
}

pub(super) fn id(value: &[u8]) -> Option<u32> {
    number::decimal(value).and_then(|id| u32::try_from(id).ok())
}

pub(super) fn mtime(value: &[u8]) -> Option<Timestamp> {
    number::time(value).map(|(secs, nanos)| Timestamp { secs, nanos })
}
