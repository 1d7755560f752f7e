//! The expected tree of a disk, written as recipes are: a verb, a path from the root, and everything that is not the default.
//!
//! ```text
//! dir / mtime=0                                   mode=0755 uid=0 gid=0 mtime=1700000000 and no xattrs by default
//! file /a size=5000 seed=1 mode=4755 uid=7        contents from a seed, or data=hello\n
//! link /b target=/a                               another name of /a, which comes first in the order of bytes
//! file /s size=20000 seed=2 map=0:512,8192:100 holes=4096:4096,12288:7712      what is not in the map is zeros
//! symlink /l target=../x      char /c dev=1:3      block /d dev=8:0      fifo /p      xattr.user.a=hex:00ff
//! ```
//!
//! The tree must have these paths and no others. The link count of a file is the number of its names here. `holes` are the holes of the
//! image, in whole blocks; `holes=none` expects none.

use std::collections::BTreeMap;
use std::io::Read;

use integration_tests::Failure;
use integration_tests::reader::MAX_SUMMED_BYTES;
use msb_testkit::content::{Content, Fill};
use msb_testkit::digest;
use msb_testkit::tar::{DEFAULT_MTIME_SECONDS, value};
use msb_testkit::tree::{Entry, Listing};

/// Offset and length.
pub(crate) type Segment = (u64, u64);

#[derive(Debug, Default)]
pub(crate) struct ExpectedTree {
    pub(crate) listing: Listing,
    /// Files whose holes are compared.
    pub(crate) holes: BTreeMap<Vec<u8>, Vec<Segment>>,
    /// Files too large for a digest, with their seeds and the ranges of their data.
    pub(crate) huge: BTreeMap<Vec<u8>, (u64, Vec<Segment>)>,
}

/// The contents of a file.
#[derive(Debug, Default)]
struct Contents {
    size: u64,
    seed: u64,
    data: Option<Vec<u8>>,
    map: Option<Vec<Segment>>,
}

impl ExpectedTree {
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let mut tree = Self::default();
        for line in text.lines().map(str::trim) {
            if !line.is_empty() && !line.starts_with('#') {
                tree.add(line)
                    .map_err(|problem| format!("{line}: {problem}"))?;
            }
        }
        let entries = &mut tree.listing.entries;
        let targets: Vec<Vec<u8>> = entries
            .values()
            .filter_map(|entry| entry.link.clone())
            .collect();
        for target in targets {
            let full = entries.get(&target).ok_or("a link to what is not there")?;
            let kind = full.kind;
            for entry in entries.values_mut() {
                if entry.link.as_ref() == Some(&target) {
                    entry.kind = kind;
                }
            }
            *entries.get_mut(&target).unwrap().nlink.get_or_insert(1) += 1;
        }
        Ok(tree)
    }

    fn add(&mut self, line: &str) -> Result<(), Failure> {
        let mut words = line.split_whitespace();
        let verb = words.next().ok_or("an empty line")?;
        let path = value(words.next().ok_or("a path is missing")?)?;
        if !path.starts_with(b"/") {
            return Err("the path is not from the root".into());
        }
        let kind = match verb {
            "dir" => 'd',
            "file" | "link" => 'f',
            "symlink" => 'l',
            "char" => 'c',
            "block" => 'b',
            "fifo" => 'p',
            _ => return Err("unknown verb".into()),
        };
        let mut entry = Entry {
            kind,
            mode: match kind {
                'd' => 0o755,
                'l' => 0o777,
                _ => 0o644,
            },
            mtime: Some((DEFAULT_MTIME_SECONDS, 0)),
            nlink: (kind != 'd').then_some(1),
            xattrs: Some(BTreeMap::new()),
            ..Entry::default()
        };
        let mut contents = Contents::default();
        for word in words {
            let (key, text) = word.split_once('=').ok_or("not key=value")?;
            match key {
                "mode" => entry.mode = u32::from_str_radix(text, 8)?,
                "uid" => entry.uid = text.parse()?,
                "gid" => entry.gid = text.parse()?,
                "mtime" => entry.mtime = Some(time(text)?),
                "size" => contents.size = text.parse()?,
                "seed" => contents.seed = text.parse()?,
                "data" => contents.data = Some(value(text)?),
                "map" => contents.map = Some(segments(text)?),
                "holes" => {
                    self.holes.insert(path.clone(), segments(text)?);
                }
                "target" => entry.target = Some(value(text)?),
                "dev" => {
                    let (major, minor) = text.split_once(':').ok_or("dev is major:minor")?;
                    entry.rdev = Some((major.parse()?, minor.parse()?));
                }
                _ => {
                    let name = key.strip_prefix("xattr.").ok_or("unknown key")?;
                    let all = entry.xattrs.get_or_insert_default();
                    all.insert(value(name)?, value(text)?);
                }
            }
        }
        if verb == "link" {
            entry = Entry {
                kind,
                link: entry.target,
                ..Entry::default()
            };
        } else if kind == 'f' {
            self.file(&path, &mut entry, contents)?;
        }
        match self.listing.entries.insert(path, entry) {
            None => Ok(()),
            Some(_) => Err("the path comes twice".into()),
        }
    }

    fn file(&mut self, path: &[u8], entry: &mut Entry, contents: Contents) -> Result<(), Failure> {
        let Contents {
            size,
            seed,
            data,
            map,
        } = contents;
        let size = data.as_ref().map_or(size, |data| data.len() as u64);
        entry.size = Some(size);
        let map = map.unwrap_or_else(|| vec![(0, size)]);
        if size > MAX_SUMMED_BYTES {
            self.huge.insert(path.to_vec(), (seed, map));
            return Ok(());
        }
        let bytes = match data {
            Some(data) => data,
            None => {
                let mut bytes = vec![0; usize::try_from(size)?];
                for (at, len) in map {
                    let range = usize::try_from(at)?..usize::try_from(at + len)?;
                    Content::new(seed, Fill::Random, at).read_exact(&mut bytes[range])?;
                }
                bytes
            }
        };
        entry.sha256 = Some(digest::sha256(&bytes).replace("sha256:", ""));
        Ok(())
    }
}

/// Parses a decimal number into seconds and nanoseconds, rounded down to seconds: -1.25 is -2 s and 750,000,000 ns.
fn time(text: &str) -> Result<(i64, u32), Failure> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let nanos: u32 = format!("{fraction:0<9}").parse()?;
    let secs: i64 = whole.parse()?;
    Ok(if whole.starts_with('-') && nanos > 0 {
        (secs - 1, 1_000_000_000 - nanos)
    } else {
        (secs, nanos)
    })
}

fn segments(text: &str) -> Result<Vec<Segment>, Failure> {
    if text == "none" {
        return Ok(Vec::new());
    }
    let mut all = Vec::new();
    for pair in text.split(',') {
        let (at, len) = pair.split_once(':').ok_or("offset:length,...")?;
        all.push((at.parse()?, len.parse()?));
    }
    Ok(all)
}
