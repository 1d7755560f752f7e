use std::error::Error;
use std::path::PathBuf;

use clap::Args;
use microsandbox_image::{
    Damage, GlobalCache, ImageName, InspectError, Platform, Reference, Registry, RegistryBuilder,
    Repair, RepairError, Verification,
};
use serde::Serialize;

use super::not_cached;
use super::sign_in::RegistryArgs;
use crate::event_loop;
use crate::failure::{Failure, Outcome};
use crate::output::{Bytes, Format, FormatArgs, Output, count, one_line};
use crate::platform::PlatformArgs;
use crate::secrets;

/// Verify the disks of cached images
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// References of the images, or their digests or ids [default: all, for all platforms]
    #[arg(value_name = "REF")]
    images: Vec<ImageName>,

    /// Also compare all file data, which reads the whole disk
    #[arg(long)]
    full: bool,

    /// Compare all file data, and rebuild what is damaged: from the cache where possible, else from the image's registry by digest
    #[arg(long)]
    repair: bool,

    #[command(flatten)]
    platform: PlatformArgs,

    #[command(flatten)]
    registry: RegistryArgs,

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
    /// The layers that were downloaded again, by their diff_ids.
    downloaded: Vec<String>,
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
    /// It was damaged, and is not any more.
    Repaired,
    /// Files are missing or cut.
    Incomplete,
}

pub(crate) fn run(args: &VerifyArgs, cache: &GlobalCache) -> Result<Outcome, Failure> {
    let mut output = Output::new();
    let mut outcome = Outcome::Done;
    if args.images.is_empty() {
        for error in cache.damaged_records()? {
            Failure::from(error).report();
            outcome = Outcome::Failed;
        }
    }
    let wanted = wanted(args, cache)?;
    let repairer = if args.repair {
        Some(repairer(args, cache, &wanted)?)
    } else {
        None
    };
    for (reference, platform) in wanted {
        let verified = match &repairer {
            Some(builder) => repair(builder, cache, &reference, &platform),
            None => verify(cache, &reference, &platform, args.full),
        };
        let report = match verified {
            Ok(report) => report,
            Err(failure @ Failure::Interrupted { .. }) => return Err(failure),
            Err(failure) => {
                failure.report();
                outcome = Outcome::Failed;
                continue;
            }
        };
        if !matches!(report.status, Status::Ok | Status::Repaired) {
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

fn verify(
    cache: &GlobalCache,
    reference: &Reference,
    platform: &Platform,
    contents: bool,
) -> Result<Report, Failure> {
    let verification = cache.verify(reference, platform, contents);
    let verification = verification.map_err(|error| inspect_failure(cache, error))?;
    Ok(Report::new(reference, platform, &verification))
}

fn inspect_failure(cache: &GlobalCache, error: InspectError) -> Failure {
    match error {
        InspectError::Cache(error) => not_cached(cache, error),
        error => error.into(),
    }
}

/// Returns a builder of the registries that repair the images.
fn repairer(
    args: &VerifyArgs,
    cache: &GlobalCache,
    wanted: &[(Reference, Platform)],
) -> Result<RegistryBuilder, Failure> {
    if args.registry.has_secret() {
        secrets::protect();
    }
    let references: Vec<Reference> = wanted.iter().map(|(name, _)| name.clone()).collect();
    let builder = Registry::builder(Platform::host_linux(), cache.clone());
    args.registry.apply(&references, builder)
}

fn repair(
    builder: &RegistryBuilder,
    cache: &GlobalCache,
    reference: &Reference,
    platform: &Platform,
) -> Result<Report, Failure> {
    let registry = builder.clone().platform(platform.clone()).build()?;
    event_loop::run(async {
        let repair = registry.repair(reference).await;
        let repair = repair.map_err(|error| match error {
            RepairError::Inspect(error) => inspect_failure(cache, error),
            RepairError::Pull(error) => Failure::Pull {
                reference: Box::new(reference.clone()),
                error,
            },
        })?;
        Ok(Report::of_repair(reference, platform, &repair))
    })
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
            downloaded: Vec::new(),
        }
    }

    fn of_repair(reference: &Reference, platform: &Platform, repair: &Repair) -> Self {
        let found = Self::new(reference, platform, &repair.found);
        let Some(remaining) = &repair.remaining else {
            return found;
        };
        let mut report = Self::new(reference, platform, remaining);
        if report.status == Status::Ok {
            report.status = Status::Repaired;
            report.damaged = found.damaged;
        }
        report.downloaded = repair.layers.iter().map(ToString::to_string).collect();
        report
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
        if self.status == Status::Repaired {
            output.line(format_args!(
                "repaired {reference} for {platform}: {}, {} downloaded",
                count(self.damaged.len() as u64, "artifact"),
                count(self.downloaded.len() as u64, "layer"),
            ))?;
            return self
                .damaged
                .iter()
                .try_for_each(|damaged| damaged.print(output));
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
            "           `msb-image verify --repair {reference} --platform {platform}` rebuilds it"
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
