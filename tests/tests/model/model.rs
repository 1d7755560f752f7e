//! What the cache has to hold, and the checks that it does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use microsandbox_image::{GlobalCache, Platform, PullResult};
use rustix::process::{Pid, Signal as Sent, kill_process};
use serde_json::Value;

use crate::common::{msb_image, run};
use crate::images::{Image, Images, disk_in, disk_of};
use crate::random::Random;
use crate::steps::{Harm, Signal, Step};

/// What is known of an image in the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Absent,
    Cached,
    /// A pull of it was killed: it may be whole or absent, and nothing else.
    Unsure,
}

/// The expected state of a cache.
#[derive(Debug)]
pub(crate) struct Model<'a> {
    cache: PathBuf,
    images: &'a Images,
    states: Vec<State>,
    leases: Vec<(usize, PullResult)>,
    pinned: BTreeSet<usize>,
    counts: BTreeMap<&'static str, u64>,
}

impl<'a> Model<'a> {
    pub(crate) fn new(images: &'a Images, cache: &Path) -> Self {
        Self {
            cache: cache.to_owned(),
            images,
            states: vec![State::Absent; images.all.len()],
            leases: Vec::new(),
            pinned: BTreeSet::new(),
            counts: BTreeMap::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.states.len()
    }

    pub(crate) fn is_cached(&self, image: usize) -> bool {
        self.states[image] == State::Cached
    }

    /// Returns how often each operation ran.
    pub(crate) fn figures(&self) -> String {
        let counts = self.counts.iter();
        let counts: Vec<_> = counts
            .map(|(name, count)| format!("{count} {name}"))
            .collect();
        counts.join(", ")
    }

    /// Returns whether every kind of operation ran.
    pub(crate) fn is_exercised(&self) -> bool {
        [
            "pulls",
            "killed pulls",
            "removals",
            "prunes",
            "leases",
            "pins",
            "budgets",
            "damaged artifacts",
        ]
        .iter()
        .all(|name| self.counts.contains_key(name))
    }

    fn count(&mut self, name: &'static str) {
        *self.counts.entry(name).or_default() += 1;
    }

    /// Runs an operation on the cache, and changes the model as the operation must change the cache.
    pub(crate) fn apply(&mut self, step: Step, random: &mut Random, context: &dyn Fn() -> String) {
        match step {
            Step::Pull(image) => self.pull(image, "if-missing", context),
            Step::PullAlways(image) => self.pull(image, "always", context),
            Step::KillPull {
                image,
                signal,
                millis,
            } => self.kill_pull(image, signal, millis),
            Step::PullBoth(one, other) => {
                let mut children = [one, other].map(|image| self.start(image));
                for child in &mut children {
                    assert!(child.wait().unwrap().success(), "{}", context());
                }
                self.count("pulls at once");
                self.states[one] = State::Cached;
                self.states[other] = State::Cached;
            }
            Step::Remove(image) => {
                if !self.cache.exists() {
                    return;
                }
                let output = run(&self.cache, &["rm", &self.image(image).name]);
                if self.pinned.contains(&image) {
                    let printed = String::from_utf8_lossy(&output.stderr);
                    assert!(printed.contains("is pinned as"), "{printed}: {}", context());
                    return;
                }
                let may_succeed = self.states[image] != State::Absent;
                let may_fail = self.states[image] != State::Cached;
                let is_allowed = if output.status.success() {
                    may_succeed
                } else {
                    may_fail
                };
                assert!(is_allowed, "{output:?}: {}", context());
                self.count("removals");
                self.states[image] = State::Absent;
            }
            Step::Prune => {
                if self.cache.exists() {
                    let output = run(&self.cache, &["prune", "--grace", "0"]);
                    assert!(output.status.success(), "{output:?}: {}", context());
                    self.count("prunes");
                }
            }
            Step::Pin(image) => {
                let name = format!("p{image}");
                let output = run(&self.cache, &["pin", &name, &self.image(image).name]);
                assert!(output.status.success(), "{output:?}: {}", context());
                self.count("pins");
                self.pinned.insert(image);
            }
            Step::Unpin => {
                if let Some(image) = self.pinned.pop_first() {
                    let output = run(&self.cache, &["unpin", &format!("p{image}")]);
                    assert!(output.status.success(), "{output:?}: {}", context());
                }
            }
            Step::Budget(kilobytes) => self.budget(kilobytes, context),
            Step::Lease(image) => {
                let lease = self.handed_out(image);
                self.leases.push((image, lease));
                self.count("leases");
            }
            Step::Release => {
                if !self.leases.is_empty() {
                    self.leases.remove(0);
                }
            }
            Step::Damage { image, how } => self.damage_and_repair(image, how, random, context),
        }
    }

    /// Checks every image by a pull that may not ask the registry, and every lease by the files that it keeps.
    pub(crate) fn check(&mut self, context: &dyn Fn() -> String) {
        for (image, lease) in &self.leases {
            let paths = lease.extents.iter().map(|extent| extent.path.as_path());
            assert_eq!(
                disk_in(paths),
                self.image(*image).disk,
                "lease: {}",
                context()
            );
            assert!(lease.vmdk.exists(), "lease: {}", context());
        }
        for image in 0..self.len() {
            let output = self.command(image, "never");
            match (self.states[image], output.status.code()) {
                (State::Cached | State::Unsure, Some(0)) => {
                    assert_eq!(
                        disk_of(&output),
                        self.image(image).disk,
                        "image {image}: {}",
                        context()
                    );
                }
                (State::Absent | State::Unsure, Some(1)) => {
                    let printed = String::from_utf8_lossy(&output.stderr);
                    assert!(
                        printed.contains("not cached"),
                        "image {image}: {printed}: {}",
                        context()
                    );
                }
                (state, _) => panic!("image {image} is {state:?}: {output:?}: {}", context()),
            }
            if self.states[image] == State::Unsure {
                let is_whole = output.status.success();
                self.states[image] = if is_whole {
                    State::Cached
                } else {
                    State::Absent
                };
            }
        }
    }

    /// Prunes with a budget. The command states which images it removed: never one that is held.
    fn budget(&mut self, kilobytes: usize, context: &dyn Fn() -> String) {
        if !self.cache.exists() {
            return;
        }
        let budget = format!("{kilobytes}K");
        let prune = ["prune", "--grace", "0", "--format", "json", "--max-bytes"];
        let output = run(&self.cache, &[&prune[..], &[&budget]].concat());
        let pruned: Value = serde_json::from_slice(&output.stdout).unwrap();
        for removed in pruned["images"].as_array().unwrap() {
            let name = removed["reference"].as_str().unwrap();
            let mut images = self.images.all.iter();
            let image = images
                .position(|image| image.reference.to_string() == name)
                .unwrap();
            let is_leased = self.leases.iter().any(|(leased, _)| *leased == image);
            assert!(
                !is_leased && !self.pinned.contains(&image) && self.is_cached(image),
                "image {image} was removed: {output:?}: {}",
                context()
            );
            self.states[image] = State::Absent;
        }
        let output_code = output.status.code();
        let usage = run(&self.cache, &["df", "--format", "json"]);
        let usage: Value = serde_json::from_slice(&usage.stdout).unwrap();
        let total = usage["total_bytes"].as_u64().unwrap();
        let is_met = total <= kilobytes as u64 * 1024;
        assert_eq!(
            output_code,
            Some(i32::from(!is_met)),
            "{total}: {output:?}: {}",
            context()
        );
        let is_free = self.leases.is_empty() && self.pinned.is_empty();
        assert!(is_met || !is_free, "{total}: {output:?}: {}", context());
        self.count("budgets");
    }

    fn image(&self, image: usize) -> &'a Image {
        &self.images.all[image]
    }

