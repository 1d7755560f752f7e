//! Reads images back with a reader that shares only the format with the writer. Anything that EROFS cannot hold is an
//! error.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod devices;
mod directories;
mod entries;
mod inodes;
mod kernels;
mod planned;
mod refused;

use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};

use erofs_format::{BLOCK_SIZE, Crc32c, HOLE};
use erofs_reader::{CheckOptions, DataLayout, Image, Place, check, dump};
use erofs_writer::{
    Attributes, Builder, Device, Error, Feature, ImageWriter, InodeProblem, KernelVersion,
    MemoryInline, Metadata, NewContent, NewNode, NoInline, Options, Timestamp, Tree, Written,
};

const BLOCK: u64 = BLOCK_SIZE as u64;

fn metadata(mode: u16) -> Metadata {
    Metadata {
        mode,
        ..Metadata::default()
    }
}

fn with(metadata: Metadata, xattrs: &[(&[u8], &[u8])]) -> Attributes {
    let set =
        |attributes: Attributes, (name, value): &(&[u8], &[u8])| attributes.xattr(name, value);
    xattrs.iter().fold(metadata.into(), set)
}

/// Returns the problem with the first of these paths.
fn problem(error: Error, expected: &[u8]) -> InodeProblem {
    match error {
        Error::Inode { path, problem } if path == expected => problem,
        error => panic!("{error}"),
    }
}

fn builder() -> Builder<Cursor<Vec<u8>>> {
    Builder::new(Cursor::new(Vec::new())).unwrap()
}

/// Builds an image and checks what must hold for every image.
fn image(build: impl Fn(&mut Builder<Cursor<Vec<u8>>>) -> Result<(), Error>) -> Image<Vec<u8>> {
    let once = || {
        let mut image = builder();
        build(&mut image).unwrap();
        let (written, output) = image.finish().unwrap();
        (written, output.into_inner())
    };
    let (written, bytes) = once();
    assert!(once().1 == bytes, "equal input results in equal bytes");
    sound(written, bytes)
}

fn sound(written: Written, bytes: Vec<u8>) -> Image<Vec<u8>> {
    assert_eq!(
        (written.bytes(), written.crc32c),
        (bytes.len() as u64, Crc32c::of(&bytes))
    );
    let image = Image::open(bytes).unwrap();
    assert_eq!(image.superblock().inos.get(), written.inodes);
    assert_eq!(image.root().unwrap().nid, 1);
    check(&image, &CheckOptions::default()).unwrap();
    image
}

fn text(image: &Image<Vec<u8>>) -> String {
    let mut text = Vec::new();
    dump(image, &mut text).unwrap();
    String::from_utf8(text).unwrap()
}
