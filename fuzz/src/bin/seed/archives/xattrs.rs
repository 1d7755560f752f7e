//! Extended attributes in both of their dialects.

use super::of_recipes;
use crate::Seeds;

const CAPABILITY: &str = "xattr.security.capability=hex:0100000200200000000000000000000000000000";

const RECIPES: &[(&str, &str)] = &[
    (
        "xattrs",
        "file a data=x xattr.user.b=2 xattr.user.a=1 xattr.trusted.t=hex:00ff xattr.system.posix_acl_access=hex:0200000001000600ffffffff04000400ffffffff20000400ffffffff xattr.odd=1",
    ),
    (
        "xattrs-overlay",
        "dir d xattr.trusted.overlay.opaque=y xattr.user.overlay.whiteout=y\nfile d/a data=x xattr.user.a=1 xattr.user.a=2",
    ),
    (
        "xattrs-libarchive",
        "file a data=x libarchive.user.b=hello libarchive.user.%25c=hex:00 libarchive.user.d= pax.LIBARCHIVE.xattr.user.%41=YQ==",
    ),
    (
        "xattrs-shared",
        "file a data=x xattr.user.a=same\nfile b data=y xattr.user.a=same\nfile c data=z xattr.user.a=same xattr.user.c=d",
    ),
    ("bad-pax-percent", "file a pax.LIBARCHIVE.xattr.user.%zz=YQ"),
    (
        "bad-pax-percent-cut",
        "file a pax.LIBARCHIVE.xattr.user.%4=YQ",
    ),
    ("bad-pax-base64", "file a pax.LIBARCHIVE.xattr.user.a=Y"),
    (
        "bad-pax-base64-digit",
        "file a pax.LIBARCHIVE.xattr.user.a=Y!==",
    ),
    (
        "bad-pax-base64-padding",
        "file a pax.LIBARCHIVE.xattr.user.a=Y===",
    ),
    (
        "bad-pax-nul-name",
        "file a pax.LIBARCHIVE.xattr.user.%00=YQ",
    ),
];

pub(super) fn seeds() -> Seeds {
    let mut seeds = of_recipes(RECIPES);
    seeds.extend(of_recipes(&[(
        "capability",
        format!("file a size=3000 seed=7 mode=4755 {CAPABILITY}"),
    )]));
    seeds
}
