use std::error::Error;

use clap::Args;
use microsandbox_image::{GlobalCache, ImageName, Platform, PullError, PullResult, Reference};
use serde::Serialize;

use super::cached_image;
use crate::args::PlatformArgs;
use crate::failure::{Failure, Outcome};
use crate::output::{Bytes, Format, FormatArgs, Output, count, one_line};

/// Reads images of the cache back and compares them with what was pulled
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// References of the images, or their digests or ids [default: all, for all platforms]
    #[arg(value_name = "REF")]
    images: Vec<ImageName>,

    /// Compares every file's contents too, which reads all of the disk
    #[arg(long)]
    full: bool,

    #[command(flatten)]
    platform: PlatformArgs,

    #[command(flatten)]
    format: FormatArgs,
}

/// What became of one image.
#[derive(Debug, Serialize)]
struct Report {
    reference: String,
    platform: Platform,
    status: Status,
    /// Files of the disk.
    extents: usize,
    /// Paths of the tree.
    paths: u64,
    /// Bytes of file contents that were compared.
    verified_bytes: u64,
    /// What is wrong: the error, then what caused it.
    causes: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    Damaged,
    /// Files are missing.
    Incomplete,
}

pub(crate) fn run(args: &VerifyArgs, cache: &GlobalCache) -> Result<Outcome, Failure> {
    let mut output = Output::new();
    let mut outcome = Outcome::Done;
    for (reference, platform) in wanted(args, cache)? {
        let report = match cached_image(cache, &reference, &platform) {
            Ok(image) => Report::of(&image, args.full),
            // It is listed, yet not whole: some of its files are gone.
            Err(Failure::Image(PullError::NotCached { .. }))
                if is_listed(cache, &reference, &platform)? =>
            {
                Report::incomplete(&reference, &platform)
            }
            Err(failure) => {
                failure.report();
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

/// The images that are asked for.
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

fn is_listed(
    cache: &GlobalCache,
    reference: &Reference,
    platform: &Platform,
) -> Result<bool, Failure> {
    let name = reference.to_string();
    let images = cache.images()?;
    Ok(images
        .iter()
        .any(|image| image.reference == name && image.platform == *platform))
}

impl Report {
    fn of(image: &PullResult, full: bool) -> Self {
        let mut report = Self::new(&image.reference, &image.platform);
        match image.prove(full) {
            Ok(proof) => {
                report.extents = proof.extents;
                report.paths = proof.paths;
                report.verified_bytes = proof.verified_bytes;
            }
            Err(error) => {
                report.status = Status::Damaged;
                report.causes = chain(&error);
            }
        }
        report
    }

    fn incomplete(reference: &Reference, platform: &Platform) -> Self {
        let mut report = Self::new(reference, platform);
        report.status = Status::Incomplete;
        report.causes = vec!["files of its disk are missing, or have other lengths".into()];
        report
    }

    fn new(reference: &Reference, platform: &Platform) -> Self {
        Self {
            reference: reference.to_string(),
            platform: platform.clone(),
            status: Status::Ok,
            extents: 0,
            paths: 0,
            verified_bytes: 0,
            causes: Vec::new(),
        }
    }

    fn print(&self, output: &mut Output) -> Result<(), Failure> {
        let (reference, platform) = (&self.reference, &self.platform);
        if self.status == Status::Ok {
            let bytes = match self.verified_bytes {
                0 => "structure only".to_owned(),
                bytes => format!("{} of contents compared", Bytes(bytes)),
            };
            return output.line(format_args!(
                "ok       {reference} for {platform}: {}, {}, {bytes}",
                count(self.extents as u64, "extent"),
                count(self.paths, "path"),
            ));
        }
        output.line(format_args!("DAMAGED  {reference} for {platform}"))?;
        for cause in &self.causes {
            output.line(format_args!("           {}", one_line(cause)))?;
        }
        output.line(format_args!(
            "           `msb-image pull --force {reference} --platform {platform}` makes it anew"
        ))
    }
}

fn chain(error: &dyn Error) -> Vec<String> {
    let mut causes = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
    }
    causes
}
