use clap::{Args, ValueEnum};
use microsandbox_image::{
    GlobalCache, ImageName, PushFormat, PushOptions, PushResult, Reference, Registry,
};

use super::named_image;
use super::sign_in::RegistryArgs;
use crate::config::Config;
use crate::event_loop;
use crate::failure::{Failure, Outcome};
use crate::output::{Bytes, Output, is_quiet};
use crate::platform::PlatformArgs;
use crate::secrets;

/// Push a cached image to a registry as EROFS layers, so that other hosts need not convert it
///
/// The tag gets an index of the original image, which every client can pull, and of one with EROFS layers. The blobs of the original image
/// must be in the destination's registry, or kept with `pull --keep-blobs`. Blobs that the registry has are not sent.
#[derive(Debug, Args)]
pub(crate) struct PushArgs {
    /// Reference of the image, or its digest or id
    #[arg(value_name = "REF")]
    image: ImageName,

    /// Repository and tag to push to, such as registry.example/team/app:1.2
    #[arg(value_name = "DEST")]
    destination: Reference,

    /// Format of the layers
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: Form,

    #[command(flatten)]
    platform: PlatformArgs,

    #[command(flatten)]
    registry: RegistryArgs,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Form {
    #[default]
    Erofs,
}

impl From<Form> for PushFormat {
    fn from(form: Form) -> Self {
        match form {
            Form::Erofs => Self::Erofs,
        }
    }
}

impl PushArgs {
    pub(crate) fn configure(&mut self, config: &Config) {
        self.registry.configure(config);
    }
}

pub(crate) fn run(args: &PushArgs, cache: GlobalCache) -> Result<Outcome, Failure> {
    if args.registry.has_secret() {
        secrets::protect();
    }
    let image = named_image(&cache, &args.image, &args.platform)?;
    let destination = std::slice::from_ref(&args.destination);
    let builder = Registry::builder(args.platform.platform(), cache);
    let registry = args.registry.apply(destination, builder)?.build()?;
    let options = PushOptions::default().with_format(args.format.into());
    let pushed = event_loop::run(async {
        let pushed = registry.push(&image, &args.destination, &options).await;
        pushed.map_err(|error| Failure::Push(Box::new(error)))
    })?;
    print(&pushed)?;
    Ok(Outcome::Done)
}

fn print(pushed: &PushResult) -> Result<(), Failure> {
    let mut output = Output::new();
    if is_quiet() {
        output.line(format_args!("{}", pushed.digest))?;
        return output.flush();
    }
    let (sent, present) = (Bytes(pushed.sent_bytes), Bytes(pushed.present_bytes));
    let (erofs, original) = (Bytes(pushed.erofs_bytes), Bytes(pushed.original_bytes));
    output.line(format_args!("{} pushed", pushed.reference))?;
    output.line(format_args!("  index     {}", pushed.digest))?;
    output.line(format_args!("  original  {}", pushed.manifest_digest))?;
    output.line(format_args!("  erofs     {}", pushed.erofs_digest))?;
    output.line(format_args!(
        "  layers    {erofs} as EROFS, {original} originally"
    ))?;
    output.line(format_args!(
        "  blobs     {sent} sent, {present} already there"
    ))?;
    output.flush()
}
