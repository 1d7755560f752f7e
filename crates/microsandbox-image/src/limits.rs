use std::fmt;
use std::str::FromStr;

use msb_budget::ImageLimits;
use msb_layer::LayerLimits;

/// A limit by its name, as in a command line or a configuration file: `image-memory-bytes=512M`.
///
/// A number may have a suffix K, M, G or T, or KiB, MiB, GiB or TiB: powers of 1024.
///
/// ```
/// use microsandbox_image::NamedLimit;
///
/// let limit: NamedLimit = "image-memory-bytes=512M".parse()?;
/// assert_eq!(limit, NamedLimit::new("image-memory-bytes", 512 << 20)?);
/// assert!("no-such-limit=1".parse::<NamedLimit>().is_err());
/// # Ok::<(), microsandbox_image::UnknownLimit>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct NamedLimit {
    at: usize,
    value: u64,
}

/// Reports a limit that cannot be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnknownLimit {
    /// There is no limit of that name.
    #[error("unknown limit {name:?}; the limits are {}", names())]
    Name {
        /// The name.
        name: String,
    },
    /// The value is not a 64-bit number.
    #[error("limit {name}: {value:?} is not a number with an optional suffix K, M, G or T")]
    Value {
        /// The name of the limit.
        name: &'static str,
        /// The value.
        value: String,
    },
    /// The text has no `=`.
    #[error("{text:?} is not of the form NAME=VALUE")]
    Form {
        /// The text.
        text: String,
    },
}

/// A limit that can be set by name.
struct Row {
    name: &'static str,
    help: &'static str,
    at: for<'a> fn(&'a mut LayerLimits, &'a mut ImageLimits) -> &'a mut u64,
}

const ROWS: &[Row] = &[
    Row {
        name: "image-memory-bytes",
        help: "memory for the file trees of an image's layers and of their merge",
        at: |_, image| &mut image.memory_bytes,
    },
    Row {
        name: "image-entries",
        help: "entries of all layers of an image",
        at: |_, image| &mut image.entries,
    },
    Row {
        name: "image-tree-entries",
        help: "names in the merged file tree of an image",
        at: |_, image| &mut image.tree_entries,
    },
    Row {
        name: "image-path-steps",
        help: "path components walked for an image",
        at: |_, image| &mut image.path_steps,
    },
    Row {
        name: "image-uncompressed-bytes",
        help: "uncompressed bytes of all layers of an image",
        at: |_, image| &mut image.uncompressed_bytes,
    },
    Row {
        name: "image-disk-bytes",
        help: "bytes on disk of an image's layers and metadata",
        at: |_, image| &mut image.disk_bytes,
    },
    Row {
        name: "layer-entries",
        help: "entries of a layer, and names in its tree",
        at: |layer, _| &mut layer.entries,
    },
    Row {
        name: "layer-metadata-bytes",
        help: "bytes of the paths, links and xattrs of a layer",
        at: |layer, _| &mut layer.metadata_bytes,
    },
    Row {
        name: "layer-path-steps",
        help: "path components walked for a layer",
        at: |layer, _| &mut layer.path_steps,
    },
    Row {
        name: "layer-uncompressed-bytes",
        help: "uncompressed bytes of a layer",
        at: |layer, _| &mut layer.uncompressed_bytes,
    },
    Row {
        name: "layer-image-bytes",
        help: "bytes of a layer image",
        at: |layer, _| &mut layer.image_bytes,
    },
    Row {
        name: "layer-sparse-bytes",
        help: "bytes that the sparse files of a layer cost beyond their data",
        at: |layer, _| &mut layer.sparse_bytes,
    },
    Row {
        name: "file-bytes",
        help: "logical bytes of one file, holes counted",
        at: |layer, _| &mut layer.file_bytes,
    },
    Row {
        name: "pax-bytes",
        help: "bytes of one PAX header, and of all global PAX headers of a layer",
        at: |layer, _| &mut layer.tar.pax_bytes,
    },
    Row {
        name: "long-name-bytes",
        help: "bytes of one GNU long name",
        at: |layer, _| &mut layer.tar.long_name_bytes,
    },
    Row {
        name: "xattr-bytes",
        help: "bytes of the names and values of one file's xattrs",
        at: |layer, _| &mut layer.tar.xattr_bytes,
    },
    Row {
        name: "xattr-name-bytes",
        help: "bytes of the names of one file's xattrs, each with a NUL",
        at: |layer, _| &mut layer.tar.xattr_name_bytes,
    },
    Row {
        name: "symlink-bytes",
        help: "bytes of the target of a symbolic link",
        at: |layer, _| &mut layer.tar.symlink_bytes,
    },
    Row {
        name: "sparse-extents",
        help: "extents of one sparse file",
        at: |layer, _| &mut layer.tar.sparse_extents,
    },
    Row {
        name: "zstd-window-bytes",
        help: "bytes of the window of a zstd frame",
        at: |layer, _| &mut layer.decode.zstd_window_bytes,
    },
];

