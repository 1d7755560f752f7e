//! Streams made by other encoders, and decoding in pieces.

use crate::decode::{Compression, DecodeError, Decoder, Limits, Pool, PushError};
use async_compression::codecs::{
    EncodeV2, ZstdEncoder,
    core::util::{PartialBuffer, WriteBuffer},
    zstd::params::CParameter,
};
use std::convert::Infallible;

pub(super) const CHUNK: usize = 1000;

fn in_pieces(
    stream: &[u8],
    limits: Limits,
    mut next: impl FnMut() -> usize,
) -> Result<(Vec<u8>, Option<Compression>), DecodeError> {
    let mut decoder = Decoder::new(Pool::new(CHUNK, 2), limits);
    let mut chunks = Vec::new();
    let mut out = |chunk| {
        chunks.push(chunk);
        Ok::<_, Infallible>(())
    };
    let error = |error: PushError<Infallible>| match error {
        PushError::Decode(error) => error,
        PushError::Output(never) => match never {},
    };
    let mut rest = stream;
    while !rest.is_empty() {
        let (piece, others) = rest.split_at(next().clamp(1, rest.len()));
        decoder.push(piece, &mut out).map_err(error)?;
        rest = others;
    }
    let compression = decoder.compression();
    decoder.finish(&mut out).map_err(error)?;
    if let Some((last, full)) = chunks.split_last() {
        assert!(full.iter().all(|chunk| chunk.len() == CHUNK) && !last.is_empty());
    }
    let plain = chunks.iter().flat_map(|chunk| chunk.to_vec()).collect();
    Ok((plain, compression))
}

/// Decodes in pieces of several lengths, which must not matter. Errors are compared as they print.
pub(super) fn decode_with(stream: &[u8], limits: Limits) -> Result<Vec<u8>, DecodeError> {
    let whole = in_pieces(stream, limits, || stream.len());
    let printed = |result: &Result<(Vec<u8>, _), DecodeError>| match result {
        Ok((plain, compression)) => Ok((plain.clone(), *compression)),
        Err(error) => Err(kind(error)),
    };
    let expected = printed(&whole);
    assert!(printed(&in_pieces(stream, limits, || 1)) == expected);
    let mut seed = 7_u32;
    let random = in_pieces(stream, limits, || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        usize::try_from(seed >> 16).expect("16 bits fit") % 700
    });
    assert!(printed(&random) == expected);
    whole.map(|(plain, _)| plain)
}

/// Returns the text of an error without the offset, which may depend on the pieces.
fn kind(error: &DecodeError) -> String {
    match error {
        DecodeError::Corrupt { fault, .. } => format!("{fault:?}"),
        other => other.to_string(),
    }
}

pub(super) fn decode(stream: &[u8]) -> Result<Vec<u8>, DecodeError> {
    decode_with(stream, Limits::default())
}

pub(super) fn compression(stream: &[u8]) -> Option<Compression> {
    in_pieces(stream, Limits::default(), || stream.len())
        .expect("the stream is right")
        .1
}

/// Returns text that compresses moderately.
pub(super) fn sample(len: usize) -> Vec<u8> {
    let mut seed = 1_u32;
    let mut bytes = Vec::with_capacity(len);
    while bytes.len() < len {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        bytes.extend_from_slice(format!("word{} ", (seed >> 20) % 700).as_bytes());
    }
    bytes.truncate(len);
    bytes
}

pub(super) fn deflate(plain: &[u8]) -> Vec<u8> {
    miniz_oxide::deflate::compress_to_vec(plain, 6)
}

/// Returns a gzip member with these flags and header fields.
pub(super) fn member_with(plain: &[u8], flags: u8, fields: &[u8]) -> Vec<u8> {
    let len = u32::try_from(plain.len()).expect("samples are small");
    [
        &[0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 0, 255],
        fields,
        &deflate(plain),
        &crc32fast::hash(plain).to_le_bytes(),
        &len.to_le_bytes(),
    ]
    .concat()
}

pub(super) fn member(plain: &[u8]) -> Vec<u8> {
    member_with(plain, 0, &[])
}

/// Returns a zstd frame with a checksum and a window of 2 to the power of `window_log`.
pub(super) fn frame(plain: &[u8], window_log: u32) -> Vec<u8> {
    let params = [
        CParameter::checksum_flag(true),
        CParameter::window_log(window_log),
    ];
    let mut encoder = ZstdEncoder::new_with_params(3, &params);
    let mut bytes = vec![0; plain.len() + 1000];
    let mut output = WriteBuffer::new_initialized(&mut bytes);
    let mut input = PartialBuffer::new(plain);
    while !input.unwritten().is_empty() {
        encoder
            .encode(&mut input, &mut output)
            .expect("the buffer is large enough");
    }
    assert!(
        encoder
            .finish(&mut output)
            .expect("the buffer is large enough")
    );
    let len = output.written_len();
    bytes.truncate(len);
    bytes
}

/// Returns a skippable frame.
pub(super) fn skippable(content: &[u8]) -> Vec<u8> {
    let len = u32::try_from(content.len()).expect("samples are small");
    [&[0x55, 0x2a, 0x4d, 0x18], &len.to_le_bytes()[..], content].concat()
}
