use std::io::{self, BufWriter, Read, Write};
use std::path::PathBuf;

use msb_layer::decode::{Decoder, Limits, Pool, PushError};

use super::tar_index::{Indexer, TarIndex};
use crate::source::error::ArchiveError;

/// Where the temporary copy of an archive is written, and how long it may be.
#[derive(Clone, Debug)]
pub(crate) struct CopyOptions {
    pub(crate) directory: PathBuf,
    /// The largest number of uncompressed bytes.
    pub(crate) limit: u64,
}

const READ_BYTES: usize = 256 << 10;

/// Copies `input`, decompressed if it is compressed, to a file that has no name, and indexes it meanwhile, so that what is no
/// archive is refused early.
pub(super) fn copy(
    archive: &str,
    input: &mut dyn Read,
    options: &CopyOptions,
) -> Result<TarIndex, ArchiveError> {
    let failed = |source| ArchiveError::Copy {
        archive: archive.to_owned(),
        directory: options.directory.clone(),
        source,
    };
    let file = tempfile::tempfile_in(&options.directory).map_err(failed)?;
    let mut output = BufWriter::with_capacity(READ_BYTES, file);
    let mut decoder = Decoder::new(Pool::new(READ_BYTES, 2), Limits::default());
    // The length of a stream is not known before its end.
    let mut indexer = Indexer::new(archive, u64::MAX);
    let mut written: u64 = 0;
    let mut write = |bytes: &[u8]| {
        written = written.saturating_add(bytes.len() as u64);
        if written > options.limit {
            return Err(ArchiveError::TooLong {
                archive: archive.to_owned(),
                limit: options.limit,
            });
        }
        indexer.push(bytes)?;
        output.write_all(bytes).map_err(failed)
    };
    let decoded = |error| match error {
        PushError::Output(error) => error,
        PushError::Decode(source) => ArchiveError::Decode {
            archive: archive.to_owned(),
            source,
        },
    };
    let mut bytes = vec![0; READ_BYTES];
    loop {
        let read = match input.read(&mut bytes) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => {
                return Err(ArchiveError::Read {
                    archive: archive.to_owned(),
                    source,
                });
            }
        };
        let pushed = decoder.push(&bytes[..read], &mut |chunk| write(&chunk));
        pushed.map_err(decoded)?;
    }
    decoder
        .finish(&mut |chunk| write(&chunk))
        .map_err(decoded)?;
    let file = output
        .into_inner()
        .map_err(|error| failed(error.into_error()))?;
    indexer.finish(file)
}
