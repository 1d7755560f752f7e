use std::collections::{BTreeMap, BTreeSet};

use super::{Model, Node, OwnedChange, OwnedKind, OwnedNode};

/// Counts how often each case of the rules occurs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cases(BTreeMap<&'static str, usize>);

/// Cases that must occur in random stacks. Another case is an error of the model.
const ALL: &[&str] = &[
    "`..` held at the root",
    "absolute symlink followed",
    "dangling symlink followed",
    "directory over directory",
    "directory over file",
    "directory over symlink",
    "entry before its own whiteout",
    "file over directory",
    "file over file",
    "file over symlink",
    "first entry of its name",
    "hard link onto itself",
    "hard link over its own target",
    "hard link replaces",
    "hard link to a lower layer",
    "hard link to a device or fifo",
    "hard link to a symlink",
    "hard link within the layer",
    "implied directory described later",
    "implied directory is new",
    "implied directory is there",
    "implied directory replaces a file",
    "marker must not follow a symlink",
    "name taken twice in one layer",
    "one name of several replaced",
    "opaque empty directory",
    "opaque full directory",
    "opaque marker on a file or link",
    "opaque marker on something missing",
    "opaque root",
    "parent is a symlink of a lower layer",
    "parent is a symlink of the layer",
    "relative symlink followed",
    "root described",
    "six names deep",
    "symlink loop",
    "whiteout and new directory of one name",
    "whiteout and new entry of one name",
    "whiteout below a file or link",
    "whiteout below something missing",
    "whiteout of a directory",
    "whiteout of a file",
    "whiteout of something missing",
    "xattrs",
];

impl Cases {
    pub(crate) fn hit(&mut self, case: &'static str) {
        assert!(ALL.contains(&case), "{case:?} is not in the list");
        *self.0.entry(case).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (case, count) in &other.0 {
            *self.0.entry(case).or_default() += count;
        }
    }

    /// Prints the histogram, and fails if a case did not occur.
    #[expect(clippy::print_stdout, reason = "only tests call this")]
    pub(crate) fn report(&self, not_expected: &[&str]) {
        let count = |case| self.0.get(case).copied().unwrap_or(0);
        for case in ALL {
            println!("{:>8}  {case}", count(case));
        }
        let never: Vec<_> = ALL
            .iter()
            .filter(|case| count(case) == 0 && !not_expected.contains(case))
            .collect();
        assert!(never.is_empty(), "never met: {never:?}");
    }
}

impl Model {
    pub(crate) fn note_order(&mut self, changes: &[OwnedChange]) {
        let mut seen = BTreeMap::<&str, (bool, bool)>::new();
        let mut directories = BTreeSet::new();
        let mut hidden = BTreeSet::new();
        for change in changes {
            if change.is_directory() {
                directories.insert(&change.path);
            }
            let (entry, whiteout) = seen.entry(&change.path).or_default();
            match change.kind {
                OwnedKind::Opaque => {}
                OwnedKind::Whiteout => {
                    if *entry {
                        self.cases.hit("entry before its own whiteout");
                        self.cases.hit("whiteout and new entry of one name");
                    }
                    *whiteout = true;
                    hidden.insert(&change.path);
                }
                OwnedKind::Node { .. } | OwnedKind::HardLink { .. } => {
                    if *entry {
                        self.cases.hit("name taken twice in one layer");
                    } else if *whiteout {
                        self.cases.hit("whiteout and new entry of one name");
                    }
                    *entry = true;
                }
            }
        }
        for _ in directories.intersection(&hidden) {
            self.cases.hit("whiteout and new directory of one name");
        }
    }

    pub(super) fn link_in_way(&mut self, path: &[String]) -> bool {
        let is_link = |len| {
            let at = self.at(&path[..len]);
            matches!(at, Some(Node::Leaf(leaf)) if matches!(leaf.node, OwnedNode::Symlink { .. }))
        };
        let found = (1..=path.len()).any(is_link);
        if found {
            self.cases.hit("marker must not follow a symlink");
        }
        found
    }

    pub(super) fn note_replacement(&mut self, place: &[String], new: &Node) {
        let (case, shared) = match (self.at(place), new) {
            (None, _) => ("first entry of its name", false),
            (Some(Node::Directory(_)), Node::Directory(_)) => ("directory over directory", false),
            (Some(Node::Directory(_)), Node::Leaf(_)) => ("file over directory", false),
            (Some(Node::Leaf(old)), new) => {
                let shared = std::rc::Rc::strong_count(old) > 1;
                let to_link = matches!(old.node, OwnedNode::Symlink { .. });
                let case = match (new, to_link) {
                    (Node::Directory(_), true) => "directory over symlink",
                    (Node::Directory(_), false) => "directory over file",
                    (Node::Leaf(_), true) => "file over symlink",
                    (Node::Leaf(_), false) => "file over file",
                };
                (case, shared)
            }
        };
        self.cases.hit(case);
        if shared {
            self.cases.hit("one name of several replaced");
        }
    }
}
