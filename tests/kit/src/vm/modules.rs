//! The guest kernel's modules, with what each depends on, from the unpacked package.
//!
//! The package has no `modules.dep` (it is made when it is installed), so the modules' own `depends=` strings are read.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    KitError, command,
    oracle::{Tool, require},
};

/// Finds modules below a kernel's folder.
#[derive(Debug)]
pub(super) struct Modules {
    files: BTreeMap<String, PathBuf>,
    builtin: String,
}

impl Modules {
    pub(super) fn open(folder: &Path) -> Result<Self, KitError> {
        let mut files = BTreeMap::new();
        collect(&folder.join("kernel"), &mut files)?;
        let builtin = folder.join("modules.builtin");
        let builtin = fs::read_to_string(&builtin).map_err(KitError::io("read", &builtin))?;
        Ok(Modules {
            files,
            builtin: builtin.replace('-', "_"),
        })
    }

    /// `names` and all that they depend on, each after its dependencies; what is built into the kernel is left out.
    pub(super) fn load(&self, names: &[&str]) -> Result<Vec<(String, Vec<u8>)>, KitError> {
        let mut ordered = Vec::new();
        for name in names {
            self.add(name, &mut ordered)?;
        }
        Ok(ordered)
    }

    fn add(&self, name: &str, ordered: &mut Vec<(String, Vec<u8>)>) -> Result<(), KitError> {
        let name = name.replace('-', "_");
        if ordered.iter().any(|(loaded, _)| *loaded == name)
            || self.builtin.contains(&format!("/{name}.ko"))
        {
            return Ok(());
        }
        let path = self.files.get(&name).ok_or_else(|| KitError::Parse {
            what: "kernel without the module",
            line: name.clone(),
        })?;
        let bytes = if path.extension().is_some_and(|extension| extension == "xz") {
            command::run(Command::new(require(Tool::Xz)).arg("-dc").arg(path))?.stdout
        } else {
            fs::read(path).map_err(KitError::io("read", path))?
        };
        for dependency in depends(&bytes) {
            self.add(&dependency, ordered)?;
        }
        ordered.push((name, bytes));
        Ok(())
    }
}

fn collect(folder: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<(), KitError> {
    for entry in fs::read_dir(folder).map_err(KitError::io("read", folder))? {
        let path = entry.map_err(KitError::io("read", folder))?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if let Some((name, _)) = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.split_once(".ko"))
        {
            files.insert(name.replace('-', "_"), path);
        }
    }
    Ok(())
}

/// The names in the `depends=` string of a module's `.modinfo` section, where each string ends with a NUL.
fn depends(module: &[u8]) -> Vec<String> {
    let marker = b"\0depends=";
    let Some(at) = module
        .windows(marker.len())
        .position(|window| window == marker)
    else {
        return Vec::new();
    };
    let text = &module[at + marker.len()..];
    let end = text
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(text.len());
    let names = String::from_utf8_lossy(&text[..end]).into_owned();
    names
        .split(',')
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_read_from_the_module_itself() {
        assert_eq!(
            depends(b"license=GPL\0depends=libcrc32c,lz4-x\0name=erofs\0"),
            ["libcrc32c", "lz4-x"]
        );
        assert!(depends(b"\0depends=\0").is_empty());
    }
}
