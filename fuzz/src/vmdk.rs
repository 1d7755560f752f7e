//! Target `vmdk`: the text of a disk descriptor.
//!
//! Asserted, for every input that is text:
//! - a parsed descriptor can be written and parses again to the same value;
//! - it parses as in QEMU: the same extents, lengths and names, in the same order;
//! - a descriptor with the lines of the input as names, if it can be written, parses to the same value.

use msb_stitch::vmdk::{Descriptor, Extent, MAX_BYTES, MAX_NAME_BYTES};

use crate::heap;
use crate::supply::Supply;

const HEAP_BYTES: usize = 8 << 20;

/// Runs the target.
///
/// # Panics
/// When something that is asserted does not hold.
pub fn run(bytes: &[u8]) {
    heap::bounded(HEAP_BYTES, || {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return;
        };
        if let Ok(descriptor) = Descriptor::parse(text) {
            let written = descriptor.render().expect("what is read can be written");
            assert!(written.len() <= MAX_BYTES);
            assert_eq!(Descriptor::parse(&written).as_ref(), Ok(&descriptor));
            assert_eq!(qemu_extents(text), descriptor.extents);
            assert_eq!(qemu_extents(&written), descriptor.extents);
        }
        made_of_names(text);
    });
}

fn made_of_names(text: &str) {
    let mut supply = Supply::new(text.as_bytes());
    let cid = supply.number() as u32;
    let extents = text.split('\n').take(8).map(|line| Extent {
        sectors: supply.number(),
        file: line.to_owned(),
    });
    let descriptor = Descriptor {
        cid,
        extents: extents.collect(),
    };
    if let Ok(written) = descriptor.render() {
        assert_eq!(Descriptor::parse(&written).as_ref(), Ok(&descriptor));
        assert_eq!(qemu_extents(&written), descriptor.extents);
    }
}

/// Parses the lines as QEMU's `vmdk_parse_extents`: `sscanf` with `%10s %lld %10s "%511[^\n\r"]" %lld`; lines that do not match are
/// skipped.
fn qemu_extents(text: &str) -> Vec<Extent> {
    text.split('\n').filter_map(qemu_extent).collect()
}

fn qemu_extent(line: &str) -> Option<Extent> {
    let blank = |c: char| matches!(c, ' ' | '\t' | '\r' | '\x0b' | '\x0c');
    let word = |text: &str| -> Option<(String, usize)> {
        let start = text.len() - text.trim_start_matches(blank).len();
        let end = text[start..]
            .find(blank)
            .map_or(text.len(), |end| start + end);
        (start < end && end - start <= 10).then(|| (text[start..end].to_owned(), end))
    };
    let (access, end) = word(line)?;
    let rest = line[end..].trim_start_matches(blank);
    let signed = rest.strip_prefix(['+', '-']).unwrap_or(rest);
    let digits = signed.len()
        - signed
            .trim_start_matches(|c: char| c.is_ascii_digit())
            .len();
    let sectors: i64 = signed[..digits]
        .parse()
        .ok()
        .filter(|sectors| *sectors > 0)?;
    let (kind, end) = word(&signed[digits..])?;
    let rest = signed[digits + end..]
        .trim_start_matches(blank)
        .strip_prefix('"')?;
    let close = rest.find(['"', '\r'])?;
    let file = &rest[..close];
    let tail = rest[close..].strip_prefix('"')?.trim_start_matches(blank);
    let offset: i64 = tail.trim_end_matches(blank).parse().ok()?;
    // RDONLY and ZERO extents are skipped.
    let known = access == "RW" && kind == "FLAT" && offset == 0 && !file.is_empty();
    (known && file.len() <= MAX_NAME_BYTES).then(|| Extent {
        sectors: sectors as u64,
        file: file.to_owned(),
    })
}
