use std::io::Write;
use std::path::Path;

use super::Bench;
use super::images::BenchImage;
use super::measure::{measure, median, remove_large};
use super::table::{Printed, ratio, seconds};
use crate::Outcome;

/// Measures cold pulls of this build and of another `msb-image` alternately, and prints the medians and the median ratio of the pairs.
pub(super) fn against(
    bench: &Bench,
    other: &Path,
    images: &[BenchImage],
    out: &mut dyn Write,
) -> Outcome {
    let names: Vec<&str> = images.iter().map(BenchImage::name).collect();
    let heads = [
        "image",
        "pairs",
        "wall s",
        "other s",
        "wall ratio",
        "CPU s",
        "other CPU",
        "CPU ratio",
        "peak MiB",
        "other peak",
    ];
    let mut table = Printed::head(out, &names, &heads)?;
    for image in images {
        let _pushed = bench.push(image)?;
        let (mut ours, mut others) = (Vec::new(), Vec::new());
        for run in 0..image.runs(bench.runs) {
            // The second of two runs finds warmer caches of the kernel, so the two take turns at being first.
            let mut order = [true, false];
            order.rotate_left(run % 2);
            for is_ours in order {
                let cache = bench.fresh(&format!("{}-{run}-{is_ours}", image.name()))?;
                let mut command = bench.pull(image, &cache);
                if !is_ours {
                    let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
                    command = std::process::Command::new(other);
                    command.args(arguments);
                }
                let runs = if is_ours { &mut ours } else { &mut others };
                runs.push(measure(&command)?.0);
                remove_large(&cache)?;
            }
        }
        let median_ratio = |figure: fn(&super::measure::Figures) -> f64| {
            let pairs = ours.iter().zip(&others);
            let mut ratios: Vec<f64> = pairs.map(|(a, b)| figure(a) / figure(b)).collect();
            ratios.sort_by(f64::total_cmp);
            ratio(ratios.get(ratios.len() / 2).copied().unwrap_or(f64::NAN))
        };
        let (wall, cpu) = (
            median_ratio(|run| run.wall_s),
            median_ratio(|run| run.cpu_s),
        );
        let pairs = ours.len().to_string();
        let (ours, others) = (median(&ours), median(&others));
        table.row(&[
            image.name().to_owned(),
            pairs,
            seconds(ours.wall_s),
            seconds(others.wall_s),
            wall,
            seconds(ours.cpu_s),
            seconds(others.cpu_s),
            cpu,
            format!("{:.1}", ours.peak_kib / 1024.0),
            format!("{:.1}", others.peak_kib / 1024.0),
        ])?;
    }
    table.end()?;
    Ok(())
}
