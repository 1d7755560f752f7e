use clap::Args;
use microsandbox_image::RegistryHost;

use super::sign_in::AuthFileArgs;
use crate::config::Config;
use crate::event_loop;
use crate::failure::{Failure, Outcome};
use crate::output::{Output, one_line};

/// Erase the credentials for a registry from Docker's config.json and its helpers
#[derive(Debug, Args)]
pub(crate) struct LogoutArgs {
    /// The registry, such as ghcr.io or localhost:5000; docker.io is Docker Hub
    #[arg(value_name = "HOST")]
    host: RegistryHost,

    #[command(flatten)]
    auth_file: AuthFileArgs,
}

impl LogoutArgs {
    pub(crate) fn configure(&mut self, config: &Config) {
        self.auth_file.configure(config);
    }
}

pub(crate) fn run(args: &LogoutArgs) -> Result<Outcome, Failure> {
    let host = &args.host;
    let credentials = args.auth_file.credentials();
    let erased = event_loop::run(async { Ok(credentials.erase(host).await?) })?;
    let mut output = Output::new();
    if erased.is_empty() {
        output.line(format_args!("{host}: no credentials were stored"))?;
    }
    for place in erased {
        output.line(format_args!("{host}: erased from {}", one_line(&place)))?;
    }
    output.flush()?;
    Ok(Outcome::Done)
}
