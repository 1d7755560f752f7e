use std::io::{self, Write as _};

use microsandbox_image::{
    CacheError, Digest, ExportError, InspectError, PullError, PushError, Reference, RegistryError,
    SaveError,
};
use serde::Serialize;

use super::Failure;
use crate::output::ascii_json;
use crate::progress::without_bars;

/// An error as it is printed with `--format json`, on one line of stderr.
#[derive(Debug, Serialize)]
pub(super) struct ErrorObject {
    kind: Kind,
    message: String,
    /// From the nearest to the root cause.
    causes: Vec<String>,
    /// The next command that would work, or the next thing to check.
    hint: Option<String>,
    /// The image.
    reference: Option<String>,
    /// The manifest, config, layer or blob.
    digest: Option<Digest>,
}

/// What a program can do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// The arguments are wrong.
    Usage,
    /// A signal ended the command.
    Interrupted,
    /// The registry needs other credentials.
    Unauthorized,
    /// The cache, the image, or the path in it is missing.
    NotFound,
    /// A disk, a quota or the budget of the cache is full.
    NoSpace,
    /// Bytes contradict their digests or checksums.
    Corrupt,
    /// The same command may succeed later.
    Temporary,
    /// Anything else.
    Failed,
}

impl ErrorObject {
    pub(super) fn of(failure: &Failure) -> Self {
        let (reference, digest) = subject(failure);
        Self {
            kind: kind(failure),
            message: failure.to_string(),
            causes: failure.causes(),
            hint: failure.hint(),
            reference: reference.map(ToString::to_string),
            digest: digest.copied(),
        }
    }

    /// Prints the object on one line.
    pub(super) fn print(&self) {
        // OK because all of it is text.
        let text = serde_json::to_string(self).unwrap_or_default();
        let line = format!("{}\n", ascii_json(&text));
        // A failure to write has nowhere to be reported.
        let _ = without_bars(|| io::stderr().lock().write_all(line.as_bytes()));
    }
}

/// Prints a usage error.
pub(crate) fn report_usage(usage: &clap::Error) {
    let text = usage.render().to_string();
    let mut parts = text.split("\n\n");
    let message = parts.next().unwrap_or_default();
    let object = ErrorObject {
        kind: Kind::Usage,
        message: message.trim_start_matches("error: ").trim().to_owned(),
        causes: Vec::new(),
        hint: parts
            .find_map(|part| part.trim().strip_prefix("tip: "))
            .map(str::to_owned),
        reference: None,
        digest: None,
    };
    object.print();
}

fn kind(failure: &Failure) -> Kind {
    match failure.exit_code() {
        2 => return Kind::Usage,
        130 => return Kind::Interrupted,
        _ => {}
    }
    match failure {
        Failure::Image(error) | Failure::Pull { error, .. } => of_pull(error),
        Failure::Cache(error)
        | Failure::NothingToRemove(error)
        | Failure::Similar { error, .. }
        | Failure::Save(SaveError::Cache(error)) => of_cache(error),
        Failure::OtherPlatform { .. } | Failure::NoPin { .. } => Kind::NotFound,
        Failure::Inspect(error) | Failure::Export(ExportError::Inspect(error)) => of_inspect(error),
        Failure::Export(error) => first([
            (error.is_full(), Kind::NoSpace),
            (error.is_corrupt(), Kind::Corrupt),
        ]),
        Failure::Save(error) => first([
            (error.is_full(), Kind::NoSpace),
            (error.is_corrupt(), Kind::Corrupt),
        ]),
        Failure::Push(error) => of_push(error),
        _ => Kind::Failed,
    }
}

fn of_push(error: &PushError) -> Kind {
    match error {
        PushError::Cache(error) => of_cache(error),
        PushError::Inspect(error) => of_inspect(error),
        PushError::NoOriginalBlob { .. } => Kind::NotFound,
        PushError::Registry(error) => first([
            (error.is_unauthorized(), Kind::Unauthorized),
            (error.is_not_found(), Kind::NotFound),
            (error.is_corrupt(), Kind::Corrupt),
            (error.is_temporary(), Kind::Temporary),
        ]),
        error => first([(error.is_corrupt(), Kind::Corrupt)]),
    }
}

fn of_pull(error: &PullError) -> Kind {
    if let PullError::Cache(error) = error {
        return of_cache(error);
    }
    first([
        (error.is_unauthorized(), Kind::Unauthorized),
        (error.is_not_found(), Kind::NotFound),
        (error.is_corrupt(), Kind::Corrupt),
        (error.is_temporary(), Kind::Temporary),
    ])
}

