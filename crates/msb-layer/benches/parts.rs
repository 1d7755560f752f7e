//! How fast a layer is decompressed and its archive read: `cargo bench -p msb-layer --bench parts`. Bytes are plain ones.
//!
//! The contents are made up, so that figures can be compared over time; `decode` measures real files, beside other libraries.
#![expect(
    clippy::unwrap_used,
    reason = "a benchmark may stop at the first thing that goes wrong"
)]

use std::{convert::Infallible, fmt::Write as _};

use divan::{Bencher, black_box, counter::BytesCount};
use msb_layer::{
    decode::{Decoder, Limits, Pool},
    tar::{self, Entry, TarParser, TarSink},
};
use msb_testkit::image::Layer;

/// As a network body arrives.
const PIECE: usize = 64 << 10;
const CHUNK: usize = 256 << 10;

fn main() {
    divan::main();
}

#[divan::bench(sample_count = 20)]
fn inflate(bencher: Bencher<'_, '_>) {
    let layer = Layer::tar(archive(2000, 10_000)).gzip();
    bencher
        .counter(BytesCount::new(layer.tar_bytes().len()))
        .bench(|| decode(layer.blob_bytes().unwrap()));
}

#[divan::bench(sample_count = 20)]
fn zstd(bencher: Bencher<'_, '_>) {
    let layer = Layer::tar(archive(2000, 10_000)).zstd();
    bencher
        .counter(BytesCount::new(layer.tar_bytes().len()))
        .bench(|| decode(layer.blob_bytes().unwrap()));
}

/// Files of so many bytes each, 20 MB in all.
#[divan::bench(args = [100, 1000, 10_000], sample_count = 20)]
fn tar(bencher: Bencher<'_, '_>, size: usize) {
    let archive = archive(20_000_000 / (size + 512), size);
    bencher
        .counter(BytesCount::new(archive.len()))
        .bench(|| parse(&archive));
}

fn archive(files: usize, size: usize) -> Vec<u8> {
    let mut recipe = String::new();
    for number in 0..files {
        let folder = number / 100;
        writeln!(
            recipe,
            "file srv/app/{folder}/file-{number}.js size={size} seed={number} fill=text format=ustar"
        )
        .unwrap();
    }
    msb_testkit::tar::recipe(&recipe)
}

fn decode(stream: &[u8]) {
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

#[derive(Default)]
struct Count(u64);

impl TarSink for Count {
    type Error = Infallible;

    fn entry(&mut self, entry: &Entry<'_>) -> Result<(), Infallible> {
        black_box(entry);
        Ok(())
    }

    fn data(&mut self, _offset: u64, bytes: &[u8]) -> Result<(), Infallible> {
        self.0 += black_box(bytes).len() as u64;
        Ok(())
    }

    fn end_entry(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

fn parse(archive: &[u8]) -> u64 {
    let mut parser = TarParser::new(tar::Limits::default());
    let mut count = Count::default();
    for chunk in archive.chunks(CHUNK) {
        parser.push(chunk, &mut count).unwrap();
    }
    parser.finish::<Infallible>().unwrap();
    count.0
}
