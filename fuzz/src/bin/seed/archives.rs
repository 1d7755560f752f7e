//! Archives: each dialect, each form, each fault.

use msb_testkit::image::Layer;
use msb_testkit::tar;

use crate::Seeds;

const CAPABILITY: &str = "xattr.security.capability=hex:0100000200200000000000000000000000000000";

/// Name and recipe.
const RECIPES: &[(&str, &str)] = &[
    ("empty", ""),
    ("noend", "file a data=x\nnoend"),
    ("noend-nothing", "noend"),
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
    (
        "xattrs",
        "file a data=x xattr.user.b=2 xattr.user.a=1 xattr.trusted.t=hex:00ff xattr.system.posix_acl_access=hex:02000000 xattr.odd=1",
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
    (
        "sizes",
        "file s1 size=1 seed=1\nfile s511 size=511 seed=2\nfile s512 size=512 seed=3\nfile s513 size=513 seed=4\nfile s2048 size=2048 seed=5\nfile s2049 size=2049 seed=6",
    ),
    ("size-block", "file s4096 size=4096 seed=4"),
    ("size-block-and-one", "file s4097 size=4097 seed=4"),
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
    ("bad-checksum", "file a data=x checksum=bad"),
    (
        "bad-number",
        "raw a numbers=base256 mtime=0 uid=99999999999",
    ),
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
    (
        "bad-pax-nul-sparse-name",
        "file a pax.GNU.sparse.name=a\\x00b",
    ),
    ("bad-pax-overflow", "file a pax.size=99999999999999999999"),
    ("bad-sparse-map-offset", "file a pax.GNU.sparse.map=x,1"),
    ("bad-pax-nul", "file a pax.path=a\\x00b"),
    ("bad-pax-nul-keyword", "file a pax.x\\x00y=1"),
    ("bad-pax-number", "file a pax.uid=1x"),
    ("bad-pax-id", "file a pax.uid=4294967296"),
    ("bad-pax-time", "file a pax.mtime=1e9"),
    ("bad-pax-fraction", "file a pax.mtime=1.x"),
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
    ("bad-sparse-number", "file a pax.GNU.sparse.size=x"),
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
    ("dangling", "raw p type=x data=hex:3130207569643d33370a\n"),
    (
        "lone-zero",
        "file a data=x\nbytes hex:00\nfile b data=y\nnoend",
    ),
    ("trailing", "file a data=x\nbytes hex:00"),
];

pub(crate) fn seeds() -> Seeds {
    let mut seeds: Seeds = RECIPES
        .iter()
        .map(|(name, recipe)| (format!("{name}.tar"), tar::recipe(recipe)))
        .collect();
    let long = "n".repeat(255);
    let path = format!("{}/{}", "p".repeat(120), "q".repeat(90));
    for (name, recipe) in [
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
        ("deep", format!("file {}x data=x", "p/".repeat(100))),
        (
            "capability",
            format!("file a size=3000 seed=7 mode=4755 {CAPABILITY}"),
        ),
        (
            "directory",
            (0..40)
                .map(|at| format!("symlink d/{at:03}{} target=x\n", "n".repeat(100)))
                .collect(),
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
    ] {
        seeds.push((format!("{name}.tar"), tar::recipe(&recipe)));
    }
    let map = |text: &[u8], len: usize| {
        let mut block = text.to_vec();
        block.resize(len, b'0');
        let hex: String = block.iter().map(|byte| format!("{byte:02x}")).collect();
        let version = "pax.GNU.sparse.major=1 pax.GNU.sparse.minor=0";
        format!("file s data=hex:{hex} {version} pax.GNU.sparse.realsize=9")
    };
    for (name, text, len) in [
        ("cut", &b"3\n1\n1\n"[..], 512),
        ("bad", b"x\n", 512),
        ("blank-line", b"\n", 512),
        ("many", b"41\n", 512),
        ("short", b"1\n0\n1\n", 20),
        ("two-blocks", b"3\n1\n1\n", 1024),
        ("overflow", b"99999999999999999999\n", 512),
    ] {
        seeds.push((
            format!("sparse-map-{name}.tar"),
            tar::recipe(&map(text, len)),
        ));
    }
    let large = "file s sparse=pax0.1 map=0:2000000 size=9000000";
    let large = tar::recipe(large)[..2048].to_vec();
    seeds.push(("sparse-image-bytes.tar".to_owned(), large));
    seeds.extend(zero_blocks());
    seeds.extend(star());
    seeds.extend(compressed());
    seeds
}

fn odd_map(count: u64, step: u64) -> String {
    let pieces: Vec<String> = (0..count).map(|at| format!("{}:1", at * step)).collect();
    pieces.join(",")
}

/// What a recipe cannot say of blocks of zeros.
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

/// star's trailer, and what Go before 1.8 wrote into GNU headers.
fn star() -> Seeds {
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

fn compressed() -> Seeds {
    let recipe = "dir d\nfile d/a data=hello\\n\nfile d/b size=3000 seed=1 fill=text\nlink d/c target=d/b\nsymlink s target=d/a";
    let layer = || Layer::recipe(recipe);
    let blob = |layer: Layer| layer.blob_bytes().expect("it is in memory").to_vec();
    let (gzip, zstd) = (blob(layer().gzip()), blob(layer().zstd()));
    let header = |flags: u8, fields: &[u8]| {
        [
            &[0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 0, 255],
            fields,
            &gzip[10..],
        ]
        .concat()
    };
    let crc = |header: &[u8]| (crc32fast::hash(header) as u16).to_le_bytes();
    let mut with_crc = header(2, &[]);
    let sum = crc(&with_crc[..10]);
    with_crc.splice(10..10, sum);
    let mut all = vec![
        0x1f, 0x8b, 8, 0x1f, 1, 2, 3, 4, 0, 255, 3, 0, b'x', b'y', b'z', b'n', 0, b'c', 0,
    ];
    let sum = crc(&all);
    all.extend_from_slice(&sum);
    all.extend_from_slice(&gzip[10..]);
    let changed = |bytes: &[u8], from_end: usize| {
        let mut bytes = bytes.to_vec();
        let at = bytes.len() - from_end;
        bytes[at] ^= 1;
        bytes
    };
    let at = |bytes: &[u8], at: usize, byte: u8| {
        let mut bytes = bytes.to_vec();
        bytes[at] = byte;
        bytes
    };
    let skippable = [0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, b'a', b'b', b'c'];
    let stored = stored_gzip(layer().tar_bytes());
    [
        ("gzip", gzip.clone()),
        ("gzip-members", blob(layer().gzip_members(3))),
        ("gzip-stored", stored),
        ("gzip-zeros", [&gzip[..], &[0; 100]].concat()),
        ("gzip-trailing", [&gzip[..], b"x"].concat()),
        ("gzip-zeros-and-more", [&gzip[..], &[0, 0, 1]].concat()),
        ("gzip-half-magic", [&gzip[..], &[0x1f]].concat()),
        ("gzip-not-magic", [&gzip[..], &[0x1f, 0x8c]].concat()),
        ("gzip-header-crc", with_crc),
        ("gzip-header-all", all.clone()),
        ("gzip-header-bad-crc", at(&all, 19, all[19] ^ 1)),
        ("gzip-extra-empty", header(4, &[0, 0])),
        ("gzip-name", header(8, b"name\0")),
        ("gzip-comment", header(16, b"comment\0")),
        ("gzip-method", at(&gzip, 2, 7)),
        ("gzip-flags", at(&gzip, 3, 0x80)),
        ("gzip-deflate", at(&gzip, 10, 0xff)),
        ("gzip-cut", gzip[..gzip.len() / 2].to_vec()),
        ("gzip-cut-header", gzip[..6].to_vec()),
        ("gzip-cut-trailer", gzip[..gzip.len() - 3].to_vec()),
        ("gzip-checksum", changed(&gzip, 8)),
        ("gzip-length", changed(&gzip, 4)),
        ("gzip-magic-alone", vec![0x1f, 0x8b]),
        ("zstd", zstd.clone()),
        ("zstd-frames", blob(layer().zstd_frames(3, true))),
        ("zstd-skippable-first", [&skippable[..], &zstd].concat()),
        ("zstd-skippable-alone", skippable.to_vec()),
        ("zstd-zeros", [&zstd[..], &[0; 10]].concat()),
        ("zstd-zeros-and-more", [&zstd[..], &[0, 1]].concat()),
        ("zstd-trailing", [&zstd[..], b"trailing"].concat()),
        ("zstd-cut", zstd[..zstd.len() / 2].to_vec()),
        ("zstd-cut-header", zstd[..5].to_vec()),
        ("zstd-cut-magic", [&zstd[..], &zstd[..3]].concat()),
        ("zstd-corrupt", at(&zstd, 20, zstd[20] ^ 0xff)),
        (
            "zstd-window",
            vec![0x28, 0xb5, 0x2f, 0xfd, 0x04, 0xff, 0, 0, 0, 0, 0, 0],
        ),
        (
            "zstd-no-window",
            vec![
                0x28, 0xb5, 0x2f, 0xfd, 0xe3, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
            ],
        ),
        ("zstd-not-a-frame", [&skippable[..], b"abcd"].concat()),
        (
            "zstd-window-budget",
            vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x4c, 0, 0, 0, 0, 0, 0],
        ),
        ("gzip-bomb", blob(Layer::tar(vec![0; 3 << 19]).gzip())),
        ("zstd-bomb", blob(Layer::tar(vec![0; 3 << 19]).zstd())),
        ("plain-short", b"abc".to_vec()),
    ]
    .map(|(name, bytes)| (name.to_owned(), bytes))
    .into()
}

/// One member whose deflate blocks are not compressed, so that a change of the archive is one of the stream.
fn stored_gzip(plain: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let pieces: Vec<_> = plain.chunks(60_000).collect();
    for (index, piece) in pieces.iter().enumerate() {
        let len = piece.len() as u16;
        bytes.push(u8::from(index + 1 == pieces.len()));
        bytes.extend_from_slice(&len.to_le_bytes());
        bytes.extend_from_slice(&(!len).to_le_bytes());
        bytes.extend_from_slice(piece);
    }
    bytes.extend_from_slice(&crc32fast::hash(plain).to_le_bytes());
    bytes.extend_from_slice(&(plain.len() as u32).to_le_bytes());
    bytes
}
