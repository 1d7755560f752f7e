//! Disk descriptors, valid and malformed.

use crate::Seeds;

const HEAD: &str = "# Disk DescriptorFile\nversion=1\nCID=1a2b3c4c\nparentCID=ffffffff\ncreateType=\"twoGbMaxExtentFlat\"\n";

pub(crate) fn seeds() -> Seeds {
    let lines: &[(&str, &str)] = &[
        ("none", ""),
        ("one", "RW 2048 FLAT \"fsmeta.erofs\" 0\n"),
        (
            "two",
            "# Extent description\nRW 2048 FLAT \"fsmeta.erofs\" 0\nRW 81920 FLAT \"layers/sha256/ab.erofs\" 0\n",
        ),
        ("no-line-feed", "RW 8 FLAT \"a\" 0"),
        ("unicode", "RW 8 FLAT \"\u{fc} b'c\" 0\n"),
        ("blanks", "  RW 8 FLAT \"a\" 0  \n"),
        ("tabs", "RW\t8\tFLAT\t\"a\"\t0\n"),
        ("carriage-return", "RW 8 FLAT \"a\" 0\r\n"),
        ("rdonly", "RDONLY 8 FLAT \"a\" 0\n"),
        ("zero", "RW 8 ZERO\n"),
        ("offset", "RW 8 FLAT \"a\" 8\n"),
        ("no-offset", "RW 8 FLAT \"a\"\n"),
        ("negative", "RW -8 FLAT \"a\" 0\n"),
        ("plus", "RW +8 FLAT \"a\" 0\n"),
        ("huge", "RW 18446744073709551615 FLAT \"a\" 0\n"),
        ("too-huge", "RW 18446744073709551616 FLAT \"a\" 0\n"),
        ("empty-name", "RW 8 FLAT \"\" 0\n"),
        ("blank-name", "RW 8 FLAT \" a\" 0\n"),
        ("control", "RW 8 FLAT \"a\tb\" 0\n"),
        ("quote", "RW 8 FLAT \"a\"b\" 0\n"),
        ("two-quotes", "RW 8 FLAT \"a\" FLAT \"b\" 0\n"),
        ("empty-line", "\nRW 8 FLAT \"a\" 0\n"),
        ("two-cids", "CID=00000000\nRW 8 FLAT \"a\" 0\n"),
        ("bad-cid", "CID=x\n"),
        ("plus-cid", "CID=+1\n"),
        ("key", "ddb.adapterType = \"ide\"\n"),
    ];
    let mut seeds: Seeds = lines
        .iter()
        .map(|(name, lines)| {
            (
                format!("{name}.vmdk"),
                format!("{HEAD}{lines}").into_bytes(),
            )
        })
        .collect();
    let long = format!("{HEAD}RW 8 FLAT \"{}\" 0\n", "x".repeat(512));
    seeds.push(("long-name.vmdk".to_owned(), long.into_bytes()));
    seeds.push((
        "no-type.vmdk".to_owned(),
        b"# Disk DescriptorFile\nversion=1\nCID=1\n".to_vec(),
    ));
    seeds.push((
        "no-cid.vmdk".to_owned(),
        b"createType=\"twoGbMaxExtentFlat\"\n".to_vec(),
    ));
    seeds.push((
        "names".to_owned(),
        b"12345678fsmeta.erofs\n../a b\n/abs\n\xc3\xbc".to_vec(),
    ));
    seeds
}
