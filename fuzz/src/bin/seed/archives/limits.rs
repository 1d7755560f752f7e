//! Archives beyond each limit of the target.

use super::of_recipes;
use crate::Seeds;

const RECIPES: &[(&str, &str)] = &[
    ("too-large-pax", "raw p type=x header-size=99999999\nfile a"),
    (
        "too-large-global",
        "raw p type=g header-size=99999999\nfile a",
    ),
    (
        "too-large-name",
        "raw p type=L header-size=99999999\nfile a",
    ),
    ("too-large-file", "raw a header-size=8589934591"),
];

pub(super) fn seeds() -> Seeds {
    let mut seeds = of_recipes(RECIPES);
    seeds.extend(of_recipes(&[
        ("name-too-long", format!("file {}", "n".repeat(256))),
        (
            "symlink-too-long",
            format!("symlink s target={}", "t".repeat(4096)),
        ),
        (
            "xattr-too-long",
            format!(
                "file a xattr.user.{}=1 xattr.user.v={}",
                "n".repeat(260),
                "v".repeat(200)
            ),
        ),
        (
            "xattrs-too-many",
            format!("file a xattr.user.v={}", "v".repeat(9000)),
        ),
        (
            "path-too-long",
            format!("file {} data=x", "p/".repeat(2100)),
        ),
        (
            "entries-too-many",
            (0..61)
                .map(|at| format!("fifo f{at} format=ustar\n"))
                .collect::<String>()
                + "noend",
        ),
        (
            "metadata-too-much",
            (0..4)
                .map(|at| format!("symlink s{at} target={}\n", "t".repeat(3500)))
                .collect(),
        ),
        (
            "names-too-many",
            format!("file {}x data=x", "p/".repeat(70)),
        ),
        (
            "error-of-a-long-name",
            format!(
                "symlink {0}/{0}/s target={1} format=gnu",
                "n".repeat(250),
                "t".repeat(4096)
            ),
        ),
        (
            "notes",
            (0..20).map(|at| format!("char w{at} dev=0:0\n")).collect(),
        ),
    ]));
    seeds
}
