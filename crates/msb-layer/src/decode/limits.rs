/// Limits on what a compressed stream may claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the window of a zstd frame. The decoder holds that memory until a frame needs a larger window.
    pub zstd_window_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            zstd_window_bytes: 128 << 20,
        }
    }
}
