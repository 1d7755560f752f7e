//! Resolves the paths of entries.

use std::collections::VecDeque;

use super::{Directory, ErrorKind, Model, Node, OwnedNode, split};

/// Maximum number of symbolic links in a path, as in Linux.
const MAX_LINKS: usize = 40;

impl Model {
    /// Returns the place of an entry. Follows links among its parents, but not the last name.
    pub(super) fn place(&mut self, path: &str) -> Result<Vec<String>, ErrorKind> {
        let mut parent = split(path);
        let Some(name) = parent.pop() else {
            return Ok(parent);
        };
        let mut place = self.follow(&parent)?;
        place.push(name);
        Ok(place)
    }

    /// Returns the place of an entry like [`Self::place`], and creates missing parents.
    pub(super) fn make_place(&mut self, path: &str) -> Result<Vec<String>, ErrorKind> {
        let place = self.place(path)?;
        if place.len() >= 6 {
            self.cases.hit("six names deep");
        }
        let parents = place.len().saturating_sub(1);
        for len in 1..=parents {
            let case = match self.at(&place[..len]) {
                Some(Node::Directory(_)) => {
                    self.cases.hit("implied directory is there");
                    continue;
                }
                Some(Node::Leaf(_)) if self.refuses_files => {
                    return Err(ErrorKind::ParentNotADirectory);
                }
                Some(Node::Leaf(leaf)) => {
                    let path = (leaf.layer != self.layer).then(|| place[..len].join("/"));
                    self.replaced
                        .push((self.layer.saturating_sub(1), self.entry, path));
                    "implied directory replaces a file"
                }
                None => "implied directory is new",
            };
            self.set(&place[..len], Node::Directory(Directory::implied()));
            self.cases.hit(case);
        }
        Ok(place)
    }

    /// Returns the place of a directory inside the root. Missing components are taken literally, as in umoci and containerd.
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
        Ok(place)
    }
}
