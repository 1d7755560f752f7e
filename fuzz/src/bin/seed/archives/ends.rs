//! Ends of data and archives: sizes around a block, blocks of zeros, and truncated archives.

use msb_testkit::tar;

use super::of_recipes;
use crate::Seeds;

const RECIPES: &[(&str, &str)] = &[
    ("empty", ""),
    ("noend", "file a data=x\nnoend"),
    ("noend-nothing", "noend"),
    (
        "sizes",
        "file s1 size=1 seed=1\nfile s511 size=511 seed=2\nfile s512 size=512 seed=3\nfile s513 size=513 seed=4\nfile s2048 size=2048 seed=5\nfile s2049 size=2049 seed=6",
    ),
    ("size-block", "file s4096 size=4096 seed=4"),
    ("size-block-and-one", "file s4097 size=4097 seed=4"),
    (
        "lone-zero",
        "file a data=x\nbytes hex:00\nfile b data=y\nnoend",
    ),
    ("trailing", "file a data=x\nbytes hex:00"),
];

pub(super) fn seeds() -> Seeds {
    let mut seeds = of_recipes(RECIPES);
    seeds.extend(zero_blocks());
    seeds
}

/// Blocks of zeros that no recipe can write.
fn zero_blocks() -> Seeds {
    let file = tar::recipe("file a data=x\nnoend");
    let zeros = vec![0; 512];
    vec![
        (
            "lone-zero-block.tar".to_owned(),
            [&file[..], &zeros, &file].concat(),
        ),
        (
            "one-zero-block-at-end.tar".to_owned(),
            [&file[..], &zeros].concat(),
        ),
        (
            "behind-the-end.tar".to_owned(),
            [&file[..], &zeros, &zeros, b"anything"].concat(),
        ),
        ("no-padding.tar".to_owned(), file[..513].to_vec()),
        ("cut-header.tar".to_owned(), file[..100].to_vec()),
        (
            "cut-data.tar".to_owned(),
            tar::recipe("file a size=900 seed=1\nnoend")[..700].to_vec(),
        ),
        (
            "cut-pax.tar".to_owned(),
            tar::recipe("file a xattr.user.a=1\nnoend")[..520].to_vec(),
        ),
        (
            "cut-pax-padding.tar".to_owned(),
            tar::recipe("file a xattr.user.a=1\nnoend")[..600].to_vec(),
        ),
        (
            "cut-map.tar".to_owned(),
            tar::recipe("file s sparse=pax1.0 map=4096:512 size=10000\nnoend")[..1700].to_vec(),
        ),
        (
            "cut-skipped.tar".to_owned(),
            tar::recipe("raw d type=D data=list\nnoend")[..514].to_vec(),
        ),
    ]
}
