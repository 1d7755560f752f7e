//! One entry of a recipe, and how it is written.

use std::io::{self, Read, Write};

use super::extension::{pad, write_gnu_long, write_records};
use super::header::{BLOCK_BYTES, Format, Header, OCTAL_8_MAX, OCTAL_12_MAX};
use crate::content::{Content, Fill};

/// What a line of a recipe stands for.
#[derive(Debug, Clone)]
pub(crate) enum Item {
    Entry(Box<Entry>),
    Global(Vec<(Vec<u8>, Vec<u8>)>),
    Bytes(Vec<u8>),
    NoEnd,
}

#[derive(Debug, Clone)]
pub(crate) enum Data {
    Seeded { seed: u64, fill: Fill },
    Bytes(Vec<u8>),
}

/// Where large numbers go, whatever the format would choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbers {
    Auto,
    Base256,
    Pax,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SparseForm {
    Gnu,
    Pax00,
    Pax01,
    Pax10,
}

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) typeflag: u8,
    pub(crate) path: Vec<u8>,
    pub(crate) link: Vec<u8>,
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    pub(crate) uname: Vec<u8>,
    pub(crate) gname: Vec<u8>,
    /// Whole seconds, for the header.
    pub(crate) mtime: i64,
    /// As the recipe spells it, for an extended header.
    pub(crate) mtime_text: String,
    pub(crate) major: u32,
    pub(crate) minor: u32,
    /// Logical size of the file, in bytes, when the data is seeded.
    pub(crate) size: u64,
    pub(crate) data: Data,
    /// Overrides the header's size field, whatever follows.
    pub(crate) header_size: Option<u64>,
    pub(crate) format: Format,
    pub(crate) numbers: Numbers,
    pub(crate) version: Option<Vec<u8>>,
    pub(crate) bad_checksum: bool,
    pub(crate) slash: bool,
    pub(crate) sparse: Option<SparseForm>,
    /// Segments that have data: offset and length in bytes.
    pub(crate) map: Vec<(u64, u64)>,
    /// Records of the extended header that the recipe asks for.
    pub(crate) records: Vec<(Vec<u8>, Vec<u8>)>,
}

type Records = Vec<(Vec<u8>, Vec<u8>)>;

impl Entry {
    pub(crate) fn new(typeflag: u8, path: Vec<u8>) -> Self {
        Entry {
            typeflag,
            path,
            link: Vec::new(),
            mode: match typeflag {
                b'5' => 0o755,
                b'2' => 0o777,
                _ => 0o644,
            },
            uid: 0,
            gid: 0,
            uname: Vec::new(),
            gname: Vec::new(),
            mtime: super::DEFAULT_MTIME_SECONDS,
            mtime_text: super::DEFAULT_MTIME_SECONDS.to_string(),
            major: 0,
            minor: 0,
            size: 0,
            data: Data::Seeded {
                seed: 0,
                fill: Fill::Random,
            },
            header_size: None,
            format: Format::Pax,
            numbers: Numbers::Auto,
            version: None,
            bad_checksum: false,
            slash: true,
            sparse: None,
            map: Vec::new(),
            records: Vec::new(),
        }
    }

    pub(crate) fn fill(&self) -> Fill {
        match self.data {
            Data::Seeded { fill, .. } => fill,
            Data::Bytes(_) => Fill::Random,
        }
    }

