//! The merge of layers once more, written from the OCI image specification as plainly as possible and without a look at
//! the code that it judges: a tree of maps, walked from the root for every question.

#![allow(
    dead_code,
    unused_imports,
    reason = "each test binary compiles this module and uses its part of it"
)]

mod build;
mod cases;
mod generate;
mod listing;

pub(crate) use build::*;
pub(crate) use cases::Cases;
pub(crate) use generate::stacks;
pub(crate) use listing::{Listed, Listing, What, list_model, list_tree};

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use fs_tree::Metadata;

/// Full names and values.
pub(crate) type Xattrs = BTreeMap<String, Vec<u8>>;

/// Why a stack cannot be merged, without the paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    ParentNotADirectory,
    SymlinkLoop,
    RootNotADirectory,
    LinkTargetMissing,
    LinkToDirectory,
    Other,
}

/// The entry that cannot be applied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal {
    pub(crate) layer: usize,
    pub(crate) entry: usize,
    pub(crate) kind: ErrorKind,
}

/// Why an entry does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Idle {
    /// A whiteout or an opaque marker whose path leads through a symbolic link.
    MarkerBehindLink,
    /// A hard link whose target is its own path.
    LinkToItself,
}

/// How many symbolic links a path may lead through, as in Linux.
const MAX_LINKS: usize = 40;

#[derive(Clone, Debug)]
pub(crate) enum Node {
    Directory(Directory),
    /// Names of one inode share one `Rc`.
    Leaf(Rc<Leaf>),
}

#[derive(Clone, Debug)]
pub(crate) struct Directory {
    pub(crate) metadata: Metadata,
    pub(crate) xattrs: Xattrs,
    pub(crate) implied: bool,
    /// A directory was implied in it since an entry described it: umoci then loses its time.
    pub(crate) has_new_implied: bool,
    pub(crate) children: BTreeMap<String, Node>,
}

#[derive(Debug)]
pub(crate) struct Leaf {
    pub(crate) metadata: Metadata,
    pub(crate) xattrs: Xattrs,
    pub(crate) node: OwnedNode,
    /// The layer that brought it.
    pub(crate) layer: usize,
}

/// The tree of some layers.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) root: Node,
    /// The layer being applied.
    layer: usize,
    /// The last entry followed a symbolic link of a lower layer, or linked to a file of one.
    pub(crate) leaned_on_lower: bool,
    /// Entries that do nothing, each by its layer and its place there.
    pub(crate) idle: Vec<(usize, usize, Idle)>,
    pub(crate) cases: Cases,
}

impl Model {
    pub(crate) fn new() -> Self {
        Self {
            root: Node::Directory(Directory::implied()),
            layer: 0,
            leaned_on_lower: false,
            idle: Vec::new(),
            cases: Cases::default(),
        }
    }

    /// Everything that a layer hides goes first, whatever its place in the tar; then its entries follow in order.
    pub(crate) fn apply(&mut self, stack: &[Vec<OwnedChange>]) -> Result<(), Refusal> {
        for (layer, changes) in stack.iter().enumerate() {
            self.note_order(changes);
            self.begin_layer(changes);
            for (entry, change) in changes.iter().enumerate() {
                let links_to_itself =
                    self.apply_entry(change)
                        .map_err(|kind| Refusal { layer, entry, kind })?;
                if links_to_itself {
                    self.idle.push((layer, entry, Idle::LinkToItself));
                }
            }
        }
        Ok(())
    }

    pub(crate) fn begin_layer(&mut self, changes: &[OwnedChange]) {
        self.layer += 1;
        for (entry, change) in changes.iter().enumerate() {
            let is_behind_link = match change.kind {
                OwnedKind::Whiteout => self.whiteout(&change.path),
                OwnedKind::Opaque => self.opaque(&change.path),
                _ => false,
            };
            if is_behind_link {
                self.idle
                    .push((self.layer - 1, entry, Idle::MarkerBehindLink));
            }
        }
    }

    /// A whiteout is found by names alone: `at` sees nothing behind a symbolic link. Says whether there was one.
    fn whiteout(&mut self, path: &str) -> bool {
        let path = split(path);
        let (parent, name) = path.split_at(path.len() - 1);
        let is_behind_link = self.link_in_way(parent);
        match self.at_mut(parent) {
            Some(Node::Directory(parent)) => match parent.children.remove(&name[0]) {
                Some(Node::Directory(_)) => self.cases.hit("whiteout of a directory"),
                Some(Node::Leaf(_)) => self.cases.hit("whiteout of a file"),
                None => self.cases.hit("whiteout of something missing"),
            },
            Some(Node::Leaf(_)) => self.cases.hit("whiteout below a file or link"),
            None => self.cases.hit("whiteout below something missing"),
        }
        is_behind_link
    }

