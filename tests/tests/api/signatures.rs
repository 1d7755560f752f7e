//! The types in the public signatures of an item.

use std::collections::BTreeSet;

use syn::visit::{self, Visit};
use syn::{Fields, Generics, ImplItem, Item, TraitItem, Visibility};

use crate::names::{Id, Target, Workspace};
use crate::source::{Names, is_left_out};

/// A type path in a signature, and the module where it stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mention {
    pub(crate) module: Names,
    pub(crate) path: Names,
}

/// Returns every type that the public signatures of an item mention: its fields, its inherent methods, and the associated types and
/// arguments of the traits that it implements.
pub(crate) fn mentions(workspace: &Workspace, id: &Id) -> BTreeSet<Mention> {
    let krate = &workspace.crates[&id.krate];
    let mut all = BTreeSet::new();
    for item in &krate.modules[&id.module].items[&id.name] {
        let mut types = Types::new(&id.module, None);
        types.item(item);
        all.extend(types.found);
    }
    for (path, module) in &krate.modules {
        for block in &module.impls {
            let mut types = Types::new(path, Some(&block.generics));
            let is_of_item = type_path(&block.self_ty).is_some_and(|names| {
                workspace.resolve(&id.krate, path, &names) == Some(Target::Item(id.clone()))
            });
            if is_of_item {
                types.block(block);
                all.extend(types.found);
            }
        }
    }
    all
}

fn type_path(ty: &syn::Type) -> Option<Names> {
    match ty {
        syn::Type::Path(path) => Some(names(&path.path)),
        syn::Type::Reference(reference) => type_path(&reference.elem),
        _ => None,
    }
}

fn names(path: &syn::Path) -> Names {
    let segments = path.segments.iter();
    segments.map(|segment| segment.ident.to_string()).collect()
}

/// Collects type paths, without those that begin with a generic parameter or `Self`.
struct Types {
    module: Names,
    parameters: Names,
    found: BTreeSet<Mention>,
}

impl Types {
    fn new(module: &[String], generics: Option<&Generics>) -> Self {
        let mut types = Self {
            module: module.to_vec(),
            parameters: vec!["Self".to_owned()],
            found: BTreeSet::new(),
        };
        if let Some(generics) = generics {
            types.generics(generics);
        }
        types
    }

    fn generics(&mut self, generics: &Generics) {
        let types = generics.type_params().map(|one| one.ident.to_string());
        let constants = generics.const_params().map(|one| one.ident.to_string());
        self.parameters.extend(types.chain(constants));
        self.visit_generics(generics);
    }

    fn item(&mut self, item: &Item) {
        match item {
            Item::Const(item) => self.visit_type(&item.ty),
            Item::Static(item) => self.visit_type(&item.ty),
            Item::Fn(item) => self.signature(&item.sig),
            Item::Type(item) => {
                self.generics(&item.generics);
                self.visit_type(&item.ty);
            }
            Item::Struct(item) => {
                self.generics(&item.generics);
                self.fields(&item.fields, false);
            }
            Item::Enum(item) => {
                self.generics(&item.generics);
                for variant in &item.variants {
                    self.fields(&variant.fields, true);
                }
            }
            Item::Trait(item) => {
                self.generics(&item.generics);
                for bound in &item.supertraits {
                    self.visit_type_param_bound(bound);
                }
                for member in &item.items {
                    match member {
                        TraitItem::Fn(function) => self.signature(&function.sig),
                        TraitItem::Const(constant) => self.visit_type(&constant.ty),
                        TraitItem::Type(member) => self.visit_trait_item_type(member),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }

    fn fields(&mut self, fields: &Fields, all_are_public: bool) {
        for field in fields {
            if all_are_public || matches!(field.vis, Visibility::Public(_)) {
                self.visit_type(&field.ty);
            }
        }
    }

    fn signature(&mut self, signature: &syn::Signature) {
        let outer = self.parameters.len();
        self.generics(&signature.generics);
        for input in &signature.inputs {
            if let syn::FnArg::Typed(input) = input {
                self.visit_type(&input.ty);
            }
        }
        self.visit_return_type(&signature.output);
        self.parameters.truncate(outer);
    }

    fn block(&mut self, block: &syn::ItemImpl) {
        if let Some((_, path, _)) = &block.trait_ {
            // The trait itself need not be named to use the type; its arguments and associated types are part of signatures.
            for segment in &path.segments {
                self.visit_path_arguments(&segment.arguments);
            }
        }
        for member in &block.items {
            match member {
                ImplItem::Fn(function) if is_shown(block, &function.vis, &function.attrs) => {
                    self.signature(&function.sig);
                }
                ImplItem::Const(constant) if is_shown(block, &constant.vis, &constant.attrs) => {
                    self.visit_type(&constant.ty);
                }
                ImplItem::Type(member) if block.trait_.is_some() => self.visit_type(&member.ty),
                _ => {}
            }
        }
    }
}

/// Returns whether a member of an inherent block is public. Signatures in blocks of traits are the traits'.
fn is_shown(block: &syn::ItemImpl, visibility: &Visibility, attributes: &[syn::Attribute]) -> bool {
    block.trait_.is_none()
        && matches!(visibility, Visibility::Public(_))
        && !is_left_out(attributes)
}

impl<'ast> Visit<'ast> for Types {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names = names(path);
        if !self.parameters.contains(&names[0]) {
            self.found.insert(Mention {
                module: self.module.clone(),
                path: names,
            });
        }
        visit::visit_path(self, path);
    }

    fn visit_expr(&mut self, _: &'ast syn::Expr) {}

    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}
}
