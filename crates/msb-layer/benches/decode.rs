//! Measures unpacking a layer: the decoder, the inflate candidates, and the tar parser.
//!
//! `cargo bench -p msb-layer --bench decode [-- FOLDER]` packs a folder (`/usr/lib/python3` by default) with `tar`, `gzip -6` and
//! `zstd -3`, and prints uncompressed megabytes per second, the best of five runs. `igzip`, if it is installed, is the
//! reference: ISA-L's inflate in its own process.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(
    clippy::unwrap_used,
    reason = "a benchmark may stop at the first thing that is missing"
)]

mod unpack;

use std::{
    hint::black_box,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use unpack::{CHUNK, PIECE, decode, parse};

fn main() {
    let args: Vec<_> = std::env::args().skip(1).collect();
    // `cargo test --benches` runs this too, without the flag.
    if !args.iter().any(|arg| arg == "--bench") {
        return;
    }
    let folder = args.iter().find(|arg| !arg.starts_with("--"));
    let folder = folder.map_or("/usr/lib/python3", |folder| folder.as_str());
    let temp = tempfile::tempdir().unwrap();
    let path = |name: &str| temp.path().join(name).to_str().unwrap().to_owned();
    let (tar, gz, zst) = (
        path("layer.tar"),
        path("layer.tar.gz"),
        path("layer.tar.zst"),
    );
    run(&format!(
        "tar -cf {tar} -C '{folder}' . && gzip -6 -c {tar} > {gz}"
    ));
    let plain = std::fs::read(&tar).unwrap();
    let gzip = std::fs::read(&gz).unwrap();
    println!(
        "{folder}: {} MB plain, {} MB gzip -6",
        plain.len() / 1_000_000,
        gzip.len() / 1_000_000
    );

    measure("gzip: decoder, with CRC-32", plain.len(), || decode(&gzip));
    // No name, no extra field: gzip -c of a file writes its name, so the header ends at the first NUL after it.
    let name_end = 10 + gzip[10..].iter().position(|byte| *byte == 0).unwrap() + 1;
    let body = &gzip[if gzip[3] & 8 == 0 { 10 } else { name_end }..];
    measure("inflate: zlib-rs", plain.len(), || zlib_rs(body));
    measure("inflate: fdeflate", plain.len(), || fdeflate(body));
    measure("inflate: miniz_oxide", plain.len(), || miniz_oxide(body));
    if Command::new("igzip").arg("--version").output().is_ok() {
        measure("yardstick: igzip -dc", plain.len(), || {
            run(&format!("igzip -dc {gz} > /dev/null"))
        });
    }
    if Command::new("zstd").arg("--version").output().is_ok() {
        run(&format!("zstd -q -3 {tar} -o {zst}"));
        let zstd = std::fs::read(&zst).unwrap();
        measure("zstd: decoder", plain.len(), || decode(&zstd));
        measure("yardstick: zstd -dc", plain.len(), || {
            run(&format!("zstd -q -dc {zst} > /dev/null"))
        });
    }
    measure("none: decoder", plain.len(), || decode(&plain));
    measure("tar: parser", plain.len(), || parse(&plain));
}

fn run(command: &str) {
    let status = Command::new("sh")
        .args(["-c", command])
        .stderr(Stdio::null())
        .status();
    assert!(status.unwrap().success(), "{command}");
}

fn measure<T>(name: &str, bytes: usize, mut work: impl FnMut() -> T) {
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let start = Instant::now();
        black_box(work());
        best = best.min(start.elapsed());
    }
    let micros = best.as_micros().max(1);
    println!("{name:32} {:7} MB/s", bytes as u128 / micros);
}

fn zlib_rs(body: &[u8]) {
    let mut inflate = zlib_rs::Inflate::new(false, 15);
    let (mut buffer, mut at) = (vec![0; CHUNK], 0);
    for mut piece in body.chunks(PIECE) {
        loop {
            let (before_in, before_out) = (inflate.total_in(), inflate.total_out());
            let status =
                inflate.decompress(piece, &mut buffer[at..], zlib_rs::InflateFlush::NoFlush);
            piece = &piece[usize::try_from(inflate.total_in() - before_in).unwrap()..];
            at += usize::try_from(inflate.total_out() - before_out).unwrap();
            if status.unwrap() == zlib_rs::Status::StreamEnd {
                return;
            }
            if at == buffer.len() {
                at = 0;
            } else if piece.is_empty() {
                break;
            }
        }
    }
}

/// fdeflate reads only zlib and expects its history before its output, so it gets a header, and the last 32 KiB are copied.
fn fdeflate(body: &[u8]) {
    const HISTORY: usize = 32 * 1024;
    let mut inflate = fdeflate::Decompressor::new();
    inflate.ignore_adler32();
    let (mut buffer, mut at) = (vec![0; HISTORY + CHUNK], 0);
    inflate.read(&[0x78, 0x01], &mut buffer, 0, false).unwrap();
    for mut piece in body.chunks(PIECE) {
        loop {
            let (consumed, produced) = inflate.read(piece, &mut buffer, at, false).unwrap();
            piece = &piece[consumed..];
            at += produced;
            if inflate.is_done() {
                return;
            }
            if at == buffer.len() {
                buffer.copy_within(CHUNK.., 0);
                at = HISTORY;
            } else if piece.is_empty() {
                break;
            }
        }
    }
}

fn miniz_oxide(body: &[u8]) {
    use miniz_oxide::{DataFormat, MZFlush, MZStatus, inflate::stream};
    let mut state = stream::InflateState::new_boxed(DataFormat::Raw);
    let (mut buffer, mut at) = (vec![0; CHUNK], 0);
    for mut piece in body.chunks(PIECE) {
        loop {
            let result = stream::inflate(&mut state, piece, &mut buffer[at..], MZFlush::None);
            piece = &piece[result.bytes_consumed..];
            at += result.bytes_written;
            if result.status == Ok(MZStatus::StreamEnd) {
                return;
            }
            if at == buffer.len() {
                at = 0;
            } else if piece.is_empty() {
                break;
            }
        }
    }
}
