//! Entries that affect each other: links, whiteouts, replacements, implied parents.

use super::of_recipes;
use crate::Seeds;

const RECIPES: &[(&str, &str)] = &[
    (
        "hardlink-size",
        "file a data=hello\nlink b target=a header-size=5\nlink c target=nothing\nlink a target=a",
    ),
    (
        "hardlink-chain",
        "file a data=hello\nlink b target=./a\nlink c target=b\nfile a data=other\nsymlink s target=a\nlink t target=s",
    ),
    ("hardlink-dir", "dir d\nlink b target=d"),
    ("hardlink-root", "link b target=."),
    (
        "link-to-left-out",
        "char w dev=0:0\nlink x target=w\nraw b type=Z\nlink y target=b",
    ),
    (
        "whiteouts",
        "whiteout a\nwhiteout d/a\ndir d\nopaque d\nopaque .\nfile d/b data=x\nwhiteout d/b",
    ),
    (
        "whiteout-as-link",
        "link .wh.a target=x\nsymlink d/.wh.b target=y",
    ),
    ("whiteout-bare", "file .wh."),
    ("whiteout-dots", "file .wh..."),
    ("whiteout-below", "file .wh.a/b data=x"),
    ("whiteout-opaque-below", "file .wh.a/.wh..wh..opq"),
    (
        "aufs",
        "dir .wh..wh.plnk\nfile .wh..wh.plnk/1.2 data=x\nfile .wh..wh.aufs\nfile a data=x",
    ),
    (
        "replaced",
        "file a data=1\ndir a\nfile a/b data=2\nfile a data=3\ndir d mode=0700\nfile d/x data=4\ndir d mode=0755\nsymlink d target=e",
    ),
    (
        "implied",
        "file usr/lib/x data=1\nsymlink lib target=usr/lib\nfile lib/y data=2\nfile /abs//z/./w data=3\ndir ./",
    ),
    (
        "symlink-loop",
        "symlink a target=b\nsymlink b target=a\nfile a/x data=1",
    ),
    (
        "symlink-up",
        "symlink a target=../../etc\nfile a/x data=1\nsymlink e target=/\nfile e/y data=2",
    ),
    ("parent-is-file", "file a data=1\nfile a/b data=2"),
    ("root-is-file", "file . data=1"),
    ("dotdot", "file d/../a data=1"),
    ("dotdot-target", "link a target=../x"),
    ("nul-target", "symlink a target= \nfile b"),
];

pub(super) fn seeds() -> Seeds {
    let mut seeds = of_recipes(RECIPES);
    seeds.extend(of_recipes(&[
        ("deep", format!("file {}x data=x", "p/".repeat(100))),
        (
            "directory",
            (0..40)
                .map(|at| format!("symlink d/{at:03}{} target=x\n", "n".repeat(100)))
                .collect(),
        ),
    ]));
    seeds
}
