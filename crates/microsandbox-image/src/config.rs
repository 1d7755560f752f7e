use std::collections::BTreeMap;

use msb_oci::Digest;
use serde::{Deserialize, Serialize};

/// What the image says about running it (OCI image specification, config.md, `config`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ImageConfig {
    /// `NAME=VALUE`, in the image's order.
    pub env: Vec<String>,
    /// Default arguments of the entrypoint, or the command where there is none.
    pub cmd: Option<Vec<String>>,
    /// The command that is run.
    pub entrypoint: Option<Vec<String>>,
    /// Where it is run.
    pub working_dir: Option<String>,
    /// Who runs it: a name or id, with a group behind `:`.
    pub user: Option<String>,
    /// Ports that the program listens on, such as `80/tcp`; sorted.
    pub exposed_ports: Vec<String>,
    /// Directories that the program writes to; sorted.
    pub volumes: Vec<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// The signal that asks the program to end.
    pub stop_signal: Option<String>,
}

/// A config as far as a pull needs it.
#[derive(Debug)]
pub(crate) struct ParsedConfig {
    pub(crate) config: ImageConfig,
    /// Bottom to top.
    pub(crate) diff_ids: Vec<Digest>,
}

/// Reads a config. Fields that a pull does not need may be anything: builders write them in many ways.
pub(crate) fn parse(bytes: &[u8]) -> Result<ParsedConfig, serde_json::Error> {
    #[derive(Deserialize)]
    struct Document {
        #[serde(default)]
        config: Option<Fields>,
        rootfs: RootFs,
    }
    #[derive(Deserialize)]
    struct RootFs {
        #[serde(default)]
        diff_ids: Option<Vec<Digest>>,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "PascalCase", default)]
    struct Fields {
        env: Option<Vec<String>>,
        cmd: Option<Vec<String>>,
        entrypoint: Option<Vec<String>>,
        working_dir: Option<String>,
        user: Option<String>,
        exposed_ports: Option<BTreeMap<String, serde_json::Value>>,
        volumes: Option<BTreeMap<String, serde_json::Value>>,
        labels: Option<BTreeMap<String, String>>,
        stop_signal: Option<String>,
    }
    let Document { config, rootfs } = serde_json::from_slice(bytes)?;
    let fields = config.unwrap_or_default();
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let keys = |map: Option<BTreeMap<String, serde_json::Value>>| {
        map.unwrap_or_default().into_keys().collect()
    };
    Ok(ParsedConfig {
        config: ImageConfig {
            env: fields.env.unwrap_or_default(),
            cmd: fields.cmd,
            entrypoint: fields.entrypoint,
            working_dir: given(fields.working_dir),
            user: given(fields.user),
            exposed_ports: keys(fields.exposed_ports),
            volumes: keys(fields.volumes),
            labels: fields.labels.unwrap_or_default(),
            stop_signal: given(fields.stop_signal),
        },
        diff_ids: rootfs.diff_ids.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_and_odd_fields_are_no_errors() {
        let text = br#"{"created":7,"config":{"Env":null,"Cmd":["a"],"Volumes":{"/v":{}},"User":"","OnBuild":3},
            "rootfs":{"type":"layers","diff_ids":null},"history":"?"}"#;
        let parsed = parse(text).unwrap();
        assert_eq!(parsed.config.cmd, Some(vec!["a".to_owned()]));
        assert_eq!(
            (parsed.config.volumes, parsed.config.user),
            (vec!["/v".to_owned()], None)
        );
        assert!(parsed.diff_ids.is_empty());
        assert!(parse(br#"{"config":{}}"#).is_err());
    }
}
