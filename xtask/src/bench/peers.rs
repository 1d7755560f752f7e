use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;

use msb_testkit::image;
use msb_testkit::oracle::{Tool, require};
use msb_testkit::worlds::TAG;

use super::Bench;
use super::artifacts::unpacker;
use super::images::BenchImage;
use super::measure::{Figures, measure};

/// What public tools need for the same image; `None` where they cannot read it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peers {
    /// `skopeo copy`, then `mkfs.erofs --tar=f` of each layer: no merge.
    pub(super) mkfs: Figures,
    /// `skopeo copy`, `umoci unpack`, `mkfs.erofs` of the folder.
    pub(super) umoci: Option<Figures>,
}

impl Peers {
    /// Runs both once.
    pub(super) fn run(bench: &Bench, bench_image: &BenchImage) -> Result<Peers, Box<dyn Error>> {
        let folder = bench.fresh("peer")?;
        fs::create_dir_all(&folder)?;
        let mkfs = add(&[
            skopeo(
                bench,
                bench_image,
                &format!("dir:{}", folder.join("dir").display()),
            ),
            mkfs_of_layers(bench_image, &folder)?,
        ])?;
        let umoci = if bench_image.is_zstd() {
            None
        } else {
            let layout = format!("{}:{TAG}", folder.join("layout").display());
            let bundle = folder.join("bundle");
            let mut unpack = Command::new(require(Tool::Umoci));
            unpack.args(["unpack", "--image", &layout]).arg(&bundle);
            let mut make = Command::new(require(Tool::MkfsErofs));
            make.arg("--quiet")
                .arg(folder.join("image.erofs"))
                .arg(bundle.join("rootfs"));
            let copy = skopeo(bench, bench_image, &format!("oci:{layout}"));
            Some(add(&[copy, unpack, make])?)
        };
        super::measure::remove(&folder)?;
        Ok(Peers { mkfs, umoci })
    }
}

fn skopeo(bench: &Bench, bench_image: &BenchImage, target: &str) -> Command {
    let source = format!("docker://{}", bench.reference(bench_image));
    let mut copy = Command::new(require(Tool::Skopeo));
    copy.args([
        "--insecure-policy",
        "copy",
        "--quiet",
        "--src-tls-verify=false",
    ])
    .args([&source, target]);
    copy
}

/// A shell that makes an image of each layer in the folder `dir`, one after the other, and continues after a failure of the tool.
fn mkfs_of_layers(bench_image: &BenchImage, folder: &Path) -> Result<Command, Box<dyn Error>> {
    let (_, manifest) = image::read_manifest(&bench_image.layout()?, TAG)?;
    let mut script = "set -e; cd \"$1\"\n".to_owned();
    for layer in manifest["layers"].as_array().into_iter().flatten() {
        let text = |name: &str| layer[name].as_str().unwrap_or_default();
        let hex = text("digest").rsplit(':').next().unwrap_or_default();
        let unpacker = unpacker(text("mediaType"))?;
        script.push_str(&format!(
            "{} -dc dir/{hex} | \"$2\" --quiet --tar=f {hex}.erofs >/dev/null 2>&1 || :\n",
            unpacker.display()
        ));
    }
    let mut command = Command::new("sh");
    command
        .args(["-c", &script, "sh"])
        .arg(folder)
        .arg(require(Tool::MkfsErofs));
    Ok(command)
}

/// One after the other; the peak is the largest process's.
fn add(steps: &[Command]) -> Result<Figures, Box<dyn Error>> {
    let mut sum = Figures::default();
    for command in steps {
        let (step, _) = measure(command)?;
        sum.wall_s += step.wall_s;
        sum.cpu_s += step.cpu_s;
        sum.peak_kib = sum.peak_kib.max(step.peak_kib);
    }
    Ok(sum)
}
