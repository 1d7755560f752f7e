//! PAX records of one entry and global ones: values, deletions and malformed records.

use super::of_recipes;
use crate::Seeds;

const RECIPES: &[(&str, &str)] = &[
    (
        "pax",
        "dir d mtime=1.5\nfile d/a size=10 seed=1 numbers=pax mtime=-1.5\nlink d/b target=d/a\nsymlink d/s target=../x",
    ),
    (
        "pax-odd-times",
        "file a data=x pax.mtime=123. \nfile b data=x pax.mtime=1.0000000019\nfile c data=x pax.mtime=-7",
    ),
    (
        "pax-deleted",
        "file a data=x pax.path= pax.linkpath= pax.uid= pax.gid= pax.mtime= pax.size= xattr.user.a=",
    ),
    (
        "pax-names",
        "file a data=x pax.path=d/e/f\nlink b target=c pax.linkpath=d/e/f\nfile x pax.comment=1 pax.hdrcharset=BINARY data=y",
    ),
    (
        "pax-lost",
        "file a data=x pax.SCHILY.fflags=nodump pax.SCHILY.acl.access=user::rw- pax.RHT.security.selinux=x",
    ),
    (
        "pax-lost-deleted",
        "file a data=x pax.SCHILY.fflags= pax.SCHILY.acl.access= pax.RHT.security.selinux=",
    ),
    (
        "pax-solaris",
        "raw PaxHeaders/a type=X data=hex:3130207569643d33370a\nfile a data=x",
    ),
    (
        "pax-twice",
        "raw PaxHeaders/a type=x data=hex:3130207569643d33370a\nraw PaxHeaders/a type=x data=hex:3130206769643d33370a\nfile a data=x",
    ),
    ("pax-empty", "raw PaxHeaders/a type=x\nfile a data=x"),
    ("pax-big-size", "file a data=hello pax.size=5 header-size=0"),
    (
        "global",
        "global uid=5 mtime=9.5 SCHILY.xattr.user.g=1 comment=x\nfile a data=x\nfile b data=y pax.uid= xattr.user.g=2 xattr.user.h=3",
    ),
    (
        "global-path",
        "global path=shared linkpath=there\nfile a data=x\nlink b target=q pax.path=b\nsymlink c target=q pax.linkpath= pax.path=c",
    ),
    (
        "global-twice",
        "global uid=5\nglobal uid= gid=7 size=0\nfile a",
    ),
    (
        "global-lost",
        "global SCHILY.fflags=x RHT.security.selinux=x SCHILY.acl.default=x\nfile a data=x",
    ),
    (
        "global-between",
        "raw PaxHeaders/a type=x data=hex:3130207569643d33370a\nglobal gid=3\nfile a data=x",
    ),
    ("dangling", "raw p type=x data=hex:3130207569643d33370a\n"),
    ("bad-pax-length", "raw p type=x data=x\\spath=a\\n\nfile a"),
    (
        "bad-pax-no-blank",
        "raw p type=x data=12345678901234567890123\nfile a",
    ),
    (
        "bad-pax-past-end",
        "raw p type=x data=99\\spath=a\\n\nfile a",
    ),
    ("bad-pax-line-feed", "raw p type=x data=9\\spath=ab\nfile a"),
    ("bad-pax-keyword", "raw p type=x data=8\\spatha\\n\nfile a"),
    ("bad-pax-no-keyword", "raw p type=x data=5\\s=a\\n\nfile a"),
    (
        "bad-pax-zero-length",
        "raw p type=x data=0\\spath=a\\n\nfile a",
    ),
    ("bad-pax-overflow", "file a pax.size=99999999999999999999"),
    ("bad-pax-nul", "file a pax.path=a\\x00b"),
    ("bad-pax-nul-keyword", "file a pax.x\\x00y=1"),
    ("bad-pax-number", "file a pax.uid=1x"),
    ("bad-pax-id", "file a pax.uid=4294967296"),
    ("bad-pax-time", "file a pax.mtime=1e9"),
    ("bad-pax-fraction", "file a pax.mtime=1.x"),
];

pub(super) fn seeds() -> Seeds {
    of_recipes(RECIPES)
}
