//! The header of a gzip member, RFC 1952 section 2.3, byte by byte.

use crate::decode::error::Corruption;

const FHCRC: u8 = 1 << 1;
const FEXTRA: u8 = 1 << 2;
const FNAME: u8 = 1 << 3;
const FCOMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0xe0;

/// Reads a member's header and discards it.
#[derive(Debug)]
pub(super) struct HeaderReader {
    part: Part,
    flags: u8,
    /// Number of bytes of the current field read so far.
    at: u16,
    /// A two-byte number being read: the extra field's length, or the header's checksum.
    number: u16,
    crc: crc32fast::Hasher,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Fixed,
    ExtraLen,
    Extra,
    Name,
    Comment,
    Checksum,
    Done,
}

impl HeaderReader {
    pub(super) fn new() -> Self {
        Self {
            part: Part::Fixed,
            flags: 0,
            at: 0,
            number: 0,
            crc: crc32fast::Hasher::new(),
        }
    }

    /// Reads from `input`. Returns the number of bytes read, and whether they complete the header.
    pub(super) fn push(&mut self, input: &[u8]) -> Result<(usize, bool), Corruption> {
        for (index, byte) in input.iter().enumerate() {
            self.push_byte(*byte)?;
            if self.part == Part::Done {
                return Ok((index + 1, true));
            }
        }
        Ok((input.len(), false))
    }

    fn push_byte(&mut self, byte: u8) -> Result<(), Corruption> {
        if self.part != Part::Checksum && self.flags_known_without_crc() {
            self.crc.update(&[byte]);
        }
        let at = self.at;
        self.at = self.at.wrapping_add(1);
        let is_over = match self.part {
            Part::Fixed => {
                // Bytes 0 and 1 are the magic, which has been checked. Bytes 4 to 9 do not affect the data.
                match at {
                    2 if byte != 8 => return Err(Corruption::Method),
                    3 if byte & RESERVED != 0 => return Err(Corruption::Flags),
                    3 => self.flags = byte,
                    _ => {}
                }
                at == 9
            }
            Part::ExtraLen | Part::Checksum => {
                self.number |= u16::from(byte) << (8 * at);
                at == 1
            }
            Part::Extra => at + 1 == self.number,
            Part::Name | Part::Comment => byte == 0,
            Part::Done => true,
        };
        if is_over {
            self.next()?;
        }
        Ok(())
    }

    /// Returns whether this header has a checksum, or may have one.
    fn flags_known_without_crc(&self) -> bool {
        self.part == Part::Fixed || self.flags & FHCRC != 0
    }

    fn next(&mut self) -> Result<(), Corruption> {
        let has = |flag: u8| self.flags & flag != 0;
        if self.part == Part::Checksum {
            let crc = self.crc.clone().finalize() & 0xffff;
            if u32::from(self.number) != crc {
                return Err(Corruption::HeaderChecksum);
            }
        }
        let empty_extra = self.part == Part::ExtraLen && self.number == 0;
        self.part = match self.part {
            Part::Fixed if has(FEXTRA) => Part::ExtraLen,
            Part::ExtraLen if !empty_extra => Part::Extra,
            Part::Fixed | Part::ExtraLen | Part::Extra if has(FNAME) => Part::Name,
            Part::Fixed | Part::ExtraLen | Part::Extra | Part::Name if has(FCOMMENT) => {
                Part::Comment
            }
            Part::Checksum | Part::Done => Part::Done,
            _ if has(FHCRC) => Part::Checksum,
            _ => Part::Done,
        };
        self.at = 0;
        if self.part != Part::Extra {
            self.number = 0;
        }
        Ok(())
    }
}