fn of_cache(error: &CacheError) -> Kind {
    let is_full = match error {
        CacheError::Store(error) => error.is_full(),
        CacheError::Budget { .. } | CacheError::TooLarge { .. } => true,
        _ => false,
    };
    let is_missing = matches!(error, CacheError::Store(error) if error.is_no_cache());
    first([
        (is_full, Kind::NoSpace),
        (error.is_not_found() || is_missing, Kind::NotFound),
        (error.is_corrupt(), Kind::Corrupt),
        (error.is_temporary(), Kind::Temporary),
    ])
}

fn of_inspect(error: &InspectError) -> Kind {
    match error {
        InspectError::Cache(error) => of_cache(error),
        error => first([
            (error.is_not_found(), Kind::NotFound),
            (error.is_corrupt(), Kind::Corrupt),
        ]),
    }
}

/// Returns the first kind that applies.
fn first<const N: usize>(kinds: [(bool, Kind); N]) -> Kind {
    let applies = kinds.into_iter().find(|(applies, _)| *applies);
    applies.map_or(Kind::Failed, |(_, kind)| kind)
}

/// The image and the object that an error is about.
type Subject<'a> = (Option<&'a Reference>, Option<&'a Digest>);

fn subject(failure: &Failure) -> Subject<'_> {
    match failure {
        Failure::Pull { reference, error } => (Some(reference), subject_of_pull(error).1),
        Failure::Image(error) => subject_of_pull(error),
        Failure::OtherPlatform { reference, .. } => (Some(reference), None),
        Failure::Cache(error)
        | Failure::NothingToRemove(error)
        | Failure::Similar { error, .. }
        | Failure::Save(SaveError::Cache(error)) => subject_of_cache(error),
        Failure::Inspect(error) | Failure::Export(ExportError::Inspect(error)) => {
            subject_of_inspect(error)
        }
        Failure::Export(
            ExportError::Erofs { reference, .. }
            | ExportError::NotRepresentable { reference, .. }
            | ExportError::LinkNames { reference, .. },
        ) => (Some(reference), None),
        Failure::Save(SaveError::NoDocument { reference, digest }) => {
            (Some(reference), Some(digest))
        }
        Failure::Save(SaveError::Blob { expected, .. }) => (None, Some(expected)),
        Failure::Push(error) => subject_of_push(error),
        _ => (None, None),
    }
}

fn subject_of_pull(error: &PullError) -> Subject<'_> {
    match error {
        PullError::Cache(error) => subject_of_cache(error),
        PullError::Registry(error) => (reference_of_registry(error), None),
        PullError::Announced { digest, .. }
        | PullError::ManifestDocument { digest, .. }
        | PullError::Manifest { digest, .. }
        | PullError::Config { digest, .. }
        | PullError::ConfigPlatform { digest } => (None, Some(digest)),
        PullError::DamagedAgain { diff_id, .. } => (None, Some(diff_id)),
        PullError::Layer {
            digest, reference, ..
        } => (Some(reference), Some(digest)),
        PullError::Platform { reference, .. }
        | PullError::IndexDepth { reference, .. }
        | PullError::TooManyDocuments { reference, .. }
        | PullError::Stitch { reference, .. }
        | PullError::NotExact { reference, .. }
        | PullError::Verify { reference, .. } => (Some(reference), None),
        _ => (None, None),
    }
}

fn subject_of_push(error: &PushError) -> Subject<'_> {
    match error {
        PushError::Cache(error) => subject_of_cache(error),
        PushError::Inspect(error) => subject_of_inspect(error),
        PushError::Registry(error) => (reference_of_registry(error), None),
        PushError::NoOriginalBlob {
            reference, blob, ..
        } => (Some(reference), Some(blob)),
        PushError::NoDocument { reference, digest } => (Some(reference), Some(digest)),
        PushError::Digest { destination } => (Some(destination), None),
        _ => (None, None),
    }
}

fn reference_of_registry(error: &RegistryError) -> Option<&Reference> {
    match error.decisive() {
        RegistryError::NotFound { context, .. }
        | RegistryError::Unauthorized { context, .. }
        | RegistryError::Denied { context, .. } => Some(&context.reference),
        _ => None,
    }
}

fn subject_of_cache(error: &CacheError) -> Subject<'_> {
    match error {
        CacheError::NotCached { reference, .. } | CacheError::Pinned { reference, .. } => {
            (Some(reference), None)
        }
        CacheError::NoLayerBlob {
            reference, blob, ..
        } => (Some(reference), Some(blob)),
        _ => (None, None),
    }
}

fn subject_of_inspect(error: &InspectError) -> Subject<'_> {
    match error {
        InspectError::Cache(error) => subject_of_cache(error),
        InspectError::Disk { reference, .. }
        | InspectError::NoSuchPath { reference, .. }
        | InspectError::WrongType { reference, .. }
        | InspectError::Copy { reference, .. }
        | InspectError::Stitch { reference, .. }
        | InspectError::Verify { reference, .. } => (Some(reference), None),
        _ => (None, None),
    }
}
