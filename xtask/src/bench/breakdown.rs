use std::error::Error;
use std::io::Write;
use std::process::Command;

use serde_json::{Value, json};

use super::Bench;
use super::images::BenchImage;
use super::measure::{Figures, measure, median, remove};
use super::table::Printed;
use crate::Outcome;

/// The steps of the floor, each with all that the ones before it do.
const STEPS: [(&str, &str); 6] = [
    ("fetch", "fetching"),
    ("hash-blob", "hashing compressed bytes"),
    ("inflate", "inflating"),
    ("hash-plain", "hashing plain bytes"),
    ("write", "writing"),
    ("sync", "syncing"),
];

/// What each part of pulling an image costs, beside the whole, and the same of the floor.
pub(super) fn breakdown(bench: &Bench, image: &BenchImage, out: &mut dyn Write) -> Outcome {
    let _pushed = bench.push(image)?;
    let mut timed = Vec::new();
    let mut plain = Vec::new();
    let cache = bench.folder.path().join("cache");
    for _ in 0..image.runs(bench.runs) {
        remove(&cache)?;
        let mut command = Command::new(bench.programs.join("breakdown"));
        command.arg(bench.reference(image)).arg(&cache);
        let (figures, printed) = measure(&command)?;
        let report: Value = serde_json::from_str(&printed)?;
        timed.push((figures, report));
        remove(&cache)?;
        plain.push(measure(&bench.pull(image, &cache))?.0);
    }
    remove(&cache)?;
    let plain = median(&plain);
    // The whole run in the middle, not each part's own median: parts of different runs do not add up.
    timed.sort_by(|(a, _), (b, _)| a.wall_s.total_cmp(&b.wall_s));
    let (figures, report) = timed.swap_remove(timed.len() / 2);
    let floor = floor_steps(bench, image)?;
    if bench.json {
        let row = json!({
            "table": "breakdown", "image": image.name(), "whole": figures.json(), "msb-image": plain.json(), "pull": report,
            "floor": floor.iter().map(|(name, step)| json!({ "step": name, "until": step.json() })).collect::<Vec<_>>(),
        });
        writeln!(out, "{row}")?;
        return Ok(());
    }
    writeln!(
        out,
        "{}: {:.0} ms from start to end, {:.0} ms of CPU; msb-image, which is not watched: {:.0} ms, {:.0} ms\n",
        image.name(),
        figures.wall_s * 1e3,
        figures.cpu_s * 1e3,
        plain.wall_s * 1e3,
        plain.cpu_s * 1e3,
    )?;
    parts(figures, &report, out)?;
    stages(&report, out)?;
    let names: Vec<&str> = floor.iter().map(|(name, _)| *name).collect();
    let mut table = Printed::head(out, &names, &["floor", "wall ms", "more", "CPU ms", "more"])?;
    let mut before = Figures::default();
    for (name, step) in &floor {
        let millis = |value: f64| format!("{:.1}", value * 1e3);
        table.row(&[
            (*name).to_owned(),
            millis(step.wall_s),
            millis(step.wall_s - before.wall_s),
            millis(step.cpu_s),
            millis(step.cpu_s - before.cpu_s),
        ])?;
        before = *step;
    }
    table.end()?;
    Ok(())
}

fn parts(figures: Figures, report: &Value, out: &mut dyn Write) -> Outcome {
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    let whole_ms = figures.wall_s * 1e3;
    let mut rows: Vec<(&str, f64)> = list(&report["parts"])
        .iter()
        .map(|part| {
            (
                part["part"].as_str().unwrap_or_default(),
                number(&part["wall_ms"]),
            )
        })
        .collect();
    rows.push((
        "starting and ending the process",
        whole_ms - number(&report["wall_ms"]),
    ));
    let sum = rows.iter().map(|(_, wall_ms)| wall_ms).sum();
    rows.push(("together", sum));
    let names: Vec<&str> = rows.iter().map(|(name, _)| *name).collect();
    let mut table = Printed::head(out, &names, &["part", "wall ms", "% of all"])?;
    for (name, wall_ms) in rows {
        let percent = format!("{:.1}", wall_ms * 100.0 / whole_ms);
        table.row(&[name.to_owned(), format!("{wall_ms:.1}"), percent])?;
    }
    table.end()?;
    Ok(())
}

fn stages(report: &Value, out: &mut dyn Write) -> Outcome {
    let all = list(&report["stages"]);
    let names: Vec<&str> = all
        .iter()
        .map(|stage| stage["stage"].as_str().unwrap_or_default())
        .collect();
    let heads = [
        "threads",
        "count",
        "wall ms",
        "waiting for input",
        "waiting for others",
        "part file",
        "after input",
        "rest",
        "CPU ms",
    ];
    let mut table = Printed::head(out, &names, &heads)?;
    let mut rest = report["cpu_ms"].as_f64().unwrap_or(f64::NAN);
    for (stage, name) in all.iter().zip(&names) {
        let number = |name: &str| stage[name].as_f64().unwrap_or(f64::NAN);
        let (wall, input, output) = (number("wall_ms"), number("input_ms"), number("output_ms"));
        let (part, tail) = (number("part_ms"), number("tail_ms"));
        rest -= number("cpu_ms");
        table.row(&[
            (*name).to_owned(),
            stage["threads"].to_string(),
            format!("{wall:.1}"),
            format!("{input:.1}"),
            format!("{output:.1}"),
            format!("{part:.1}"),
            format!("{tail:.1}"),
            format!("{:.1}", wall - input - output - part - tail),
            format!("{:.1}", number("cpu_ms")),
        ])?;
    }
    let dash = || "-".to_owned();
    let rest = format!("{rest:.1}");
    let mut others = vec!["others".to_owned()];
    others.resize_with(heads.len() - 1, dash);
    others.push(rest);
    table.row(&others)?;
    table.end()?;
    Ok(())
}

/// The floor as far as each step, with the median of its runs.
fn floor_steps(
    bench: &Bench,
    image: &BenchImage,
) -> Result<Vec<(&'static str, Figures)>, Box<dyn Error>> {
    let mut runs = STEPS.map(|_| Vec::new());
    for _ in 0..image.runs(bench.runs) {
        for ((until, _), runs) in STEPS.iter().zip(&mut runs) {
            let folder = bench.fresh("floor")?;
            runs.push(measure(&bench.floor(image, "isal", until, &folder))?.0);
            remove(&folder)?;
        }
    }
    let names = STEPS.iter().map(|(_, name)| *name);
    Ok(names.zip(runs.iter().map(|runs| median(runs))).collect())
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
