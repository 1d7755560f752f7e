//! Files of one crate that import each other, directly or through others.

use std::collections::{BTreeMap, BTreeSet};

use crate::modules::{Module, Modules};

/// Returns the groups of files on a common cycle of imports, each group sorted.
///
/// Imports of a file from its own ancestors do not count: a child and its parent may use each other's items.
pub(crate) fn cycles(modules: &Modules) -> Vec<Vec<Module>> {
    let mut imports = modules.imports();
    for (module, targets) in &mut imports {
        targets.retain(|target| !module.starts_with(target));
    }
    let reach: BTreeMap<&Module, BTreeSet<&Module>> = imports
        .keys()
        .map(|module| (*module, reachable(module, &imports)))
        .collect();
    let mut groups = BTreeSet::new();
    for (module, targets) in &reach {
        if targets.contains(module) {
            let is_mutual = |other: &&&Module| reach[**other].contains(module);
            let group: Vec<Module> = targets.iter().filter(is_mutual).copied().cloned().collect();
            groups.insert(group);
        }
    }
    groups.into_iter().collect()
}

fn reachable<'a>(
    from: &Module,
    imports: &BTreeMap<&'a Module, BTreeSet<&'a Module>>,
) -> BTreeSet<&'a Module> {
    let mut found = BTreeSet::new();
    let mut open = vec![from];
    while let Some(module) = open.pop() {
        for target in imports.get(module).into_iter().flatten() {
            if found.insert(*target) {
                open.push(target);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cycle_of_files_is_found_and_parent_with_child_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).unwrap();
        };
        write("lib.rs", "mod a; mod b; mod c; pub struct Shared;");
        write("a.rs", "use crate::b::B; use crate::Shared; pub struct A;");
        write("b.rs", "use crate::c::C; pub struct B;");
        write("c.rs", "pub struct C;");
        let read = || Modules::read(&folder.path().join("lib.rs")).unwrap();
        assert_eq!(cycles(&read()), Vec::<Vec<Module>>::new());
        write("c.rs", "pub struct C; fn f(a: crate::a::A) {}");
        let names = ["a", "b", "c"].map(|name| vec![name.to_owned()]);
        assert_eq!(cycles(&read()), [names.to_vec()]);
    }
}
