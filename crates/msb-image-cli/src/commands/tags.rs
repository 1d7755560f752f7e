use clap::Args;
use microsandbox_image::{GlobalCache, NameError, Platform, Reference};
use serde::Serialize;

use super::sign_in::RegistryArgs;
use crate::config::Config;
use crate::event_loop;
use crate::failure::{Failure, Outcome};
use crate::output::{Format, FormatArgs, Output, one_line};

/// List the tags of a repository in its registry
#[derive(Debug, Args)]
pub(crate) struct TagsArgs {
    /// Repository, such as alpine, quay.io/org/app or localhost:5000/app
    #[arg(value_name = "REPOSITORY", value_parser = parse_repository)]
    repository: Reference,

    #[command(flatten)]
    registry: RegistryArgs,

    #[command(flatten)]
    format: FormatArgs,
}

/// The object that is printed.
#[derive(Debug, Serialize)]
struct Tags {
    repository: String,
    tags: Vec<String>,
}

impl TagsArgs {
    pub(crate) fn configure(&mut self, config: &Config) {
        self.registry.configure(config);
    }
}

pub(crate) fn run(args: &TagsArgs, cache: GlobalCache) -> Result<Outcome, Failure> {
    let repository = &args.repository;
    let registry = args
        .registry
        .open(Platform::host_linux(), cache, repository)?;
    let tags = event_loop::run(async {
        let tags = registry.tags(repository).await;
        tags.map_err(|error| Failure::of_registry(repository, error))
    })?;
    let mut output = Output::new();
    match args.format.format {
        Format::Json => output.json(&Tags {
            repository: repository.name(),
            tags,
        })?,
        Format::Text => {
            for tag in &tags {
                output.line(format_args!("{}", one_line(tag)))?;
            }
        }
    }
    output.flush()?;
    Ok(Outcome::Done)
}

/// Parses a reference without a tag and without a digest.
fn parse_repository(text: &str) -> Result<Reference, String> {
    let reference: Reference = text.parse().map_err(|error: NameError| error.to_string())?;
    let last = text.rsplit('/').next().unwrap_or_default();
    if reference.digest().is_some() || last.contains(':') {
        return Err("a repository has neither tag nor digest".into());
    }
    Ok(reference)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_has_neither_tag_nor_digest() {
        let parse = |text: &str| parse_repository(text).map(|reference| reference.name());
        assert_eq!(parse("alpine").as_deref(), Ok("docker.io/library/alpine"));
        assert_eq!(parse("[::1]:5000/a").as_deref(), Ok("[::1]:5000/a"));
        let digest = format!("a.example/x@sha256:{}", "0".repeat(64));
        for text in ["alpine:3", "localhost:5000/app:v1", &digest, "", "/"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
