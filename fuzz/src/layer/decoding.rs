//! Decodes a blob and checks the state after an error.

use msb_layer::decode::{Chunk, DecodeError, Decoder, Pool, PushError, WindowBudget};

use super::{PLAIN_BYTES, WINDOWS_BYTES, limits};

/// Returns the uncompressed archive of a blob that arrives in these pieces.
pub(super) fn decoded<'a>(
    blob: &[u8],
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Vec<u8>, Refused> {
    let mut plain = Vec::new();
    let mut out = |chunk: Chunk| {
        assert!(!chunk.is_empty(), "an empty chunk");
        plain.extend_from_slice(&chunk);
        if plain.len() as u64 > PLAIN_BYTES {
            Err(())
        } else {
            Ok(())
        }
    };
    let refused = |error| match error {
        PushError::Decode(error) => Refused::Decode(error),
        PushError::Output(()) => Refused::TooLong,
    };
    let chunk_bytes = if blob.len().is_multiple_of(2) {
        4096
    } else {
        1000
    };
    let mut decoder = Decoder::new(Pool::new(chunk_bytes, 2), limits().decode)
        .with_windows(WindowBudget::new(WINDOWS_BYTES), std::sync::Arc::default());
    for piece in pieces {
        if let Err(error) = decoder.push(piece, &mut out) {
            let again = decoder.push(b"x", &mut out);
            assert!(
                matches!(again, Err(PushError::Decode(DecodeError::Failed))),
                "an error is final"
            );
            let end = decoder.finish(&mut out);
            assert!(
                matches!(end, Err(PushError::Decode(DecodeError::Failed))),
                "an error is final"
            );
            return Err(refused(error));
        }
    }
    let expected = decoder.uncompressed_bytes();
    decoder.finish(&mut out).map_err(refused)?;
    assert!(expected <= plain.len() as u64);
    Ok(plain)
}

/// The reason why there is no uncompressed archive.
#[derive(Debug)]
pub(super) enum Refused {
    Decode(DecodeError),
    TooLong,
}
