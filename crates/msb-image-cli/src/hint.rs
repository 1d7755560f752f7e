use std::error::Error;
use std::io;

use microsandbox_image::{
    ArchiveError, CacheError, CredentialUse, ExportError, InspectError, NewFileError, Platform,
    PullError, PushError, RedirectProblem, Reference, RegistryError, RegistryHost, SaveError,
    TokenProblem, UpperDiskError,
};

/// Returns the next command that would work, or the next thing to check, in one line. `reference` is the image that is pulled.
pub(crate) fn pull(error: &PullError, reference: Option<&Reference>) -> Option<String> {
    match error {
        PullError::Cache(error) => cache(error),
        PullError::Archive(ArchiveError::Unnamed { images: 1, .. }) => {
            Some("name the image with `--tag REF`".into())
        }
        PullError::Archive(ArchiveError::Unnamed { .. }) => {
            Some("name the image with `--tag REF`, where REF has the tag in the archive".into())
        }
        PullError::Archive(ArchiveError::Copy { .. }) => {
            Some("$TMPDIR names another directory for the copy".into())
        }
        PullError::Registry(error) => registry(error, reference),
        _ => None,
    }
}

/// Returns the next command that would work, or the next thing to check, in one line.
pub(crate) fn cache(error: &CacheError) -> Option<String> {
    match error {
        CacheError::NotCached {
            reference,
            platform,
        } => {
            let flag = flag(platform);
            Some(format!("pull it with `msb-image pull {reference}{flag}`"))
        }
        CacheError::NoLayerBlob {
            reference,
            platform,
            ..
        } => {
            let flag = flag(platform);
            Some(format!(
                "`msb-image pull --keep-blobs {reference}{flag}` keeps it; so does `msb-image load --keep-blobs PATH` for an archive"
            ))
        }
        CacheError::Pinned { .. } => Some("remove the pin with `msb-image unpin NAME`".into()),
        CacheError::Budget { .. } => Some(
            "`msb-image df` shows what holds the images; --max-bytes or --cache-max-bytes sets the budget"
                .into(),
        ),
        CacheError::UnknownId { .. } => Some("`msb-image ls` lists the cached images".into()),
        CacheError::AmbiguousId { .. } => Some("enter more digits of it".into()),
        CacheError::Store(error) if error.is_full() => {
            Some("free some space, or run `msb-image prune`".into())
        }
        CacheError::Store(error) if error.is_damaged_record() => Some(
            "pull the image again, or remove the record with `msb-image prune --remove-corrupt-records`"
                .into(),
        ),
        CacheError::Store(error) if error.is_no_cache() => Some(
            "a pull creates the cache; --cache-dir or $MSB_IMAGE_CACHE selects another one".into(),
        ),
        _ => None,
    }
}

/// Returns the option that selects a platform; nothing for this machine's.
fn flag(platform: &Platform) -> String {
    if *platform == Platform::host_linux() {
        String::new()
    } else {
        format!(" --platform {platform}")
    }
}

/// Returns the next command that would work, or the next thing to check, in one line.
pub(crate) fn save(error: &SaveError) -> Option<String> {
    match error {
        SaveError::File(NewFileError::Exists { .. }) => Some("replace it with `--force`".into()),
        SaveError::Cache(error) => cache(error),
        error if error.is_corrupt() => {
            Some("download it again with `msb-image pull --force --keep-blobs`".into())
        }
        _ => None,
    }
}

/// Returns the next command that would work, or the next thing to check, in one line.
pub(crate) fn push(error: &PushError) -> Option<String> {
    match error {
        PushError::Cache(error) | PushError::Inspect(InspectError::Cache(error)) => cache(error),
        PushError::Registry(error) => registry(error, None),
        PushError::NoOriginalBlob {
            reference,
            platform,
            ..
        } => {
            let flag = flag(platform);
            Some(format!(
                "`msb-image pull --keep-blobs {reference}{flag}` keeps it in the cache"
            ))
        }
        error if error.is_corrupt() => Some("rebuild it with `msb-image verify --repair`".into()),
        _ => None,
    }
}

