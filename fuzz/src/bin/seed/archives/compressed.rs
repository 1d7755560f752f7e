//! A whole archive as gzip and Zstandard, with each fault of the two forms.

use msb_testkit::image::Layer;

use crate::Seeds;

pub(super) fn seeds() -> Seeds {
    let recipe = "dir d\nfile d/a data=hello\\n\nfile d/b size=3000 seed=1 fill=text\nlink d/c target=d/b\nsymlink s target=d/a";
    let layer = || Layer::recipe(recipe);
    let blob = |layer: Layer| layer.blob_bytes().expect("it is in memory").to_vec();
    let (gzip, zstd) = (blob(layer().gzip()), blob(layer().zstd()));
    let header = |flags: u8, fields: &[u8]| {
        [
            &[0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 0, 255],
            fields,
            &gzip[10..],
        ]
        .concat()
    };
    let crc = |header: &[u8]| (crc32fast::hash(header) as u16).to_le_bytes();
    let mut with_crc = header(2, &[]);
    let sum = crc(&with_crc[..10]);
    with_crc.splice(10..10, sum);
    let mut all = vec![
        0x1f, 0x8b, 8, 0x1f, 1, 2, 3, 4, 0, 255, 3, 0, b'x', b'y', b'z', b'n', 0, b'c', 0,
    ];
    let sum = crc(&all);
    all.extend_from_slice(&sum);
    all.extend_from_slice(&gzip[10..]);
    let changed = |bytes: &[u8], from_end: usize| {
        let mut bytes = bytes.to_vec();
        let at = bytes.len() - from_end;
        bytes[at] ^= 1;
        bytes
    };
    let at = |bytes: &[u8], at: usize, byte: u8| {
        let mut bytes = bytes.to_vec();
        bytes[at] = byte;
        bytes
    };
    let skippable = [0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, b'a', b'b', b'c'];
    let stored = stored_gzip(layer().tar_bytes());
    [
        ("gzip", gzip.clone()),
        ("gzip-members", blob(layer().gzip_members(3))),
        ("gzip-stored", stored),
        ("gzip-zeros", [&gzip[..], &[0; 100]].concat()),
        ("gzip-trailing", [&gzip[..], b"x"].concat()),
        ("gzip-zeros-and-more", [&gzip[..], &[0, 0, 1]].concat()),
        ("gzip-half-magic", [&gzip[..], &[0x1f]].concat()),
        ("gzip-not-magic", [&gzip[..], &[0x1f, 0x8c]].concat()),
        ("gzip-header-crc", with_crc),
        ("gzip-header-all", all.clone()),
        ("gzip-header-bad-crc", at(&all, 19, all[19] ^ 1)),
        ("gzip-extra-empty", header(4, &[0, 0])),
        ("gzip-name", header(8, b"name\0")),
        ("gzip-comment", header(16, b"comment\0")),
        ("gzip-method", at(&gzip, 2, 7)),
        ("gzip-flags", at(&gzip, 3, 0x80)),
        ("gzip-deflate", at(&gzip, 10, 0xff)),
        ("gzip-cut", gzip[..gzip.len() / 2].to_vec()),
        ("gzip-cut-header", gzip[..6].to_vec()),
        ("gzip-cut-trailer", gzip[..gzip.len() - 3].to_vec()),
        ("gzip-checksum", changed(&gzip, 8)),
        ("gzip-length", changed(&gzip, 4)),
        ("gzip-magic-alone", vec![0x1f, 0x8b]),
        ("zstd", zstd.clone()),
        ("zstd-frames", blob(layer().zstd_frames(3, true))),
        ("zstd-skippable-first", [&skippable[..], &zstd].concat()),
        ("zstd-skippable-alone", skippable.to_vec()),
        ("zstd-zeros", [&zstd[..], &[0; 10]].concat()),
        ("zstd-zeros-and-more", [&zstd[..], &[0, 1]].concat()),
        ("zstd-trailing", [&zstd[..], b"trailing"].concat()),
        ("zstd-cut", zstd[..zstd.len() / 2].to_vec()),
        ("zstd-cut-header", zstd[..5].to_vec()),
        ("zstd-cut-magic", [&zstd[..], &zstd[..3]].concat()),
        ("zstd-corrupt", at(&zstd, 20, zstd[20] ^ 0xff)),
        (
            "zstd-window",
            vec![0x28, 0xb5, 0x2f, 0xfd, 0x04, 0xff, 0, 0, 0, 0, 0, 0],
        ),
        (
            "zstd-no-window",
            vec![
                0x28, 0xb5, 0x2f, 0xfd, 0xe3, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
            ],
        ),
        ("zstd-not-a-frame", [&skippable[..], b"abcd"].concat()),
        (
            "zstd-window-budget",
            vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x4c, 0, 0, 0, 0, 0, 0],
        ),
        ("gzip-bomb", blob(Layer::tar(vec![0; 3 << 19]).gzip())),
        ("zstd-bomb", blob(Layer::tar(vec![0; 3 << 19]).zstd())),
        ("plain-short", b"abc".to_vec()),
    ]
    .map(|(name, bytes)| (name.to_owned(), bytes))
    .into()
}

/// One member with stored deflate blocks, so that a change of the archive is a change of the stream.
fn stored_gzip(plain: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let pieces: Vec<_> = plain.chunks(60_000).collect();
    for (index, piece) in pieces.iter().enumerate() {
        let len = piece.len() as u16;
        bytes.push(u8::from(index + 1 == pieces.len()));
        bytes.extend_from_slice(&len.to_le_bytes());
        bytes.extend_from_slice(&(!len).to_le_bytes());
        bytes.extend_from_slice(piece);
    }
    bytes.extend_from_slice(&crc32fast::hash(plain).to_le_bytes());
    bytes.extend_from_slice(&(plain.len() as u32).to_le_bytes());
    bytes
}
