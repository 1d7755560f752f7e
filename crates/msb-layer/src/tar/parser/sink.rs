//! The receiver of a parser's entries.

use super::super::Entry;

/// Receives the entries of an archive.
///
/// After an error from any of these methods, the parser fails.
pub trait TarSink {
    /// The sink's error.
    type Error;

    /// Receives an entry's header, with all its extensions applied.
    ///
    /// # Errors
    ///
    /// Any error of the sink, which ends the parse.
    fn entry(&mut self, entry: &Entry<'_>) -> Result<(), Self::Error>;

    /// Receives bytes of the current entry, in order, never empty. `offset` is their place in the file; holes are not delivered.
    ///
    /// # Errors
    ///
    /// Any error of the sink, which ends the parse.
    fn data(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Self::Error>;

    /// Ends the current entry, after all of its bytes.
    ///
    /// # Errors
    ///
    /// Any error of the sink, which ends the parse.
    fn end_entry(&mut self) -> Result<(), Self::Error>;
}