    fn opaque(&mut self, path: &str) -> bool {
        let path = split(path);
        let is_behind_link = self.link_in_way(&path);
        match self.at_mut(&path) {
            Some(Node::Directory(directory)) => {
                let empty = directory.children.is_empty();
                directory.children.clear();
                if path.is_empty() {
                    self.cases.hit("opaque root");
                } else if empty {
                    self.cases.hit("opaque empty directory");
                } else {
                    self.cases.hit("opaque full directory");
                }
            }
            Some(Node::Leaf(_)) => self.cases.hit("opaque marker on a file or link"),
            None => self.cases.hit("opaque marker on something missing"),
        }
        is_behind_link
    }

    /// Entries, one by one, as if unpacked into a directory. Says whether it was a hard link to its own path.
    pub(crate) fn apply_entry(&mut self, change: &OwnedChange) -> Result<bool, ErrorKind> {
        self.leaned_on_lower = false;
        match &change.kind {
            OwnedKind::Node {
                metadata,
                xattrs,
                node,
            } => self
                .put(&change.path, *metadata, xattrs, node)
                .map(|()| false),
            OwnedKind::HardLink { target } => self.hard_link(&change.path, target),
            OwnedKind::Whiteout | OwnedKind::Opaque => Ok(false),
        }
    }

    fn put(
        &mut self,
        path: &str,
        metadata: Metadata,
        xattrs: &Xattrs,
        node: &OwnedNode,
    ) -> Result<(), ErrorKind> {
        let is_directory = matches!(node, OwnedNode::Directory);
        if path.is_empty() && !is_directory {
            return Err(ErrorKind::RootNotADirectory);
        }
        let place = self.make_place(path)?;
        if is_directory && let Some(Node::Directory(old)) = self.at_mut(&place) {
            let was_implied = old.implied;
            old.metadata = metadata;
            old.xattrs = xattrs.clone();
            old.implied = false;
            old.has_new_implied = false;
            self.cases.hit(if place.is_empty() {
                "root described"
            } else if was_implied {
                "implied directory described later"
            } else {
                "directory over directory"
            });
            return Ok(());
        }
        let new = if is_directory {
            Node::Directory(Directory {
                metadata,
                xattrs: xattrs.clone(),
                implied: false,
                has_new_implied: false,
                children: BTreeMap::new(),
            })
        } else {
            Node::Leaf(Rc::new(Leaf {
                metadata,
                xattrs: xattrs.clone(),
                node: node.clone(),
                layer: self.layer,
            }))
        };
        if !xattrs.is_empty() {
            self.cases.hit("xattrs");
        }
        self.note_replacement(&place, &new);
        self.set(&place, new);
        Ok(())
    }

    fn hard_link(&mut self, path: &str, target: &str) -> Result<bool, ErrorKind> {
        if path.is_empty() {
            return Err(ErrorKind::RootNotADirectory);
        }
        let place = self.make_place(path)?;
        let found = self.target(target)?;
        if let Some(found) = &found
            && self.same_leaf(found, &place)
        {
            if let Some(Node::Leaf(leaf)) = self.at(found) {
                self.leaned_on_lower |= leaf.layer != self.layer;
            }
            self.cases.hit("hard link onto itself");
            return Ok(*found == place);
        }
        let was_there = found.is_some();
        // As a tar extractor does it: what is in the way goes first, and the target may go with it.
        let in_way = self.at(&place).is_some();
        self.remove(&place);
        let Some(target) = self.target(target)? else {
            if was_there {
                self.cases.hit("hard link over its own target");
            }
            return Err(ErrorKind::LinkTargetMissing);
        };
        let Some(Node::Leaf(leaf)) = self.at(&target) else {
            unreachable!("a target is a file");
        };
        let leaf = Rc::clone(leaf);
        if leaf.layer == self.layer {
            self.cases.hit("hard link within the layer");
        } else {
            self.leaned_on_lower = true;
            self.cases.hit("hard link to a lower layer");
        }
        match leaf.node {
            OwnedNode::Regular { .. } => {}
            OwnedNode::Symlink { .. } => self.cases.hit("hard link to a symlink"),
            _ => self.cases.hit("hard link to a device or fifo"),
        }
        if in_way {
            self.cases.hit("hard link replaces");
        }
        self.set(&place, Node::Leaf(leaf));
        Ok(false)
    }

    fn same_leaf(&self, a: &[String], b: &[String]) -> bool {
        match (self.at(a), self.at(b)) {
            (Some(Node::Leaf(a)), Some(Node::Leaf(b))) => Rc::ptr_eq(a, b),
            _ => false,
        }
    }

