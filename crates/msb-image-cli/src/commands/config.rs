use std::path::Path;

use clap::Args;
use microsandbox_image::{DEFAULT_CONCURRENT_LAYERS, NamedLimit, escape_path};
use serde::Serialize;

use crate::cache_args::CacheArgs;
use crate::config::{Config, default_path};
use crate::environment::{
    AUTH_FILE_VARIABLE, CACHE_VARIABLE, MAX_BYTES_VARIABLE, default_directory, max_bytes_variable,
    variable,
};
use crate::failure::{Failure, Outcome};
use crate::output::{Format, FormatArgs, Output, Table, one_line};

/// Show each setting of the configuration file, its value and where that comes from
///
/// A flag takes precedence over a variable of the environment, which takes precedence over the file. The keys are those that are
/// printed; sizes may have a suffix K, M, G or T in quotes, and relative paths are relative to the folder of the file.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(flatten)]
    format: FormatArgs,
}

/// A setting in effect.
#[derive(Debug, Serialize)]
struct Setting {
    key: String,
    /// A path, a list of paths, or a number; null for the default of a setting that is not one value.
    value: serde_json::Value,
    /// The value for people.
    #[serde(skip)]
    text: String,
    #[serde(flatten)]
    origin: Origin,
}

/// Where a value comes from.
#[derive(Debug, Serialize)]
#[serde(tag = "origin", rename_all = "snake_case")]
enum Origin {
    Flag { flag: &'static str },
    Environment { variable: &'static str },
    File { line: usize },
    Default,
}

impl Origin {
    fn text(&self, file: &str) -> String {
        match self {
            Self::Flag { flag } => (*flag).to_owned(),
            Self::Environment { variable } => format!("${variable}"),
            Self::File { line } => format!("{file}:{line}"),
            Self::Default => "default".to_owned(),
        }
    }
}

pub(crate) fn run(
    args: &ConfigArgs,
    given: &CacheArgs,
    config: &Config,
) -> Result<Outcome, Failure> {
    let settings = settings(given, config)?;
    let mut output = Output::new();
    if args.format.format == Format::Json {
        for setting in &settings {
            output.json(setting)?;
        }
        output.flush()?;
        return Ok(Outcome::Done);
    }
    let file = match (&config.path, default_path()) {
        (Some(path), _) => escape_path(path).to_string(),
        (None, Some(path)) => format!("{} (does not exist)", escape_path(&path)),
        (None, None) => "none: the environment names no folder for it".to_owned(),
    };
    output.line(format_args!("file  {file}"))?;
    let mut table = Table::new(["KEY", "VALUE", "ORIGIN"]);
    for setting in settings {
        let origin = setting.origin.text(&file);
        table.row([setting.key, setting.text, origin]);
    }
    table.print(&mut output)?;
    output.flush()?;
    Ok(Outcome::Done)
}

fn settings(given: &CacheArgs, config: &Config) -> Result<Vec<Setting>, Failure> {
    let mut settings = vec![
        cache_dir(given.cache_dir.as_deref(), config),
        cache_max_bytes(given.cache_max_bytes, config)?,
        cache_from(given, config),
        verify_cache_from(given, config),
        auth_file(config),
        hosts_dirs(config),
    ];
    let layers = config.max_concurrent_layers.as_ref();
    settings.push(number(
        "max_concurrent_layers".to_owned(),
        layers.map_or(DEFAULT_CONCURRENT_LAYERS, |layers| layers.value.get()) as u64,
        layers.map(|layers| layers.line),
    ));
    for default in NamedLimit::defaults() {
        let mut configured = config.limits.iter();
        let set = configured.find(|limit| limit.value.name() == default.name());
        settings.push(number(
            format!("limits.{}", default.name()),
            set.map_or(default.value(), |limit| limit.value.value()),
            set.map(|limit| limit.line),
        ));
    }
    Ok(settings)
}

fn cache_dir(given_cache_dir: Option<&Path>, config: &Config) -> Setting {
    let key = "cache_dir";
    if let Some(directory) = given_cache_dir {
        let flag = "--cache-dir";
        return path(key, Some(directory), Origin::Flag { flag });
    }
    let is_set = variable(CACHE_VARIABLE).is_some();
    match &config.cache_dir {
        Some(directory) if !is_set => {
            let line = directory.line;
            path(key, Some(&directory.value), Origin::File { line })
        }
        _ => {
            let variable = CACHE_VARIABLE;
            let origin = if is_set {
                Origin::Environment { variable }
            } else {
                Origin::Default
            };
            path(key, default_directory().as_deref(), origin)
        }
    }
}

fn cache_max_bytes(given: Option<u64>, config: &Config) -> Result<Setting, Failure> {
    let key = "cache_max_bytes";
    let configured = config.cache_max_bytes.as_ref();
    let (bytes, origin) = match (given, max_bytes_variable()?, configured) {
        (Some(bytes), ..) => {
            let flag = "--cache-max-bytes";
            (Some(bytes), Origin::Flag { flag })
        }
        (None, Some(bytes), _) => {
            let variable = MAX_BYTES_VARIABLE;
            (Some(bytes), Origin::Environment { variable })
        }
        (None, None, bytes) => (
            bytes.map(|bytes| bytes.value),
            origin(bytes.map(|bytes| bytes.line)),
        ),
    };
    Ok(Setting {
        key: key.to_owned(),
        text: bytes.map_or_else(|| "none".to_owned(), |bytes| bytes.to_string()),
        value: bytes.into(),
        origin,
    })
}

fn cache_from(given: &CacheArgs, config: &Config) -> Setting {
    let configured = config.cache_from.as_ref();
    let dirs = given
        .cache_from
        .iter()
        .chain(configured.iter().flat_map(|dirs| &dirs.value));
    let texts: Vec<String> = dirs.map(|dir| dir.to_string_lossy().into_owned()).collect();
    Setting {
        key: "cache_from".to_owned(),
        text: match texts.is_empty() {
            true => "none".to_owned(),
            false => one_line(&texts.join(", ")).to_string(),
        },
        value: texts.into(),
        origin: if given.cache_from.is_empty() {
            origin(configured.map(|dirs| dirs.line))
        } else {
            let flag = "--cache-from";
            Origin::Flag { flag }
        },
    }
}

fn verify_cache_from(given: &CacheArgs, config: &Config) -> Setting {
    let configured = config.verify_cache_from.as_ref();
    let is_set = given.verify_cache_from || configured.is_some_and(|set| set.value);
    Setting {
        key: "verify_cache_from".to_owned(),
        text: is_set.to_string(),
        value: is_set.into(),
        origin: if given.verify_cache_from {
            let flag = "--verify-cache-from";
            Origin::Flag { flag }
        } else {
            origin(configured.map(|set| set.line))
        },
    }
}

fn auth_file(config: &Config) -> Setting {
    let key = "auth_file";
    let variable_name = AUTH_FILE_VARIABLE;
    match (variable(variable_name), &config.auth_file) {
        (Some(file), _) => {
            let origin = Origin::Environment {
                variable: variable_name,
            };
            path(key, Some(Path::new(&file)), origin)
        }
        (None, Some(file)) => {
            let line = file.line;
            path(key, Some(&file.value), Origin::File { line })
        }
        (None, None) => Setting {
            text: "the files of podman and Docker".to_owned(),
            ..path(key, None, Origin::Default)
        },
    }
}

fn hosts_dirs(config: &Config) -> Setting {
    let dirs = config.hosts_dirs.as_ref();
    let texts: Vec<String> = dirs
        .iter()
        .flat_map(|dirs| &dirs.value)
        .map(|dir| dir.to_string_lossy().into_owned())
        .collect();
    Setting {
        key: "hosts_dirs".to_owned(),
        text: match dirs {
            Some(_) => one_line(&texts.join(", ")).to_string(),
            None => "the directories of containerd alone".to_owned(),
        },
        value: texts.into(),
        origin: origin(dirs.map(|dirs| dirs.line)),
    }
}

fn path(key: &str, path: Option<&Path>, origin: Origin) -> Setting {
    Setting {
        key: key.to_owned(),
        text: path.map_or_else(|| "none".to_owned(), |path| escape_path(path).to_string()),
        value: path.map(|path| path.to_string_lossy().into_owned()).into(),
        origin,
    }
}

fn number(key: String, value: u64, line: Option<usize>) -> Setting {
    Setting {
        key,
        text: value.to_string(),
        value: value.into(),
        origin: origin(line),
    }
}

fn origin(line: Option<usize>) -> Origin {
    line.map_or(Origin::Default, |line| Origin::File { line })
}
