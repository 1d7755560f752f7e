//! The tree of an image as umoci unpacks it.

use std::{path::Path, process::Command};

use crate::{
    KitError, command,
    oracle::{Tool, require},
    tree::{Ignore, Listing},
};

/// Unpacks the image `tag` of an OCI layout into `bundle` (which must not exist) and reads its root file system. Needs
/// root.
///
/// # Errors
///
/// When umoci refuses the image.
pub fn unpack(layout: &Path, tag: &str, bundle: &Path) -> Result<Listing, KitError> {
    let image = format!("{}:{tag}", layout.display());
    command::run(
        Command::new(require(Tool::Umoci))
            .args(["unpack", "--image", &image])
            .arg(bundle),
    )?;
    Listing::walk(&bundle.join("rootfs"))
}

/// Returns the known losses of umoci: times of directories that it writes to later, and empty attribute values.
#[must_use]
pub fn known_losses() -> Ignore {
    Ignore {
        dir_mtimes: true,
        empty_xattrs: true,
        ..Ignore::default()
    }
}
