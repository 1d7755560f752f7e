use std::io;

use crate::ReadAt;

/// The size of a window in bytes.
const WINDOW: u64 = 16 * 1024;
/// The number of windows: 4 MiB in all.
const SLOTS: u64 = 256;

/// The most recently read parts of the primary device, so that checking a million inodes does not take a million reads.
///
/// The cache is direct-mapped: a window of the device has one slot it can be in. Writers place inodes and directories
/// of neighbours next to each other, so a better replacement strategy has no benefit.
pub(crate) struct Cache {
    slots: Vec<Window>,
}

struct Window {
    /// The number of the window in this slot; `None` while `bytes` are not valid.
    number: Option<u64>,
    bytes: Vec<u8>,
}

impl Cache {
    pub(crate) fn new() -> Self {
        let empty = || Window {
            number: None,
            bytes: Vec::new(),
        };
        Self {
            slots: (0..SLOTS).map(|_| empty()).collect(),
        }
    }

    /// Fills `buf` from `offset` of `device`, of which the first `device_bytes` may be read. The caller has checked
    /// that `buf` is within these.
    pub(crate) fn read(
        &mut self,
        device: &impl ReadAt,
        device_bytes: u64,
        mut buf: &mut [u8],
        mut offset: u64,
    ) -> io::Result<()> {
        while !buf.is_empty() {
            let window = self.window(device, device_bytes, offset / WINDOW)?;
            // OK because the remainder is below the window's size.
            let skip = usize::try_from(offset % WINDOW).unwrap_or(usize::MAX);
            let bytes = window
                .get(skip..)
                .filter(|bytes| !bytes.is_empty())
                .ok_or(io::ErrorKind::UnexpectedEof)?;
            let here = bytes.len().min(buf.len());
            let (head, rest) = buf.split_at_mut(here);
            head.copy_from_slice(&bytes[..here]);
            buf = rest;
            offset += here as u64;
        }
        Ok(())
    }

    fn window(
        &mut self,
        device: &impl ReadAt,
        device_bytes: u64,
        number: u64,
    ) -> io::Result<&[u8]> {
        let index = usize::try_from(number % SLOTS).unwrap_or(0);
        let slot = &mut self.slots[index];
        if slot.number != Some(number) {
            slot.number = None;
            let start = number * WINDOW;
            let len = device_bytes.saturating_sub(start).min(WINDOW);
            slot.bytes.resize(usize::try_from(len).unwrap_or(0), 0);
            device.read_exact_at(&mut slot.bytes, start)?;
            slot.number = Some(number);
        }
        Ok(&slot.bytes)
    }
}
