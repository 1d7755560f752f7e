use std::path::Path;
use std::process::Command;

/// Makes an image of a directory with the real mkfs.erofs, which has to be there.
pub(crate) fn mkfs(flags: &[&str], image: &Path, source: &Path) {
    let output = Command::new("mkfs.erofs")
        .args(["--quiet", "-U", "00112233-4455-6677-8899-aabbccddeeff"])
        .args(flags)
        .args([image, source])
        .output()
        .expect("mkfs.erofs is needed: install erofs-utils");
    assert!(
        output.status.success(),
        "mkfs.erofs {flags:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
