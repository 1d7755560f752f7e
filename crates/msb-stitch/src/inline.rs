use std::fmt;
use std::fs::File;
use std::io;

use erofs_writer::InlineData;
use msb_sidecar::InlineWindow;

use crate::DeviceId;

/// The low bits of an inline key, which are the offset in the sidecar. The bits above them are the device.
pub(crate) const KEY_BITS: u32 = 48;

/// The longest read of inline data from a sidecar. It is short, because there may be hundreds of layers.
const READ_AHEAD_BYTES: usize = 32 << 10;

/// The number of sidecars that stay open if they can be reopened. Each refill of another sidecar's window opens it.
const OPEN_FILES: usize = 8;

/// Opens the sidecar of a device.
pub(crate) type OpenSidecar = Box<dyn FnMut(DeviceId) -> io::Result<File> + Send>;

/// The inline data of a merged tree, read back from the sidecars of its layers.
#[derive(Debug, Default)]
pub(crate) struct Inline {
    /// By device, from 1; `None` for a sidecar without inline data.
    windows: Vec<Option<InlineWindow>>,
    files: Files,
}

/// The source of the sidecars.
enum Files {
    /// All of them stay open.
    Held(Vec<Option<File>>),
    /// Each is opened when it is read, and the [`OPEN_FILES`] that were opened last stay open.
    Reopened {
        open: OpenSidecar,
        recent: Vec<(DeviceId, File)>,
    },
}

impl Inline {
    /// Creates a reader that opens a sidecar only to read it.
    pub(crate) fn reopening(open: OpenSidecar) -> Self {
        Self {
            windows: Vec::new(),
            files: Files::Reopened {
                open,
                recent: Vec::new(),
            },
        }
    }

    /// Registers the sidecar of a device.
    pub(crate) fn add(&mut self, device: DeviceId, sidecar: &File) -> io::Result<()> {
        let at = device.index();
        if self.windows.len() <= at {
            self.windows.resize_with(at + 1, || None);
        }
        self.windows[at] = Some(InlineWindow::new(READ_AHEAD_BYTES));
        if let Files::Held(held) = &mut self.files {
            if held.len() <= at {
                held.resize_with(at + 1, || None);
            }
            held[at] = Some(sidecar.try_clone()?);
        }
        Ok(())
    }
}

impl InlineData for Inline {
    fn read(&mut self, key: u64, buffer: &mut [u8]) -> io::Result<()> {
        let (device, key) = (key >> KEY_BITS, key & ((1 << KEY_BITS) - 1));
        let device = u16::try_from(device).ok().and_then(DeviceId::new);
        let device = device.ok_or(io::ErrorKind::NotFound)?;
        let window = self
            .windows
            .get_mut(device.index())
            .and_then(Option::as_mut)
            .ok_or(io::ErrorKind::NotFound)?;
        if window.read(key, buffer) {
            return Ok(());
        }
        window.refill(self.files.get(device)?, key, buffer)
    }
}

impl Files {
    fn get(&mut self, device: DeviceId) -> io::Result<&File> {
        match self {
            Self::Held(held) => {
                let file = held.get(device.index()).and_then(Option::as_ref);
                file.ok_or_else(|| io::ErrorKind::NotFound.into())
            }
            Self::Reopened { open, recent } => {
                let at = match recent.iter().position(|(open, _)| *open == device) {
                    Some(at) => at,
                    None => {
                        if recent.len() >= OPEN_FILES {
                            recent.remove(0);
                        }
                        recent.push((device, open(device)?));
                        recent.len() - 1
                    }
                };
                // OK because `at` is the place of a file that was found or just added.
                Ok(&recent[at].1)
            }
        }
    }
}

impl Default for Files {
    fn default() -> Self {
        Self::Held(Vec::new())
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, open) = match self {
            Self::Held(held) => ("Held", held.len()),
            Self::Reopened { recent, .. } => ("Reopened", recent.len()),
        };
        f.debug_tuple(name).field(&open).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const DEVICES: u16 = 50;

    fn devices() -> impl Iterator<Item = DeviceId> {
        (1..=DEVICES).filter_map(DeviceId::new)
    }

    fn byte(device: DeviceId) -> u8 {
        device.get().to_le_bytes()[0]
    }

    fn sidecar(device: DeviceId) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[byte(device); 100_000]).unwrap();
        file
    }

    #[test]
    fn hundreds_of_sidecars_need_few_open_files() {
        let opened = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&opened);
        let mut inline = Inline::reopening(Box::new(move |device| {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok(sidecar(device))
        }));
        for device in devices() {
            inline.add(device, &sidecar(device)).unwrap();
        }
        let mut buffer = [0; 700];
        for at in (0..90_000).step_by(700) {
            for device in devices() {
                let key = u64::from(device.get()) << KEY_BITS | at;
                inline.read(key, &mut buffer).unwrap();
                assert_eq!(buffer, [byte(device); 700]);
            }
        }
        let Files::Reopened { recent, .. } = &inline.files else {
            panic!("files are held");
        };
        assert_eq!(recent.len(), OPEN_FILES);
        // Each window is filled a few times, and an open costs no more than one fill.
        let fills = opened.load(Ordering::Relaxed) / usize::from(DEVICES);
        assert!(fills <= 8, "{fills} for each sidecar");
    }

    #[test]
    fn a_key_without_a_sidecar_is_an_error() {
        let mut inline = Inline::default();
        let second = DeviceId::new(2).unwrap();
        inline.add(second, &sidecar(second)).unwrap();
        for key in [0, 1 << KEY_BITS, 3 << KEY_BITS, u64::MAX] {
            let error = inline.read(key, &mut [0]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
        }
        inline.read(2 << KEY_BITS, &mut [0]).unwrap();
    }
}
