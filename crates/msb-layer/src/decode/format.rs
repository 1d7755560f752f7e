use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::compression::Compression;
use super::limits::Limits;
use super::stream::StreamDecoder;
use super::window::WindowBudget;

/// One compression. A new one is a file under `formats/` with its row, two lines in `formats.rs` and its name in [`Compression`].
pub(super) struct Format {
    pub(super) compression: Compression,
    pub(super) name: &'static str,
    /// Returns whether a stream with these first bytes has this compression.
    pub(super) begins: fn(&[u8]) -> bool,
    /// Suffixes of the media types that announce it.
    pub(super) media_types: &'static [&'static str],
    pub(super) decoder: fn(&Setup) -> Box<dyn StreamDecoder>,
}

/// Settings for a decoder.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) limits: Limits,
    pub(super) windows: WindowBudget,
    pub(super) cancelled: Arc<AtomicBool>,
}