impl NamedLimit {
    /// Returns the limit of that name with this value.
    ///
    /// # Errors
    /// [`UnknownLimit::Name`].
    pub fn new(name: &str, value: u64) -> Result<Self, UnknownLimit> {
        let at = ROWS.iter().position(|row| row.name == name);
        let at = at.ok_or_else(|| UnknownLimit::Name {
            name: name.to_owned(),
        })?;
        Ok(Self { at, value })
    }

    /// Returns the names of all limits, each with its meaning.
    #[must_use]
    pub fn all() -> impl ExactSizeIterator<Item = (&'static str, &'static str)> {
        ROWS.iter().map(|row| (row.name, row.help))
    }

    /// Returns all limits with their default values.
    #[must_use]
    pub fn defaults() -> impl ExactSizeIterator<Item = Self> {
        let (mut layer, mut image) = (LayerLimits::default(), ImageLimits::default());
        ROWS.iter().enumerate().map(move |(at, row)| Self {
            at,
            value: *(row.at)(&mut layer, &mut image),
        })
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        ROWS[self.at].name
    }

    /// Returns the value.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.value
    }

    pub(crate) fn apply(self, layer: &mut LayerLimits, image: &mut ImageLimits) {
        *(ROWS[self.at].at)(layer, image) = self.value;
    }
}

impl FromStr for NamedLimit {
    type Err = UnknownLimit;

    fn from_str(text: &str) -> Result<Self, UnknownLimit> {
        let (name, value) = text.split_once('=').ok_or_else(|| UnknownLimit::Form {
            text: text.to_owned(),
        })?;
        let limit = Self::new(name.trim(), 0)?;
        let number = parse_bytes(value.trim()).ok_or_else(|| UnknownLimit::Value {
            name: limit.name(),
            value: value.to_owned(),
        })?;
        Ok(Self {
            value: number,
            ..limit
        })
    }
}

impl fmt::Display for NamedLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name(), self.value)
    }
}

impl fmt::Debug for NamedLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NamedLimit({self})")
    }
}

/// Parses a number with an optional suffix K, M, G or T, also as KiB, MiB, GiB or TiB: powers of 1024. Returns `None` for other texts
/// and for numbers beyond 64 bits.
#[must_use]
pub fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, suffix) = text.split_at(digits);
    let bits = match suffix.to_ascii_lowercase().as_str() {
        "" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        "t" | "tib" => 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << bits)
}

fn names() -> String {
    let names: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_is_set_by_its_name_alone() {
        for (name, help) in NamedLimit::all() {
            let (mut layer, mut image) = (LayerLimits::default(), ImageLimits::default());
            let before = (layer, image);
            let limit: NamedLimit = format!("{name}=12345").parse().unwrap();
            assert_eq!((limit.name(), limit.value()), (name, 12345));
            limit.apply(&mut layer, &mut image);
            assert_ne!((layer, image), before, "{name}");
            assert!(!help.is_empty());
        }
    }

    #[test]
    fn values_take_suffixes_and_nothing_else() {
        let value = |text: &str| format!("file-bytes={text}").parse::<NamedLimit>();
        for (text, expected) in [
            ("0", 0),
            ("7k", 7 << 10),
            ("2MiB", 2 << 20),
            (" 3G ", 3 << 30),
        ] {
            assert_eq!(value(text).unwrap().value(), expected);
        }
        for text in [
            "",
            "x",
            "-1",
            "1.5G",
            "1KB",
            "99999999999999999999",
            "16777216T",
        ] {
            let error = value(text).unwrap_err();
            assert!(error.to_string().contains("file-bytes"), "{error}");
        }
        assert!("file-bytes".parse::<NamedLimit>().is_err());
    }
}
