//! VMDK descriptors under the rules that Cloud Hypervisor states for them.
//!
//! ```text
//!   lines    "# Disk DescriptorFile", then version, CID, parentCID and createType, then the extents
//!   extent   five words between blanks: RW <sectors> FLAT "<name>" <offset>
//!   name     relative, without "..", a regular file beneath the descriptor's directory, not a symbolic link
//!   length   the file has all sectors that its line states
//! ```

use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::KitError;

/// Returns the files of a disk in order, with their lengths in bytes.
///
/// # Errors
///
/// When the descriptor breaks a rule, which the error names.
pub fn extents(vmdk: &Path) -> Result<Vec<(PathBuf, u64)>, KitError> {
    let text = fs::read_to_string(vmdk).map_err(KitError::io("read", vmdk))?;
    let folder = vmdk.parent().unwrap_or(Path::new("."));
    let beneath = folder
        .canonicalize()
        .map_err(KitError::io("resolve", folder))?;
    let refused = |what, line: &str| KitError::Parse {
        what,
        line: line.to_owned(),
    };
    let mut lines = text.lines();
    let keys = [
        "# Disk DescriptorFile",
        "version=1",
        "CID=",
        "parentCID=ffffffff",
        "createType=\"twoGbMaxExtentFlat\"",
    ];
    for key in keys {
        let line = lines.next().unwrap_or_default();
        if !line.starts_with(key) {
            return Err(refused("header in another order", line));
        }
    }
    let mut found = Vec::new();
    for line in lines.filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["RW", sectors, "FLAT", name, "0"] = words[..] else {
            return Err(refused("extent of other than five words", line));
        };
        let sectors: u64 = sectors.parse().map_err(|_| refused("sectors", line))?;
        let name = name
            .strip_prefix('"')
            .and_then(|name| name.strip_suffix('"'));
        let name = Path::new(name.ok_or_else(|| refused("name without quotes", line))?);
        if !name
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
        {
            return Err(refused("name that leads out of the folder", line));
        }
        let path = folder.join(name);
        let metadata = path
            .symlink_metadata()
            .map_err(KitError::io("examine", &path))?;
        if !metadata.is_file() {
            return Err(refused("name of no regular file", line));
        }
        let resolved = path
            .canonicalize()
            .map_err(KitError::io("resolve", &path))?;
        if !resolved.starts_with(&beneath) {
            return Err(refused("file outside of the folder", line));
        }
        if metadata.len() < sectors * 512 {
            return Err(refused("file that is too short", line));
        }
        found.push((path, sectors * 512));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_descriptor_that_breaks_a_rule_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("a cache");
        fs::create_dir(&cache).unwrap();
        for path in [
            cache.join("a"),
            cache.join("b c"),
            folder.path().join("out"),
        ] {
            fs::write(path, [0; 4096]).unwrap();
        }
        symlink("a", cache.join("link")).unwrap();
        let vmdk = cache.join("disk.vmdk");
        let read = |extent: &str| {
            let head = "# Disk DescriptorFile\nversion=1\nCID=00000001\nparentCID=ffffffff\n\
                        createType=\"twoGbMaxExtentFlat\"\n# Extent description\n";
            fs::write(&vmdk, format!("{head}{extent}\n")).unwrap();
            extents(&vmdk)
        };
        assert_eq!(
            read("RW 8 FLAT \"a\" 0").unwrap(),
            [(cache.join("a"), 4096)]
        );
        for wrong in [
            "RW 9 FLAT \"a\" 0",
            "RW 8 FLAT \"../out\" 0",
            "RW 8 FLAT \"b c\" 0",
            "RW 8 FLAT \"link\" 0",
            "RW 8 FLAT \"missing\" 0",
            "RW 8 FLAT \"a\"",
            &format!("RW 8 FLAT \"{}\" 0", cache.join("a").display()),
        ] {
            read(wrong).unwrap_err();
        }
    }
}
