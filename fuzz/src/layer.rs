//! Target `layer`: a compressed or uncompressed tar archive, from its bytes to a verified disk.
//!
//! Asserted, for every input:
//! - decoding and parsing have the same result for a whole stream and for its pieces;
//! - the data of an entry is in order, within its size, and complete;
//! - ingesting the blob, and ingesting the uncompressed archive in other pieces or resumed after a partial blob, has equal images and
//!   sidecars, or the same error;
//! - a blob with another length or digest than stated is refused;
//! - a stream that cannot be decoded is refused; an error of the decoder or the parser is final;
//! - an accepted layer is a valid image: its length and digest are those of the sidecar, `erofs_reader::check` passes, it can be dumped,
//!   and each file has the bytes of an entry of that name;
//! - its sidecar can be replayed, and unless the layer links below itself, it merges into a disk that passes verification;
//! - memory stays below a fixed bound.

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
use crate::errors::check_message;
use crate::heap;
use decoding::{Refused, decoded};

pub use products::{disk_of, image_of, sidecar_of};

/// The bound of memory: the buffers of all stages, the cache of the reader, an image of up to [`IMAGE_BYTES`], and a reserve.
const HEAP_BYTES: usize = 64 << 20;
const PLAIN_BYTES: u64 = 1 << 20;
const IMAGE_BYTES: u64 = 1 << 20;
/// The budget of all windows of a stream: less than the limit of one.
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
                check_message(a);
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
    // Far below the defaults, so that short inputs reach them.
    limits.tar.pax_bytes = 16 << 10;
    limits.tar.long_name_bytes = 8 << 10;
    limits.tar.xattr_bytes = 8 << 10;
    limits.tar.sparse_extents = 40;
    limits.path.path_bytes = 4096;
    limits.decode.zstd_window_bytes = 1 << 20;
    limits
}
