//! Target `merge`: one to five layers as changes, or a hostile sidecar.
//!
//! The input's first byte chooses. For layers made of changes, asserted:
//! - a sidecar gives back what was put into it, in order;
//! - the merged tree is that of a naive model of the specification (the one of fs-tree's tests): the same paths, metadata,
//!   xattrs, hard links and contents, or the same refusal of the same entry;
//! - fsmeta is a sound image, the same when it is written twice, and the proof holds over the disk of it and the layers' images;
//! - with one bit of the disk flipped the proof still ends, in a value or an error.
//!
//! For a hostile sidecar, well formed with changes that no ingest would write, or framed by the harness with right sums and
//! lengths, or as it is:
//! - opening it, its notes, whiteouts and changes, merging it over a small honest layer and writing fsmeta end in a value or an
//!   error, within a bound of memory;
//! - an fsmeta that was written is a sound image.

mod changes;
mod frame;
mod honest;
mod hostile;
mod layer;
mod odd;
mod played_back;

pub(crate) use frame::framed;

use crate::heap;
use crate::supply::Supply;

const HEAP_BYTES: usize = 64 << 20;
const BLOCK: u64 = 4096;
/// Bits of an inline key that are the place in the sidecar, as fsmeta's writer has it.
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
