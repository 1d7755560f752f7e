//! Fields of a header that no recipe can write.

use msb_testkit::tar;

use crate::Seeds;

/// The trailer of star, and the GNU headers of Go before 1.8.
pub(super) fn seeds() -> Seeds {
    let block = |recipe: &str, fields: &[(usize, &[u8])]| {
        let mut archive = tar::recipe(recipe);
        for (at, bytes) in fields {
            archive[*at..at + bytes.len()].copy_from_slice(bytes);
        }
        archive[148..156].fill(b' ');
        let sum: u32 = archive[..512].iter().map(|byte| u32::from(*byte)).sum();
        archive[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        archive
    };
    let signed: Vec<u8> = {
        let mut archive = block("file \\xff\\xe4a data=x format=v7", &[]);
        let sum: i64 = archive[..512]
            .iter()
            .enumerate()
            .map(|(at, byte)| match (at, byte) {
                (148..156, _) => 32,
                (_, 0x80..) => i64::from(*byte) - 256,
                _ => i64::from(*byte),
            })
            .sum();
        archive[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        archive
    };
    vec![
        (
            "star.tar".to_owned(),
            block(
                "file n data=x format=ustar",
                &[(345, b"prefix"), (476, b"00000000001\0"), (508, b"tar\0")],
            ),
        ),
        (
            "go-prefix.tar".to_owned(),
            block("file n data=x format=gnu", &[(345, b"usr/share/doc")]),
        ),
        (
            "gnu-times.tar".to_owned(),
            block(
                "file n data=x format=gnu",
                &[(345, b"14000000000\x0014000000000\0")],
            ),
        ),
        ("signed-sum.tar".to_owned(), signed),
        (
            "ustar-prefix.tar".to_owned(),
            block("file n data=x format=ustar", &[(345, b"p/q")]),
        ),
        (
            "octal-blanks.tar".to_owned(),
            block("file n data=x format=ustar", &[(100, b"   644 \0")]),
        ),
        (
            "octal-bad.tar".to_owned(),
            block("file n data=x format=ustar", &[(100, b"0000648\0")]),
        ),
        (
            "bad-mtime.tar".to_owned(),
            block("file n data=x format=ustar", &[(136, b"zzzzzzzzzzz\0")]),
        ),
        (
            "bad-gid.tar".to_owned(),
            block("file n data=x format=ustar", &[(116, b"zzzzzzz\0")]),
        ),
        (
            "bad-size.tar".to_owned(),
            block(
                "file n data=x format=ustar",
                &[(124, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")],
            ),
        ),
        ("bad-sum-field.tar".to_owned(), {
            let mut bytes = tar::recipe("file n data=x");
            bytes[148] = b'z';
            bytes
        }),
        (
            "bad-devmajor.tar".to_owned(),
            block("char n dev=1:3 format=ustar", &[(329, b"zzzzzzz\0")]),
        ),
        (
            "bad-devminor.tar".to_owned(),
            block("char n dev=1:3 format=ustar", &[(337, b"zzzzzzz\0")]),
        ),
        (
            "bad-realsize.tar".to_owned(),
            block(
                "file s sparse=gnu format=gnu map=0:1 size=9",
                &[(483, b"zzzzzzz\0")],
            ),
        ),
        (
            "bad-slot-length.tar".to_owned(),
            block(
                "file s sparse=gnu format=gnu map=0:1 size=9",
                &[(398, b"zzzzzzz\0")],
            ),
        ),
        (
            "base256-too-large.tar".to_owned(),
            block(
                "file n data=x format=ustar",
                &[(124, b"\x80\0\0\x01\0\0\0\0\0\0\0\0")],
            ),
        ),
        (
            "bad-slot.tar".to_owned(),
            block(
                "file s sparse=gnu format=gnu map=0:1 size=9",
                &[(386, b"zzzzzzz\0")],
            ),
        ),
    ]
}