    pub(crate) fn seed(&self) -> u64 {
        match self.data {
            Data::Seeded { seed, .. } => seed,
            Data::Bytes(_) => 0,
        }
    }

    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut name = self.path.clone();
        if self.typeflag == b'5' && self.slash && !name.ends_with(b"/") {
            name.push(b'/');
        }
        let prologue = self.sparse_prologue();
        let stored = prologue.len() as u64 + self.stored_bytes();
        let mut records = self.sparse_records(&mut name);
        self.overflow_records(&name, stored, &mut records);
        records.extend(self.records.iter().cloned());
        if !records.is_empty() {
            write_records(out, b'x', b"PaxHeaders/entry", &records)?;
        }
        if self.format == Format::Gnu {
            write_gnu_long(out, b'L', &name)?;
            write_gnu_long(out, b'K', &self.link)?;
        }
        let mut block = self.header(&name, stored).finish();
        if self.bad_checksum {
            block[148] ^= 1;
        }
        out.write_all(&block)?;
        self.write_gnu_sparse_extension(out)?;
        out.write_all(&prologue)?;
        self.write_data(out)?;
        pad(out, stored)
    }

    fn header(&self, name: &[u8], stored: u64) -> Header {
        let typeflag = if self.sparse == Some(SparseForm::Gnu) {
            b'S'
        } else {
            self.typeflag
        };
        let mut header = Header::new(self.format, typeflag);
        match split_ustar(name).filter(|_| self.format == Format::Ustar) {
            Some((prefix, rest)) => {
                header.text(345, 155, prefix);
                header.text(0, 100, rest);
            }
            None => header.text(0, 100, name),
        }
        header.text(157, 100, &self.link);
        header.number(100, 8, i128::from(self.mode));
        self.number(&mut header, 108, 8, i128::from(self.uid), OCTAL_8_MAX);
        self.number(&mut header, 116, 8, i128::from(self.gid), OCTAL_8_MAX);
        self.number(
            &mut header,
            124,
            12,
            i128::from(self.header_size.unwrap_or(stored)),
            OCTAL_12_MAX,
        );
        self.number(&mut header, 136, 12, i128::from(self.mtime), OCTAL_12_MAX);
        if self.format != Format::V7 {
            header.text(265, 32, &self.uname);
            header.text(297, 32, &self.gname);
            header.number(329, 8, i128::from(self.major));
            header.number(337, 8, i128::from(self.minor));
        }
        if let Some(version) = &self.version {
            header.text(263, 2, version);
        }
        if self.sparse == Some(SparseForm::Gnu) {
            for (slot, &(offset, length)) in self.map.iter().take(4).enumerate() {
                header.number(386 + slot * 24, 12, i128::from(offset));
                header.number(398 + slot * 24, 12, i128::from(length));
            }
            header.block[482] = u8::from(self.map.len() > 4);
            header.number(483, 12, i128::from(self.size));
        }
        header
    }

    fn number(&self, header: &mut Header, at: usize, width: usize, value: i128, octal_max: u64) {
        let fits = (0..=i128::from(octal_max)).contains(&value);
        match (self.numbers, self.format) {
            (Numbers::Base256, _) => header.base256(at, width, value),
            // The extended header says it; the field holds nothing that could be taken for the value.
            (Numbers::Pax, _) => header.number(at, width, 0),
            (Numbers::Auto, Format::Pax) if !fits => header.number(at, width, 0),
            (Numbers::Auto, _) => header.number(at, width, value),
        }
    }

    fn overflow_records(&self, name: &[u8], stored: u64, records: &mut Records) {
        if self.format != Format::Pax {
            return;
        }
        let forced = self.numbers == Numbers::Pax;
        let mut add = |key: &str, value: Vec<u8>| records.push((key.as_bytes().to_vec(), value));
        if name.len() > 100 {
            add("path", name.to_vec());
        }
        if self.link.len() > 100 {
            add("linkpath", self.link.clone());
        }
        if self.numbers == Numbers::Base256 {
            return;
        }
        if forced || stored > OCTAL_12_MAX {
            add("size", stored.to_string().into_bytes());
        }
        if forced || self.uid > OCTAL_8_MAX {
            add("uid", self.uid.to_string().into_bytes());
        }
        if forced || self.gid > OCTAL_8_MAX {
            add("gid", self.gid.to_string().into_bytes());
        }
        let seconds_fit = u64::try_from(self.mtime).is_ok_and(|seconds| seconds <= OCTAL_12_MAX);
        if forced || !seconds_fit || self.mtime_text != self.mtime.to_string() {
            add("mtime", self.mtime_text.clone().into_bytes());
        }
    }

    fn sparse_records(&self, name: &mut Vec<u8>) -> Records {
        let mut records = Records::new();
        let mut add = |key: &str, value: Vec<u8>| {
            records.push((format!("GNU.sparse.{key}").into_bytes(), value))
        };
        let text = |number: u64| number.to_string().into_bytes();
        match self.sparse {
            None | Some(SparseForm::Gnu) => {}
            Some(SparseForm::Pax00) => {
                add("size", text(self.size));
                add("numblocks", text(self.map.len() as u64));
                for &(offset, length) in &self.map {
                    add("offset", text(offset));
                    add("numbytes", text(length));
                }
            }
            Some(SparseForm::Pax01) => {
                add("size", text(self.size));
                add("numblocks", text(self.map.len() as u64));
                add("name", name.clone());
                let map: Vec<String> = self
                    .map
                    .iter()
                    .map(|(offset, length)| format!("{offset},{length}"))
                    .collect();
                add("map", map.join(",").into_bytes());
                *name = b"GNUSparseFile.0/file".to_vec();
            }
            Some(SparseForm::Pax10) => {
                add("major", b"1".to_vec());
                add("minor", b"0".to_vec());
                add("name", name.clone());
                add("realsize", text(self.size));
                *name = b"GNUSparseFile.0/file".to_vec();
            }
        }
        records
    }

    /// The map that the third PAX form puts before the data, in whole blocks.
    fn sparse_prologue(&self) -> Vec<u8> {
        if self.sparse != Some(SparseForm::Pax10) {
            return Vec::new();
        }
        let mut text = format!("{}\n", self.map.len());
        for (offset, length) in &self.map {
            text.push_str(&format!("{offset}\n{length}\n"));
        }
        let mut bytes = text.into_bytes();
        bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), 0);
        bytes
    }

    fn write_gnu_sparse_extension(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.sparse != Some(SparseForm::Gnu) || self.map.len() <= 4 {
            return Ok(());
        }
        let chunks: Vec<_> = self.map[4..].chunks(21).collect();
        for (index, chunk) in chunks.iter().enumerate() {
            let mut block = Header {
                block: [0; BLOCK_BYTES],
            };
            for (slot, &(offset, length)) in chunk.iter().enumerate() {
                block.number(slot * 24, 12, i128::from(offset));
                block.number(slot * 24 + 12, 12, i128::from(length));
            }
            block.block[504] = u8::from(index + 1 < chunks.len());
            out.write_all(&block.block)?;
        }
        Ok(())
    }

    fn stored_bytes(&self) -> u64 {
        match (&self.data, self.sparse) {
            (_, Some(_)) => self.map.iter().map(|(_, length)| length).sum(),
            (Data::Bytes(bytes), None) => bytes.len() as u64,
            (Data::Seeded { .. }, None) if matches!(self.typeflag, b'0' | b'7' | 0) => self.size,
            (Data::Seeded { .. }, None) => 0,
        }
    }

    fn write_data(&self, out: &mut dyn Write) -> io::Result<()> {
        let whole = [(0, self.stored_bytes())];
        let segments = if self.sparse.is_some() {
            &self.map[..]
        } else {
            &whole
        };
        match &self.data {
            Data::Bytes(bytes) => out.write_all(bytes),
            Data::Seeded { seed, fill } => {
                for &(offset, length) in segments {
                    io::copy(&mut Content::new(*seed, *fill, offset).take(length), out)?;
                }
                Ok(())
            }
        }
    }
}

/// Splits a long name at a slash, so that at most 155 bytes are before it and 100 after it.
fn split_ustar(name: &[u8]) -> Option<(&[u8], &[u8])> {
    if name.len() <= 100 {
        return None;
    }
    (0..name.len().min(156))
        .rev()
        .find(|&at| name[at] == b'/' && at > 0 && (1..=100).contains(&(name.len() - at - 1)))
        .map(|at| (&name[..at], &name[at + 1..]))
}
