//! Pushes with skopeo.

use std::path::Path;

use super::DockerRegistry;
use crate::{KitError, command, skopeo::skopeo};

/// The conversion of an image by skopeo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushFormat {
    /// None: all digests stay the same, an index keeps all of its children.
    AsIs,
    /// Converts manifest and config to Docker's schema 2 (layers as gzip).
    DockerSchema2,
    /// Recompresses the layers with Zstandard.
    Zstd,
}

pub(super) fn push(
    registry: &DockerRegistry,
    layout: &Path,
    name: &str,
    tag: &str,
    format: PushFormat,
) -> Result<String, KitError> {
    let folder = tempfile::tempdir_in(registry.folder.path())
        .map_err(KitError::io("create a folder in", registry.folder.path()))?;
    let source = format!("oci:{}:{tag}", layout.display());
    let target = format!("docker://{}/{name}:{tag}", registry.host());
    let digest_file = folder.path().join("digest");
    let mut push = skopeo(folder.path());
    push.args(["--dest-tls-verify=false", "--digestfile"])
        .arg(&digest_file);
    if let Some((user, password)) = &registry.options.basic_auth {
        push.arg("--dest-creds").arg(format!("{user}:{password}"));
    }
    match format {
        PushFormat::AsIs => {
            command::run(push.args(["--all", "--preserve-digests", &source, &target]))?
        }
        PushFormat::DockerSchema2 => {
            command::run(push.args(["--format", "v2s2", &source, &target]))?
        }
        PushFormat::Zstd => {
            // Skopeo compresses only uncompressed layers, and would replace a layer by a blob that the registry has in
            // another compression. So the image is converted first and then pushed unchanged.
            let plain = format!("dir:{}", folder.path().join("plain").display());
            let again = format!("oci:{}:{tag}", folder.path().join("again").display());
            command::run(skopeo(folder.path()).args(["--dest-decompress", &source, &plain]))?;
            let compress = ["--format", "oci", "--dest-compress-format", "zstd"];
            command::run(skopeo(folder.path()).args(compress).args([&plain, &again]))?;
            command::run(push.args(["--preserve-digests", &again, &target]))?
        }
    };
    let digest =
        std::fs::read_to_string(&digest_file).map_err(KitError::io("read", &digest_file))?;
    Ok(digest.trim().to_owned())
}
