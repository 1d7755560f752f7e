//! Which item a path names, across the crates of the workspace.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{Crate, Names, is_public};

/// Number of imports followed in a row before a path is taken for one that leads nowhere.
const MAX_STEPS: usize = 32;

/// Names that every module has without an import: primitive types and std's prelude.
const PRELUDE: &str = "
    bool char f32 f64 i8 i16 i32 i64 i128 isize str u8 u16 u32 u64 u128 usize
    AsMut AsRef Box Clone Copy Default DoubleEndedIterator Drop Eq ExactSizeIterator Extend Fn FnMut FnOnce From FromIterator
    Future Into IntoFuture IntoIterator Iterator None Option Ord PartialEq PartialOrd Result Send Sized Some String Sync ToOwned
    ToString TryFrom TryInto Unpin Vec";

/// An item of the workspace, by the place of its definition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id {
    /// The crate's name in source code.
    pub(crate) krate: String,
    pub(crate) module: Names,
    pub(crate) name: String,
}

/// What a path leads to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    Item(Id),
    Module(String, Names),
    /// An item of a crate that is not in the workspace.
    Foreign {
        krate: String,
        path: Names,
    },
    /// An item of the standard library.
    Std,
}

/// The library crates of the workspace, by their names in source code.
#[derive(Default)]
pub(crate) struct Workspace {
    pub(crate) crates: BTreeMap<String, Crate>,
    /// From each crate to the names of the foreign crates that it depends on.
    pub(crate) foreign: BTreeMap<String, BTreeSet<String>>,
}

impl Workspace {
    /// Resolves a path that stands in a module; `None` if it leads nowhere.
    pub(crate) fn resolve(
        &self,
        krate: &str,
        module: &[String],
        path: &[String],
    ) -> Option<Target> {
        self.resolve_first(krate, module, path, MAX_STEPS)
    }

    fn resolve_first(
        &self,
        krate: &str,
        module: &[String],
        path: &[String],
        steps: usize,
    ) -> Option<Target> {
        let steps = steps.checked_sub(1)?;
        let (first, rest) = path.split_first()?;
        let here = |names: &[String]| Target::Module(krate.to_owned(), names.to_vec());
        let target = match first.as_str() {
            "crate" => here(&[]),
            "self" => here(module),
            "super" => here(&module[..module.len().checked_sub(1)?]),
            name => self
                .member(krate, module, name, false, steps)
                .or_else(|| self.other_crate(krate, name))
                .or_else(|| {
                    PRELUDE
                        .split_whitespace()
                        .any(|known| known == name)
                        .then_some(Target::Std)
                })?,
        };
        self.walk(target, rest, steps)
    }

    /// Follows the names after a target. Names below a type, such as variants, stay with the type.
    fn walk(&self, mut target: Target, rest: &[String], steps: usize) -> Option<Target> {
        for name in rest {
            target = match target {
                Target::Module(krate, module) if name == "super" => {
                    Target::Module(krate, module[..module.len().checked_sub(1)?].to_vec())
                }
                Target::Module(krate, module) => {
                    self.member(&krate, &module, name, false, steps)?
                }
                Target::Foreign { krate, mut path } => {
                    path.push(name.clone());
                    Target::Foreign { krate, path }
                }
                target => target,
            };
        }
        Some(target)
    }

    fn other_crate(&self, from: &str, name: &str) -> Option<Target> {
        if ["std", "core", "alloc"].contains(&name) {
            return Some(Target::Std);
        }
        if self.crates.contains_key(name) {
            return Some(Target::Module(name.to_owned(), Names::new()));
        }
        self.foreign
            .get(from)?
            .contains(name)
            .then(|| Target::Foreign {
                krate: name.to_owned(),
                path: Names::new(),
            })
    }

    /// Returns what `name` is in a module: an item, a child module, an import, or a name of an import of all names.
    fn member(
        &self,
        krate: &str,
        path: &[String],
        name: &str,
        only_public: bool,
        steps: usize,
    ) -> Option<Target> {
        let steps = steps.checked_sub(1)?;
        let module = self.crates.get(krate)?.modules.get(path)?;
        let mut items = module.items.get(name).into_iter().flatten();
        if let Some(item) = items.find(|item| !only_public || is_public(item)) {
            return Some(match item {
                syn::Item::Mod(_) => {
                    let child = [path, &[name.to_owned()]].concat();
                    Target::Module(krate.to_owned(), child)
                }
                _ => Target::Item(Id {
                    krate: krate.to_owned(),
                    module: path.to_vec(),
                    name: name.to_owned(),
                }),
            });
        }
        if let Some(import) = module.uses.get(name)
            && (!only_public || import.is_public)
        {
            return self.import(krate, path, &import.path, name, steps);
        }
        let globs = module
            .globs
            .iter()
            .filter(|glob| !only_public || glob.is_public);
        globs
            .filter_map(|glob| self.resolve_first(krate, path, &glob.path, steps))
            .find_map(|target| match target {
                Target::Module(krate, module)
                    if (krate.as_str(), &*module) != (krate.as_str(), path) =>
                {
                    self.member(&krate, &module, name, true, steps)
                }
                _ => None,
            })
    }

    /// Resolves the path of an import. Its own name must not be taken for the crate or module with which the path begins.
    fn import(
        &self,
        krate: &str,
        module: &[String],
        path: &[String],
        name: &str,
        steps: usize,
    ) -> Option<Target> {
        let first = path.first()?;
        if first == name {
            let target = self.other_crate(krate, first)?;
            return self.walk(target, &path[1..], steps);
        }
        self.resolve_first(krate, module, path, steps)
    }

    /// Returns whether an item is declared `pub`. A private item in a signature is an argument of a trait, such as `From`, that no user
    /// can call.
    pub(crate) fn is_public(&self, id: &Id) -> bool {
        self.crates[&id.krate].modules[&id.module].items[&id.name]
            .iter()
            .any(is_public)
    }

    /// Returns every item that users of a crate can name through it.
    pub(crate) fn nameable(&self, krate: &str) -> BTreeSet<Target> {
        let mut found = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut open = vec![(krate.to_owned(), Names::new())];
        while let Some((krate, path)) = open.pop() {
            if !seen.insert((krate.clone(), path.clone())) {
                continue;
            }
            let Some(module) = self
                .crates
                .get(&krate)
                .and_then(|all| all.modules.get(&path))
            else {
                continue;
            };
            let items = module.items.iter();
            let own = items
                .filter(|(_, items)| items.iter().any(is_public))
                .map(|(name, _)| name);
            let imported = module.uses.iter().filter(|(_, import)| import.is_public);
            for name in own.chain(imported.map(|(name, _)| name)) {
                match self.member(&krate, &path, name, true, MAX_STEPS) {
                    Some(Target::Module(krate, module)) => open.push((krate, module)),
                    Some(target) => {
                        found.insert(target);
                    }
                    None => {}
                }
            }
            for glob in module.globs.iter().filter(|glob| glob.is_public) {
                if let Some(Target::Module(krate, module)) = self.resolve(&krate, &path, &glob.path)
                {
                    open.push((krate, module));
                }
            }
        }
        found
    }
}
