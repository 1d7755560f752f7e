//! The files of a pulled image's disk.

use std::fs::File;
use std::io;
use std::path::Path;

use microsandbox_image::PullResult;

use crate::Failure;

/// Returns the layer images of a disk: every extent but the first, which is fsmeta, and a hash tree.
#[must_use]
pub fn devices(result: &PullResult) -> Vec<&Path> {
    let is_image = |path: &Path| path.extension().is_some_and(|name| name == "erofs");
    let extents = result.extents.iter().skip(1);
    let extents = extents.filter(|extent| is_image(&extent.path));
    extents.map(|extent| extent.path.as_path()).collect()
}

/// Writes the extents one after another into one raw disk.
///
/// # Errors
/// When a file cannot be read or written, or an extent has another length than the result states.
pub fn concatenate(result: &PullResult, into: &Path) -> Result<(), Failure> {
    let mut flat = File::create(into)?;
    for extent in &result.extents {
        let copied = io::copy(&mut File::open(&extent.path)?, &mut flat)?;
        if copied != extent.bytes {
            let path = extent.path.display();
            let expected = extent.bytes;
            return Err(format!("{path}: expected {expected} bytes, found {copied}").into());
        }
    }
    Ok(())
}
