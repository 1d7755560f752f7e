//! One entry of `auths`: its fields to a credential, and back.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::error::EntryFault;
use crate::{Credential, Secret};

/// The fields that hold a credential; everything else in an entry belongs to others.
pub(crate) const FIELDS: [&str; 5] = [
    "auth",
    "identitytoken",
    "registrytoken",
    "username",
    "password",
];

/// The user name that stands for "the secret is a token", in entries and in the protocol of helpers.
pub(crate) const TOKEN_USERNAME: &str = "<token>";

/// Padding is optional: entries are also written by hand.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Returns the credential of an entry; `None` if it holds none.
///
/// A bearer token counts more than an identity token, and that more than a password, as for Docker.
pub(crate) fn parse(entry: &Value) -> Result<Option<Credential>, EntryFault> {
    let field = |name| {
        let text = entry.get(name).and_then(Value::as_str);
        text.filter(|text| !text.is_empty())
    };
    if let Some(token) = field("registrytoken") {
        return Ok(Some(Credential::bearer(token)));
    }
    if let Some(token) = field("identitytoken") {
        return Ok(Some(Credential::identity_token(token)));
    }
    if let Some(auth) = field("auth") {
        return decode(auth);
    }
    match (field("username"), field("password")) {
        (Some(username), _) if username.contains(':') => Err(EntryFault::ColonInUsername),
        (Some(username), Some(password)) => Ok(Some(Credential::basic(username, password))),
        _ => Ok(None),
    }
}

fn decode(auth: &str) -> Result<Option<Credential>, EntryFault> {
    // Long lines are wrapped by some encoders.
    let compact: Zeroizing<String> = Zeroizing::new(
        auth.chars()
            .filter(|c| !c.is_ascii_whitespace())
            .collect::<String>(),
    );
    let decoded = BASE64.decode(compact.as_bytes()).map(Zeroizing::new);
    let decoded = decoded.map_err(|_| EntryFault::Base64)?;
    if decoded.is_empty() {
        return Ok(None);
    }
    let text = std::str::from_utf8(&decoded).map_err(|_| EntryFault::Utf8)?;
    let (username, password) = text.split_once(':').ok_or(EntryFault::NoColon)?;
    // Old versions of Docker padded with zero bytes.
    let password = password.trim_matches('\0');
    if username.is_empty() && password.is_empty() {
        return Ok(None);
    }
    Ok(Some(Credential::basic(username, password)))
}

/// Returns the fields of a credential, each with its value as JSON text.
pub(crate) fn fields(credential: &Credential) -> Vec<(&'static str, Zeroizing<String>)> {
    let token_user = || encode(TOKEN_USERNAME, &Secret::default());
    match credential {
        Credential::Basic { username, password } => vec![("auth", encode(username, password))],
        Credential::IdentityToken { token } => {
            // Podman ignores an entry without a well-formed "auth".
            vec![
                ("auth", token_user()),
                ("identitytoken", quoted(token.expose())),
            ]
        }
        Credential::Bearer { token } => vec![("registrytoken", quoted(token.expose()))],
    }
}

/// Checks that a credential can be written and read back.
pub(crate) fn check(credential: &Credential) -> Result<(), EntryFault> {
    match credential {
        Credential::Basic { username, .. } if username.contains(':') => {
            Err(EntryFault::ColonInUsername)
        }
        Credential::Basic {
            password: secret, ..
        }
        | Credential::IdentityToken { token: secret }
        | Credential::Bearer { token: secret }
            if secret.is_empty() =>
        {
            Err(EntryFault::Empty)
        }
        _ => Ok(()),
    }
}

fn encode(username: &str, password: &Secret) -> Zeroizing<String> {
    let pair = Zeroizing::new(format!("{username}:{}", password.expose()));
    let encoded = Zeroizing::new(BASE64.encode(pair.as_bytes()));
    quoted(&encoded)
}

/// Writes a JSON string.
pub(crate) fn quoted(text: &str) -> Zeroizing<String> {
    Zeroizing::new(serde_json::to_string(text).expect("every string has a JSON form"))
}
