//! The assertions about an archive that can be decoded.

use msb_layer::LayerError;
use msb_oci::Digest;

use super::accepted::accepted;
use super::making::{Promise, ingest, resume};
use super::parsing::parse;
use crate::chop::chop;
use crate::errors::check_message;
use crate::memory_file::contents;

/// Parses and ingests the archive whole and in pieces.
pub(super) fn asserted(blob: &[u8], plain: &[u8], seed: u64) {
    let parsed = parse([plain]);
    let again = parse(chop(plain, seed ^ 0x5555));
    assert_eq!(parsed, again, "pieces change what is parsed");

    let whole = ingest(blob, plain, [blob]);
    // The rest of the uncompressed archive in other pieces, after a partial blob.
    let earlier = usize::try_from(seed >> 8).unwrap_or(0) % (plain.len() + 1);
    let earlier = if seed.is_multiple_of(2) { earlier } else { 0 };
    let pieces = resume(
        Promise::of(plain, plain),
        plain,
        earlier,
        chop(&plain[earlier..], seed ^ 0xaaaa),
    );
    match (whole, pieces) {
        (Ok(whole), Ok(pieces)) => {
            let (image, sidecar) = (contents(&whole.image), contents(&whole.sidecar));
            assert!(image == contents(&pieces.image), "pieces change the image");
            assert!(
                sidecar == contents(&pieces.sidecar),
                "pieces change the sidecar"
            );
            assert_eq!(whole.made.notes, pieces.made.notes);
            assert_eq!(whole.made.entries, pieces.made.entries);
            let (seen, _) = parsed.expect("what is ingested can be parsed");
            assert_eq!(whole.made.entries, seen.len() as u64);
            if seed % 16 == 3 {
                lies(plain);
            }
            accepted(&whole, &image, &seen);
        }
        (Err(whole), Err(pieces)) => {
            assert_eq!(whole.to_string(), pieces.to_string());
            check_message(&whole);
            if let LayerError::Tar { source } = &whole {
                assert_eq!(parsed.as_ref().err(), Some(source));
            }
        }
        (whole, pieces) => panic!(
            "whole it is {:?}, in pieces {:?}",
            whole.map(|layer| layer.made),
            pieces.map(|layer| layer.made)
        ),
    }
}

/// Checks that a blob with another length or digest than stated is refused.
fn lies(plain: &[u8]) {
    let other = Digest::sha256_of(b"something else");
    let honest = || Promise::of(plain, plain);
    let promises = [
        Promise {
            blob: other.clone(),
            ..honest()
        },
        Promise {
            diff_id: other.clone(),
            ..honest()
        },
        Promise {
            blob_bytes: plain.len() as u64 + 1,
            ..honest()
        },
        Promise {
            blob_bytes: (plain.len() as u64).saturating_sub(1),
            ..honest()
        },
    ];
    for promise in promises.into_iter().skip(usize::from(plain.is_empty()) * 3) {
        let error = resume(promise, plain, 0, [plain]).err();
        let error = error.expect("the promise was not kept");
        assert!(error.is_mismatch(), "{error}");
        check_message(&error);
    }
}
