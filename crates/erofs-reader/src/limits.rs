use crate::{Error, Image, Limit, ReadAt};

/// Bounds on the work that one image may cause.
///
/// An image of a megabyte can name the same bytes a million times. What the format itself makes unique, names and chunk
/// addresses, can never be more than the image's bytes allow; xattrs and file data may honestly be shared, and are bounded
/// to a multiple of the image's length unless a number is given here.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Names in all directories. `None`: as many as fit the image.
    pub names: Option<u64>,
    /// Chunk addresses of all files. `None`: as many as fit the image.
    pub chunks: Option<u64>,
    /// Bytes of names and values of all xattrs. `None`: 256 times the image's length, and 1 MiB.
    pub xattr_bytes: Option<u64>,
    /// Bytes of file data that are read, holes not counted. `None`: 64 times the image's length, and 1 MiB.
    pub data_bytes: Option<u64>,
    /// Levels of directories below the one where the walk begins.
    pub depth: usize,
    /// Bytes of one path.
    pub path_bytes: usize,
    /// Bytes of the paths that a dump remembers of inodes with several names. `None`: 16 times the image's length, and
    /// 1 MiB.
    pub link_path_bytes: Option<u64>,
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

/// What is left of the limits.
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
        // All metadata lie on the primary.
        let (bytes, data_bytes) = (image.primary_bytes, image.readable_bytes());
        Self {
            // An entry has 12 bytes and a name of at least one.
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
            // Not counted: they are measured where they arise.
            Limit::Depth | Limit::PathBytes => Ok(()),
        }
    }
}
