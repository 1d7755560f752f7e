mod object;

use std::error::Error as _;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use microsandbox_image::{
    CacheError, CredentialError, ExportError, InspectError, InvalidCertificate, Platform,
    PullError, PushError, Reference, RegistryHost, SaveError, UpperDiskError, escape, escape_path,
};

use crate::config::ConfigError;
use crate::hint;
use crate::output::{Label, errors_are_json, one_line};
use crate::progress::without_bars;

pub(crate) use object::report_usage;

use object::ErrorObject;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Image(#[from] PullError),
    #[error(transparent)]
    Cache(#[from] CacheError),
    #[error(transparent)]
    Inspect(#[from] InspectError),
    #[error(transparent)]
    Export(#[from] ExportError),
    #[error(transparent)]
    Save(#[from] SaveError),
    #[error(transparent)]
    Push(#[from] Box<PushError>),
    #[error(transparent)]
    UpperDisk(#[from] UpperDiskError),
    #[cfg(target_os = "linux")]
    #[error(transparent)]
    Mount(#[from] microsandbox_image::MountError),
    /// The pull of an image failed. The hint contains the reference.
    #[error("{error}")]
    Pull {
        reference: Box<Reference>,
        error: PullError,
    },
    #[error("--remote needs a reference; {id} names an image of the cache")]
    RemoteId { id: String },
    #[error("--remote has no disk to boot, which --format {format} describes")]
    RemoteDisk { format: &'static str },
    /// The image is cached, but for other platforms.
    #[error("{reference} for {platform} is not cached")]
    OtherPlatform {
        reference: Box<Reference>,
        platform: Box<Platform>,
        /// The platforms that it is cached for; not empty.
        cached: Vec<Platform>,
    },
    /// The image is not cached, but one with a similar name is.
    #[error("{error}")]
    Similar {
        error: CacheError,
        similar: Box<Reference>,
        /// Whether a pull of the image would help.
        pull_helps: bool,
    },
    #[error("{0}")]
    NothingToRemove(CacheError),
    #[error(
        "no cache directory: neither --cache-dir, $MSB_IMAGE_CACHE nor the home directory is set"
    )]
    NoCacheDir,
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("there is no group {}", escape(name))]
    NoGroup { name: String },
    #[error("${name} is {}: {expected}", escape(value))]
    BadVariable {
        name: &'static str,
        value: String,
        expected: &'static str,
    },
    #[error("group {}: looking up its number", escape(name))]
    GroupLookup { name: String, source: io::Error },
    #[error("--force cannot be used with --policy never: it has to download")]
    ForceOffline,
    /// A password must not be sent to two registries.
    #[error("{option} applies to one registry, but the references name two: {first} and {second}")]
    TwoRegistries {
        option: &'static str,
        first: String,
        second: String,
    },
    /// A credential file or helper failed.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    #[error(transparent)]
    ClientCertificate(#[from] InvalidCertificate),
    #[error(
        "{registry} did not request credentials, so they cannot be verified; nothing was stored"
    )]
    NotRequested { registry: RegistryHost },
    #[error("there is no pin {name}")]
    NoPin { name: String },
    #[error("reading the password from standard input")]
    Password(#[source] io::Error),
    #[error("standard input: the password is empty or longer than {limit} bytes")]
    NoPassword { limit: u64 },
    #[error("{}: reading the certificates", path.display())]
    Certificates { path: PathBuf, source: io::Error },
    #[error("{}: more than {limit} bytes of certificates", path.display())]
    CertificatesTooLong { path: PathBuf, limit: u64 },
    #[error("writing to standard output")]
    Output(#[source] io::Error),
    #[error("writing JSON to standard output")]
    Json(#[source] serde_json::Error),
    #[error("copying the descriptor of the lease")]
    Lease(#[source] io::Error),
    /// The command that should replace this process was not started.
    #[error("{}: running it", escape(program.as_encoded_bytes()))]
    Exec {
        program: OsString,
        source: io::Error,
    },
    #[error("{}: writing the manual pages", escape_path(path))]
    ManualPages { path: PathBuf, source: io::Error },
    #[error("starting the event loop")]
    EventLoop(#[source] io::Error),
    /// A signal ended the command: SIGINT, SIGTERM or SIGHUP.
    #[error("interrupted{}", by(signal))]
    Interrupted { signal: &'static str },
}

/// Returns nothing for the usual interrupt from the keyboard, which needs no name.
fn by(signal: &str) -> String {
    match signal {
        "SIGINT" => String::new(),
        other => format!(" by {other}"),
    }
}

/// The result of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// A part of the work failed, and the error was printed.
    Failed,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::SUCCESS,
            Outcome::Failed => Self::FAILURE,
        }
    }
}

impl Failure {
    /// Returns the failure of a request for `reference`.
    pub(crate) fn of_registry(reference: &Reference, error: PullError) -> Self {
        Self::Pull {
            reference: Box::new(reference.clone()),
            error,
        }
    }

    /// Returns whether the reader of stdout closed it, which is not a failure of the command.
    pub(crate) fn is_unread_output(&self) -> bool {
        match self {
            Self::Output(error)
            | Self::Inspect(InspectError::Copy { source: error, .. })
            | Self::Export(ExportError::Stream { source: error, .. })
            | Self::Save(SaveError::Stream { source: error, .. }) => {
                error.kind() == io::ErrorKind::BrokenPipe
            }
            _ => false,
        }
    }

    /// Prints the error, its causes and a hint to stderr, and returns the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        if self.is_unread_output() {
            return ExitCode::SUCCESS;
        }
        if errors_are_json() {
            ErrorObject::of(self).print();
            return ExitCode::from(self.exit_code());
        }
        let mut text = format!("{} {}\n", Label::Error.text(), one_line(&self.to_string()));
        for cause in self.causes() {
            text.push_str(&format!("  caused by: {}\n", one_line(&cause)));
        }
        if let Some(hint) = self.hint() {
            text.push_str(&format!("{} {}\n", Label::Hint.text(), one_line(&hint)));
        }
        // A failure to write has nowhere to be reported. Progress bars are off the screen while it is written.
        let _ = without_bars(|| io::stderr().lock().write_all(text.as_bytes()));
        ExitCode::from(self.exit_code())
    }

    /// Returns the messages of the causes. Omits those that an earlier message contains word for word.
    fn causes(&self) -> Vec<String> {
        let mut messages = vec![self.to_string()];
        let mut cause = match self {
            Self::Pull { error, .. } => error.source(),
            _ => self.source(),
        };
        while let Some(error) = cause {
            let text = error.to_string();
            cause = error.source();
            if !messages.iter().any(|message| message.contains(&text)) {
                messages.push(text);
            }
        }
        messages.split_off(1)
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::NoCacheDir
            | Self::Config(_)
            | Self::NoGroup { .. }
            | Self::BadVariable { .. }
            | Self::ForceOffline
            | Self::TwoRegistries { .. }
            | Self::RemoteId { .. }
            | Self::RemoteDisk { .. }
            | Self::NoPassword { .. } => 2,
            // As env(1) and shells report it.
            Self::Exec { source, .. } if source.kind() == io::ErrorKind::NotFound => 127,
            Self::Exec { .. } => 126,
            Self::Interrupted { .. } => 130,
            _ => 1,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Image(error) => hint::pull(error, None),
            Self::Pull { reference, error } => hint::pull(error, Some(reference)),
            Self::Cache(error) | Self::Inspect(InspectError::Cache(error)) => hint::cache(error),
            Self::OtherPlatform { cached, .. } => {
                let given: Vec<_> = cached
                    .iter()
                    .map(|platform| format!("--platform {platform}"))
                    .collect();
                Some(format!("it is cached with {}", given.join(", ")))
            }
            Self::Similar {
                error,
                similar,
                pull_helps,
            } => {
                let pull = hint::cache(error).filter(|_| *pull_helps);
                let pull = pull.map_or_else(String::new, |hint| format!(" If not, {hint}"));
                Some(format!("did you mean {similar}, which is cached?{pull}"))
            }
            Self::Export(error) => hint::export(error),
            Self::Save(error) => hint::save(error),
            Self::Push(error) => hint::push(error),
            Self::UpperDisk(error) => hint::upper_disk(error),
            #[cfg(target_os = "linux")]
            Self::Mount(error) => hint::mount(error),
            Self::NothingToRemove(_) => Some("`msb-image ls` lists the cached images".into()),
            Self::NoPassword { .. } => Some("printf %s \"$TOKEN\" | msb-image pull ...".into()),
            Self::TwoRegistries { .. } => {
                Some("pull from each registry with a separate command".into())
            }
            _ => None,
        }
    }
}
