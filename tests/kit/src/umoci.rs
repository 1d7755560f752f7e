//! umoci's opinion of a merged tree.

use std::{path::Path, process::Command};

use crate::{
    KitError, command,
    oracle::{Tool, require},
    tree::{Ignore, Listing},
};

/// Unpacks the image `tag` of an OCI layout into `bundle` (which must not exist) and lists its root file system. Needs root.
///
/// # Errors
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

/// What umoci is known to lose: times of directories written to later, and empty attribute values.
pub fn known_losses() -> Ignore {
    Ignore {
        dir_mtimes: true,
        empty_xattrs: true,
        ..Ignore::default()
    }
}
