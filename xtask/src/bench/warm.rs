use std::io::Write;

use serde_json::json;

use super::Bench;
use super::images::BenchImage;
use super::measure::{measure, measure_now, median};
use super::table::Printed;
use crate::Outcome;

/// Pulls of images that are in the cache, process start included.
pub(super) fn warm(bench: &Bench, images: &[BenchImage], out: &mut dyn Write) -> Outcome {
    let names: Vec<&str> = images.iter().map(BenchImage::name).collect();
    let heads = ["warm pull", "wall ms", "slowest ms", "CPU ms", "peak MiB"];
    let mut rows = Vec::new();
    for image in images {
        let _pushed = bench.push(image)?;
        let cache = bench.fresh("cache")?;
        let pull = bench.pull(image, &cache);
        measure(&pull)?;
        let mut runs = Vec::new();
        for _ in 0..bench.warm_runs {
            runs.push(measure_now(&pull)?.0);
        }
        let slowest = runs.iter().map(|run| run.wall_s).fold(0.0, f64::max);
        rows.push((image.name(), median(&runs), slowest));
    }
    if bench.json {
        for (name, figures, slowest) in rows {
            let row = json!({
                "table": "warm", "image": name, "runs": bench.warm_runs, "ours": figures.json(), "slowest_s": slowest,
            });
            writeln!(out, "{row}")?;
        }
        return Ok(());
    }
    let mut table = Printed::head(out, &names, &heads)?;
    for (name, figures, slowest) in rows {
        table.row(&[
            name.to_owned(),
            format!("{:.2}", figures.wall_s * 1e3),
            format!("{:.2}", slowest * 1e3),
            format!("{:.2}", figures.cpu_s * 1e3),
            format!("{:.1}", figures.peak_kib / 1024.0),
        ])?;
    }
    table.end()?;
    Ok(())
}
