//! The config of one image.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::Digest;
use crate::json::{self, Annotation, Few, List, Loose, Map, Object, Size};

/// Settings for running an image (OCI image specification, config.md, `config`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ImageConfig {
    /// `NAME=VALUE`, in the image's order.
    pub env: Vec<String>,
    /// The default arguments of the entrypoint, or the command if there is no entrypoint.
    pub cmd: Option<Vec<String>>,
    /// The command to run.
    pub entrypoint: Option<Vec<String>>,
    /// The working directory.
    pub working_dir: Option<String>,
    /// The user to run as: a name or an ID, optionally with a group after `:`.
    pub user: Option<String>,
    /// The ports that the program listens on, such as `80/tcp`; sorted.
    pub exposed_ports: Vec<String>,
    /// The directories that the program writes to; sorted.
    pub volumes: Vec<String>,
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// The signal that stops the program.
    pub stop_signal: Option<String>,
    /// The command that shows whether the program works; Docker's extension.
    #[serde(default)]
    pub healthcheck: Option<Healthcheck>,
    /// The architecture that the config states, such as `amd64`.
    #[serde(default)]
    pub architecture: Option<String>,
    /// When the image was made, as written: mostly RFC 3339.
    #[serde(default)]
    pub created: Option<String>,
    /// How the image was made, oldest step first; the first steps of a history of more than 256 KiB.
    #[serde(default)]
    pub history: Vec<HistoryEntry>,
}

/// How a program is checked (Docker image specification 1.2, `Healthcheck`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Healthcheck {
    /// The command: `NONE`; `CMD` and its words; or `CMD-SHELL` and a line for a shell.
    pub test: Vec<String>,
    /// The time between two checks, in nanoseconds.
    pub interval_nanos: Option<u64>,
    /// The timeout of one check, in nanoseconds.
    pub timeout_nanos: Option<u64>,
    /// The time in which failures do not count, in nanoseconds.
    pub start_period_nanos: Option<u64>,
    /// The number of failures in a row that mean that the program does not work.
    pub retries: Option<u64>,
}

/// One step of the making of an image (OCI image specification, config.md, `history`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// When the step was made, as written.
    pub created: Option<String>,
    /// The command of the step.
    pub created_by: Option<String>,
    /// The author of the step.
    pub author: Option<String>,
    /// A remark.
    pub comment: Option<String>,
    /// Whether the step has no layer.
    pub empty_layer: bool,
}

/// The platform as written in a config or an index: not normalized, and not checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StatedPlatform {
    /// The operating system; empty if it is missing.
    pub os: String,
    /// The architecture; empty if it is missing.
    pub architecture: String,
    /// The variant; empty if it is missing.
    pub variant: String,
    /// The version of the operating system; empty if it is missing.
    pub os_version: String,
    /// The first 16 features that the operating system must have.
    pub os_features: Vec<String>,
}

/// The members of a config that a pull needs.
///
/// Other members are skipped, whatever they contain, because builders write them in many ways. Null counts as missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The platform that the image is for.
    pub platform: StatedPlatform,
    /// The digests of the uncompressed layers, bottom to top.
    pub diff_ids: Vec<Digest>,
    /// Settings for running the image.
    pub image: ImageConfig,
}

/// A list of mandatory features.
pub(crate) type Features = Few<Annotation, 16>;

impl Config {
    /// Parses a config.
    ///
    /// # Errors
    ///
    /// [`serde_json::Error`] for text that is not JSON, a member of a wrong type, a repeated member, and a config without
    /// `rootfs`.
    pub fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Members {
            os: Option<String>,
            architecture: Option<String>,
            variant: Option<String>,
            #[serde(rename = "os.version", default)]
            os_version: Loose<Annotation>,
            #[serde(rename = "os.features", default)]
            os_features: Loose<Features>,
            #[serde(default)]
            created: Loose<String>,
            #[serde(default)]
            history: Loose<Few<Object<Step>, MAX_STEPS>>,
            config: Option<Run>,
            rootfs: RootFs,
        }
        #[derive(Deserialize)]
        struct RootFs {
            #[serde(default)]
            diff_ids: List<Digest>,
        }
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "PascalCase", default)]
        struct Run {
            env: List<String>,
            cmd: Option<List<String>>,
            entrypoint: Option<List<String>>,
            working_dir: Option<String>,
            user: Option<String>,
            exposed_ports: Map<IgnoredAny>,
            volumes: Map<IgnoredAny>,
            labels: Map<Loose<Annotation>>,
            stop_signal: Option<String>,
            #[serde(default)]
            healthcheck: Loose<Object<Check>>,
        }
        let members: Members = json::from_slice(bytes)?;
        let run = members.config.unwrap_or_default();
        let stated = |text: Option<String>| text.filter(|text| !text.is_empty());
        let names = |map: Map<IgnoredAny>| map.0.into_keys().collect();
        let labels = run
            .labels
            .0
            .into_iter()
            .filter_map(|(name, value)| match value {
                Loose::Value(Annotation(value)) => Some((name, value)),
                Loose::Absent => Some((name, String::new())),
                Loose::Other => None,
            });
        let architecture = members.architecture;
        let healthcheck = run.healthcheck.value();
        Ok(Self {
            platform: StatedPlatform {
                os: members.os.unwrap_or_default(),
                architecture: architecture.clone().unwrap_or_default(),
                variant: members.variant.unwrap_or_default(),
                os_version: members
                    .os_version
                    .value()
                    .map(|text| text.0)
                    .unwrap_or_default(),
                os_features: feature_names(members.os_features),
            },
            diff_ids: members.rootfs.diff_ids.0,
            image: ImageConfig {
                env: run.env.0,
                cmd: run.cmd.map(|list| list.0),
                entrypoint: run.entrypoint.map(|list| list.0),
                working_dir: stated(run.working_dir),
                user: stated(run.user),
                exposed_ports: names(run.exposed_ports),
                volumes: names(run.volumes),
                labels: labels.collect(),
                stop_signal: stated(run.stop_signal),
                healthcheck: healthcheck.map(|check| check.0.into()),
                architecture: short(architecture),
                created: short(members.created.value()),
                history: steps(members.history),
            },
        })
    }
}

