use erofs_format::{Dirent, FileType, NAME_MAX};
use zerocopy::FromBytes;

use crate::DirProblem;

const DIRENT: usize = size_of::<Dirent>();

/// One entry of a directory block, with its name still in the block.
pub(crate) struct RawEntry<'a> {
    pub(crate) nid: u64,
    pub(crate) file_type: FileType,
    pub(crate) name: &'a [u8],
}

/// A problem and its offset in the block.
pub(crate) type Bad = (usize, DirProblem);

/// Returns the number of entries of a block: the first name follows the last entry (kernel: `erofs_readdir`).
pub(crate) fn count(block: &[u8]) -> Result<usize, Bad> {
    let nameoff = match Dirent::read_from_prefix(block) {
        Ok((first, _)) => first.nameoff.get(),
        Err(_) => 0,
    };
    let at = usize::from(nameoff);
    if at < DIRENT || at % DIRENT != 0 || at >= block.len() {
        let len = block.len();
        return Err((0, DirProblem::FirstName { nameoff, len }));
    }
    Ok(at / DIRENT)
}

/// Parses and checks entry `index` of the `count` entries of a block.
pub(crate) fn entry(block: &[u8], index: usize, count: usize) -> Result<RawEntry<'_>, Bad> {
    let at = index * DIRENT;
    let dirent = |at: usize| {
        // OK because all `count` entries precede the first name, which is in the block.
        Dirent::read_from_bytes(&block[at..at + DIRENT]).expect("the slice has an entry's size")
    };
    let this = dirent(at);
    let start = usize::from(this.nameoff.get());
    let end = if index + 1 < count {
        dirent(at + DIRENT).nameoff.get().into()
    } else {
        let last = block.get(start..).unwrap_or_default();
        start
            + last
                .iter()
                .position(|byte| *byte == 0)
                .unwrap_or(last.len())
    };
    let bounds = DirProblem::NameBounds {
        start,
        end,
        len: block.len(),
    };
    let name = block.get(start..end).ok_or((at, bounds))?;
    if start < count * DIRENT || name.is_empty() || name.len() > NAME_MAX {
        return Err((at, bounds));
    }
    if name.contains(&0) || name.contains(&b'/') {
        return Err((at, DirProblem::NameBytes));
    }
    if index + 1 == count && block[end..].iter().any(|byte| *byte != 0) {
        return Err((end, DirProblem::Tail));
    }
    let file_type = file_type(this.file_type).ok_or((
        at,
        DirProblem::FileType {
            file_type: this.file_type,
        },
    ))?;
    Ok(RawEntry {
        nid: this.nid.get(),
        file_type,
        name,
    })
}

fn file_type(number: u8) -> Option<FileType> {
    [
        FileType::Regular,
        FileType::Directory,
        FileType::CharDevice,
        FileType::BlockDevice,
        FileType::Fifo,
        FileType::Socket,
        FileType::Symlink,
    ]
    .into_iter()
    .find(|file_type| *file_type as u8 == number)
}
