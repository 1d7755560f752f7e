use std::io::Write;

use serde_json::json;

use super::pulls::cold;
use super::table::{Printed, float, seconds};
use super::{Bench, images};
use crate::Outcome;

/// What grows, in three sizes.
const SERIES: [(&str, [&str; 3]); 3] = [
    ("MiB", ["bytes-128m", "bytes-512m", "bytes-2g"]),
    ("file", ["files-10k", "files-100k", "files-1m"]),
    ("layer", ["layers-30", "layers-100", "layers-300"]),
];

/// Time and memory by bytes, files and layers.
pub(super) fn growth(bench: &Bench, out: &mut dyn Write) -> Outcome {
    let names: Vec<&str> = SERIES.iter().flat_map(|(_, names)| *names).collect();
    let heads = ["growth", "size", "of", "wall s", "peak MiB", "µs each"];
    let mut lines = Vec::new();
    for (unit, names) in SERIES {
        for name in names {
            let image = images::find(name)?;
            let _pushed = bench.push(&image)?;
            let cache = bench.fresh("cache")?;
            let figures = cold(bench, &image, &[], &cache)?;
            let each_us = figures.wall_s * 1e6 / float(image.size().into());
            if bench.json {
                let row = json!({
                    "table": "growth", "image": name, "size": image.size(), "unit": unit, "ours": figures.json(),
                    "each_us": each_us,
                });
                writeln!(out, "{row}")?;
            }
            lines.push([
                name.to_owned(),
                image.size().to_string(),
                unit.to_owned(),
                seconds(figures.wall_s),
                format!("{:.1}", figures.peak_kib / 1024.0),
                format!("{each_us:.1}"),
            ]);
        }
    }
    if bench.json {
        return Ok(());
    }
    let mut table = Printed::head(out, &names, &heads)?;
    for line in lines {
        table.row(&line)?;
    }
    table.end()?;
    Ok(())
}