/// The most steps of a history that are kept.
const MAX_STEPS: usize = 1024;
/// The most bytes of a history's texts that are kept: a record of the image is read by every pull.
const MAX_HISTORY_BYTES: usize = 256 << 10;

#[derive(Deserialize)]
struct Step {
    #[serde(default)]
    created: Loose<String>,
    #[serde(default)]
    created_by: Loose<String>,
    #[serde(default)]
    author: Loose<String>,
    #[serde(default)]
    comment: Loose<String>,
    #[serde(default)]
    empty_layer: Loose<Annotation>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Check {
    #[serde(default)]
    test: Loose<Few<String, 256>>,
    #[serde(default)]
    interval: Loose<Size>,
    #[serde(default)]
    timeout: Loose<Size>,
    #[serde(default)]
    start_period: Loose<Size>,
    #[serde(default)]
    retries: Loose<Size>,
}

impl From<Check> for Healthcheck {
    fn from(check: Check) -> Self {
        let number = |size: Loose<Size>| size.value().map(|size| size.0);
        Self {
            test: check.test.value().map(|words| words.0).unwrap_or_default(),
            interval_nanos: number(check.interval),
            timeout_nanos: number(check.timeout),
            start_period_nanos: number(check.start_period),
            retries: number(check.retries),
        }
    }
}

/// Returns a text, unless it is empty or too long for a name or a time.
fn short(text: Option<String>) -> Option<String> {
    const MAX_BYTES: usize = 128;
    text.filter(|text| !text.is_empty() && text.len() <= MAX_BYTES)
}

/// Returns the first steps of a history.
fn steps(history: Loose<Few<Object<Step>, MAX_STEPS>>) -> Vec<HistoryEntry> {
    let mut bytes = 0_usize;
    let steps = history.value().map(|few| few.0).unwrap_or_default();
    let entries = steps.into_iter().map(|Object(step)| HistoryEntry {
        created: step.created.value(),
        created_by: step.created_by.value(),
        author: step.author.value(),
        comment: step.comment.value(),
        empty_layer: step
            .empty_layer
            .value()
            .is_some_and(|text| text.0 == "true"),
    });
    let fits = |entry: &HistoryEntry| {
        let texts = [
            &entry.created,
            &entry.created_by,
            &entry.author,
            &entry.comment,
        ];
        bytes += texts.into_iter().flatten().map(String::len).sum::<usize>();
        bytes <= MAX_HISTORY_BYTES
    };
    entries.take_while(fits).collect()
}

/// Returns the names of the features. A value that is not a list counts as one feature, because it cannot be satisfied either.
fn feature_names(features: Loose<Features>) -> Vec<String> {
    match features {
        Loose::Absent => Vec::new(),
        Loose::Value(features) => features.0.into_iter().map(|name| name.0).collect(),
        Loose::Other => vec!["of an unknown form".to_owned()],
    }
}

impl<'de> Deserialize<'de> for StatedPlatform {
    /// Reads the `platform` of an index's child.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Members {
            #[serde(default)]
            os: Loose<String>,
            #[serde(default)]
            architecture: Loose<String>,
            #[serde(default)]
            variant: Loose<String>,
            #[serde(rename = "os.version", default)]
            os_version: Loose<Annotation>,
            #[serde(rename = "os.features", default)]
            os_features: Loose<Features>,
        }
        let members = Members::deserialize(deserializer)?;
        let text = |text: Loose<String>| match text {
            Loose::Value(text) => text,
            Loose::Absent => String::new(),
            // An invalid name, so that it is refused and not taken for a missing one.
            Loose::Other => "?".to_owned(),
        };
        Ok(Self {
            os: text(members.os),
            architecture: text(members.architecture),
            variant: text(members.variant),
            os_version: members
                .os_version
                .value()
                .map(|text| text.0)
                .unwrap_or_default(),
            os_features: feature_names(members.os_features),
        })
    }
}
