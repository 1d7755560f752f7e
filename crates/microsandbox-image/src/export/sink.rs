use std::fs::File;
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The number of bytes that are collected before a write.
const BUFFER_BYTES: usize = 256 << 10;

/// An output that is written from front to back. Holes take no space in a file, and are zeros in a stream.
pub(crate) struct Sink<'a> {
    output: Output<'a>,
    offset: u64,
}

/// Reports an output that cannot be written, after `offset` bytes.
#[derive(Debug)]
pub(crate) enum WriteError {
    File {
        path: PathBuf,
        offset: u64,
        source: io::Error,
    },
    Stream {
        offset: u64,
        source: io::Error,
    },
}

enum Output<'a> {
    File {
        writer: BufWriter<&'a File>,
        path: &'a Path,
    },
    Stream(BufWriter<&'a mut dyn Write>),
}

impl<'a> Sink<'a> {
    /// Creates a sink over an empty file, which has no name yet; errors name `path`.
    pub(crate) fn file(file: &'a File, path: &'a Path) -> Self {
        let writer = BufWriter::with_capacity(BUFFER_BYTES, file);
        Self {
            output: Output::File { writer, path },
            offset: 0,
        }
    }

    /// Creates a sink over a stream.
    pub(crate) fn stream(stream: &'a mut dyn Write) -> Self {
        let writer = BufWriter::with_capacity(BUFFER_BYTES, stream);
        Self {
            output: Output::Stream(writer),
            offset: 0,
        }
    }

    /// Writes bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        let written = match &mut self.output {
            Output::File { writer, .. } => writer.write_all(bytes),
            Output::Stream(writer) => writer.write_all(bytes),
        };
        written.map_err(|source| self.error(source))?;
        self.offset = self.offset.saturating_add(bytes.len() as u64);
        Ok(())
    }

    /// Writes a hole.
    pub(crate) fn skip(&mut self, bytes: u64) -> Result<(), WriteError> {
        const ZEROS: [u8; 16 << 10] = [0; 16 << 10];
        match &mut self.output {
            // Seeking writes the buffer, so that a short hole costs more than its zeros.
            Output::File { writer, .. } if bytes > BUFFER_BYTES as u64 => {
                let end = self.offset.checked_add(bytes);
                let end = end.ok_or(io::ErrorKind::FileTooLarge);
                let sought = end
                    .map_err(io::Error::from)
                    .and_then(|end| writer.seek(SeekFrom::Start(end)));
                self.offset = sought.map_err(|source| self.error(source))?;
            }
            _ => {
                let mut left = bytes;
                while left > 0 {
                    let here = usize::try_from(left).map_or(ZEROS.len(), |n| n.min(ZEROS.len()));
                    self.write(&ZEROS[..here])?;
                    left -= here as u64;
                }
            }
        }
        Ok(())
    }

    /// Writes what is buffered and returns the length of the output in bytes.
    pub(crate) fn finish(mut self) -> Result<u64, WriteError> {
        let offset = self.offset;
        let flushed = match &mut self.output {
            // A hole at the end is not written by seeking.
            Output::File { writer, .. } => writer
                .flush()
                .and_then(|()| writer.get_ref().set_len(offset)),
            Output::Stream(writer) => writer.flush(),
        };
        flushed.map_err(|source| self.error(source))?;
        Ok(offset)
    }

    fn error(&self, source: io::Error) -> WriteError {
        let offset = self.offset;
        match &self.output {
            Output::File { path, .. } => WriteError::File {
                path: path.to_path_buf(),
                offset,
                source,
            },
            Output::Stream(_) => WriteError::Stream { offset, source },
        }
    }
}
