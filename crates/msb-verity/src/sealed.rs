use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use sha2::{Digest as _, Sha256};

use crate::HASH_BYTES;

/// Appends the digest of all bytes of a file of leaf hashes. The file is open for reading and writing.
///
/// # Errors
/// The error of a read or write.
pub fn seal(file: &mut File) -> io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    let mut hasher = Hashing(Sha256::new());
    io::copy(file, &mut hasher)?;
    file.write_all(&hasher.0.finalize())
}

/// Returns the leaf hashes of a sealed file, from the first one on; `None` if it is not the unchanged file of this many blocks.
///
/// # Errors
/// The error of a read.
pub fn open_sealed(mut file: File, blocks: u64) -> io::Result<Option<io::Take<File>>> {
    let hash_bytes = HASH_BYTES as u64;
    let bytes = blocks.checked_mul(hash_bytes);
    let Some(bytes) =
        bytes.filter(|bytes| file.metadata().is_ok_and(|m| m.len() == bytes + hash_bytes))
    else {
        return Ok(None);
    };
    file.seek(SeekFrom::Start(0))?;
    let mut hasher = Hashing(Sha256::new());
    io::copy(&mut (&mut file).take(bytes), &mut hasher)?;
    let mut expected = [0; HASH_BYTES];
    match file.read_exact(&mut expected) {
        Ok(()) => {}
        // It became shorter meanwhile.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    if hasher.0.finalize()[..] != expected {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(Some(file.take(bytes)))
}

struct Hashing(Sha256);

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use super::*;

    #[test]
    fn a_sealed_file_is_read_and_a_changed_one_is_not() {
        let sealed = || {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&[7; 3 * HASH_BYTES]).unwrap();
            seal(&mut file).unwrap();
            file
        };
        let mut leaves = Vec::new();
        let opened = open_sealed(sealed(), 3).unwrap();
        opened.unwrap().read_to_end(&mut leaves).unwrap();
        assert_eq!(leaves, [7; 3 * HASH_BYTES]);
        for blocks in [0, 2, 4, u64::MAX] {
            assert!(open_sealed(sealed(), blocks).unwrap().is_none());
        }
        for at in [0, 40, 96, 127] {
            let file = sealed();
            file.write_all_at(&[8], at).unwrap();
            assert!(open_sealed(file, 3).unwrap().is_none(), "{at}");
        }
    }
}
