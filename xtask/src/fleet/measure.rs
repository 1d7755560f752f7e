use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use msb_testkit::registry::{DockerRegistry, RegistryOptions};
use msb_testkit::worlds::{TAG, World};
use serde_json::Value;

use super::topology::Pull;

/// A registry with an image, and a folder for caches.
pub(super) struct Site {
    registry: DockerRegistry,
    folder: tempfile::TempDir,
    program: PathBuf,
    name: &'static str,
}

/// What the pulls of several hosts at once took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Herd {
    /// Until the last of them ended.
    pub(super) last_s: f64,
    /// Seconds of all cores of the machine, by all processes.
    pub(super) busy_s: f64,
    /// Requests that reached the registry itself.
    pub(super) requests: usize,
}

impl Site {
    pub(super) fn new(target: &Path, world: World) -> Result<Self, Box<dyn Error>> {
        let registry = DockerRegistry::start(RegistryOptions::default())?;
        let name = world.name();
        registry.push_raw(&world.layout()?, name, TAG)?;
        Ok(Self {
            registry,
            folder: tempfile::tempdir_in(target)?,
            program: target.join("release/msb-image"),
            name,
        })
    }

    /// Pulls once from the registry itself.
    pub(super) fn one(&self) -> Result<Pull, Box<dyn Error>> {
        self.registry.forget_requests()?;
        let cache = self.folder.path().join("one");
        rustix::fs::sync();
        let (start, busy) = (Instant::now(), busy_s()?);
        let output = self
            .pull(&self.registry.host(), &cache)
            .stdout(Stdio::piped())
            .spawn()?;
        let output = output.wait_with_output()?;
        if !output.status.success() {
            return Err(format!("msb-image: {}", output.status).into());
        }
        let (wall_s, cpu_s) = (start.elapsed().as_secs_f64(), busy_s()? - busy);
        let result: Value = serde_json::from_slice(&output.stdout)?;
        let layers = result["layers"].as_array().ok_or("a pull without layers")?;
        let bytes = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
        let fsmeta = result["fsmeta"].as_str().ok_or("a pull without fsmeta")?;
        let requests = self.registry.requests().len();
        Ok(Pull {
            wall_s,
            cpu_s,
            blob_bytes: layers.iter().map(|layer| bytes(&layer["size"])).sum(),
            shared_bytes: length(Path::new(fsmeta))?,
            requests: f64::from(u32::try_from(requests)?),
        })
    }

    /// Starts a pull-through registry and pulls through it into so many empty caches at once.
    pub(super) fn herd(&self, hosts: usize) -> Result<Herd, Box<dyn Error>> {
        let options = RegistryOptions {
            proxy: Some(self.registry.url()),
            ..RegistryOptions::default()
        };
        let mirror = DockerRegistry::start(options)?;
        self.registry.forget_requests()?;
        rustix::fs::sync();
        let (start, busy) = (Instant::now(), busy_s()?);
        let pulls: Result<Vec<Child>, _> = (0..hosts)
            .map(|host| {
                let cache = self.folder.path().join(format!("{hosts}-{host}"));
                self.pull(&mirror.host(), &cache)
                    .stdout(Stdio::null())
                    .spawn()
            })
            .collect();
        for mut pull in pulls? {
            let status = pull.wait()?;
            if !status.success() {
                return Err(format!("msb-image: {status}").into());
            }
        }
        Ok(Herd {
            last_s: start.elapsed().as_secs_f64(),
            busy_s: busy_s()? - busy,
            requests: self.registry.requests().len(),
        })
    }

    fn pull(&self, host: &str, cache: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--cache-dir").arg(cache);
        command.args(["pull", "--progress", "none", "--format", "json"]);
        command
            .arg(format!("{host}/{}:{TAG}", self.name))
            .stdin(Stdio::null());
        command
    }
}

fn length(path: &Path) -> Result<f64, Box<dyn Error>> {
    Ok(f64::from(u32::try_from(fs::metadata(path)?.len())?))
}

/// Returns the seconds that all cores of the machine have worked since it started (proc_stat(5)).
fn busy_s() -> Result<f64, Box<dyn Error>> {
    let text = fs::read_to_string("/proc/stat")?;
    let line = text.lines().next().ok_or("/proc/stat is empty")?;
    let ticks: Vec<f64> = line
        .split_whitespace()
        .skip(1)
        .flat_map(str::parse)
        .collect();
    let [user, nice, system, _idle, _iowait, irq, softirq, ..] = ticks[..] else {
        return Err("/proc/stat has another form".into());
    };
    // User space sees 100 ticks in a second on every architecture of Linux that this runs on.
    Ok((user + nice + system + irq + softirq) / 100.0)
}
