use std::error::Error;
use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};

use super::Bench;
use super::artifacts::{Artifacts, Mkfs};
use super::images::BenchImage;
use super::measure::{Figures, measure, median, remove, remove_large};
use super::peers::Peers;
use super::table::{Printed, float, megabytes, ratio, seconds};
use crate::Outcome;

/// Everything that is measured of one image.
struct Row {
    name: &'static str,
    plain_bytes: u64,
    ours: Figures,
    floor: Figures,
    floor_same: Figures,
    artifacts: Artifacts,
    mkfs: Mkfs,
    peers: Option<Peers>,
    /// Each run's wall time: ours, the floor, the floor with our inflate.
    walls: [Vec<f64>; 3],
}

/// Cold pulls beside the floor, as tables of times and of sizes.
pub(super) fn pulls(bench: &Bench, images: &[BenchImage], out: &mut dyn Write) -> Outcome {
    let names: Vec<&str> = images.iter().map(BenchImage::name).collect();
    let mut rows = Vec::new();
    if bench.json {
        for image in images {
            let row = measure_image(bench, image)?;
            writeln!(out, "{}", row.json())?;
        }
        return Ok(());
    }
    let mut heads = vec![
        "image",
        "plain MB",
        "files",
        "runs",
        "wall s",
        "CPU s",
        "peak MiB",
        "floor s",
        "floor CPU",
        "wall ratio",
        "CPU ratio",
        "same inflate s",
        "its ratio",
    ];
    if bench.peers {
        heads.extend(["skopeo, mkfs --tar", "skopeo, umoci, mkfs"]);
    }
    let mut table = Printed::head(out, &names, &heads)?;
    for image in images {
        let row = measure_image(bench, image)?;
        table.row(&row.times())?;
        rows.push(row);
    }
    table.end()?;
    let heads = [
        "image",
        "files",
        "layer images",
        "sidecars",
        "fsmeta",
        "mkfs --tar=f",
        "images / mkfs",
        "fsmeta bytes/file",
        "without names, inline",
        "peak limit MiB",
        "peak MiB",
    ];
    let mut table = Printed::head(out, &names, &heads)?;
    for row in &rows {
        table.row(&row.sizes())?;
    }
    table.end()?;
    for note in rows.iter().filter_map(Row::note) {
        writeln!(out, "{note}\n")?;
    }
    Ok(())
}

fn measure_image(bench: &Bench, image: &BenchImage) -> Result<Row, Box<dyn Error>> {
    let _pushed = bench.push(image)?;
    let mut runs = [const { Vec::new() }; 3];
    let mut plain_bytes = 0;
    let mut artifacts = None;
    for run in 0..image.runs(bench.runs) {
        let cache = bench.fresh(&format!("{}-{run}", image.name()))?;
        runs[0].push(measure(&bench.pull(image, &cache))?.0);
        if artifacts.is_none() {
            artifacts = Some(Artifacts::of(&cache)?);
        }
        let mut folders = vec![cache];
        for (runs, inflate) in runs[1..].iter_mut().zip(["isal", "zlib-rs"]) {
            let folder = bench.fresh(&format!("{}-{run}-{inflate}", image.name()))?;
            let (figures, printed) = measure(&bench.floor(image, inflate, "sync", &folder))?;
            let report: Value = serde_json::from_str(&printed)?;
            plain_bytes = report["plain_bytes"].as_u64().unwrap_or_default();
            runs.push(figures);
            folders.push(folder);
        }
        for folder in folders {
            remove_large(&folder)?;
        }
    }
    let walls = runs
        .each_ref()
        .map(|runs| runs.iter().map(|run| run.wall_s).collect());
    let [ours, floor, floor_same] = runs.map(|runs| median(&runs));
    Ok(Row {
        name: image.name(),
        plain_bytes,
        ours,
        floor,
        floor_same,
        artifacts: artifacts.unwrap_or_default(),
        mkfs: Mkfs::of(image)?,
        peers: bench.peers.then(|| Peers::run(bench, image)).transpose()?,
        walls,
    })
}

/// Plain bytes, and a median wall time: for the tables of cores and growth.
pub(super) fn cold(
    bench: &Bench,
    image: &BenchImage,
    prefix: &[&str],
    cache: &Path,
) -> Result<Figures, Box<dyn Error>> {
    let mut runs = Vec::new();
    for _ in 0..image.runs(bench.runs) {
        remove(cache)?;
        let pull = bench.pull(image, cache);
        let command = match prefix {
            [] => pull,
            [program, arguments @ ..] => {
                let mut command = std::process::Command::new(program);
                command
                    .args(arguments)
                    .arg(pull.get_program())
                    .args(pull.get_args());
                command
            }
        };
        runs.push(measure(&command)?.0);
    }
    Ok(median(&runs))
}

