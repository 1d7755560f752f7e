//! Headers: each dialect, each type flag, numbers and names of each form.

use super::of_recipes;
use crate::Seeds;

const RECIPES: &[(&str, &str)] = &[
    (
        "gnu",
        "dir d format=gnu\nfile d/a data=x format=gnu\nlink d/b target=d/a format=gnu",
    ),
    ("gnu-prefix", "raw n type=0 format=gnu data=x"),
    (
        "ustar",
        "dir d format=ustar\nfile d/a size=600 seed=1 format=ustar uid=1000 uname=u gname=g",
    ),
    (
        "ustar-nul-version",
        "file a data=x format=ustar version=\\x00\\x00",
    ),
    (
        "v7",
        "dir d format=v7\nfile d/a data=x format=v7\nraw e/ format=v7\nraw f/ format=v7 data=x\nlink l target=d/a format=v7",
    ),
    (
        "base256",
        "file a data=x numbers=base256 uid=70000 gid=4000000000 mtime=-5\nfile b numbers=base256 mtime=5000000000 size=3 seed=1",
    ),
    ("type7", "contiguous a size=3 seed=1\ncontiguous b/"),
    (
        "types",
        "raw a type=D data=list\nraw b type=Z data=payload\nraw c type=V\nraw d type=M data=x\nraw f type=A",
    ),
    (
        "devices",
        "char c dev=1:3\nblock b dev=259:70000 mode=0660\nfifo p mode=0600\nchar w dev=0:0\nchar v dev=4:64 format=v7",
    ),
    ("device-too-big", "char c dev=4096:1"),
    ("bad-checksum", "file a data=x checksum=bad"),
    (
        "bad-number",
        "raw a numbers=base256 mtime=0 uid=99999999999",
    ),
];

pub(super) fn seeds() -> Seeds {
    let mut seeds = of_recipes(RECIPES);
    seeds.extend(of_recipes(&long_names()));
    seeds
}

/// Names that need several fields, or no header can hold.
fn long_names() -> [(&'static str, String); 3] {
    let long = "n".repeat(255);
    let path = format!("{}/{}", "p".repeat(120), "q".repeat(90));
    [
        (
            "pax-long",
            format!(
                "file {long} data=x\nsymlink s target={}\nlink t target={long}",
                "t".repeat(300)
            ),
        ),
        (
            "gnu-long",
            format!(
                "file {path} data=x format=gnu\nlink l target={path} format=gnu\nsymlink s target={} format=gnu",
                "t".repeat(150)
            ),
        ),
        ("ustar-long", format!("file {path} data=x format=ustar")),
    ]
}
