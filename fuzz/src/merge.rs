//! Target `merge`: one to five layers as changes, or a hostile sidecar.
//!
//! The first byte of the input selects one. Asserted for layers made of changes:
//! - replaying a sidecar returns its changes in order;
//! - the merged tree is that of a naive model of the specification (the one of fs-tree's tests): the same paths, metadata,
//!   xattrs, hard links and contents, or the same refusal of the same entry;
//! - fsmeta is a valid image, equal when written twice, and its disk passes verification;
//! - with one bit of the disk flipped, verification returns a value or an error.
//!
//! Asserted for a hostile sidecar (well formed with changes that no ingest writes, framed by the harness with valid checksums and
//! lengths, or the raw input):
//! - opening it, reading its notes, whiteouts and changes, merging it over a small honest layer and writing fsmeta return a value or
//!   an error, within a bound of memory;
//! - a written fsmeta is a valid image.

mod changes;
mod frame;
mod honest;
mod hostile;
mod layer;
mod odd;
mod replay;

pub(crate) use frame::framed;

use crate::heap;
use crate::supply::Supply;

const HEAP_BYTES: usize = 64 << 20;
const BLOCK: u64 = 4096;
/// The bits of an inline key that hold the offset in the sidecar.
const KEY_BITS: u32 = 48;

/// Runs the target.
///
/// # Panics
/// When something that is asserted does not hold.
pub fn run(bytes: &[u8]) {
    heap::bounded(HEAP_BYTES, || {
        let mut supply = Supply::new(bytes);
        match supply.byte() % 4 {
            0 => honest::asserted(&mut supply),
            1 => hostile::asserted(&odd::sidecar(&mut supply)),
            2 => hostile::asserted(&frame::framed(&mut supply)),
            _ => hostile::asserted(supply.rest()),
        }
    });
}
