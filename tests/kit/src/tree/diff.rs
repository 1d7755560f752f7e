//! Compares two trees.

use std::collections::BTreeSet;

use super::{Entry, Listing, escape};
use crate::KitError;

/// Known differences between two readers that a comparison ignores. The default ignores nothing.
#[derive(Debug, Clone, Default)]
pub struct Ignore {
    /// Times of directories (umoci loses some).
    pub dir_mtimes: bool,
    /// All times.
    pub mtimes: bool,
    /// All properties of the root directory except its type.
    pub root: bool,
    /// Nanoseconds of times.
    pub nanoseconds: bool,
    /// Extended attributes with an empty value (umoci loses them).
    pub empty_xattrs: bool,
    /// All extended attributes.
    pub xattrs: bool,
    /// Extended attributes whose names start with one of these.
    pub xattr_prefixes: Vec<String>,
    /// The link counts, but not which names are links.
    pub nlinks: bool,
    /// Paths, and everything below them.
    pub paths: Vec<String>,
}

impl Listing {
    /// Returns one line for each path that differs: missing, unexpected, or each field with both values.
    #[must_use]
    pub fn diff(&self, other: &Listing, ignore: &Ignore) -> Vec<String> {
        let paths: BTreeSet<&Vec<u8>> = self.entries.keys().chain(other.entries.keys()).collect();
        let mut lines = Vec::new();
        for path in paths.into_iter().filter(|path| !ignore.covers(path)) {
            match (self.entries.get(path), other.entries.get(path)) {
                (Some(left), None) => lines.push(format!("{}: only left: {left}", escape(path))),
                (None, Some(right)) => lines.push(format!("{}: only right: {right}", escape(path))),
                (Some(left), Some(right)) => {
                    let fields = ignore.fields(path, left, right);
                    if !fields.is_empty() {
                        lines.push(format!("{}: {}", escape(path), fields.join("; ")));
                    }
                }
                (None, None) => {}
            }
        }
        lines
    }

    /// Asserts that two trees are equal except for what is ignored. The error has every difference.
    ///
    /// # Errors
    ///
    /// [`KitError::TreesDiffer`] with the names `left` and `right`.
    pub fn same(
        &self,
        left: &str,
        other: &Listing,
        right: &str,
        ignore: &Ignore,
    ) -> Result<(), KitError> {
        let mut differences = self.diff(other, ignore);
        if differences.is_empty() {
            return Ok(());
        }
        // A report of thousands of lines is of no use.
        let count = differences.len();
        if count > 100 {
            differences.truncate(100);
            differences.push(format!("... and {} more", count - 100));
        }
        Err(KitError::TreesDiffer {
            left: left.to_owned(),
            right: right.to_owned(),
            differences,
        })
    }
}

impl Ignore {
    fn covers(&self, path: &[u8]) -> bool {
        self.paths.iter().any(|ignored| {
            path.strip_prefix(ignored.trim_end_matches('/').as_bytes())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
        })
    }

    fn fields(&self, path: &[u8], left: &Entry, right: &Entry) -> Vec<String> {
        let mut fields = Vec::new();
        let mut compare = |name: &str, left: Option<String>, right: Option<String>| {
            // A property that one reader does not know is not compared.
            if let (Some(left), Some(right)) = (left, right)
                && left != right
            {
                fields.push(format!("{name} {left} != {right}"));
            }
        };
        compare(
            "type",
            Some(left.kind.to_string()),
            Some(right.kind.to_string()),
        );
        let link = |entry: &Entry| {
            Some(
                entry
                    .link
                    .as_deref()
                    .map_or_else(|| "(none)".to_owned(), escape),
            )
        };
        compare("hard link to", link(left), link(right));
        let linked = left.link.is_some() || right.link.is_some();
        if linked || (self.root && path == b"/") {
            return fields;
        }
        compare(
            "mode",
            Some(format!("{:04o}", left.mode)),
            Some(format!("{:04o}", right.mode)),
        );
        compare(
            "uid",
            Some(left.uid.to_string()),
            Some(right.uid.to_string()),
        );
        compare(
            "gid",
            Some(left.gid.to_string()),
            Some(right.gid.to_string()),
        );
        if !(self.mtimes || self.dir_mtimes && left.kind == 'd') {
            compare("mtime", self.mtime(left), self.mtime(right));
        }
        if !self.nlinks {
            compare(
                "nlink",
                left.nlink.map(|links| links.to_string()),
                right.nlink.map(|links| links.to_string()),
            );
        }
        compare(
            "size",
            left.size.map(|size| size.to_string()),
            right.size.map(|size| size.to_string()),
        );
        compare("sha256", left.sha256.clone(), right.sha256.clone());
        compare(
            "target",
            left.target.as_deref().map(escape),
            right.target.as_deref().map(escape),
        );
        let device = |entry: &Entry| entry.rdev.map(|(major, minor)| format!("{major}:{minor}"));
        compare("rdev", device(left), device(right));
        if !self.xattrs {
            compare("xattrs", self.xattr_text(left), self.xattr_text(right));
        }
        fields
    }

    fn mtime(&self, entry: &Entry) -> Option<String> {
        let (seconds, nanoseconds) = entry.mtime?;
        Some(if self.nanoseconds {
            seconds.to_string()
        } else {
            format!("{seconds}.{nanoseconds:09}")
        })
    }

    fn xattr_text(&self, entry: &Entry) -> Option<String> {
        let all = entry.xattrs.as_ref()?;
        let kept = all.iter().filter(|(name, value)| {
            let lost = self.empty_xattrs && value.is_empty();
            let named = self
                .xattr_prefixes
                .iter()
                .any(|prefix| name.starts_with(prefix.as_bytes()));
            !lost && !named
        });
        let words: Vec<String> = kept
            .map(|(name, value)| format!("{}={}", escape(name), crate::digest::hex(value)))
            .collect();
        Some(format!("[{}]", words.join(" ")))
    }
}
