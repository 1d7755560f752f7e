//! Inputs of the targets `merge` (choices for stacks of layers, and sidecars of real layers) and `sidecar` (sidecars only).

use msb_fuzz::layer::sidecar_of;
use msb_testkit::tar;

use crate::Seeds;

const RECIPES: &[(&str, &str)] = &[
    ("empty", ""),
    (
        "files",
        "dir d\nfile d/a data=hello\nfile d/b size=3000 seed=1 fill=text\nlink d/c target=d/b\nsymlink s target=d/a\nfile s2 sparse=pax1.0 map=0:4096,16384:10 size=20000 seed=1",
    ),
    (
        "special",
        "char c dev=1:3\nblock b dev=8:1\nfifo p\nchar w dev=0:0\nfile x data=1 xattr.user.a=1 xattr.user.b=2 mtime=-5.5",
    ),
    (
        "markers",
        "whiteout a\nopaque d\nwhiteout d/b\nfile e/f data=x\nopaque .",
    ),
];

pub(crate) fn seeds() -> Seeds {
    let mut seeds = Seeds::new();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for index in 0..24 {
        let mut bytes = vec![u8::from(index % 3 == 0)];
        for _ in 0..(40 + index * 30) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.push((state >> 33) as u8);
        }
        seeds.push((format!("stack-{index:02}"), bytes));
    }
    seeds.extend(sidecars(3, 2));
    seeds
}

/// Inputs of the target `sidecar`.
pub(crate) fn alone() -> Seeds {
    sidecars(0, 1)
}

/// Sidecars of real layers: whole ones after one first byte, and sections that the harness frames after another.
fn sidecars(is_whole: u8, is_framed: u8) -> Seeds {
    let mut seeds = Seeds::new();
    for (name, recipe) in RECIPES {
        let file = sidecar_of(&tar::recipe(recipe));
        seeds.push((format!("whole-{name}"), [&[is_whole], &file[..]].concat()));
        let trailer = &file[file.len() - 104..];
        let number = |at: usize| {
            usize::try_from(u64::from_le_bytes(
                trailer[at..at + 8].try_into().expect("8 bytes"),
            ))
            .expect("small")
        };
        let (records, whiteouts) = (number(0), number(20));
        let lengths = [
            is_framed,
            (records >> 8) as u8,
            records as u8,
            whiteouts as u8,
            2,
        ];
        // The harness's own form has the image's length behind the sections' lengths.
        seeds.push((
            format!("framed-{name}"),
            [&lengths[..], &file[..file.len() - 104]].concat(),
        ));
    }
    seeds
}
