//! The imports between the files of a crate, read from the source.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, io};

use integration_tests::Failure;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, UseTree};

/// The path of a module below its crate's root; empty for the root.
pub(crate) type Module = Vec<String>;

/// Number of `use` declarations followed in a row before a name is taken for one of another crate.
const MAX_ALIASES: usize = 16;

/// The modules of one crate that have their own file, and the paths that each names. Test modules are left out.
#[derive(Debug, Default)]
pub(crate) struct Modules {
    files: BTreeMap<Module, File>,
}

#[derive(Debug, Default)]
struct File {
    /// From the names to the paths of the module's own `use` declarations.
    aliases: BTreeMap<String, Module>,
    /// Every path in the file, beginning with `crate`, `self`, `super` or a name.
    paths: BTreeSet<Module>,
}

impl Modules {
    /// Reads the crate whose root is this file.
    ///
    /// # Errors
    /// When a module's file is missing or does not parse.
    pub(crate) fn read(root: &Path) -> Result<Self, Failure> {
        let mut modules = Self::default();
        let mut open = vec![(Module::new(), root.to_owned())];
        while let Some((module, path)) = open.pop() {
            let text = fs::read_to_string(&path)
                .map_err(|error| format!("{}: reading it: {error}", path.display()))?;
            let file = syn::parse_file(&text)
                .map_err(|error| format!("{}: parsing it: {error}", path.display()))?;
            let folder = folder_of_children(&path);
            for name in child_modules(&file.items) {
                let mut child = module.clone();
                child.push(name.clone());
                open.push((child, find_module(&folder, &name)?));
            }
            let mut names = Names::default();
            names.visit_file(&file);
            modules.files.insert(module, names.file);
        }
        Ok(modules)
    }

    /// Returns, for each module, the other modules whose items it names.
    pub(crate) fn imports(&self) -> BTreeMap<&Module, BTreeSet<&Module>> {
        let imports_of = |(module, file): (_, &File)| {
            let paths = file.paths.iter();
            let targets = paths.filter_map(|path| self.resolve(module, path, MAX_ALIASES));
            (module, targets.filter(|target| *target != module).collect())
        };
        self.files.iter().map(imports_of).collect()
    }

    /// Resolves `path` from the module `from` to the module of this crate that has the item.
    fn resolve(&self, from: &Module, path: &[String], aliases: usize) -> Option<&Module> {
        let mut at = from.clone();
        for (place, name) in path.iter().enumerate() {
            match name.as_str() {
                "crate" => at.clear(),
                "self" => {}
                "super" => {
                    at.pop()?;
                }
                name => {
                    let mut child = at.clone();
                    child.push(name.to_owned());
                    if self.files.contains_key(&child) {
                        at = child;
                        continue;
                    }
                    let alias = self.files.get(&at)?.aliases.get(name);
                    if let (Some(alias), Some(aliases)) = (alias, aliases.checked_sub(1)) {
                        let rest = &path[place + 1..];
                        let whole: Module = alias.iter().chain(rest).cloned().collect();
                        return self.resolve(&at, &whole, aliases);
                    }
                    // A first name that is neither a module nor imported belongs to another crate or to this file.
                    return if place == 0 { None } else { self.known(&at) };
                }
            }
        }
        self.known(&at)
    }

    fn known(&self, module: &Module) -> Option<&Module> {
        self.files.get_key_value(module).map(|(module, _)| module)
    }
}

/// Returns the folder of a file's child modules: its own folder for a root or `mod.rs`, else a folder of its name.
fn folder_of_children(path: &Path) -> PathBuf {
    let is_root = path
        .file_name()
        .is_some_and(|name| name == "lib.rs" || name == "main.rs" || name == "mod.rs");
    if is_root {
        path.with_file_name("")
    } else {
        path.with_extension("")
    }
}

fn find_module(folder: &Path, name: &str) -> Result<PathBuf, io::Error> {
    let candidates = [
        folder.join(format!("{name}.rs")),
        folder.join(name).join("mod.rs"),
    ];
    candidates
        .into_iter()
        .find(|path| path.is_file())
        .ok_or_else(|| io::Error::other(format!("{}: no file for `mod {name}`", folder.display())))
}

fn child_modules(items: &[Item]) -> Vec<String> {
    let name = |item: &Item| match item {
        Item::Mod(module) if module.content.is_none() && !is_for_tests(&module.attrs) => {
            Some(module.ident.to_string())
        }
        _ => None,
    };
    items.iter().filter_map(name).collect()
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Path>()
                .is_ok_and(|condition| condition.is_ident("test"))
    })
}

/// Collects the paths of a file.
#[derive(Default)]
struct Names {
    file: File,
}

impl<'ast> Visit<'ast> for Names {
    fn visit_item(&mut self, item: &'ast Item) {
        match item {
            Item::Mod(module) if is_for_tests(&module.attrs) => {}
            Item::Use(item) if is_for_tests(&item.attrs) => {}
            Item::Use(item) => self.add_use(&item.tree, &mut Module::new()),
            _ => visit::visit_item(self, item),
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect::<Module>();
        if path.leading_colon.is_none() && names.len() > 1 {
            self.file.paths.insert(names);
        }
        visit::visit_path(self, path);
    }
}

impl Names {
    fn add_use(&mut self, tree: &UseTree, path: &mut Module) {
        match tree {
            UseTree::Path(step) => {
                path.push(step.ident.to_string());
                self.add_use(&step.tree, path);
                path.pop();
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_use(tree, path);
                }
            }
            UseTree::Glob(_) => {
                self.file.paths.insert(path.clone());
            }
            UseTree::Name(name) => self.add_name(&name.ident, &name.ident, path),
            UseTree::Rename(rename) => self.add_name(&rename.ident, &rename.rename, path),
        }
    }

    fn add_name(&mut self, name: &syn::Ident, alias: &syn::Ident, path: &Module) {
        let mut whole = path.clone();
        if name != "self" {
            whole.push(name.to_string());
        }
        self.file.paths.insert(whole.clone());
        self.file.aliases.insert(alias.to_string(), whole);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_followed_to_the_file_that_defines_them() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write(
            "lib.rs",
            "mod a; mod b; pub use b::inner::Thing; #[cfg(test)] mod absent;",
        );
        write("a.rs", "use crate::Thing; fn f() { crate::b::g() }");
        write(
            "b.rs",
            "mod inner; #[cfg(test)] mod tests { use crate::a::f; }",
        );
        write(
            "b/inner.rs",
            "use std::fs::File; use super::*; pub struct Thing;",
        );
        let modules = Modules::read(&folder.path().join("lib.rs")).unwrap();
        let module =
            |path: &str| -> Module { path.split_terminator("::").map(str::to_owned).collect() };
        let imports = modules.imports();
        let of = |path: &str| -> Vec<Module> {
            imports[&module(path)].iter().copied().cloned().collect()
        };
        assert_eq!(of(""), [module("b::inner")]);
        assert_eq!(of("a"), [module("b"), module("b::inner")]);
        assert_eq!(of("b"), Vec::<Module>::new());
        assert_eq!(of("b::inner"), [module("b")]);
    }
}
