use std::time::{Duration, Instant};

use super::{
    events::{Events, LayerTimes},
    watch::{DISK, Mark, STAGE},
};
use crate::BenchError;

/// A part of a pull.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Part {
    /// The activity.
    pub name: &'static str,
    /// Its share of the wall time.
    pub time: Duration,
}

const BETWEEN: &str = "locks, leases, staging files";
const OPEN: &str = "starting a layer's threads";
const INPUT: &str = "waiting for the registry";
const INFLATE: &str = "inflating";
const OUTPUT: &str = "waiting for hashes, part file, tar and write";
const TAIL: &str = "hashes, part file, tar, write, metadata after inflating";
const SYNC: &str = "syncing and publishing layers, and waiting for a turn";

/// A span of one layer's time, and the shares of the activities in it.
struct Span {
    from: Instant,
    to: Instant,
    shares: Vec<(&'static str, Duration)>,
}

/// Divides the time from `start` to `end` into parts.
pub(super) fn parts(
    start: Instant,
    end: Instant,
    events: &Events,
    marks: &[Mark],
) -> Result<Vec<Part>, BenchError> {
    let required = |what, at: Option<Instant>| at.ok_or(BenchError::MissingEvent { what });
    let disk = |message| {
        let mark = marks
            .iter()
            .find(|mark| mark.target == DISK && mark.text("message") == message);
        required("the building of the disk", mark.map(|mark| mark.at))
    };
    let resolving = required("the start", events.resolving)?;
    let resolved = required("the manifest", events.resolved)?;
    let layers = events.layers.iter().map(|layer| layer.materialized);
    let merging = layers.fold(resolved, Instant::max);
    // Most of it runs concurrently with the layers; only the remaining time after them counts.
    let merged = disk("merged")?.max(merging);
    let written = disk("written")?.max(merged);
    let verified = disk("verified")?.max(written);
    let synced = disk("synced")?.max(verified);
    let published = required("the disk", events.published)?;
    let complete = required("the end", events.complete)?;

    let mut parts = vec![
        Part {
            name: "setting up",
            time: resolving - start,
        },
        Part {
            name: "connecting, manifest and config",
            time: resolved - resolving,
        },
    ];
    let mut spans = Vec::new();
    for layer in &events.layers {
        spans.extend(layer_spans(layer, marks)?);
    }
    parts.extend(divide(resolved, merging, &spans));
    let ends = [
        ("merging, after the layers", merging, merged),
        (
            "writing the merged metadata, after the layers",
            merged,
            written,
        ),
        ("verifying the disk, after the layers", written, verified),
        ("syncing the disk, after that", verified, synced),
        ("publishing the disk", synced, published),
        ("writing the record", published, complete),
        ("closing down", complete, end),
    ];
    parts.extend(ends.map(|(name, from, to)| Part {
        name,
        time: to.saturating_duration_since(from),
    }));
    Ok(parts)
}

fn layer_spans(layer: &LayerTimes, marks: &[Mark]) -> Result<[Span; 4], BenchError> {
    let stage = |name| {
        let mut of_layer = marks
            .iter()
            .filter(|mark| mark.target == STAGE && mark.text("layer") == layer.diff_id);
        of_layer
            .find(|mark| mark.text("stage") == name)
            .ok_or(BenchError::MissingEvent {
                what: "a layer's stages",
            })
    };
    let inflate = stage("inflate")?;
    let stored = stage("write")?.at.max(stage("hash")?.at);
    let wall = inflate.time("wall");
    let begun = inflate.at.checked_sub(wall).unwrap_or(inflate.at);
    let (input, output) = (inflate.time("input"), inflate.time("output"));
    let rest = wall.saturating_sub(input + output);
    let shares = vec![(INPUT, input), (OUTPUT, output), (INFLATE, rest)];
    let whole = |name| vec![(name, Duration::from_secs(1))];
    Ok([
        Span {
            from: layer.started,
            to: begun,
            shares: whole(OPEN),
        },
        Span {
            from: begun,
            to: inflate.at,
            shares,
        },
        Span {
            from: inflate.at,
            to: stored,
            shares: whole(TAIL),
        },
        Span {
            from: stored,
            to: layer.materialized,
            shares: whole(SYNC),
        },
    ])
}

/// Divides a span of time among the spans: each moment in equal shares among those that contain it.
fn divide(from: Instant, to: Instant, spans: &[Span]) -> Vec<Part> {
    let mut times: Vec<Instant> = spans.iter().flat_map(|span| [span.from, span.to]).collect();
    times.extend([from, to]);
    times.retain(|at| (from..=to).contains(at));
    times.sort_unstable();
    let mut parts: Vec<Part> = [BETWEEN, OPEN, INPUT, INFLATE, OUTPUT, TAIL, SYNC]
        .map(|name| Part {
            name,
            time: Duration::ZERO,
        })
        .into();
    let mut add = |name, time: Duration| {
        if let Some(part) = parts.iter_mut().find(|part| part.name == name) {
            part.time += time;
        }
    };
    for moment in times.windows(2) {
        let length = moment[1] - moment[0];
        let in_it = |span: &&Span| span.from <= moment[0] && moment[1] <= span.to;
        let active: Vec<&Span> = spans.iter().filter(in_it).collect();
        if active.is_empty() {
            add(BETWEEN, length);
        }
        let count = u32::try_from(active.len()).unwrap_or(u32::MAX);
        for span in &active {
            let share = length / count;
            let sum: Duration = span.shares.iter().map(|(_, time)| *time).sum();
            for (name, time) in &span.shares {
                if !sum.is_zero() {
                    add(name, share.mul_f64(time.div_duration_f64(sum)));
                }
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_of_overlapping_layers_add_up_to_the_whole() {
        let zero = Instant::now();
        let at = |millis| zero + Duration::from_millis(millis);
        let span = |from, to, shares: &[(&'static str, u64)]| Span {
            from: at(from),
            to: at(to),
            shares: shares
                .iter()
                .map(|(name, share)| (*name, Duration::from_millis(*share)))
                .collect(),
        };
        let spans = [
            span(10, 50, &[(INFLATE, 3), (OUTPUT, 1)]),
            span(30, 70, &[(SYNC, 1)]),
        ];
        let parts = divide(at(0), at(100), &spans);
        let time = |name| {
            let part = parts.iter().find(|part| part.name == name);
            part.map_or(0.0, |part| part.time.as_secs_f64() * 1000.0)
        };
        let close = |a: f64, b: f64| (a - b).abs() < 0.01;
        assert!(close(time(INFLATE), 22.5), "{parts:?}");
        assert!(close(time(OUTPUT), 7.5), "{parts:?}");
        assert!(close(time(SYNC), 30.0), "{parts:?}");
        assert!(close(time(BETWEEN), 40.0), "{parts:?}");
    }
}
