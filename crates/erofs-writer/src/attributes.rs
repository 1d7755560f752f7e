use fs_tree::{Metadata, Timestamp};

/// The attributes of an inode: permissions, owner, modification time, xattrs.
///
/// A bare mode converts into attributes with owner root, the time 1970-01-01 and no xattrs.
///
/// ```
/// use erofs_writer::Attributes;
///
/// let ping = Attributes::new(0o755)
///     .owner(0, 0)
///     .mtime(1_700_000_000, 0)
///     .xattr("user.origin", "example");
/// assert_eq!(Attributes::from(0o644), Attributes::new(0o644));
/// # let _ = ping;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Permissions, owner, modification time.
    pub metadata: Metadata,
    /// Full names and values in any order; each name occurs once.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Attributes {
    /// Creates attributes with the lower 12 bits of `mode`, owner root, the time 1970-01-01 and no xattrs.
    #[must_use]
    pub fn new(mode: u16) -> Self {
        Self::from(Metadata {
            mode: mode & 0o7777,
            ..Metadata::default()
        })
    }

    /// Sets the owner and the group.
    #[must_use]
    pub fn owner(mut self, uid: u32, gid: u32) -> Self {
        (self.metadata.uid, self.metadata.gid) = (uid, gid);
        self
    }

    /// Sets the modification time: seconds since 1970, which may be negative, and nanoseconds below 10^9, which are
    /// added to them.
    #[must_use]
    pub fn mtime(mut self, secs: i64, nanos: u32) -> Self {
        self.metadata.mtime = Timestamp { secs, nanos };
        self
    }

    /// Sets an xattr by its full name, such as `user.a`, replacing an xattr of that name.
    #[must_use]
    pub fn xattr(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.xattrs.retain(|(other, _)| other != name.as_ref());
        self.xattrs
            .push((name.as_ref().to_vec(), value.as_ref().to_vec()));
        self
    }
}

impl From<u16> for Attributes {
    fn from(mode: u16) -> Self {
        Self::new(mode)
    }
}

impl From<Metadata> for Attributes {
    fn from(metadata: Metadata) -> Self {
        Self {
            metadata,
            xattrs: Vec::new(),
        }
    }
}
