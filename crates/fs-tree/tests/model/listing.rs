use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use fs_tree::{Content, InodeId, Metadata, Node as TreeNode, Tree, Walk};

use super::{Model, Node, OwnedContent, OwnedNode, Xattrs};

/// All properties of a tree, by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Listing(pub(crate) BTreeMap<String, Listed>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) metadata: Metadata,
    pub(crate) xattrs: Xattrs,
    pub(crate) what: What,
    /// The first path of the inode, and its link count.
    pub(crate) first_name: String,
    pub(crate) names: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Directory { implied: bool, opaque: bool },
    Leaf(OwnedNode),
    Whiteout,
}

/// Prints one line for each name, for golden tests.
impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (path, listed) in &self.0 {
            match &listed.what {
                What::Directory { implied, opaque } => {
                    write!(f, "{path}/ {:o}", listed.metadata.mode)?;
                    f.write_str(if *implied { " implied" } else { "" })?;
                    f.write_str(if *opaque { " opaque" } else { "" })?;
                }
                What::Whiteout => write!(f, "{path} whiteout")?,
                What::Leaf(OwnedNode::Regular { size, .. }) => write!(f, "{path} {size}")?,
                What::Leaf(OwnedNode::Symlink { target }) => write!(f, "{path} -> {target}")?,
                What::Leaf(other) => write!(f, "{path} {other:?}")?,
            }
            if listed.names != 1 {
                write!(f, " ={}x{}", listed.first_name, listed.names)?;
            }
            for (name, value) in &listed.xattrs {
                write!(f, " {name}={}", value.escape_ascii())?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

pub(crate) fn list_model(model: &Model) -> Listing {
    fn visit(path: &str, node: &Node, listing: &mut Listing, leaves: &mut Vec<Rc<super::Leaf>>) {
        let listed = match node {
            Node::Directory(directory) => Listed {
                metadata: directory.metadata,
                xattrs: directory.xattrs.clone(),
                what: What::Directory {
                    implied: directory.implied,
                    opaque: false,
                },
                first_name: path.to_owned(),
                names: 1,
            },
            Node::Leaf(leaf) => {
                // Temporarily an index in the list of leaves.
                let index = leaves
                    .iter()
                    .position(|other| Rc::ptr_eq(other, leaf))
                    .unwrap_or_else(|| {
                        leaves.push(Rc::clone(leaf));
                        leaves.len() - 1
                    });
                Listed {
                    metadata: leaf.metadata,
                    xattrs: leaf.xattrs.clone(),
                    what: What::Leaf(leaf.node.clone()),
                    first_name: index.to_string(),
                    names: 0,
                }
            }
        };
        listing.0.insert(path.to_owned(), listed);
        if let Node::Directory(directory) = node {
            for (name, child) in &directory.children {
                visit(&join(path, name), child, listing, leaves);
            }
        }
    }
    let mut listing = Listing::default();
    visit("", &model.root, &mut listing, &mut Vec::new());
    listing.name_groups();
    listing
}

impl Listing {
    /// Converts the ids of leaves to first names and counts.
    pub(crate) fn name_groups(&mut self) {
        let mut groups = BTreeMap::<String, Vec<String>>::new();
        for (path, listed) in &self.0 {
            if !matches!(listed.what, What::Directory { .. }) {
                groups
                    .entry(listed.first_name.clone())
                    .or_default()
                    .push(path.clone());
            }
        }
        for paths in groups.values() {
            for path in paths {
                let listed = self.0.get_mut(path).expect("the path is one of the keys");
                listed.first_name.clone_from(&paths[0]);
                listed.names = paths.len();
            }
        }
    }
}

/// Lists a tree by its public API, and checks that its parts agree.
pub(crate) fn list_tree(tree: &Tree) -> Listing {
    let mut listing = Listing::default();
    let mut first_names = BTreeMap::<InodeId, String>::new();
    let mut ids = BTreeMap::<String, InodeId>::new();
    let mut walk = Walk::new(tree);
    while let Some(visit) = walk.next() {
        let path = String::from_utf8(visit.path.to_vec()).expect("the tests use UTF-8");
        let first_name = first_names
            .entry(visit.inode)
            .or_insert_with(|| path.clone());
        ids.insert(path.clone(), visit.inode);
        let inode = tree.inode(visit.inode);
        assert!(visit.inode.index() < tree.inode_slots());
        let what = match inode.node {
            TreeNode::Directory(directory) => {
                assert_eq!(tree.directory_path(visit.inode), visit.path);
                assert_eq!(*first_name, path, "a directory has one name");
                What::Directory {
                    implied: directory.implied,
                    opaque: directory.opaque,
                }
            }
            TreeNode::Regular {
                size,
                crc32c,
                content,
            } => What::Leaf(OwnedNode::Regular {
                size,
                crc32c,
                content: match content {
                    Content::Absent => OwnedContent::Absent,
                    Content::Contiguous { device, offset } => {
                        OwnedContent::Contiguous { device, offset }
                    }
                    Content::Mapped { .. } => OwnedContent::Mapped(tree.extents(content).to_vec()),
                    Content::Inline { key } => OwnedContent::Inline { key },
                },
            }),
            TreeNode::Symlink(target) => What::Leaf(OwnedNode::Symlink {
                target: String::from_utf8(tree.symlink_target(target).to_vec())
                    .expect("the tests use UTF-8"),
            }),
            TreeNode::CharDevice { major, minor } => {
                What::Leaf(OwnedNode::CharDevice(major, minor))
            }
            TreeNode::BlockDevice { major, minor } => {
                What::Leaf(OwnedNode::BlockDevice(major, minor))
            }
            TreeNode::Fifo => What::Leaf(OwnedNode::Fifo),
            TreeNode::Whiteout => What::Whiteout,
            TreeNode::Socket => unreachable!("no entry of a tar is a socket"),
        };
        let xattrs: Vec<_> = tree.xattrs(inode.xattrs).collect();
        assert!(xattrs.is_sorted_by(|a, b| a.0 < b.0), "xattrs are sorted");
        let listed = Listed {
            metadata: inode.metadata,
            xattrs: xattrs
                .into_iter()
                .map(|(name, value)| {
                    let name = String::from_utf8(name.to_vec()).expect("the tests use UTF-8");
                    (name, value.to_vec())
                })
                .collect(),
            what,
            first_name: first_name.clone(),
            names: inode.link_count() as usize,
        };
        assert!(listing.0.insert(path, listed).is_none(), "one name twice");
    }
    assert_eq!(
        tree.inode_count(),
        first_names.len(),
        "inodes that are reached"
    );
    assert_eq!(
        tree.entry_count(),
        listing.0.len() - 1,
        "entries that are reached"
    );
    for (path, id) in &ids {
        assert_eq!(look_up(tree, path), Some(*id), "lookup and walk agree");
    }
    listing
}

fn look_up(tree: &Tree, path: &str) -> Option<InodeId> {
    super::split(path)
        .iter()
        .try_fold(tree.root(), |directory, name| {
            tree.lookup(directory, name.as_bytes())
        })
}

pub(crate) fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}/{name}")
    }
}
