use std::num::NonZeroUsize;

use clap::Args;
use microsandbox_image::NamedLimit;

use crate::config::Config;

/// Limits on the work for an image.
#[derive(Debug, Args)]
pub(crate) struct LimitArgs {
    /// Set a limit on a layer or an image, such as image-memory-bytes=512M; repeatable
    #[arg(long = "limit", value_name = "NAME=VALUE", long_help = limits_help())]
    limits: Vec<NamedLimit>,

    /// How many layers to download and unpack at once [default: 4]
    #[arg(long, value_name = "N")]
    max_concurrent_layers: Option<NonZeroUsize>,
}

/// Applies [`LimitArgs`] to the builder of a registry or a loader.
macro_rules! apply_limits {
    ($args:expr, $builder:expr) => {{
        let builder = $args
            .limits()
            .iter()
            .fold($builder, |builder, limit| builder.limit(*limit));
        match $args.max_concurrent_layers() {
            Some(layers) => builder.max_concurrent_layers(layers.get()),
            None => builder,
        }
    }};
}

pub(super) use apply_limits;

impl LimitArgs {
    /// Puts the limits of the file before those of flags, so that the latter count.
    pub(super) fn configure(&mut self, config: &Config) {
        let configured = config.limits.iter().map(|limit| limit.value);
        self.limits.splice(0..0, configured);
        let layers = config.max_concurrent_layers.as_ref();
        self.max_concurrent_layers = self
            .max_concurrent_layers
            .or(layers.map(|layers| layers.value));
    }

    pub(super) fn limits(&self) -> &[NamedLimit] {
        &self.limits
    }

    pub(super) fn max_concurrent_layers(&self) -> Option<NonZeroUsize> {
        self.max_concurrent_layers
    }
}

/// Returns the help of `--limit`, with every limit.
fn limits_help() -> String {
    let mut help = "Set a limit on a layer or an image; repeatable.\n\nValues take a suffix K, M, G or T. The limits:\n".to_owned();
    for (name, meaning) in NamedLimit::all() {
        help.push_str(&format!("  {name}: {meaning}\n"));
    }
    help
}
