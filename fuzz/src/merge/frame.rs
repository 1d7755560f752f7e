//! Writes a sidecar in its documented form, without its writer.

use erofs_format::Crc32c;
use msb_sidecar::VERSION;

use super::BLOCK;
use crate::supply::Supply;

/// Returns sections with valid lengths and checksums: two bytes of the length of the records, one of the whiteouts, then both and the notes.
pub(crate) fn framed(supply: &mut Supply<'_>) -> Vec<u8> {
    let records = usize::from(supply.byte()) << 8 | usize::from(supply.byte());
    let whiteouts = usize::from(supply.byte());
    let image_blocks = [0, 1, 2, 16, u64::MAX / BLOCK][supply.below(5)];
    let sections = [supply.take(records), supply.take(whiteouts), supply.rest()];
    frame(sections, image_blocks.saturating_mul(BLOCK))
}

/// Returns a whole sidecar around three sections.
fn frame(sections: [&[u8]; 3], image_bytes: u64) -> Vec<u8> {
    let mut file = sections.concat();
    let mut trailer = Vec::new();
    for section in sections {
        trailer.extend_from_slice(&(section.len() as u64).to_le_bytes());
        trailer.extend_from_slice(&1_u64.to_le_bytes());
        trailer.extend_from_slice(&Crc32c::of(section).get().to_le_bytes());
    }
    trailer.extend_from_slice(&image_bytes.to_le_bytes());
    trailer.extend_from_slice(&[0; 4 + 16]);
    let sum = Crc32c::of(&trailer).get();
    trailer.extend_from_slice(&sum.to_le_bytes());
    trailer.extend_from_slice(&VERSION.to_le_bytes());
    trailer.extend_from_slice(b"MSBLAYER");
    file.extend_from_slice(&trailer);
    file
}
