use crate::{Error, Image, Limit, ReadAt};

/// Bounds on the work that one image may cause.
///
/// An image of a megabyte can refer to the same bytes a million times. The format itself bounds names and chunk
/// addresses by the length of the image. Xattrs and file data may be shared legitimately, so their default is a
/// multiple of the length.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Directory entries. `None`: as many as fit the image.
    pub names: Option<u64>,
    /// Chunk addresses. `None`: as many as fit the image.
    pub chunks: Option<u64>,
    /// Bytes of xattr names and values. `None`: 256 times the length of the image plus 1 MiB.
    pub xattr_bytes: Option<u64>,
    /// Bytes of file data read, without holes. `None`: 64 times the length of the image plus 1 MiB.
    pub data_bytes: Option<u64>,
    /// Levels of directories below the start of the walk.
    pub depth: usize,
    /// Bytes of one path.
    pub path_bytes: usize,
    /// Bytes of the paths that a dump remembers for inodes with several links. `None`: 16 times the length of the image
    /// plus 1 MiB.
    pub link_path_bytes: Option<u64>,
}

impl Limits {
    /// Sets [`names`](Self::names).
    #[must_use]
    pub fn with_names(mut self, limit: u64) -> Self {
        self.names = Some(limit);
        self
    }

    /// Sets [`chunks`](Self::chunks).
    #[must_use]
    pub fn with_chunks(mut self, limit: u64) -> Self {
        self.chunks = Some(limit);
        self
    }

    /// Sets [`xattr_bytes`](Self::xattr_bytes).
    #[must_use]
    pub fn with_xattr_bytes(mut self, limit: u64) -> Self {
        self.xattr_bytes = Some(limit);
        self
    }

    /// Sets [`data_bytes`](Self::data_bytes).
    #[must_use]
    pub fn with_data_bytes(mut self, limit: u64) -> Self {
        self.data_bytes = Some(limit);
        self
    }

    /// Sets [`depth`](Self::depth).
    #[must_use]
    pub fn with_depth(mut self, limit: usize) -> Self {
        self.depth = limit;
        self
    }

    /// Sets [`path_bytes`](Self::path_bytes).
    #[must_use]
    pub fn with_path_bytes(mut self, limit: usize) -> Self {
        self.path_bytes = limit;
        self
    }

    /// Sets [`link_path_bytes`](Self::link_path_bytes).
    #[must_use]
    pub fn with_link_path_bytes(mut self, limit: u64) -> Self {
        self.link_path_bytes = Some(limit);
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            names: None,
            chunks: None,
            xattr_bytes: None,
            data_bytes: None,
            depth: 4096,
            path_bytes: 64 * 1024,
            link_path_bytes: None,
        }
    }
}

/// The remaining part of the limits.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    names: Counter,
    chunks: Counter,
    xattr_bytes: Counter,
    data_bytes: Counter,
    link_path_bytes: Counter,
}

#[derive(Clone, Copy, Debug)]
struct Counter {
    allowed: u64,
    used: u64,
}

impl Counter {
    fn new(allowed: u64) -> Self {
        Self { allowed, used: 0 }
    }

    fn take(&mut self, amount: u64, limit: Limit) -> Result<(), Error> {
        self.used = self.used.saturating_add(amount);
        if self.used > self.allowed {
            return Err(Error::Limit {
                limit,
                allowed: self.allowed,
            });
        }
        Ok(())
    }
}

impl Budget {
    pub(crate) fn new<D: ReadAt>(image: &Image<D>, limits: &Limits) -> Self {
        let times = |bytes: u64, factor| bytes.saturating_mul(factor).saturating_add(1 << 20);
        // All metadata is on the primary.
        let (bytes, data_bytes) = (image.primary_bytes, image.readable_bytes());
        Self {
            // An entry has 12 bytes and a name of at least one byte.
            names: Counter::new(limits.names.unwrap_or(bytes / 13)),
            chunks: Counter::new(limits.chunks.unwrap_or(bytes / 4)),
            xattr_bytes: Counter::new(limits.xattr_bytes.unwrap_or_else(|| times(bytes, 256))),
            data_bytes: Counter::new(limits.data_bytes.unwrap_or_else(|| times(data_bytes, 64))),
            link_path_bytes: Counter::new(
                limits.link_path_bytes.unwrap_or_else(|| times(bytes, 16)),
            ),
        }
    }

    pub(crate) fn take(&mut self, limit: Limit, amount: u64) -> Result<(), Error> {
        match limit {
            Limit::Names => self.names.take(amount, limit),
            Limit::Chunks => self.chunks.take(amount, limit),
            Limit::XattrBytes => self.xattr_bytes.take(amount, limit),
            Limit::DataBytes => self.data_bytes.take(amount, limit),
            Limit::LinkPathBytes => self.link_path_bytes.take(amount, limit),
            // Not counted here: checked where they occur.
            Limit::Depth | Limit::PathBytes => Ok(()),
        }
    }
}
