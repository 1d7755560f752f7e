//! Sparse files: old GNU (type `S`), PAX 0.0, 0.1 and 1.0 (GNU tar manual, appendix D).

use super::{PaxFault, SparseExtent, SparseFault, number};
use tokio_tar::GnuSparseHeader;

/// The part of an old GNU header that describes holes.
#[derive(Clone, Copy)]
pub(super) struct GnuSparse<'a> {
    pub(super) slots: &'a [GnuSparseHeader],
    pub(super) is_extended: bool,
    pub(super) real_size: &'a [u8],
}

impl GnuSparse<'_> {
    pub(super) fn real_size(&self) -> Result<u64, SparseFault> {
        let size = number::field(self.real_size).and_then(|size| u64::try_from(size).ok());
        size.ok_or(SparseFault::Number)
    }
}

/// Appends the extents of one block. The first slot that starts with a NUL ends them, as in GNU and BSD tar.
pub(super) fn read_slots(
    slots: &[GnuSparseHeader],
    extents: &mut Vec<SparseExtent>,
) -> Result<(), SparseFault> {
    let number = |field: &[u8]| {
        let value = number::field(field).and_then(|value| u64::try_from(value).ok());
        value.ok_or(SparseFault::Number)
    };
    for slot in slots.iter().take_while(|slot| slot.offset[0] != 0) {
        extents.push(SparseExtent {
            offset: number(&slot.offset)?,
            len: number(&slot.numbytes)?,
        });
    }
    Ok(())
}

/// PAX records that describe holes (`GNU.sparse.*`).
#[derive(Debug, Default)]
pub(super) struct PaxSparse {
    major: Option<u64>,
    minor: Option<u64>,
    size: Option<u64>,
    real_size: Option<u64>,
    /// An offset (0.0) whose length has not arrived yet.
    offset: Option<u64>,
    has_map: bool,
    /// The map of 0.0 and 0.1.
    pub(super) extents: Vec<SparseExtent>,
}

/// The place of a PAX sparse file's map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PaxMap {
    /// The file is not sparse.
    None,
    /// In the records: 0.0 and 0.1.
    Records,
    /// In front of the data: 1.0.
    Payload,
}

impl PaxSparse {
    /// Applies one record; its keyword is without `GNU.sparse.`.
    pub(super) fn apply(&mut self, keyword: &[u8], value: &[u8]) -> Result<(), PaxFault> {
        let decimal = || {
            if value.is_empty() {
                return Ok(None);
            }
            number::decimal(value).map(Some).ok_or(PaxFault::Number)
        };
        match keyword {
            b"major" => self.major = decimal()?,
            b"minor" => self.minor = decimal()?,
            b"size" => self.size = decimal()?,
            b"realsize" => self.real_size = decimal()?,
            b"offset" => {
                if self.offset.is_some() {
                    return Err(PaxFault::Sparse);
                }
                self.offset = Some(decimal()?.ok_or(PaxFault::Number)?);
            }
            b"numbytes" => {
                let len = decimal()?.ok_or(PaxFault::Number)?;
                let offset = self.offset.take().ok_or(PaxFault::Sparse)?;
                self.extents.push(SparseExtent { offset, len });
                self.has_map = true;
            }
            b"map" => self.read_map(value)?,
            // `numblocks` repeats the number of extents in the map.
            _ => {}
        }
        Ok(())
    }

    fn read_map(&mut self, value: &[u8]) -> Result<(), PaxFault> {
        self.extents.clear();
        self.has_map = !value.is_empty();
        if !self.has_map {
            return Ok(());
        }
        let mut numbers = value
            .split(|byte| *byte == b',')
            .map(|text| number::decimal(text).ok_or(PaxFault::Number));
        while let Some(offset) = numbers.next() {
            let len = numbers.next().ok_or(PaxFault::Number)??;
            self.extents.push(SparseExtent {
                offset: offset?,
                len,
            });
        }
        Ok(())
    }

    /// Checks that every offset has a length.
    pub(super) fn finish(&self) -> Result<(), PaxFault> {
        match self.offset {
            Some(_) => Err(PaxFault::Sparse),
            None => Ok(()),
        }
    }

    pub(super) fn map(&self) -> Result<PaxMap, SparseFault> {
        match (self.major, self.minor) {
            (Some(1), Some(0)) => Ok(PaxMap::Payload),
            // Writers of 0.0 and 0.1 do not state the version; a file that is one hole has a size and no map.
            (None, None) | (Some(0), Some(0 | 1)) => {
                Ok(if self.has_map || self.full_size().is_some() {
                    PaxMap::Records
                } else {
                    PaxMap::None
                })
            }
            _ => Err(SparseFault::Version),
        }
    }

    pub(super) fn full_size(&self) -> Option<u64> {
        self.size.or(self.real_size)
    }
}

/// Reads the map of PAX 1.0, decimal lines in front of the data: the count, then offset and length in turn.
#[derive(Debug, Default)]
pub(super) struct MapReader {
    count: Option<u64>,
    offset: Option<u64>,
    /// Digits of the current line; `None` if it has none yet.
    line: Option<u64>,
}

impl MapReader {
    /// Reads bytes of the map. Returns whether it is complete; the rest of the block is padding.
    pub(super) fn push(
        &mut self,
        bytes: &[u8],
        extents: &mut Vec<SparseExtent>,
        max_extents: u64,
    ) -> Result<bool, MapError> {
        for byte in bytes {
            if *byte != b'\n' {
                let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10);
                let value = self.line.unwrap_or(0).checked_mul(10);
                let value = value
                    .zip(digit)
                    .and_then(|(value, digit)| value.checked_add(digit.into()));
                self.line = Some(value.ok_or(MapError::Fault(SparseFault::Number))?);
                continue;
            }
            let value = self
                .line
                .take()
                .ok_or(MapError::Fault(SparseFault::Number))?;
            match (self.count, self.offset.take()) {
                (None, _) if value > max_extents => return Err(MapError::TooMany(value)),
                (None, _) => self.count = Some(value),
                (Some(_), None) => self.offset = Some(value),
                (Some(_), Some(offset)) => extents.push(SparseExtent { offset, len: value }),
            }
            if self.count == Some(extents.len() as u64) && self.offset.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Why a map in front of the data cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum MapError {
    Fault(SparseFault),
    /// It has this many extents.
    TooMany(u64),
}

/// Checks a complete map and drops its empty extents.
///
/// `stored` is the number of stored bytes, `size` the file's full size.
pub(super) fn validate(
    extents: &mut Vec<SparseExtent>,
    stored: u64,
    size: u64,
) -> Result<(), SparseFault> {
    let (mut end, mut sum) = (0, 0_u64);
    for extent in extents.iter() {
        if extent.offset < end {
            return Err(SparseFault::Order);
        }
        end = extent
            .offset
            .checked_add(extent.len)
            .ok_or(SparseFault::PastEnd)?;
        if end > size {
            return Err(SparseFault::PastEnd);
        }
        // OK because the extents do not overlap, so that their sum is at most `end`.
        sum += extent.len;
    }
    if sum != stored {
        return Err(SparseFault::StoredSize);
    }
    extents.retain(|extent| extent.len > 0);
    Ok(())
}
