use std::error::Error;
use std::path::PathBuf;

use clap::Args;
use microsandbox_image::{
    Damage, GlobalCache, ImageName, InspectError, Platform, Reference, Verification,
};
use serde::Serialize;

use super::not_cached;
use crate::failure::{Failure, Outcome};
use crate::output::{Bytes, Format, FormatArgs, Output, count, one_line};
use crate::platform::PlatformArgs;

/// Verify the disks of cached images
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// References of the images, or their digests or ids [default: all, for all platforms]
    #[arg(value_name = "REF")]
    images: Vec<ImageName>,

    /// Also compare all file data, which reads the whole disk
    #[arg(long)]
    full: bool,

    #[command(flatten)]
    platform: PlatformArgs,

    #[command(flatten)]
    format: FormatArgs,
}

/// The result for one image.
#[derive(Debug, Serialize)]
struct Report {
    reference: String,
    /// The platform that the image was pulled for.
    platform: Platform,
    status: Status,
    /// The number of files of the disk.
    extents: usize,
    /// The number of paths of the tree.
    paths: u64,
    /// Whether file data was compared.
    contents: bool,
    /// The number of bytes of file data that were compared.
    verified_bytes: u64,
    /// The first error and its causes.
    causes: Vec<String>,
    damaged: Vec<DamagedArtifact>,
}

/// A damaged file of the cache.
#[derive(Debug, Serialize)]
struct DamagedArtifact {
    artifact: String,
    path: PathBuf,
    /// The diff_id of its layer.
    layer: Option<String>,
    /// The image's own files whose bytes are damaged.
    files: Vec<String>,
    causes: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    Damaged,
    /// Files are missing or cut.
    Incomplete,
}

pub(crate) fn run(args: &VerifyArgs, cache: &GlobalCache) -> Result<Outcome, Failure> {
    let mut output = Output::new();
    let mut outcome = Outcome::Done;
    for (reference, platform) in wanted(args, cache)? {
        let report = match cache.verify(&reference, &platform, args.full) {
            Ok(verification) => Report::new(&reference, &platform, &verification),
            Err(error) => {
                match error {
                    InspectError::Cache(error) => not_cached(cache, error),
                    error => error.into(),
                }
                .report();
                outcome = Outcome::Failed;
                continue;
            }
        };
        if report.status != Status::Ok {
            outcome = Outcome::Failed;
        }
        match args.format.format {
            Format::Json => output.json(&report)?,
            Format::Text => report.print(&mut output)?,
        }
        output.flush()?;
    }
    output.flush()?;
    Ok(outcome)
}

/// Returns the images to verify, with the platforms that they were pulled for.
fn wanted(args: &VerifyArgs, cache: &GlobalCache) -> Result<Vec<(Reference, Platform)>, Failure> {
    let platform = args.platform.given();
    if args.images.is_empty() {
        let images = cache.images()?.into_iter();
        return Ok(images
            .filter(|image| platform.is_none_or(|platform| image.platform == *platform))
            .filter_map(|image| Some((image.reference.parse().ok()?, image.platform)))
            .collect());
    }
    let mut wanted = Vec::new();
    for name in &args.images {
        wanted.extend(cache.named(name, platform)?);
    }
    Ok(wanted)
}

impl Report {
    fn new(reference: &Reference, platform: &Platform, found: &Verification) -> Self {
        let status = if found.is_sound() {
            Status::Ok
        } else if found.is_incomplete() {
            Status::Incomplete
        } else {
            Status::Damaged
        };
        let damaged: Vec<_> = found.damage.iter().map(DamagedArtifact::new).collect();
        Self {
            reference: reference.to_string(),
            platform: platform.clone(),
            status,
            extents: found.disk.extents,
            paths: found.disk.paths,
            contents: found.contents,
            verified_bytes: found.disk.verified_bytes,
            causes: damaged
                .first()
                .map(|first| first.causes.clone())
                .unwrap_or_default(),
            damaged,
        }
    }

    fn print(&self, output: &mut Output) -> Result<(), Failure> {
        let (reference, platform) = (&self.reference, &self.platform);
        if self.status == Status::Ok {
            let compared = match (self.contents, self.verified_bytes) {
                (false, _) => "structure only; use --full to compare file data too".to_owned(),
                (true, 0) => "no file data to compare".to_owned(),
                (true, bytes) => format!("{} of file data compared", Bytes(bytes)),
            };
            return output.line(format_args!(
                "ok       {reference} for {platform}: {}, {}, {compared}",
                count(self.extents as u64, "extent"),
                count(self.paths, "path"),
            ));
        }
        output.line(format_args!("DAMAGED  {reference} for {platform}"))?;
        for damaged in &self.damaged {
            damaged.print(output)?;
        }
        if !self.contents {
            output.line(format_args!(
                "           file data was not compared; use --full to compare it"
            ))?;
        }
        output.line(format_args!(
            "           `msb-image pull --force {reference} --platform {platform}` rebuilds it"
        ))
    }
}

impl DamagedArtifact {
    fn new(damage: &Damage) -> Self {
        Self {
            artifact: damage.artifact.to_string(),
            path: damage.path.clone(),
            layer: damage.layer.as_ref().map(ToString::to_string),
            files: damage.files.clone(),
            causes: chain(&damage.error),
        }
    }

    fn print(&self, output: &mut Output) -> Result<(), Failure> {
        let path = self.path.display().to_string();
        output.line(format_args!(
            "           {}: {}",
            self.artifact,
            one_line(&path)
        ))?;
        if let Some(layer) = &self.layer {
            output.line(format_args!("             of layer {layer}"))?;
        }
        for cause in &self.causes {
            output.line(format_args!("             {}", one_line(cause)))?;
        }
        for file in &self.files {
            output.line(format_args!(
                "             damaged file in the image: {file}"
            ))?;
        }
        Ok(())
    }
}

/// Returns an error and its causes.
fn chain(error: &dyn Error) -> Vec<String> {
    let mut causes = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
    }
    causes
}
