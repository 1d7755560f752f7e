use std::error::Error as _;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use microsandbox_image::{
    CredentialUse, Platform, PullError, RedirectProblem, Reference, RegistryError, TokenProblem,
};

use crate::output::one_line;

/// The reason why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Image(#[from] PullError),
    /// The image is cached, but not for the platform.
    #[error("{reference} for {platform} is not cached")]
    OtherPlatform {
        reference: Box<Reference>,
        platform: Box<Platform>,
        /// What it is cached for; not empty.
        cached: Vec<Platform>,
    },
    #[error("{0}")]
    NothingToRemove(PullError),
    #[error(
        "no cache directory: neither --cache-dir, $MSB_IMAGE_CACHE nor the home directory is set"
    )]
    NoCacheDir,
    #[error("--force downloads everything again, and --policy never downloads nothing")]
    ForceOffline,
    /// One password must not go to two registries.
    #[error("--username is for one registry, and the references name two: {first} and {second}")]
    TwoRegistries { first: String, second: String },
    #[error("standard input: reading the password")]
    Password(#[source] io::Error),
    #[error("standard input: no password, or one of more than {limit} bytes")]
    NoPassword { limit: u64 },
    #[error("{}: reading the certificates", path.display())]
    Certificates { path: PathBuf, source: io::Error },
    #[error("{}: more than {limit} bytes of certificates", path.display())]
    CertificatesTooLong { path: PathBuf, limit: u64 },
    #[error("standard output: writing to it")]
    Output(#[source] io::Error),
    #[error("standard output: writing the answer as JSON")]
    Json(#[source] serde_json::Error),
    #[error("starting the event loop")]
    EventLoop(#[source] io::Error),
    #[error("interrupted")]
    Interrupted,
}

/// The outcome of a command that could be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// Something failed, and was reported.
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
    /// Returns whether the reader of the output went away, which is not an error.
    pub(crate) fn is_unread_output(&self) -> bool {
        match self {
            Self::Output(error) | Self::Image(PullError::Copy { source: error, .. }) => {
                error.kind() == io::ErrorKind::BrokenPipe
            }
            _ => false,
        }
    }

    /// Writes the error, its causes and a hint to stderr.
    pub(crate) fn report(&self) -> ExitCode {
        if self.is_unread_output() {
            return ExitCode::SUCCESS;
        }
        let mut text = format!("error: {}\n", one_line(&self.to_string()));
        let mut cause = self.source();
        while let Some(error) = cause {
            text.push_str(&format!("  caused by: {}\n", one_line(&error.to_string())));
            cause = error.source();
        }
        if let Some(hint) = self.hint() {
            text.push_str(&format!("hint: {}\n", one_line(&hint)));
        }
        // If stderr is closed, there is nowhere else to report it.
        let _ = io::stderr().lock().write_all(text.as_bytes());
        ExitCode::from(self.exit_code())
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::NoCacheDir
            | Self::ForceOffline
            | Self::TwoRegistries { .. }
            | Self::NoPassword { .. } => 2,
            Self::Interrupted => 130,
            _ => 1,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Image(PullError::Registry(error)) => registry_hint(error),
            Self::Image(error) => error.hint(),
            Self::OtherPlatform { cached, .. } => {
                let given: Vec<_> = cached
                    .iter()
                    .map(|platform| format!("--platform {platform}"))
                    .collect();
                Some(format!("it is cached with {}", given.join(", ")))
            }
            Self::NothingToRemove(_) => Some("`msb-image ls` shows what is".into()),
            Self::NoPassword { .. } => Some("printf %s \"$TOKEN\" | msb-image pull ...".into()),
            Self::TwoRegistries { .. } => Some("pull from one after the other".into()),
            _ => None,
        }
    }
}

/// Returns the command or option that may help against a registry's error.
fn registry_hint(error: &RegistryError) -> Option<String> {
    if error.is_unknown_authority() {
        return Some(
            "if you trust the registry, pass its certificate authority with --ca-cert FILE".into(),
        );
    }
    if let RegistryError::Redirect {
        problem: RedirectProblem::PrivateAddress { .. },
        ..
    }
    | RegistryError::TokenService {
        problem: TokenProblem::PrivateAddress,
        ..
    } = error
    {
        return Some("if you expect that address, pass its host with --private-host HOST".into());
    }
    let reference = match error {
        RegistryError::NotFound { context, .. }
        | RegistryError::Unauthorized { context, .. }
        | RegistryError::Denied { context, .. } => &context.reference,
        _ => return None,
    };
    let registry = reference.registry();
    let sign_in = format!(
        "printf %s \"$TOKEN\" | msb-image pull {reference} --username NAME --password-stdin"
    );
    Some(match error.credential_use()? {
        CredentialUse::NoneGiven if error.is_not_found() => {
            format!("if the repository is private, sign in: {sign_in}")
        }
        CredentialUse::NoneGiven | CredentialUse::BoundToOtherHost { .. } => {
            format!("sign in: {sign_in}")
        }
        CredentialUse::WithheldFromPlainHttp { host } => {
            format!("to send credentials over plain HTTP, pass --plain-http {host}")
        }
        CredentialUse::Sent if error.is_not_found() => return None,
        CredentialUse::Sent => format!(
            "{registry} refused these credentials for {}: check the user name, the token and its access",
            reference.repository()
        ),
        CredentialUse::NotRequested => {
            format!("{registry} did not ask for a user name and a password; check the reference")
        }
        _ => return None,
    })
}