    /// Where a hard link's target lies. Behind a file there is nothing.
    fn target(&mut self, path: &str) -> Result<Option<Vec<String>>, ErrorKind> {
        let place = match self.place(path) {
            Err(ErrorKind::ParentNotADirectory) => return Ok(None),
            place => place?,
        };
        match self.at(&place) {
            None => Ok(None),
            Some(Node::Directory(_)) => Err(ErrorKind::LinkToDirectory),
            Some(Node::Leaf(_)) => Ok(Some(place)),
        }
    }

    /// Where an entry goes: links among its parents followed, the last name never.
    fn place(&mut self, path: &str) -> Result<Vec<String>, ErrorKind> {
        let mut parent = split(path);
        let Some(name) = parent.pop() else {
            return Ok(parent);
        };
        let mut place = self.follow(&parent)?;
        place.push(name);
        Ok(place)
    }

    /// As [`Self::place`], with the parents that are missing made.
    fn make_place(&mut self, path: &str) -> Result<Vec<String>, ErrorKind> {
        let place = self.place(path)?;
        if place.len() >= 6 {
            self.cases.hit("six names deep");
        }
        let parents = place.len().saturating_sub(1);
        for len in 1..=parents {
            if self.at(&place[..len]).is_none() {
                self.set(&place[..len], Node::Directory(Directory::implied()));
                self.cases.hit("implied directory is new");
            } else {
                self.cases.hit("implied directory is there");
            }
        }
        Ok(place)
    }

    /// The place of a directory inside the root. What does not exist yet is taken at its word, as umoci and containerd do.
    fn follow(&mut self, path: &[String]) -> Result<Vec<String>, ErrorKind> {
        let mut todo = VecDeque::from(path.to_vec());
        let mut place = Vec::new();
        let mut links = 0;
        while let Some(name) = todo.pop_front() {
            if name == ".." {
                if place.pop().is_none() {
                    self.cases.hit("`..` held at the root");
                }
                continue;
            }
            place.push(name);
            let Some(Node::Leaf(leaf)) = self.at(&place) else {
                continue;
            };
            let OwnedNode::Symlink { target } = &leaf.node else {
                continue;
            };
            let (target, lower) = (target.clone(), leaf.layer != self.layer);
            links += 1;
            if links > MAX_LINKS {
                self.cases.hit("symlink loop");
                return Err(ErrorKind::SymlinkLoop);
            }
            self.leaned_on_lower |= lower;
            self.cases.hit(if lower {
                "parent is a symlink of a lower layer"
            } else {
                "parent is a symlink of the layer"
            });
            place.pop();
            if target.starts_with('/') {
                place.clear();
                self.cases.hit("absolute symlink followed");
            } else {
                self.cases.hit("relative symlink followed");
            }
            let target = split(&target);
            let mut probe = place.clone();
            probe.extend(target.iter().cloned());
            if !target.iter().any(|name| name == "..") && self.at(&probe).is_none() {
                self.cases.hit("dangling symlink followed");
            }
            for name in target.into_iter().rev() {
                todo.push_front(name);
            }
        }
        for len in 1..=place.len() {
            if matches!(self.at(&place[..len]), Some(Node::Leaf(_))) {
                self.cases.hit("parent is a file");
                return Err(ErrorKind::ParentNotADirectory);
            }
        }
        Ok(place)
    }

    pub(crate) fn at(&self, place: &[String]) -> Option<&Node> {
        let mut node = &self.root;
        for name in place {
            let Node::Directory(directory) = node else {
                return None;
            };
            node = directory.children.get(name)?;
        }
        Some(node)
    }

    fn at_mut(&mut self, place: &[String]) -> Option<&mut Node> {
        let mut node = &mut self.root;
        for name in place {
            let Node::Directory(directory) = node else {
                return None;
            };
            node = directory.children.get_mut(name)?;
        }
        Some(node)
    }

    fn set(&mut self, place: &[String], new: Node) {
        let (name, parent) = place.split_last().expect("the root is never set anew");
        let Some(Node::Directory(parent)) = self.at_mut(parent) else {
            unreachable!("make_place has made the parent");
        };
        parent.has_new_implied |= matches!(&new, Node::Directory(new) if new.implied);
        parent.children.insert(name.clone(), new);
    }

    fn remove(&mut self, place: &[String]) {
        let (name, parent) = place.split_last().expect("the root is never removed");
        if let Some(Node::Directory(parent)) = self.at_mut(parent) {
            parent.children.remove(name);
        }
    }
}

impl Directory {
    fn implied() -> Self {
        Self {
            metadata: Metadata {
                mode: 0o755,
                ..Metadata::default()
            },
            xattrs: Xattrs::new(),
            implied: true,
            has_new_implied: false,
            children: BTreeMap::new(),
        }
    }
}

/// The names of a path or of a link's target.
pub(crate) fn split(path: &str) -> Vec<String> {
    path.split('/')
        .filter(|name| !name.is_empty() && *name != ".")
        .map(str::to_owned)
        .collect()
}
