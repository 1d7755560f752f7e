//! Whiteouts and opaque markers.

use super::{Model, Node, split};

impl Model {
    /// Applies a whiteout, which is looked up by names alone: `at` follows no symbolic link. Returns whether the path existed.
    pub(super) fn whiteout(&mut self, path: &str) -> bool {
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

    pub(super) fn opaque(&mut self, path: &str) -> bool {
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
}