/// Returns the next command that would work, or the next thing to check, in one line.
pub(crate) fn export(error: &ExportError) -> Option<String> {
    match error {
        ExportError::File(NewFileError::Exists { .. }) => Some("replace it with `--force`".into()),
        ExportError::NoStream { .. } => Some("name a file with `--output FILE`".into()),
        ExportError::Inspect(InspectError::Cache(error)) => cache(error),
        error if error.is_corrupt() => Some("rebuild it with `msb-image pull --force`".into()),
        _ => None,
    }
}

/// Returns the next command that would work, or the next thing to check, in one line.
pub(crate) fn upper_disk(error: &UpperDiskError) -> Option<String> {
    match error {
        UpperDiskError::File(NewFileError::Exists { .. }) => {
            Some("replace it and all that a guest wrote to it with `--force`".into())
        }
        UpperDiskError::NoMke2fs => Some("install the package e2fsprogs".into()),
        _ => None,
    }
}

/// Returns the next command that would work, or the next thing to check, in one line.
#[cfg(target_os = "linux")]
pub(crate) fn mount(error: &microsandbox_image::MountError) -> Option<String> {
    use microsandbox_image::MountError;

    match error {
        MountError::AlreadyMounted { .. } => {
            Some("`msb-image umount DIR` ends a mount of a cached image".into())
        }
        MountError::NotPermitted { .. } => {
            Some("run it as root; `msb-image tree` and `cat` read an image without a mount".into())
        }
        MountError::Kernel { .. } => {
            Some("`msb-image export` writes a disk that `mount -o loop` takes".into())
        }
        MountError::Foreign { .. } => {
            Some("if it is of another cache, name that one with --cache-dir".into())
        }
        _ => None,
    }
}

/// Returns a command or an option that may fix an error of a registry.
fn registry(error: &RegistryError, pulled: Option<&Reference>) -> Option<String> {
    let error = error.decisive();
    if error.is_unknown_authority() {
        let image = pulled.map_or_else(|| "REF".to_owned(), Reference::to_string);
        return Some(format!(
            "trust the registry's certificate authority with `msb-image pull --ca-cert FILE {image}`"
        ));
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
        return Some("if you expect that address, allow it with `--private-host HOST`".into());
    }
    if is_refused(error) {
        return Some(
            "no program listens there; check the host and the port of the reference, and that the registry runs".into(),
        );
    }
    if is_not_tls(error) {
        let host = pulled.map_or("HOST[:PORT]", Reference::registry);
        return Some(format!(
            "if the registry speaks plain HTTP, allow it with `--plain-http {host}`"
        ));
    }
    let reference = match error {
        RegistryError::NotFound { context, .. }
        | RegistryError::Unauthorized { context, .. }
        | RegistryError::Denied { context, .. } => &context.reference,
        _ => return None,
    };
    let registry = reference.registry();
    let log_in = format!(
        "`printf %s \"$PASSWORD\" | msb-image login {} --username NAME --password-stdin`, \
         or give the two options to `msb-image pull`",
        RegistryHost::of(reference)
    );
    Some(match error.credential_use()? {
        CredentialUse::NoneGiven if error.is_not_found() => {
            format!("if the repository is private, log in with {log_in}")
        }
        CredentialUse::NoneGiven | CredentialUse::BoundToOtherHost { .. } => {
            format!("log in with {log_in}")
        }
        CredentialUse::WithheldFromPlainHttp { host } => {
            format!(
                "credentials are sent over TLS only; allow plain HTTP with `--plain-http {host}`"
            )
        }
        CredentialUse::Sent if error.is_not_found() => return None,
        CredentialUse::Sent if error.is_unauthorized() => {
            format!("the user name or the password is wrong; log in again with {log_in}")
        }
        CredentialUse::Sent => {
            format!("{registry} denies access to this user; log in as another user with {log_in}")
        }
        CredentialUse::NotRequested => {
            format!("{registry} did not ask for a user name and a password; check the reference")
        }
        _ => return None,
    })
}

/// Returns whether the other side refused the connection.
fn is_refused(error: &RegistryError) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        let system = error.downcast_ref::<io::Error>();
        if system.is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Returns whether the other side did not answer with TLS, by the message of rustls.
fn is_not_tls(error: &RegistryError) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.to_string().contains("InvalidContentType") {
            return true;
        }
        cause = error.source();
    }
    false
}
