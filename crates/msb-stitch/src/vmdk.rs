//! The VMDK descriptor: a text that lays files end to end, as QEMU and the imago crate read it.
//!
//! ```text
//! # Disk DescriptorFile
//! version=1
//! CID=1a2b3c4c
//! parentCID=ffffffff
//! createType="twoGbMaxExtentFlat"
//! # Extent description
//! RW 2048 FLAT "disks/sha256/...erofs" 0
//! RW 81920 FLAT "layers/sha256/...erofs" 0
//! ```
//!
//! Each file has one line, whatever its size, with access `RW` and the offset column. QEMU skips `RDONLY` and `ZERO` extents
//! without an error, which would shift the disk, and older versions of imago read the offset as bytes. There is no empty line,
//! because QEMU reads the extent after one twice, which shifts the disk as well. There are no other keys, because imago refuses
//! those that it does not know. A descriptor that is parsed is untrusted.

use erofs_format::Crc32c;

/// The length of a sector, which is the unit of extent lengths, in bytes.
pub const SECTOR_SIZE: u64 = 512;

/// The longest descriptor in bytes. QEMU reads no more of it, and ignores the rest without an error.
pub const MAX_BYTES: usize = (1 << 20) - 1;

/// The longest file name in bytes. QEMU reads no more of it.
pub const MAX_NAME_BYTES: usize = 511;

/// A parsed descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// The content id, which is equal for equal disks.
    pub cid: u32,
    /// The files, in the order of the disk.
    pub extents: Vec<Extent>,
}

/// One file of a disk, taken whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Its length in sectors.
    pub sectors: u64,
    /// Its name, relative to the descriptor's directory or absolute.
    pub file: String,
}

/// Reports why a descriptor cannot be written or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VmdkError {
    /// A file name with a quotation mark or a control character, with a blank at its beginning or end, empty, or over 511
    /// bytes.
    #[error("a VMDK descriptor cannot name the file {file:?}")]
    FileName {
        /// The name.
        file: String,
    },
    /// A file of no bytes, or of more than a disk can have.
    #[error("a VMDK descriptor cannot have an extent of {sectors} sectors")]
    Length {
        /// The extent's length.
        sectors: u64,
    },
    /// The text is 1 MiB or longer.
    #[error("the VMDK descriptor has {bytes} bytes; QEMU reads {MAX_BYTES}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// A line that no descriptor of this crate has.
    #[error("line {line} of the VMDK descriptor is malformed")]
    Line {
        /// Which, from 1.
        line: usize,
    },
    /// A required line is missing.
    #[error("the VMDK descriptor has no {key}")]
    Missing {
        /// Its key.
        key: &'static str,
    },
}

const HEADER: &str = "# Disk DescriptorFile";
const CREATE_TYPE: &str = "createType=\"twoGbMaxExtentFlat\"";

impl Descriptor {
    /// Creates the descriptor of a disk of these files: names, and lengths in bytes. Equal disks have equal content ids.
    #[must_use]
    pub fn of_files(files: impl IntoIterator<Item = (String, u64)>) -> Self {
        let extents = files.into_iter().map(|(file, bytes)| Extent {
            sectors: bytes / SECTOR_SIZE,
            file,
        });
        let extents: Vec<Extent> = extents.collect();
        let names = extents.iter().fold(Crc32c::new(), |checksum, extent| {
            checksum.update(extent.file.as_bytes())
        });
        Self {
            // All ones would mean "no parent".
            cid: names.get() & 0xffff_fffe,
            extents,
        }
    }

    /// Returns the text of the descriptor.
    ///
    /// # Errors
    /// [`VmdkError::FileName`], [`VmdkError::Length`], [`VmdkError::TooLong`].
    pub fn render(&self) -> Result<String, VmdkError> {
        let mut text = head(self.cid);
        for Extent { sectors, file } in &self.extents {
            check_name(file)?;
            if !can_be_that_long(*sectors) {
                return Err(VmdkError::Length { sectors: *sectors });
            }
            text.push_str(&line(*sectors, file));
        }
        if text.len() > MAX_BYTES {
            Err(VmdkError::TooLong { bytes: text.len() })
        } else {
            Ok(text)
        }
    }

    /// Parses a descriptor that [`render`](Self::render) could have written, with any comments. The result can be rendered again,
    /// and all readers see the same extents.
    ///
    /// # Errors
    /// See [`VmdkError`].
    pub fn parse(text: &str) -> Result<Self, VmdkError> {
        if text.len() > MAX_BYTES {
            return Err(VmdkError::TooLong { bytes: text.len() });
        }
        let mut cid = None;
        let mut has_type = false;
        let mut extents = Vec::new();
        // No line is trimmed. Readers differ in what they count as blank, and a line that only some of them read shifts the disk.
        for (text, line) in text.split_terminator('\n').zip(1..) {
            let malformed = VmdkError::Line { line };
            if text.starts_with('#') || text == "version=1" || text == "parentCID=ffffffff" {
                continue;
            } else if text == CREATE_TYPE {
                has_type = true;
            } else if let Some(hex) = text.strip_prefix("CID=") {
                let is_hex = hex.bytes().all(|byte| byte.is_ascii_hexdigit());
                let parsed = u32::from_str_radix(hex, 16).ok().filter(|_| is_hex);
                cid = Some(parsed.ok_or(malformed)?);
            } else {
                extents.push(parse_extent(text).ok_or(malformed)?);
            }
        }
        if !has_type {
            return Err(VmdkError::Missing { key: "createType" });
        }
        Ok(Self {
            cid: cid.ok_or(VmdkError::Missing { key: "CID" })?,
            extents,
        })
    }
}

