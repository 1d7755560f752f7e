use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use super::MountError;

/// A mount, as proc_pid_mountinfo(5) lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mounted {
    id: u64,
    parent: u64,
    point: PathBuf,
    pub(super) file_system: String,
    pub(super) source: PathBuf,
}

/// Returns the mounts on a directory, the topmost one last. The path is absolute and without symbolic links.
pub(super) fn mounts_on(target: &Path) -> Result<Vec<Mounted>, MountError> {
    let table = fs::read("/proc/self/mountinfo");
    let table = table.map_err(|source| MountError::Table { source })?;
    Ok(stack(&table, target))
}

fn stack(table: &[u8], target: &Path) -> Vec<Mounted> {
    let lines = table.split(|byte| *byte == b'\n').filter_map(parse);
    let mut rest: Vec<Mounted> = lines.filter(|mounted| mounted.point == target).collect();
    let is_above = |mounted: &Mounted, all: &[Mounted]| {
        let mut all = all.iter();
        all.any(|other| other.id == mounted.parent)
    };
    // Each mount lies on its parent; the lowest one lies on a mount of another directory.
    let mut stack: Vec<Mounted> = Vec::new();
    while !rest.is_empty() {
        let next = rest.iter().position(|mounted| match stack.last() {
            Some(top) => mounted.parent == top.id,
            None => !is_above(mounted, &rest),
        });
        match next {
            Some(next) => stack.push(rest.remove(next)),
            // Covered by another mount above the directory.
            None => break,
        }
    }
    stack
}

/// Parses `36 35 98:0 /root /point options optional... - type source super-options`.
fn parse(line: &[u8]) -> Option<Mounted> {
    let mut fields = line.split(|byte| *byte == b' ');
    let number = |field: &[u8]| std::str::from_utf8(field).ok()?.parse().ok();
    let id = number(fields.next()?)?;
    let parent = number(fields.next()?)?;
    let point = unescape(fields.nth(2)?);
    let mut fields = fields.skip_while(|field| *field != b"-").skip(1);
    let file_system = String::from_utf8_lossy(fields.next()?).into_owned();
    let source = unescape(fields.next()?);
    Some(Mounted {
        id,
        parent,
        point,
        file_system,
        source,
    })
}

/// Replaces `\ooo` by the byte with that octal number, which the kernel writes for blanks, line breaks and backslashes.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, tail @ ..] = rest {
        rest = tail;
        let octal = if *first == b'\\' { octal(tail) } else { None };
        match octal {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            None => bytes.push(*first),
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

fn octal(digits: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(digits.get(..3)?).ok()?;
    u8::from_str_radix(digits, 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mounts_of_a_directory_are_found_from_bottom_to_top() {
        let table = b"1 0 8:1 / / rw - ext4 /dev/sda rw\n\
            30 20 0:9 / /m\\040t rw,nosuid shared:1 master:2 - overlay msb-image rw\n\
            20 1 0:8 / /m\\040t ro - erofs /c/disks/a\\134b/fsmeta.erofs ro\n\
            40 1 0:8 / /m ro - tmpfs none ro\nmalformed\n";
        let stack = stack(table, Path::new("/m t"));
        let found: Vec<_> = stack
            .iter()
            .map(|mounted| {
                (
                    mounted.file_system.as_str(),
                    mounted.source.to_str().unwrap(),
                )
            })
            .collect();
        let disk = ("erofs", "/c/disks/a\\b/fsmeta.erofs");
        assert_eq!(found, [disk, ("overlay", "msb-image")]);
    }

    #[test]
    fn escapes_that_the_kernel_does_not_write_stay() {
        for (text, path) in [
            (&b"a\\011b"[..], "a\tb"),
            (b"a\\", "a\\"),
            (b"a\\09", "a\\09"),
            (b"\\777", "\\777"),
        ] {
            assert_eq!(unescape(text), Path::new(path));
        }
    }
}
