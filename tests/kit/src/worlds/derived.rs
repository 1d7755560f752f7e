//! Images made from others, or from recipes alone.

use std::{fs, path::Path, process::Command};

use serde_json::json;

use super::{TAG, World, reopen};
use crate::{
    KitError, command,
    image::{Compression, ImageBuilder, IndexBuilder, Layer},
    oracle::{Tool, require},
    tar,
};

/// How many layers [`World::ManyLayers`] has.
const MANY_LAYERS: u64 = 120;

/// Debian, and 119 layers above it of which each adds, replaces, links or deletes what one below it made.
pub(super) fn many_layers(layout: &Path) -> Result<(), KitError> {
    let mut image = reopen(&World::Base.layout()?, TAG)?;
    for index in 1..MANY_LAYERS {
        let mut recipe = format!(
            "dir opt/many mode=0755 mtime={index}.5\n\
             file opt/many/{index}/data size={} seed={index} mode=0640 uid={index}\n\
             file opt/many/last data={index}\n\
             symlink opt/many/current target={index}\n",
            index * 977
        );
        match index % 4 {
            0 => recipe.push_str(&format!("whiteout opt/many/{}\n", index - 2)),
            1 if index > 1 => recipe.push_str(&format!(
                "link opt/many/{index}/same target=opt/many/{}/data\n",
                index - 1
            )),
            3 => recipe.push_str(&format!(
                "opaque opt/many/{}\nfile opt/many/{}/new data=new\n",
                index - 1,
                index - 1
            )),
            _ => {}
        }
        image = image.layer(Layer::recipe(&recipe).gzip());
    }
    image.write_layout(layout, TAG).map(drop)
}

pub(super) fn index(layout: &Path) -> Result<(), KitError> {
    let other = |architecture: &str| {
        let layer = Layer::recipe(&format!(
            "dir etc\nfile etc/architecture data={architecture}\\n"
        ));
        ImageBuilder::new()
            .layer(layer.gzip())
            .platform("linux", architecture)
    };
    let attestation = ImageBuilder::new()
        .layer(Layer::tar(&b"{}"[..]).media_type("application/vnd.in-toto+json"));
    let attestation = attestation.platform("unknown", "unknown");
    IndexBuilder::new()
        .image(attestation)
        .image(other("arm").variant("v7"))
        .image(other("arm64"))
        .image(reopen(&World::Base.layout()?, TAG)?)
        .write_layout(layout, TAG)
        .map(drop)
}

/// Through skopeo, which compresses only what it finds uncompressed.
pub(super) fn zstd(world: World, work: &Path, layout: &Path) -> Result<(), KitError> {
    let skopeo = |arguments: &[&str]| {
        let mut copy = Command::new(require(Tool::Skopeo));
        command::run(
            copy.args(["--insecure-policy", "--tmpdir"])
                .arg(work)
                .args(["copy", "--quiet"])
                .args(arguments),
        )
        .map(drop)
    };
    let source = format!("oci:{}:{TAG}", world.layout()?.display());
    let plain = format!("dir:{}", work.join("plain").display());
    skopeo(&["--dest-decompress", &source, &plain])?;
    skopeo(&[
        "--dest-compress-format",
        "zstd",
        "--format",
        "oci",
        &plain,
        &format!("oci:{}:{TAG}", layout.display()),
    ])
}

pub(super) fn schema2(layout: &Path) -> Result<(), KitError> {
    reopen(&World::Python.layout()?, TAG)?
        .docker_schema2()
        .write_layout(layout, TAG)
        .map(drop)
}

/// One layer of two files past 1 GiB, half of the first and all of the second compressible, and what surrounds them.
pub(super) fn large(work: &Path, layout: &Path) -> Result<(), KitError> {
    let recipe = tar::Recipe::new(
        "dir data mode=0700\n\
         file data/small data=before\n\
         file data/mixed size=1610612737 seed=1 fill=mixed mode=0600\n\
         file data/text size=1181116006 seed=2 fill=text\n\
         file data/after size=4096 seed=3\n\
         link data/again target=data/text",
    );
    let blob = work.join("large.tar.gz");
    let layer = Layer::stream(&blob, Compression::Gzip, |out| recipe.write(out))?;
    ImageBuilder::new()
        .layer(layer)
        .config(json!({ "Cmd": ["true"] }))
        .write_layout(layout, TAG)?;
    // What is published holds the blob under its own name only.
    fs::remove_file(&blob).map_err(KitError::io("remove", &blob))
}
