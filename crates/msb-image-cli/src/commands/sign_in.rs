use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use microsandbox_image::{Reference, RegistryAuth, RegistryBuilder};

use crate::failure::Failure;

/// Longest password or token, in bytes.
const MAX_PASSWORD_BYTES: u64 = 64 << 10;
/// Most certificates in one file, in bytes.
const MAX_CERTIFICATES_BYTES: u64 = 4 << 20;

/// How the registry is spoken to.
#[derive(Debug, Args)]
pub(crate) struct RegistryArgs {
    /// Speaks plain HTTP with this registry, and sends credentials over it; repeatable
    #[arg(long, value_name = "HOST[:PORT]")]
    plain_http: Vec<String>,

    /// Trusts these certificates, in PEM, beside the system's; repeatable
    #[arg(long, value_name = "FILE")]
    ca_cert: Vec<PathBuf>,

    /// Who signs in
    #[arg(long, value_name = "NAME", requires = "password_stdin")]
    username: Option<String>,

    /// Reads the password or token from standard input
    #[arg(long, requires = "username")]
    password_stdin: bool,
}

impl RegistryArgs {
    /// Returns whether the process is going to hold a secret.
    pub(crate) fn has_secret(&self) -> bool {
        self.password_stdin
    }

    /// Tells the registry's builder all of it. Reads the password.
    pub(crate) fn apply(
        &self,
        references: &[Reference],
        mut builder: RegistryBuilder,
    ) -> Result<RegistryBuilder, Failure> {
        for path in &self.ca_cert {
            builder = builder.ca_cert(certificates(path)?);
            // Costs next to nothing, and tells which file it is.
            if builder.clone().build().is_err() {
                return Err(Failure::NoCertificates { path: path.into() });
            }
        }
        for host in &self.plain_http {
            builder = builder.plain_http(host);
        }
        if let Some(username) = &self.username {
            one_registry(references)?;
            builder = builder.auth(RegistryAuth::Basic {
                username: username.clone(),
                password: password(io::stdin().lock())?,
            });
        }
        Ok(builder)
    }
}

fn one_registry(references: &[Reference]) -> Result<(), Failure> {
    let mut registries = references.iter().map(Reference::registry);
    let Some(first) = registries.next() else {
        return Ok(());
    };
    match registries.find(|registry| *registry != first) {
        Some(second) => Err(Failure::TwoRegistries {
            first: first.into(),
            second: second.into(),
        }),
        None => Ok(()),
    }
}

fn certificates(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |source| Failure::Certificates {
        path: path.into(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let mut pem = Vec::new();
    file.take(MAX_CERTIFICATES_BYTES + 1)
        .read_to_end(&mut pem)
        .map_err(failed)?;
    if pem.len() as u64 > MAX_CERTIFICATES_BYTES {
        return Err(Failure::CertificatesTooLong {
            path: path.into(),
            limit: MAX_CERTIFICATES_BYTES,
        });
    }
    Ok(pem)
}

/// One line; the line break that a shell puts behind it is none of the password's.
fn password(input: impl Read) -> Result<String, Failure> {
    let mut text = String::new();
    input
        .take(MAX_PASSWORD_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(Failure::Password)?;
    let is_short = text.len() as u64 <= MAX_PASSWORD_BYTES;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if !is_short || line.is_empty() || line.contains(['\n', '\r']) {
        return Err(Failure::NoPassword {
            limit: MAX_PASSWORD_BYTES,
        });
    }
    Ok(line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_one_line_without_its_end() {
        let read = |text: &str| password(text.as_bytes()).ok();
        assert_eq!(read("secret\n").as_deref(), Some("secret"));
        assert_eq!(read("secret\r\n").as_deref(), Some("secret"));
        assert_eq!(read(" secret ").as_deref(), Some(" secret "));
        assert_eq!(read(""), None);
        assert_eq!(read("\n"), None);
        assert_eq!(read("two\nlines\n"), None);
        assert_eq!(read(&"x".repeat(70_000)), None);
    }

    #[test]
    fn a_password_goes_to_one_registry() {
        let parse = |text: &str| text.parse::<Reference>().expect("a valid reference");
        let (here, there) = (parse("a.example/x"), parse("b.example/x"));
        assert!(one_registry(&[here.clone(), here.clone()]).is_ok());
        let error = one_registry(&[here, there]).expect_err("two registries");
        assert!(error.to_string().contains("b.example"));
    }
}
