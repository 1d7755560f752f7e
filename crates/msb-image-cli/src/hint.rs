use std::error::Error;

use microsandbox_image::{CredentialsSeen, Platform, PullError, Reference, RegistryError};

/// Returns the next command that would work, or the next thing to check, in one line. `reference` is the image that is pulled.
pub(crate) fn hint(error: &PullError, reference: Option<&Reference>) -> Option<String> {
    match error {
        PullError::NotCached {
            reference,
            platform,
        } => {
            let flag = if **platform == Platform::host_linux() {
                String::new()
            } else {
                format!(" --platform {platform}")
            };
            Some(format!("pull it with `msb-image pull {reference}{flag}`"))
        }
        PullError::UnknownId { .. } => Some("`msb-image ls` lists the cached images".into()),
        PullError::AmbiguousId { .. } => Some("give more of its digits".into()),
        PullError::Store(error) if error.is_full() => {
            Some("free some space, or run `msb-image prune`".into())
        }
        PullError::Registry(error) => registry(error, reference),
        _ => None,
    }
}

fn registry(error: &RegistryError, reference: Option<&Reference>) -> Option<String> {
    let image = reference.map_or_else(|| "REF".to_owned(), Reference::to_string);
    let host = reference.map_or("HOST[:PORT]", Reference::registry);
    let sign_in = format!(
        "`printf %s \"$PASSWORD\" | msb-image pull --username NAME --password-stdin {image}`"
    );
    match error {
        RegistryError::Unauthorized { credentials, .. } => Some(match credentials {
            CredentialsSeen::Sent => {
                format!("the user name or the password is wrong; try {sign_in}")
            }
            CredentialsSeen::Withheld => format!(
                "credentials are sent over TLS only; allow plain HTTP with `--plain-http {host}`"
            ),
            // No credentials were given.
            _ => format!("sign in with {sign_in}"),
        }),
        RegistryError::Denied { .. } => Some(format!(
            "the registry knows this user and refuses; sign in as another with {sign_in}"
        )),
        _ if is_unknown_authority(error) => Some(format!(
            "trust the registry's certificate authority with `msb-image pull --ca-cert FILE {image}`"
        )),
        _ if is_not_tls(error) => Some(format!(
            "if the registry speaks plain HTTP, use `msb-image pull --plain-http {host} {image}`"
        )),
        _ => None,
    }
}

/// Returns whether a certificate was refused because its issuer is not trusted, in the words of rustls.
fn is_unknown_authority(error: &RegistryError) -> bool {
    has_cause(error, "UnknownIssuer")
}

/// Returns whether the other side did not answer with TLS, in the words of rustls.
fn is_not_tls(error: &RegistryError) -> bool {
    has_cause(error, "InvalidContentType")
}

fn has_cause(error: &RegistryError, words: &str) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.to_string().contains(words) {
            return true;
        }
        cause = error.source();
    }
    false
}
