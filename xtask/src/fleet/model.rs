//! Jobs that share resources, as fluids: each job progresses at one rate, and uses of each resource in proportion to it.

/// Something that jobs share, such as a link or the cores of a machine.
#[derive(Clone, Debug)]
pub(super) struct Resource {
    /// Units per second: bytes, or seconds of a core.
    pub(super) capacity: f64,
}

/// The work of one host.
#[derive(Clone, Debug)]
pub(super) struct Job {
    /// When it begins, in seconds.
    pub(super) start_s: f64,
    /// What it takes with every resource for itself, in seconds.
    pub(super) alone_s: f64,
    /// The places of the resources, and how much of each it needs.
    pub(super) demands: Vec<(usize, f64)>,
}

/// Returns when each job ends, in seconds. Rates are max-min fair: no job could be faster without a slower one becoming slower.
pub(super) fn ends(resources: &[Resource], jobs: &[Job]) -> Vec<f64> {
    let mut left: Vec<f64> = vec![1.0; jobs.len()];
    let mut ends = vec![f64::INFINITY; jobs.len()];
    let mut now = 0.0;
    loop {
        let active: Vec<usize> = (0..jobs.len())
            .filter(|&job| left[job] > 0.0 && jobs[job].start_s <= now)
            .collect();
        let next_start = jobs
            .iter()
            .map(|job| job.start_s)
            .filter(|start| *start > now)
            .fold(f64::INFINITY, f64::min);
        if active.is_empty() {
            if next_start.is_infinite() {
                return ends;
            }
            now = next_start;
            continue;
        }
        let rates = fair_rates(resources, jobs, &active);
        let finishes = active
            .iter()
            .zip(&rates)
            .map(|(&job, rate)| left[job] / rate);
        let step = finishes.fold(f64::INFINITY, f64::min).min(next_start - now);
        now += step;
        for (&job, rate) in active.iter().zip(&rates) {
            left[job] -= rate * step;
            // Rounding must not leave a rest that takes another step.
            if left[job] < 1e-9 {
                left[job] = 0.0;
                ends[job] = now;
            }
        }
    }
}

/// Returns the part of its work that each active job does in a second: the rates of all rise together until a resource is used up, or
/// a job is as fast as it is alone; those that this limits stay, and the others rise further.
fn fair_rates(resources: &[Resource], jobs: &[Job], active: &[usize]) -> Vec<f64> {
    let mut rates: Vec<Option<f64>> = vec![None; active.len()];
    loop {
        let mut used = vec![0.0; resources.len()];
        let mut wanted = vec![0.0; resources.len()];
        for (&job, rate) in active.iter().zip(&rates) {
            for &(resource, demand) in &jobs[job].demands {
                match rate {
                    Some(rate) => used[resource] += rate * demand,
                    None => wanted[resource] += demand,
                }
            }
        }
        let limit = |resource: usize| {
            (resources[resource].capacity - used[resource]).max(0.0) / wanted[resource]
        };
        let most = |job: usize| {
            let demands = jobs[job].demands.iter();
            let shared = demands
                .filter(|(_, demand)| *demand > 0.0)
                .map(|&(resource, _)| limit(resource));
            shared.fold(1.0 / jobs[job].alone_s, f64::min)
        };
        let rising = active.iter().zip(&rates).filter(|(_, rate)| rate.is_none());
        let lowest = rising
            .map(|(&job, _)| most(job))
            .fold(f64::INFINITY, f64::min);
        if lowest.is_infinite() {
            return rates
                .into_iter()
                .map(|rate| rate.unwrap_or(f64::INFINITY))
                .collect();
        }
        let limited: Vec<usize> = (0..active.len())
            .filter(|&at| rates[at].is_none() && most(active[at]) <= lowest * (1.0 + 1e-9))
            .collect();
        for at in limited {
            rates[at] = Some(lowest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(start_s: f64, alone_s: f64, demands: &[(usize, f64)]) -> Job {
        Job {
            start_s,
            alone_s,
            demands: demands.to_vec(),
        }
    }

    fn assert_close(actual: &[f64], expected: &[f64]) {
        assert_eq!(actual.len(), expected.len());
        for (actual, expected) in actual.iter().zip(expected) {
            assert!((actual - expected).abs() < 1e-6, "{actual} {expected}");
        }
    }

    #[test]
    fn a_job_alone_takes_its_time_or_what_the_resource_needs() {
        let link = [Resource { capacity: 10.0 }];
        assert_close(&ends(&link, &[job(0.0, 2.0, &[(0, 10.0)])]), &[2.0]);
        assert_close(&ends(&link, &[job(1.0, 2.0, &[(0, 50.0)])]), &[6.0]);
        assert_close(&ends(&link, &[job(0.0, 2.0, &[])]), &[2.0]);
    }

    #[test]
    fn jobs_share_a_link_and_the_rest_is_for_those_that_go_on() {
        // Both at 5 a second; the longer one has all of it from second 2 on.
        let link = [Resource { capacity: 10.0 }];
        let jobs = [job(0.0, 0.1, &[(0, 10.0)]), job(0.0, 0.1, &[(0, 30.0)])];
        // Progress is what is equal: both do 1/4 of their work in a second until the first ends at second 4.
        assert_close(&ends(&link, &jobs), &[4.0, 4.0]);
        let late = [job(0.0, 0.1, &[(0, 20.0)]), job(1.0, 0.1, &[(0, 20.0)])];
        // Alone until second 1, then both at a quarter of their work in a second: the first ends at 3, the second has half left.
        assert_close(&ends(&link, &late), &[3.0, 4.0]);
    }

    #[test]
    fn what_one_job_cannot_use_the_others_get() {
        let resources = [Resource { capacity: 10.0 }, Resource { capacity: 1.0 }];
        // The first is limited by its own link to 1 of 10 a second.
        let jobs = [
            job(0.0, 0.1, &[(0, 10.0), (1, 10.0)]),
            job(0.0, 0.1, &[(0, 9.0)]),
        ];
        assert_close(&ends(&resources, &jobs), &[10.0, 1.0]);
    }

    #[test]
    fn a_thousand_equal_jobs_take_what_their_sum_takes() {
        let resources: Vec<_> = std::iter::once(Resource { capacity: 1000.0 })
            .chain((0..1000).map(|_| Resource { capacity: 100.0 }))
            .collect();
        let jobs: Vec<_> = (1..=1000)
            .map(|own| job(0.0, 1.0, &[(0, 50.0), (own, 50.0)]))
            .collect();
        assert_close(&ends(&resources, &jobs), &[50.0; 1000]);
    }
}
