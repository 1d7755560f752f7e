use std::path::Path;

use msb_testkit::erofs_tools;

/// Builds an image of a directory with mkfs.erofs.
pub(crate) fn mkfs(flags: &[&str], image: &Path, source: &Path) {
    let mut options = vec!["--quiet", "-U", "00112233-4455-6677-8899-aabbccddeeff"];
    options.extend(flags);
    erofs_tools::mkfs(image, source, &options).unwrap();
}
