//! Measures decompressing a layer and reading its archive: `cargo bench -p msb-layer --bench parts`. Bytes are uncompressed.
//!
//! The contents are generated, so that figures can be compared over time; `decode` measures real files and other libraries.
#![expect(
    clippy::unwrap_used,
    reason = "a benchmark may stop at the first thing that goes wrong"
)]

mod unpack;

use std::fmt::Write as _;

use divan::{Bencher, counter::BytesCount};
use msb_testkit::image::Layer;
use unpack::{decode, parse};

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

/// Reads files of this many bytes each, 20 MB in total.
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
