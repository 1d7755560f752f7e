//! The two steps of unpacking, each alone, with the pieces that they receive in a pull.

use std::{convert::Infallible, hint::black_box};

use msb_layer::{
    decode::{Decoder, Limits, Pool},
    tar::{self, Entry, TarParser, TarSink},
};

/// Length of a piece of a network body.
pub(crate) const PIECE: usize = 64 << 10;
pub(crate) const CHUNK: usize = 256 << 10;

/// Decompresses a blob and discards the output.
pub(crate) fn decode(stream: &[u8]) {
    let mut decoder = Decoder::new(Pool::new(CHUNK, 4), Limits::default());
    let mut out = |chunk| {
        black_box(&chunk);
        Ok::<_, Infallible>(())
    };
    for piece in stream.chunks(PIECE) {
        decoder.push(piece, &mut out).unwrap();
    }
    decoder.finish(&mut out).unwrap();
}

/// Reads an archive. Returns the bytes of its files.
pub(crate) fn parse(archive: &[u8]) -> u64 {
    let mut parser = TarParser::new(tar::Limits::default());
    let mut count = Count::default();
    for chunk in archive.chunks(CHUNK) {
        parser.push(chunk, &mut count).unwrap();
    }
    let end = parser.finish::<Infallible>().unwrap();
    assert_eq!(end.entries, count.entries);
    count.bytes
}

#[derive(Default)]
struct Count {
    entries: u64,
    bytes: u64,
}

impl TarSink for Count {
    type Error = Infallible;

    fn entry(&mut self, entry: &Entry<'_>) -> Result<(), Infallible> {
        black_box(entry);
        self.entries += 1;
        Ok(())
    }

    fn data(&mut self, _offset: u64, bytes: &[u8]) -> Result<(), Infallible> {
        self.bytes += black_box(bytes).len() as u64;
        Ok(())
    }

    fn end_entry(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