impl Row {
    fn times(&self) -> Vec<String> {
        let mut cells = vec![
            self.name.to_owned(),
            megabytes(self.plain_bytes),
            self.artifacts.inodes.to_string(),
            self.walls[0].len().to_string(),
            seconds(self.ours.wall_s),
            seconds(self.ours.cpu_s),
            format!("{:.1}", self.ours.peak_kib / 1024.0),
            seconds(self.floor.wall_s),
            seconds(self.floor.cpu_s),
            ratio(self.ours.wall_s / self.floor.wall_s),
            ratio(self.ours.cpu_s / self.floor.cpu_s),
            seconds(self.floor_same.wall_s),
            ratio(self.ours.wall_s / self.floor_same.wall_s),
        ];
        if let Some(peers) = &self.peers {
            cells.push(seconds(peers.mkfs.wall_s));
            cells.push(
                peers
                    .umoci
                    .map_or_else(|| "-".to_owned(), |umoci| seconds(umoci.wall_s)),
            );
        }
        cells
    }

    fn sizes(&self) -> Vec<String> {
        let artifacts = &self.artifacts;
        let each = |bytes: u64| format!("{:.1}", float(bytes) / float(artifacts.inodes));
        // 64 MiB and 200 bytes for each file.
        let limit = 64.0 + 200.0 * float(artifacts.inodes) / f64::from(1 << 20);
        let (mkfs_bytes, images_ratio) = if self.mkfs.is_whole() {
            let ratio = format!("{:.3}", self.images_ratio());
            (megabytes(self.mkfs.bytes()), ratio)
        } else {
            ("*".to_owned(), "*".to_owned())
        };
        vec![
            self.name.to_owned(),
            artifacts.inodes.to_string(),
            megabytes(artifacts.layer_images()),
            megabytes(artifacts.sidecars),
            megabytes(artifacts.fsmeta),
            mkfs_bytes,
            images_ratio,
            each(artifacts.fsmeta),
            each(artifacts.fsmeta.saturating_sub(artifacts.names_and_inline)),
            format!("{limit:.1}"),
            format!("{:.1}", self.ours.peak_kib / 1024.0),
        ]
    }

    /// The sizes of our layer images to those of mkfs.erofs, of the layers that both make.
    fn images_ratio(&self) -> f64 {
        float(self.artifacts.images_of(&self.mkfs)) / float(self.mkfs.bytes())
    }

    /// What the star in the row of sizes means.
    fn note(&self) -> Option<String> {
        let (made, all) = (self.mkfs.made(), self.mkfs.all());
        (made < all).then(|| {
            format!(
                "\\* {}: `mkfs.erofs --tar=f` makes {made} of {all} layers (it fails on a whiteout below what is a file in \
                 the same layer). Of these, our images are {:.3} times as large as its own.",
                self.name,
                self.images_ratio()
            )
        })
    }

    fn json(&self) -> Value {
        json!({
            "table": "pulls",
            "image": self.name,
            "runs": self.walls[0].len(),
            "plain_bytes": self.plain_bytes,
            "files": self.artifacts.inodes,
            "ours": self.ours.json(),
            "floor": self.floor.json(),
            "floor_same_inflate": self.floor_same.json(),
            "wall_ratio": self.ours.wall_s / self.floor.wall_s,
            "cpu_ratio": self.ours.cpu_s / self.floor.cpu_s,
            "wall_ratio_same_inflate": self.ours.wall_s / self.floor_same.wall_s,
            "walls_s": self.walls,
            "layer_image_bytes": self.artifacts.layer_images(),
            "layer_image_bytes_of_mkfs_layers": self.artifacts.images_of(&self.mkfs),
            "sidecar_bytes": self.artifacts.sidecars,
            "fsmeta_bytes": self.artifacts.fsmeta,
            "fsmeta_names_and_inline_bytes": self.artifacts.names_and_inline,
            "mkfs_tar_bytes": self.mkfs.bytes(),
            "mkfs_makes_all_layers": self.mkfs.is_whole(),
            "skopeo_mkfs": self.peers.map(|peers| peers.mkfs.json()),
            "skopeo_umoci_mkfs": self.peers.and_then(|peers| peers.umoci).map(Figures::json),
        })
    }
}
