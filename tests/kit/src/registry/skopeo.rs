//! Pushing through skopeo.

use std::{path::Path, process::Command};

use super::DockerRegistry;
use crate::{
    KitError, command,
    oracle::{Tool, require},
};

/// What skopeo does to an image on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushFormat {
    /// Nothing: every digest is kept, an index with all of its children.
    AsIs,
    /// Converts manifest and config to Docker's schema 2 (layers as gzip).
    DockerSchema2,
    /// Compresses the layers anew with Zstandard.
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
            // Skopeo compresses only what is not compressed at all, and would replace a layer by a blob that the registry
            // has in another compression: so the image is made apart, and pushed as it is.
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

/// `skopeo copy`, with the policy and the temporary folder of ours, not of the machine.
fn skopeo(folder: &Path) -> Command {
    let mut command = Command::new(require(Tool::Skopeo));
    command
        .args(["--insecure-policy", "--tmpdir"])
        .arg(folder)
        .args(["copy", "--quiet"]);
    command
}
