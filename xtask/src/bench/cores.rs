use std::io::Write;

use serde_json::json;

use super::Bench;
use super::images::BenchImage;
use super::pulls::cold;
use super::table::{Printed, ratio, seconds};
use crate::Outcome;

/// One large layer with one core, then with all that there are. The registry is not bound.
pub(super) fn cores(bench: &Bench, image: &BenchImage, out: &mut dyn Write) -> Outcome {
    let _pushed = bench.push(image)?;
    let cache = bench.fresh("cache")?;
    let one = cold(bench, image, &["taskset", "-c", "0"], &cache)?;
    let all = cold(bench, image, &[], &cache)?;
    if bench.json {
        let row = json!({
            "table": "cores", "image": image.name(), "one": one.json(), "all": all.json(), "times": one.wall_s / all.wall_s,
        });
        writeln!(out, "{row}")?;
        return Ok(());
    }
    let heads = ["cores", "one s", "all s", "times faster"];
    let mut table = Printed::head(out, &[image.name()], &heads)?;
    table.row(&[
        image.name().to_owned(),
        seconds(one.wall_s),
        seconds(all.wall_s),
        ratio(one.wall_s / all.wall_s),
    ])?;
    table.end()?;
    Ok(())
}
