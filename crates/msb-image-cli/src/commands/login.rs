use clap::Args;
use microsandbox_image::{
    CredentialUse, GlobalCache, Platform, Registry, RegistryAuth, RegistryHost,
};

use super::sign_in::RegistryArgs;
use crate::config::Config;
use crate::event_loop;
use crate::failure::{Failure, Outcome};
use crate::output::{Output, one_line};
use crate::secrets;

/// Verify credentials with a registry and store them in Docker's config.json, through its helpers where configured
#[derive(Debug, Args)]
#[command(mut_arg("username", |arg| arg.required(true)))]
pub(crate) struct LoginArgs {
    /// The registry, such as ghcr.io or localhost:5000; docker.io is Docker Hub
    #[arg(value_name = "HOST")]
    host: RegistryHost,

    #[command(flatten)]
    registry: RegistryArgs,
}

impl LoginArgs {
    pub(crate) fn configure(&mut self, config: &Config) {
        self.registry.configure(config);
    }
}

pub(crate) fn run(args: &LoginArgs, cache: GlobalCache) -> Result<Outcome, Failure> {
    secrets::protect();
    let host = &args.host;
    let auth = args.registry.given_auth()?.unwrap_or_default();
    let builder = Registry::builder(Platform::host_linux(), cache);
    let builder = args
        .registry
        .connect(|| Ok(Some(host.clone())), builder)?
        .auth_for(host.as_str(), auth.clone());
    let registry = builder.build()?;
    let stored = event_loop::run(verify_and_store(&registry, args, &auth))?;
    let mut output = Output::new();
    output.line(format_args!("{host}: stored in {}", one_line(&stored)))?;
    output.flush()?;
    Ok(Outcome::Done)
}

async fn verify_and_store(
    registry: &Registry,
    args: &LoginArgs,
    auth: &RegistryAuth,
) -> Result<String, Failure> {
    let host = &args.host;
    match registry.sign_in(host).await? {
        CredentialUse::Sent => {}
        _ => {
            return Err(Failure::NotRequested {
                registry: host.clone(),
            });
        }
    }
    Ok(args.registry.credentials().store(host, auth).await?)
}
