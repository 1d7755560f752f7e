use crate::TreeError;

/// The place of some bytes in a [`ByteStore`]; by default, no bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
}

/// One growing pool of byte strings with 32-bit addresses, so that a million names are one allocation.
///
/// The length precedes the bytes as a varint: seven bits in each byte, lowest first, with the highest bit set if another byte
/// follows. Most names need one byte, where a field in each entry would take four.
#[derive(Clone, Debug)]
pub(crate) struct ByteStore {
    bytes: Vec<u8>,
}

impl Default for ByteStore {
    fn default() -> Self {
        // The default span is the empty one.
        Self { bytes: vec![0] }
    }
}

impl ByteStore {
    /// Returns the number of bytes in the pool, including lengths.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Span, TreeError> {
        let start = u32::try_from(self.bytes.len()).map_err(|_| TreeError::Full)?;
        let mut rest = bytes.len();
        while rest > 0x7F {
            self.bytes.push(0x80 | low_bits(rest));
            rest >>= 7;
        }
        self.bytes.push(low_bits(rest));
        self.bytes.extend_from_slice(bytes);
        Ok(Span { start })
    }

    pub(crate) fn get(&self, span: Span) -> &[u8] {
        let (mut len, mut at) = (0, span.start as usize);
        for shift in (0..).step_by(7) {
            let byte = self.bytes[at];
            at += 1;
            len |= usize::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        &self.bytes[at..][..len]
    }
}

fn low_bits(len: usize) -> u8 {
    len.to_le_bytes()[0] & 0x7F
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_every_length_come_back() {
        let mut store = ByteStore::default();
        let all: Vec<u8> = (0..=255).cycle().take(1 << 21).collect();
        let lens = [0, 1, 127, 128, 255, 16_383, 16_384, all.len(), 3];
        let spans = lens.map(|len| (store.push(&all[..len]).unwrap(), len));
        for (span, len) in spans {
            assert_eq!(store.get(span), &all[..len]);
        }
        assert_eq!(store.get(Span::default()), b"");
    }
}