    fn command(&self, image: usize, policy: &str) -> Output {
        let name = &self.image(image).name;
        run(
            &self.cache,
            &["pull", "--format", "json", "--policy", policy, name],
        )
    }

    fn start(&self, image: usize) -> Child {
        Command::new(msb_image())
            .arg("--cache-dir")
            .arg(&self.cache)
            .args(["pull", "--progress", "none", &self.image(image).name])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    fn handed_out(&self, image: usize) -> PullResult {
        let cache = GlobalCache::new(&self.cache).unwrap();
        let platform = Platform::new("linux", "amd64");
        cache
            .image(&self.image(image).reference, &platform)
            .unwrap()
    }

    fn pull(&mut self, image: usize, policy: &str, context: &dyn Fn() -> String) {
        let output = self.command(image, policy);
        assert!(output.status.success(), "{output:?}: {}", context());
        assert_eq!(disk_of(&output), self.image(image).disk, "{}", context());
        self.count("pulls");
        self.states[image] = State::Cached;
    }

    fn kill_pull(&mut self, image: usize, signal: Signal, millis: u64) {
        let mut child = self.start(image);
        std::thread::sleep(Duration::from_millis(millis));
        let sent = match signal {
            Signal::Interrupt => Sent::INT,
            Signal::Terminate => Sent::TERM,
            Signal::Kill => Sent::KILL,
        };
        // It may have ended by itself.
        let _ = kill_process(Pid::from_child(&child), sent);
        let status = child.wait().unwrap();
        self.count(if status.success() {
            "pulls"
        } else {
            "killed pulls"
        });
        if status.success() {
            self.states[image] = State::Cached;
        } else if self.states[image] == State::Absent {
            self.states[image] = State::Unsure;
        }
    }

    /// Damages an artifact, expects that verification names it, and lets a repair or a forced pull of each image that uses it rebuild it.
    fn damage_and_repair(
        &mut self,
        image: usize,
        how: Harm,
        random: &mut Random,
        context: &dyn Fn() -> String,
    ) {
        // A lease keeps a file from removal, not from damage; the leases' own check would fail until the repair.
        let result = self.handed_out(image);
        let layers = result
            .layers
            .iter()
            .flat_map(|layer| [layer.erofs.clone(), layer.erofs.with_extension("layer")]);
        let mut layers: Vec<PathBuf> = layers.filter(|path| path.exists()).collect();
        if random.below(4) == 0 {
            layers = vec![result.fsmeta.clone(), result.vmdk.clone()];
        }
        let path = &layers[random.below(layers.len())];
        let users: Vec<usize> = (0..self.len())
            .filter(|other| self.is_cached(*other))
            .filter(|other| {
                let disk = self.handed_out(*other);
                let mut layers = disk.layers.iter();
                layers.any(|layer| layer.erofs.file_stem() == path.file_stem())
                    || [&disk.fsmeta, &disk.vmdk].contains(&path)
            })
            .collect();
        drop(result);
        damage(path, how, random);
        self.count("damaged artifacts");
        let output = run(&self.cache, &["verify", "--full", &self.image(image).name]);
        assert_eq!(
            output.status.code(),
            Some(1),
            "{how:?} {}: {output:?}: {}",
            path.display(),
            context()
        );
        let name = path.file_name().unwrap().to_str().unwrap();
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8_lossy(&printed);
        assert!(
            printed.contains(name),
            "{name} is not named: {printed}: {}",
            context()
        );
        for user in users {
            let name = &self.image(user).name;
            let rebuild = [["verify", "--repair"], ["pull", "--force"]][random.below(2)];
            let output = run(&self.cache, &[rebuild[0], rebuild[1], name]);
            assert!(output.status.success(), "{output:?}: {}", context());
            let output = run(&self.cache, &["verify", "--full", &self.image(user).name]);
            assert!(output.status.success(), "{output:?}: {}", context());
        }
    }
}

fn damage(path: &Path, how: Harm, random: &mut Random) {
    let mut bytes = std::fs::read(path).unwrap();
    // Artifacts are read-only; the file is replaced, as a repair by hand would do.
    std::fs::remove_file(path).unwrap();
    match how {
        Harm::Deleted => return,
        Harm::Truncated => bytes.truncate(random.below(bytes.len())),
        Harm::Flipped => {
            let at = random.below(bytes.len());
            bytes[at] ^= 1 << random.below(8);
        }
    }
    std::fs::write(path, bytes).unwrap();
}
