//! Whom a parser tells.

use super::super::Entry;

/// What a parser tells of an archive.
///
/// After an error from any of these the parser refuses to go on.
pub trait TarSink {
    /// Why the sink refuses.
    type Error;

    /// A header has been read completely, with all its extensions.
    ///
    /// # Errors
    ///
    /// Whatever the sink will not take.
    fn entry(&mut self, entry: &Entry<'_>) -> Result<(), Self::Error>;

    /// Bytes of the current entry, in order, never empty. `offset` is where they lie in the file: holes are not delivered.
    ///
    /// # Errors
    ///
    /// Whatever the sink will not take.
    fn data(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Self::Error>;

    /// All bytes of the current entry have been delivered.
    ///
    /// # Errors
    ///
    /// Whatever the sink will not take.
    fn end_entry(&mut self) -> Result<(), Self::Error>;
}
