//! Normalizes the paths of an archive.

use std::borrow::Cow;

/// Limits on the length of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathLimits {
    /// Bytes of one component: Linux accepts at most 255.
    pub component_bytes: usize,
    /// Bytes of the whole normalized path. Far more than one system call accepts, since a deep tree can be built with relative
    /// paths.
    pub path_bytes: usize,
}

impl Default for PathLimits {
    fn default() -> Self {
        Self {
            component_bytes: 255,
            path_bytes: 65_535,
        }
    }
}

/// Why a path cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// A `..` component.
    #[error("path has a component \"..\"")]
    ParentDir,
    /// A NUL byte.
    #[error("path has a NUL byte")]
    Nul,
    /// A component is too long.
    #[error("path has a component of {actual} bytes, more than the allowed {allowed}")]
    ComponentTooLong {
        /// The limit.
        allowed: usize,
        /// The component's length.
        actual: usize,
    },
    /// The path is too long.
    #[error("path has {actual} bytes, more than the allowed {allowed}")]
    PathTooLong {
        /// The limit.
        allowed: usize,
        /// The normalized path's length.
        actual: usize,
    },
}

/// Normalizes a path: no leading, trailing or repeated `/`, no `.` components. The empty path is the root.
///
/// Borrows if the result is a slice of the raw path, as it nearly always is; allocates only for a `.` or a doubled `/` in
/// the middle.
///
/// ```
/// use msb_layer::tar::path::{PathLimits, normalize};
///
/// let limits = PathLimits::default();
/// assert_eq!(&*normalize(b"./usr//bin/./sh", &limits)?, b"usr/bin/sh");
/// assert_eq!(&*normalize(b"./", &limits)?, b"");
/// assert!(normalize(b"a/../b", &limits).is_err());
/// # Ok::<(), msb_layer::tar::path::PathError>(())
/// ```
///
/// # Errors
///
/// [`PathError`] for a `..` component, a NUL, and a path that exceeds `limits`.
pub fn normalize<'a>(raw: &'a [u8], limits: &PathLimits) -> Result<Cow<'a, [u8]>, PathError> {
    if raw.contains(&0) {
        return Err(PathError::Nul);
    }
    let trimmed = trim(raw);
    let mut is_normal = true;
    for component in trimmed.split(|byte| *byte == b'/') {
        match component {
            b".." => return Err(PathError::ParentDir),
            b"" | b"." => is_normal = false,
            _ if component.len() > limits.component_bytes => {
                return Err(PathError::ComponentTooLong {
                    allowed: limits.component_bytes,
                    actual: component.len(),
                });
            }
            _ => {}
        }
    }
    let path = if is_normal || trimmed.is_empty() {
        Cow::Borrowed(trimmed)
    } else {
        Cow::Owned(rejoin(trimmed))
    };
    if path.len() > limits.path_bytes {
        return Err(PathError::PathTooLong {
            allowed: limits.path_bytes,
            actual: path.len(),
        });
    }
    Ok(path)
}

/// Cuts `/` and `.` components off both ends.
fn trim(raw: &[u8]) -> &[u8] {
    let mut path = raw;
    loop {
        path = match path {
            [b'/', rest @ ..]
            | [b'.', b'/', rest @ ..]
            | [rest @ .., b'/']
            | [rest @ .., b'/', b'.'] => rest,
            [b'.'] => &[],
            _ => return path,
        };
    }
}

fn rejoin(path: &[u8]) -> Vec<u8> {
    let mut normal = Vec::with_capacity(path.len());
    for component in path.split(|byte| *byte == b'/') {
        if !matches!(component, b"" | b".") {
            if !normal.is_empty() {
                normal.push(b'/');
            }
            normal.extend_from_slice(component);
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(raw: &[u8]) -> Cow<'_, [u8]> {
        normalize(raw, &PathLimits::default()).expect("the path is fine")
    }

    #[test]
    fn slashes_and_dots_are_normalized_without_allocation_where_possible() {
        for (raw, normal) in [
            (&b"a/b"[..], &b"a/b"[..]),
            (b"/a/b/", b"a/b"),
            (b"./a/b/.", b"a/b"),
            (b"//.//a", b"a"),
            (b"a/b/./", b"a/b"),
            (b".", b""),
            (b"./", b""),
            (b"/", b""),
            (b"", b""),
            (b"././/./", b""),
            (b".a", b".a"),
            (b"a.", b"a."),
            (b"a/...", b"a/..."),
            (b"\xff/\n", b"\xff/\n"),
        ] {
            let path = ok(raw);
            assert_eq!(&*path, normal);
            assert!(matches!(path, Cow::Borrowed(_)), "{}", raw.escape_ascii());
        }
        assert_eq!(&*ok(b"a/./b"), b"a/b");
        assert_eq!(&*ok(b"a//b///c/././d"), b"a/b/c/d");
    }

    #[test]
    fn parent_dir_nul_and_length_are_errors() {
        let limits = PathLimits::default();
        let fails = |raw: &[u8]| normalize(raw, &limits).expect_err("the path is bad");
        for raw in [&b".."[..], b"../a", b"a/..", b"a/../b", b"/../"] {
            assert_eq!(fails(raw), PathError::ParentDir);
        }
        assert_eq!(fails(b"a\0b"), PathError::Nul);
        assert_eq!(ok(&[b'x'; 255]).len(), 255);
        let expected = PathError::ComponentTooLong {
            allowed: 255,
            actual: 256,
        };
        assert_eq!(fails(&[b'x'; 256]), expected);
        let longest = b"a/".repeat(32_768);
        assert_eq!(ok(&longest).len(), 65_535);
        let long = b"a/".repeat(32_769);
        assert!(matches!(
            fails(&long),
            PathError::PathTooLong { actual: 65_537, .. }
        ));
    }
}