/// Returns the lines before the extents.
pub(crate) fn head(cid: u32) -> String {
    format!(
        "{HEADER}\nversion=1\nCID={cid:08x}\nparentCID=ffffffff\n{CREATE_TYPE}\n# Extent description\n"
    )
}

/// Returns the line of one extent.
pub(crate) fn line(sectors: u64, file: &str) -> String {
    format!("RW {sectors} FLAT \"{file}\" 0\n")
}

fn parse_extent(line: &str) -> Option<Extent> {
    let (sectors, rest) = line.strip_prefix("RW ")?.split_once(" FLAT \"")?;
    let file = rest.strip_suffix("\" 0")?;
    let is_number = sectors.bytes().all(|byte| byte.is_ascii_digit());
    let sectors = sectors.parse().ok().filter(|_| is_number)?;
    (can_be_named(file) && can_be_that_long(sectors)).then(|| Extent {
        sectors,
        file: file.to_owned(),
    })
}

/// Checks that a descriptor can name the file.
pub(crate) fn check_name(file: &str) -> Result<(), VmdkError> {
    if can_be_named(file) {
        Ok(())
    } else {
        Err(VmdkError::FileName { file: file.into() })
    }
}

fn can_be_named(file: &str) -> bool {
    let is_odd = |c: char| c == '"' || c.is_control();
    // imago trims names.
    let is_trimmed = file.trim() == file;
    !file.is_empty() && file.len() <= MAX_NAME_BYTES && is_trimmed && !file.contains(is_odd)
}

/// Returns whether an extent can have this length. QEMU refuses 0, and the bytes of a disk fit 63 bits.
fn can_be_that_long(sectors: u64) -> bool {
    const MOST: u64 = i64::MAX as u64 / SECTOR_SIZE;
    (1..=MOST).contains(&sectors)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor(file: &str) -> Descriptor {
        Descriptor {
            cid: 7,
            extents: vec![Extent {
                sectors: 8,
                file: file.into(),
            }],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for file in ["fsmeta.erofs", "../a b/it's/ü.erofs", "/abs"] {
            let descriptor = descriptor(file);
            assert_eq!(
                Descriptor::parse(&descriptor.render().unwrap()),
                Ok(descriptor)
            );
        }
    }

    #[test]
    fn a_name_that_qemu_would_cut_or_misread_is_refused() {
        for file in ["a\"b", "", "a\nb", " a", "a ", &"x".repeat(512)] {
            assert!(
                matches!(descriptor(file).render(), Err(VmdkError::FileName { .. })),
                "{file}"
            );
        }
        assert!(descriptor(&"x".repeat(511)).render().is_ok());
    }

    #[test]
    fn a_text_that_qemu_would_cut_is_refused() {
        let extent = Extent {
            sectors: 8,
            file: "x".repeat(500),
        };
        let descriptor = Descriptor {
            cid: 0,
            extents: vec![extent; 2100],
        };
        assert!(matches!(
            descriptor.render(),
            Err(VmdkError::TooLong { .. })
        ));
    }

    #[test]
    fn an_empty_line_before_an_extent_is_never_written_and_refused() {
        let good = descriptor("a").render().unwrap();
        assert!(good.lines().all(|line| !line.is_empty()));
        assert_eq!(
            Descriptor::parse(&good.replace("\nRW", "\n\nRW")),
            Err(VmdkError::Line { line: 7 })
        );
    }

    /// Found by the fuzz target `vmdk`.
    #[test]
    fn what_is_read_can_be_written_again() {
        let good = descriptor("a").render().unwrap();
        for (from, to) in [
            ("\"a\"", "\"\"".to_owned()),
            ("\"a\"", "\" a\"".to_owned()),
            ("\"a\"", "\"a\tb\"".to_owned()),
            ("\"a\"", format!("\"{}\"", "x".repeat(512))),
            (" 8 ", " 0 ".to_owned()),
            (" 8 ", " +8 ".to_owned()),
            (" 8 ", format!(" {} ", u64::MAX)),
            ("CID=0", "CID=+".to_owned()),
        ] {
            assert!(
                Descriptor::parse(&good.replace(from, &to)).is_err(),
                "{to:?}"
            );
        }
        for sectors in [0, u64::MAX] {
            let mut odd = descriptor("a");
            odd.extents[0].sectors = sectors;
            assert_eq!(odd.render(), Err(VmdkError::Length { sectors }));
        }
    }

    /// Found by the fuzz target `vmdk`: QEMU skips a line that begins with a blank that it does not know.
    #[test]
    fn lines_are_not_trimmed() {
        let good = descriptor("a").render().unwrap();
        for (from, to) in [
            ("RW 8", "\u{a0}RW 8"),
            ("RW 8", " RW 8"),
            ("\" 0\n", "\" 0\r\n"),
        ] {
            let text = good.replace(from, to);
            assert!(matches!(
                Descriptor::parse(&text),
                Err(VmdkError::Line { .. })
            ));
        }
    }

    #[test]
    fn extents_that_readers_disagree_on_are_refused() {
        let good = descriptor("a").render().unwrap();
        for (from, to) in [
            ("RW ", "RDONLY "),
            (" FLAT", " ZERO"),
            ("\" 0", "\""),
            ("\" 0", "\" 8"),
            (" 8 ", " -8 "),
        ] {
            assert!(Descriptor::parse(&good.replace(from, to)).is_err(), "{to}");
        }
    }
}
