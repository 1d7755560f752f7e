/// Limits on a compressed stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a zstd frame's window. The decoder keeps that memory until a frame needs a larger window.
    pub zstd_window_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            zstd_window_bytes: 128 << 20,
        }
    }
}
