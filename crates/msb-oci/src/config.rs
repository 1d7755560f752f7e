//! The config of one image.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::Digest;
use crate::json::{self, Annotation, Few, List, Loose, Map};

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
        Ok(Self {
            platform: StatedPlatform {
                os: members.os.unwrap_or_default(),
                architecture: members.architecture.unwrap_or_default(),
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
            },
        })
    }
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
