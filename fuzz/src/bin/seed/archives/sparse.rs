//! Sparse files: GNU's header, the three PAX forms, and malformed maps.

use msb_testkit::tar;

use super::of_recipes;
use crate::Seeds;

const RECIPES: &[(&str, &str)] = &[
    (
        "sparse-gnu",
        "file s sparse=gnu format=gnu map=8192:600,20480:3 size=65536 seed=1",
    ),
    (
        "sparse-gnu-extended",
        "file s sparse=gnu format=gnu map=0:1,8192:1,16384:1,24576:1,32768:1,40960:1,49152:1 size=65536 seed=1",
    ),
    (
        "sparse-pax0.0",
        "file s sparse=pax0.0 map=4096:512,8192:100 size=10000 seed=1",
    ),
    (
        "sparse-pax0.1",
        "file s sparse=pax0.1 map=4096:512,8192:100 size=10000 seed=1",
    ),
    (
        "sparse-pax1.0",
        "file s sparse=pax1.0 map=4096:512,8192:100,10000:0 size=10000 seed=1",
    ),
    (
        "sparse-hole",
        "file s sparse=pax0.1 map= size=1000000\nfile t sparse=pax1.0 size=5000\nfile u sparse=gnu format=gnu size=4097",
    ),
    (
        "sparse-huge",
        "file s sparse=pax1.0 map=549755813888:10 size=1099511627776 seed=1",
    ),
    (
        "sparse-unaligned",
        "file s sparse=pax1.0 map=1:1,3:1,4095:2,8191:1,9000:999 size=9999 seed=1",
    ),
    (
        "sparse-order",
        "file s sparse=pax0.1 map=8192:100,4096:100 size=10000",
    ),
    (
        "sparse-past-end",
        "file s sparse=pax0.1 map=9999:100 size=10000",
    ),
    (
        "sparse-stored",
        "file s data=xx pax.GNU.sparse.map=0,1 pax.GNU.sparse.size=10",
    ),
    ("sparse-no-size", "file s data=x pax.GNU.sparse.map=0,1"),
    (
        "sparse-no-data",
        "dir d pax.GNU.sparse.map=0,1 pax.GNU.sparse.size=1",
    ),
    (
        "sparse-version",
        "file s pax.GNU.sparse.major=2 pax.GNU.sparse.minor=0",
    ),
    ("sparse-not-gnu", "raw s type=S format=ustar data=x"),
    ("sparse-odd-offset", "file s data=x pax.GNU.sparse.offset=1"),
    (
        "sparse-two-offsets",
        "raw PaxHeaders/s type=x data=hex:323320474e552e7370617273652e6f66667365743d310a323320474e552e7370617273652e6f66667365743d320a\nfile s",
    ),
    ("sparse-numbytes", "file s data=x pax.GNU.sparse.numbytes=1"),
    ("sparse-odd-map", "file s data=x pax.GNU.sparse.map=1"),
    (
        "sparse-empty-map",
        "file s data=x pax.GNU.sparse.map= pax.GNU.sparse.size=",
    ),
    ("sparse-global", "global GNU.sparse.size=1\nfile s"),
    (
        "sparse-map-none",
        "file s pax.GNU.sparse.major=1 pax.GNU.sparse.minor=0 pax.GNU.sparse.realsize=9",
    ),
    (
        "bad-pax-nul-sparse-name",
        "file a pax.GNU.sparse.name=a\\x00b",
    ),
    ("bad-sparse-map-offset", "file a pax.GNU.sparse.map=x,1"),
    ("bad-sparse-number", "file a pax.GNU.sparse.size=x"),
];

pub(super) fn seeds() -> Seeds {
    let mut seeds = of_recipes(RECIPES);
    seeds.extend(of_recipes(&[
        (
            "sparse-overhead",
            format!("file s sparse=pax0.1 map={} size=200000", odd_map(20, 8192)),
        ),
        (
            "sparse-extents",
            format!("file s sparse=pax0.1 map={} size=200000", odd_map(41, 4096)),
        ),
        (
            "sparse-gnu-extents",
            format!(
                "file s sparse=gnu format=gnu map={} size=300000",
                odd_map(47, 4096)
            ),
        ),
    ]));
    seeds.extend(maps());
    let large = "file s sparse=pax0.1 map=0:2000000 size=9000000";
    let large = tar::recipe(large)[..2048].to_vec();
    seeds.push(("sparse-image-bytes.tar".to_owned(), large));
    seeds
}

fn odd_map(count: u64, step: u64) -> String {
    let pieces: Vec<String> = (0..count).map(|at| format!("{}:1", at * step)).collect();
    pieces.join(",")
}

/// Maps before the data of a file, in its first blocks.
fn maps() -> Seeds {
    let map = |text: &[u8], len: usize| {
        let mut block = text.to_vec();
        block.resize(len, b'0');
        let hex: String = block.iter().map(|byte| format!("{byte:02x}")).collect();
        let version = "pax.GNU.sparse.major=1 pax.GNU.sparse.minor=0";
        format!("file s data=hex:{hex} {version} pax.GNU.sparse.realsize=9")
    };
    [
        ("cut", &b"3\n1\n1\n"[..], 512),
        ("bad", b"x\n", 512),
        ("blank-line", b"\n", 512),
        ("many", b"41\n", 512),
        ("short", b"1\n0\n1\n", 20),
        ("two-blocks", b"3\n1\n1\n", 1024),
        ("overflow", b"99999999999999999999\n", 512),
    ]
    .map(|(name, text, len)| {
        (
            format!("sparse-map-{name}.tar"),
            tar::recipe(&map(text, len)),
        )
    })
    .into()
}
