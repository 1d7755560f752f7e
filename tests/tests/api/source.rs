//! The items of a crate's modules, read from the source.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use integration_tests::Failure;
use syn::{Attribute, Item, UseTree, Visibility};

/// The path of a module below its crate's root; empty for the root.
pub(crate) type Names = Vec<String>;

/// One library crate.
#[derive(Default)]
pub(crate) struct Crate {
    pub(crate) modules: BTreeMap<Names, Module>,
}

/// One module, with a file or inline.
#[derive(Default)]
pub(crate) struct Module {
    /// Items by name, `impl` blocks and uses excepted. A name may belong to a type and to a function.
    pub(crate) items: BTreeMap<String, Vec<Item>>,
    pub(crate) impls: Vec<syn::ItemImpl>,
    /// Imported names.
    pub(crate) uses: BTreeMap<String, Import>,
    /// Paths of imports of all names.
    pub(crate) globs: Vec<Import>,
}

#[derive(Clone, Debug)]
pub(crate) struct Import {
    pub(crate) path: Names,
    pub(crate) is_public: bool,
}

impl Crate {
    /// Reads the crate whose root is this file, without its tests and without items of features that are not default.
    pub(crate) fn read(root: &Path) -> Result<Self, Failure> {
        let mut whole = Self::default();
        whole.read_file(&[], root)?;
        Ok(whole)
    }

    fn read_file(&mut self, module: &[String], path: &Path) -> Result<(), Failure> {
        let text = fs::read_to_string(path)
            .map_err(|error| format!("{}: reading it: {error}", path.display()))?;
        let file = syn::parse_file(&text)
            .map_err(|error| format!("{}: parsing it: {error}", path.display()))?;
        let is_root = ["lib.rs", "mod.rs"].iter().any(|name| path.ends_with(name));
        let folder = if is_root {
            path.with_file_name("")
        } else {
            path.with_extension("")
        };
        self.read_items(module, &folder, file.items)
    }

    fn read_items(
        &mut self,
        path: &[String],
        folder: &Path,
        items: Vec<Item>,
    ) -> Result<(), Failure> {
        let mut module = Module::default();
        for item in items {
            if is_left_out(attributes(&item)) {
                continue;
            }
            match item {
                Item::Impl(block) => module.impls.push(block),
                Item::Use(item) => {
                    let is_public = matches!(item.vis, Visibility::Public(_));
                    module.add_use(&item.tree, &mut Names::new(), is_public);
                }
                Item::Mod(mut child) => {
                    let name = child.ident.to_string();
                    let below = [path, std::slice::from_ref(&name)].concat();
                    match child.content.take() {
                        Some((_, items)) => self.read_items(&below, &folder.join(&name), items)?,
                        None => self.read_file(&below, &file_of(folder, &name)?)?,
                    }
                    module.add(name, Item::Mod(child));
                }
                item => {
                    if let Some(name) = name_of(&item) {
                        module.add(name, item);
                    }
                }
            }
        }
        self.modules.insert(path.to_vec(), module);
        Ok(())
    }
}

impl Module {
    fn add(&mut self, name: String, item: Item) {
        self.items.entry(name).or_default().push(item);
    }

    fn add_use(&mut self, tree: &UseTree, path: &mut Names, is_public: bool) {
        let import = |path: &Names, name: &syn::Ident| {
            let mut path = path.clone();
            if name != "self" {
                path.push(name.to_string());
            }
            Import { path, is_public }
        };
        match tree {
            UseTree::Path(step) => {
                path.push(step.ident.to_string());
                self.add_use(&step.tree, path, is_public);
                path.pop();
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_use(tree, path, is_public);
                }
            }
            UseTree::Glob(_) => self.globs.push(Import {
                path: path.clone(),
                is_public,
            }),
            UseTree::Name(name) => {
                let import = import(path, &name.ident);
                let known = import.path.last().cloned().unwrap_or_default();
                self.uses.insert(known, import);
            }
            UseTree::Rename(rename) => {
                let import = import(path, &rename.ident);
                self.uses.insert(rename.rename.to_string(), import);
            }
        }
    }
}

fn file_of(folder: &Path, name: &str) -> Result<PathBuf, Failure> {
    let flat = folder.join(format!("{name}.rs"));
    let nested = folder.join(name).join("mod.rs");
    [flat, nested]
        .into_iter()
        .find(|path| path.is_file())
        .ok_or_else(|| format!("{}: no file for `mod {name}`", folder.display()).into())
}

/// Returns whether an item exists only in tests, or only with a feature that users must enable.
pub(crate) fn is_left_out(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let condition = attribute.parse_args::<syn::Meta>();
        attribute.path().is_ident("cfg")
            && condition.is_ok_and(|condition| match condition {
                syn::Meta::Path(path) => path.is_ident("test"),
                syn::Meta::NameValue(pair) => pair.path.is_ident("feature"),
                syn::Meta::List(_) => false,
            })
    })
}

fn name_of(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

pub(crate) fn is_public(item: &Item) -> bool {
    let visibility = match item {
        Item::Const(item) => &item.vis,
        Item::Enum(item) => &item.vis,
        Item::Fn(item) => &item.vis,
        Item::Mod(item) => &item.vis,
        Item::Static(item) => &item.vis,
        Item::Struct(item) => &item.vis,
        Item::Trait(item) => &item.vis,
        Item::Type(item) => &item.vis,
        Item::Union(item) => &item.vis,
        _ => return false,
    };
    matches!(visibility, Visibility::Public(_))
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
