use std::error::Error;
use std::io::Write;

use msb_testkit::link::{Link, LinkOptions};
use serde_json::json;

use super::Bench;
use super::images::{self, BenchImage};
use super::measure::{Figures, measure, median, remove};
use super::table::{Printed, ratio, seconds};
use crate::Outcome;

/// What a connection of the slow link carries, in bytes per second.
const BYTES_PER_SEC: u64 = 20_000_000;
/// An image with one large layer, and whether it is pulled over the slow link.
const ROWS: [(&str, bool); 3] = [
    ("bytes-512m", true),
    ("bytes-512m", false),
    ("large", false),
];

/// Measures one connection for a blob, and ranges of it, alternately: over a link that is slow for each connection, and directly.
pub(super) fn ranges(bench: &Bench, out: &mut dyn Write) -> Outcome {
    let heads = [
        "image",
        "link",
        "pairs",
        "one s",
        "ranges s",
        "faster",
        "one CPU",
        "ranges CPU",
        "one peak MiB",
        "ranges peak",
    ];
    let mut rows = Vec::new();
    for (name, is_slow) in ROWS {
        let image = images::find(name)?;
        let _pushed = bench.push(&image)?;
        let (one, ranges) = pairs(bench, &image, is_slow)?;
        let pairs = one.len();
        let (one, ranges) = (median(&one), median(&ranges));
        let link = if is_slow { "20 MB/s" } else { "loopback" };
        if bench.json {
            let row = json!({
                "table": "ranges", "image": name, "link": link, "pairs": pairs, "one": one.json(), "ranges": ranges.json(),
            });
            writeln!(out, "{row}")?;
        }
        rows.push([
            name.to_owned(),
            link.to_owned(),
            pairs.to_string(),
            seconds(one.wall_s),
            seconds(ranges.wall_s),
            ratio(one.wall_s / ranges.wall_s),
            seconds(one.cpu_s),
            seconds(ranges.cpu_s),
            format!("{:.1}", one.peak_kib / 1024.0),
            format!("{:.1}", ranges.peak_kib / 1024.0),
        ]);
    }
    if bench.json {
        return Ok(());
    }
    let mut table = Printed::head(out, &ROWS.map(|(name, _)| name), &heads)?;
    for row in rows {
        table.row(&row)?;
    }
    table.end()?;
    Ok(())
}

/// Returns the figures of pulls with one connection, and of those with the default number of ranges.
fn pairs(
    bench: &Bench,
    image: &BenchImage,
    is_slow: bool,
) -> Result<(Vec<Figures>, Vec<Figures>), Box<dyn Error>> {
    let (mut ones, mut ranges) = (Vec::new(), Vec::new());
    let host = bench.registry.host();
    let slow = Link::start(
        &host,
        LinkOptions {
            bytes_per_sec: Some(BYTES_PER_SEC),
            ..LinkOptions::default()
        },
    )?;
    for run in 0..image.runs(bench.runs) {
        // The second of two runs finds warmer caches of the kernel, so the two take turns at being first.
        let mut order = [true, false];
        order.rotate_left(run % 2);
        for is_one in order {
            let cache = bench.fresh(&format!("{}-{run}-{is_one}", image.name()))?;
            let host = if is_slow { slow.host() } else { host.clone() };
            let mut command = bench.pull_from(&host, image, &cache);
            if is_one {
                command.args(["--ranges", "1"]);
            }
            let runs = if is_one { &mut ones } else { &mut ranges };
            runs.push(measure(&command)?.0);
            remove(&cache)?;
        }
    }
    Ok((ones, ranges))
}
