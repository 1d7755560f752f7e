use erofs_format::XattrNamespace;
use fs_tree::{InodeId, Node, Tree, show_path};
use msb_sidecar::{Note, Notes};

use crate::acl;
use crate::tar::Entry;

/// Collects the fidelity notes of a layer.
#[derive(Debug, Default)]
pub(super) struct LayerNotes {
    notes: Notes,
    /// Hard links to files outside this layer: their number, and the first path.
    links_below: Option<(u64, String)>,
}

impl LayerNotes {
    pub(super) fn push(&mut self, note: Note) {
        self.notes.push(note);
    }

    pub(super) fn link_below(&mut self, path: &[u8]) {
        let (count, _) = self.links_below.get_or_insert_with(|| (0, shown(path)));
        *count += 1;
    }

    /// Adds a note for attributes of an entry in forms that are not decoded.
    pub(super) fn lost(&mut self, entry: &Entry<'_>, path: &[u8]) {
        let lost = entry.lost;
        if lost.text_acl || lost.file_flags || lost.selinux {
            self.notes.push(Note::LostAttributes {
                path: shown(path),
                text_acl: lost.text_acl,
                file_flags: lost.file_flags,
                selinux: lost.selinux,
            });
        }
    }

    /// Returns the xattrs that the disk can hold. Adds a note for each of the others.
    pub(super) fn kept_xattrs<'a>(
        &mut self,
        entry: &Entry<'a>,
        path: &[u8],
    ) -> Vec<(&'a [u8], &'a [u8])> {
        let mut kept = Vec::new();
        for (name, value) in entry.xattrs.iter() {
            let describe = || (shown(path), shown(name));
            if name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.") {
                let (path, name) = describe();
                self.notes.push(Note::OverlayXattr { path, name });
            } else if !erofs_can_hold(name, value) {
                let (path, name) = describe();
                self.notes.push(Note::UnsupportedXattr { path, name });
            } else if acl::is_acl(name) && !acl::is_valid(value) {
                let (path, name) = describe();
                self.notes.push(Note::MalformedAcl { path, name });
            } else {
                kept.push((name, value));
            }
        }
        kept
    }

    /// Returns all notes, including those on the layer's tree as a whole.
    pub(super) fn finish(mut self, tree: &Tree) -> Vec<Note> {
        if let Some((count, first)) = self.links_below {
            self.notes.push(Note::LinksBelow { count, first });
        }
        if tree.directory(tree.root()).is_some_and(|root| root.opaque) {
            self.notes.push(Note::OpaqueRoot);
        }
        if let Some((count, first)) = implied(tree) {
            self.notes.push(Note::ImpliedDirectories {
                count,
                first: show_path(&tree.directory_path(first)).to_string(),
            });
        }
        self.notes.into_vec()
    }
}

/// Returns a path or a name as text for a note, cut if it is longer than Linux accepts.
pub(super) fn shown(bytes: &[u8]) -> String {
    const MAX_SHOWN: usize = 4095;
    show_path(&bytes[..bytes.len().min(MAX_SHOWN)]).to_string()
}

/// The longest full name of an xattr in bytes (Linux `XATTR_NAME_MAX`).
const MAX_XATTR_NAME: usize = 255;

fn erofs_can_hold(name: &[u8], value: &[u8]) -> bool {
    XattrNamespace::split(name).is_some()
        && name.len() <= MAX_XATTR_NAME
        && value.len() <= usize::from(u16::MAX)
}

/// Returns the number of directories that the layer only implies, without the root, and one of them.
fn implied(tree: &Tree) -> Option<(u64, InodeId)> {
    let mut implied: Option<(u64, InodeId)> = None;
    let mut pending = vec![tree.root()];
    while let Some(directory) = pending.pop() {
        for child in tree.children(directory) {
            let Node::Directory(directory) = &tree.inode(child.inode).node else {
                continue;
            };
            pending.push(child.inode);
            if directory.implied {
                implied.get_or_insert((0, child.inode)).0 += 1;
            }
        }
    }
    implied
}
