//! A file tree in memory, and the rules for applying the changes of an OCI layer to it.
//!
//! A [`Tree`] is an arena: inodes and directory entries have 32-bit ids, names lie in one byte pool, and equal xattr sets are
//! stored once. A file takes about 130 bytes plus its name.
//!
//! ```text
//!  entries   (parent, name) -> inode      found by hash; one per name
//!  inodes    metadata + Node              Directory | Regular | Symlink | devices | Whiteout
//!            Regular -> Content           where the bytes are: (device, offset), extents with holes, or inline
//! ```
//!
//! A layer is a sequence of [`Change`]s in the order of its tar. [`LayerApplier`] applies them to an empty tree, which becomes
//! the layer's own tree, including whiteouts; [`merge_layer`] applies them to the tree of the layers below. Both use the same
//! rules (OCI image specification, `layer.md`), so a layer means the same alone and merged.
//!
//! This crate knows neither tar nor EROFS and does no I/O. Names and paths are bytes. Changes may be hostile: no function
//! recurses, and every invalid change is an error.
//!
//! ```
//! use fs_tree::{Change, ChangeKind, LayerApplier, Metadata, NewNode, Tree};
//!
//! let mut tree = Tree::new();
//! let mut layer = LayerApplier::new(&mut tree);
//! layer.apply(&Change {
//!     path: b"usr/bin/sh",
//!     kind: ChangeKind::Node {
//!         metadata: Metadata { mode: 0o777, ..Metadata::default() },
//!         xattrs: &[],
//!         node: NewNode::Symlink { target: b"dash" },
//!     },
//! })?;
//! let usr = tree.lookup(tree.root(), b"usr").unwrap();
//! assert!(tree.directory(usr).unwrap().implied);
//! # Ok::<(), fs_tree::ApplyError>(())
//! ```

mod apply;
mod apply_error;
mod bytes;
mod change;
mod inode;
mod resolve;
mod show;
mod tree;
mod tree_error;
mod walk;
mod xattrs;

pub use apply::{Applied, LayerApplier, LayerMerge, Whiteout, merge_layer};
pub use apply_error::ApplyError;
pub use change::{Change, ChangeKind, NewContent, NewNode};
pub use inode::{
    Content, Directory, Extent, Inode, InodeId, Metadata, Node, SymlinkTarget, Timestamp,
};
pub use show::show_path;
pub use tree::{Child, Tree};
pub use tree_error::{MAX_DEPTH, TreeError};
pub use walk::{Visit, Walk};
pub use xattrs::XattrsId;
