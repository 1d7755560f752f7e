//! Target `layer`: a compressed or plain tar archive, from its bytes to a proved disk.
//!
//! Asserted, for every input:
//! - decoding gives the same, whole or in pieces; so does parsing the archive;
//! - what the parser delivers is in order, within the entry's size, and complete;
//! - ingesting the blob as it is, and ingesting the plain archive in other pieces or resumed behind an earlier part, gives the same image and the same sidecar to
//!   the byte, or the same error;
//! - nothing comes of a blob with another length or digest than was promised;
//! - a stream that cannot be decoded is never a layer; an error of the decoder or the parser is final;
//! - whatever is accepted is a sound image: its length and sum are those of the sidecar, `erofs_reader::check` passes, it can be
//!   dumped, and each file of it has bytes that the archive has under that name;
//! - its sidecar plays back, and unless the layer links below itself, it merges into an fsmeta of which the proof holds;
//! - no more than a fixed amount of memory is held.

mod accepted;
mod archive;
mod decoding;
mod making;
mod parsing;
mod products;

use std::mem::discriminant;

use erofs_format::Crc32c;
use msb_layer::LayerLimits;

use crate::chop::chop;
use crate::heap;
use crate::told::told;
use decoding::{Refused, decoded};

pub use products::{disk_of, image_of, sidecar_of};

/// No input may hold more: the stages' buffers, the reader's cache, an image of up to [`IMAGE_BYTES`], and room.
const HEAP_BYTES: usize = 64 << 20;
const PLAIN_BYTES: u64 = 1 << 20;
const IMAGE_BYTES: u64 = 1 << 20;
/// What all windows of a stream may take: less than what one may claim.
const WINDOWS_BYTES: u64 = 512 << 10;

/// Runs the target.
///
/// # Panics
/// When something that is asserted does not hold.
pub fn run(blob: &[u8]) {
    heap::bounded(HEAP_BYTES, || {
        let seed = u64::from(Crc32c::of(blob).get());
        let plain = decoded(blob, [blob]);
        match (&plain, decoded(blob, chop(blob, seed))) {
            (Ok(plain), Ok(other)) => assert!(*plain == other, "pieces change what is decoded"),
            (Err(Refused::Decode(a)), Err(Refused::Decode(b))) => {
                told(a);
                assert_eq!(discriminant(a), discriminant(&b), "{a} and {b}");
            }
            (Err(Refused::TooLong), Err(Refused::TooLong)) => return,
            (a, b) => panic!("whole it is {a:?}, in pieces {b:?}"),
        }
        match plain {
            Ok(plain) => archive::asserted(blob, &plain, seed),
            Err(_) => {
                let made = making::ingest(blob, blob, [blob]);
                assert!(made.is_err(), "what cannot be decoded became a layer");
            }
        }
    });
}

fn limits() -> LayerLimits {
    let mut limits = LayerLimits::default();
    limits.entries = 60;
    limits.metadata_bytes = 12 << 10;
    limits.sparse_bytes = 64 << 10;
    limits.uncompressed_bytes = PLAIN_BYTES;
    limits.image_bytes = IMAGE_BYTES;
    // Far below the defaults, so that short inputs meet them.
    limits.tar.pax_bytes = 16 << 10;
    limits.tar.long_name_bytes = 8 << 10;
    limits.tar.xattr_bytes = 8 << 10;
    limits.tar.sparse_extents = 40;
    limits.path.path_bytes = 4096;
    limits.decode.zstd_window_bytes = 1 << 20;
    limits
}
