use erofs_format::{BLOCK_SIZE, Dirent, FileType};
use fs_tree::{Child, Node, Tree};
use zerocopy::IntoBytes;

use crate::plan::{DirectoryPlan, Plan};

/// Appends a directory's data: blocks of dirents and names. Each block but the last is padded with zeros.
pub(super) fn fill(data: &mut Vec<u8>, tree: &Tree, plan: &Plan<'_>, directory: &DirectoryPlan) {
    let mut blocks = plan.directories.blocks(directory);
    let mut entries = Vec::new();
    while blocks.next_block(&mut entries) {
        data.resize(data.len().next_multiple_of(BLOCK_SIZE as usize), 0);
        fill_block(data, tree, plan, &entries);
    }
}

fn fill_block(data: &mut Vec<u8>, tree: &Tree, plan: &Plan<'_>, entries: &[Child<'_>]) {
    let mut nameoff = entries.len() * size_of::<Dirent>();
    for entry in entries {
        let dirent = Dirent {
            nid: plan.nid(entry.inode).into(),
            // OK because all names of a block end within its 4096 bytes.
            nameoff: u16::try_from(nameoff).unwrap_or(u16::MAX).into(),
            file_type: file_type(tree, entry) as u8,
            reserved: 0,
        };
        data.extend_from_slice(dirent.as_bytes());
        nameoff += entry.name.len();
    }
    for entry in entries {
        data.extend_from_slice(entry.name);
    }
}

fn file_type(tree: &Tree, entry: &Child<'_>) -> FileType {
    match tree.inode(entry.inode).node {
        Node::Directory(_) => FileType::Directory,
        Node::Regular { .. } => FileType::Regular,
        Node::Symlink(_) => FileType::Symlink,
        Node::CharDevice { .. } | Node::Whiteout => FileType::CharDevice,
        Node::BlockDevice { .. } => FileType::BlockDevice,
        Node::Fifo => FileType::Fifo,
        Node::Socket => FileType::Socket,
    }
}
