use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use microsandbox_image::{
    ClientCertificate, DockerCredentials, GlobalCache, Platform, Reference, Registry, RegistryAuth,
    RegistryBuilder, RegistryHost, Timeouts,
};
use zeroize::Zeroizing;

use crate::config::Config;
use crate::environment::{AUTH_FILE_VARIABLE, variable};
use crate::failure::Failure;
use crate::secrets;

/// The longest password or token, in bytes.
const MAX_PASSWORD_BYTES: u64 = 64 << 10;
/// The longest certificate file, in bytes.
const MAX_CERTIFICATES_BYTES: u64 = 4 << 20;

/// Options for connections to registries.
#[derive(Debug, Args)]
pub(crate) struct RegistryArgs {
    /// Use plain HTTP for this registry, and send credentials over it; repeatable
    #[arg(long, value_name = "HOST[:PORT]")]
    plain_http: Vec<String>,

    /// Follow redirects to this host although its address is private; repeatable
    #[arg(long, value_name = "HOST[:PORT]")]
    private_host: Vec<String>,

    /// Trust the certificates in this PEM file in addition to the system's; repeatable
    #[arg(long, value_name = "FILE")]
    ca_cert: Vec<PathBuf>,

    /// Client certificate for the registry, in PEM
    #[arg(long, value_name = "FILE", requires = "client_key")]
    client_cert: Option<PathBuf>,

    /// Private key of --client-cert, in PEM
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    client_key: Option<PathBuf>,

    /// Read mirrors and TLS settings from DIR/HOST/hosts.toml, before containerd's own directories; repeatable
    #[arg(long, value_name = "DIR")]
    hosts_dir: Vec<PathBuf>,

    /// How long to retry after temporary errors or while the registry cannot be reached
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    retry_seconds: u64,

    /// User name for the registry
    #[arg(long, value_name = "NAME", requires = "password_stdin")]
    username: Option<String>,

    /// Read the password or token from standard input
    #[arg(long, requires = "username")]
    password_stdin: bool,

    #[command(flatten)]
    auth_file: AuthFileArgs,
}

/// The store of credentials.
#[derive(Debug, Args)]
pub(crate) struct AuthFileArgs {
    /// Credential file in the format of Docker's config.json and podman's auth.json [default: the files of podman and Docker]
    #[arg(long, value_name = "FILE")]
    auth_file: Option<PathBuf>,
}

impl AuthFileArgs {
    /// Takes the file of the configuration, unless a flag or the variable of podman names one.
    pub(crate) fn configure(&mut self, config: &Config) {
        if self.auth_file.is_none() && variable(AUTH_FILE_VARIABLE).is_none() {
            self.auth_file = config.auth_file.as_ref().map(|file| file.value.clone());
        }
    }

    pub(crate) fn credentials(&self) -> DockerCredentials {
        let credentials = DockerCredentials::from_env();
        match &self.auth_file {
            Some(path) => credentials.with_auth_file(path),
            None => credentials,
        }
    }
}

impl RegistryArgs {
    /// Reads the directories of the configuration after those of flags.
    pub(crate) fn configure(&mut self, config: &Config) {
        self.auth_file.configure(config);
        let configured = config.hosts_dirs.iter().flat_map(|dirs| &dirs.value);
        self.hosts_dir.extend(configured.cloned());
    }

    /// Returns whether the process will hold a secret that is in no file of this user.
    pub(crate) fn has_secret(&self) -> bool {
        self.password_stdin
    }

    /// Returns the store of credentials.
    pub(crate) fn credentials(&self) -> DockerCredentials {
        self.auth_file.credentials()
    }

    /// Reads the password for the given user name, if there is one.
    pub(crate) fn given_auth(&self) -> Result<Option<RegistryAuth>, Failure> {
        let Some(username) = &self.username else {
            return Ok(None);
        };
        Ok(Some(RegistryAuth::Basic {
            username: username.clone(),
            password: password(unbuffered_input()?)?,
        }))
    }

    /// Returns a registry for one reference.
    pub(crate) fn open(
        &self,
        platform: Platform,
        cache: GlobalCache,
        reference: &Reference,
    ) -> Result<Registry, Failure> {
        if self.has_secret() {
            secrets::protect();
        }
        let builder = Registry::builder(platform, cache);
        Ok(self
            .apply(std::slice::from_ref(reference), builder)?
            .build()?)
    }

    /// Configures `builder` for the registries of `references`. Reads the password, which is sent only to one registry.
    pub(crate) fn apply(
        &self,
        references: &[Reference],
        builder: RegistryBuilder,
    ) -> Result<RegistryBuilder, Failure> {
        let mut builder = self.connect(
            || one_registry("--client-cert", references),
            builder.credentials(self.credentials()),
        )?;
        if let Some(auth) = self.given_auth()? {
            builder = match one_registry("--username", references)? {
                Some(host) => builder.auth_for(host.as_str(), auth),
                None => builder.auth(auth),
            };
        }
        Ok(builder)
    }

    /// Configures everything except credentials. A client certificate is presented only to `registry`.
    pub(crate) fn connect(
        &self,
        registry: impl FnOnce() -> Result<Option<RegistryHost>, Failure>,
        mut builder: RegistryBuilder,
    ) -> Result<RegistryBuilder, Failure> {
        let retry_time = Duration::from_secs(self.retry_seconds);
        builder = builder.timeouts(Timeouts::default().with_retry_time(retry_time));
        for path in &self.ca_cert {
            builder = builder.named_ca_cert(path.display().to_string(), certificates(path)?);
        }
        for host in &self.plain_http {
            builder = builder.plain_http(host);
        }
        for host in &self.private_host {
            builder = builder.private_host(host);
        }
        for dir in &self.hosts_dir {
            builder = builder.hosts_dir(dir);
        }
        builder = builder.containerd_hosts_dirs();
        if let (Some(cert), Some(key)) = (&self.client_cert, &self.client_key)
            && let Some(host) = registry()?
        {
            let name = cert.display().to_string();
            let (cert, key) = (certificates(cert)?, certificates(key)?);
            let certificate = ClientCertificate::from_pem(&name, &cert, &key)?;
            builder = builder.client_certificate(host.as_str(), certificate);
        }
        Ok(builder)
    }
}

/// Returns the registry that all references name. `option` applies to only one registry.
fn one_registry(
    option: &'static str,
    references: &[Reference],
) -> Result<Option<RegistryHost>, Failure> {
    let mut hosts = references.iter().map(RegistryHost::of);
    let Some(first) = hosts.next() else {
        return Ok(None);
    };
    match hosts.find(|host| *host != first) {
        Some(second) => Err(Failure::TwoRegistries {
            option,
            first: first.to_string(),
            second: second.to_string(),
        }),
        None => Ok(Some(first)),
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

/// Opens standard input without the buffer of the standard library, which would keep a copy of the password.
fn unbuffered_input() -> Result<File, Failure> {
    let input = io::stdin().as_fd().try_clone_to_owned();
    Ok(File::from(input.map_err(Failure::Password)?))
}

/// Reads everything except a final line end, which a shell adds.
fn password(input: impl Read) -> Result<String, Failure> {
    // Reserved in full, because a growing text leaves copies of itself in memory.
    let mut text = Zeroizing::new(String::with_capacity(
        usize::try_from(MAX_PASSWORD_BYTES).unwrap_or_default() + 2,
    ));
    input
        .take(MAX_PASSWORD_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(Failure::Password)?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.is_empty() || text.len() as u64 > MAX_PASSWORD_BYTES {
        return Err(Failure::NoPassword {
            limit: MAX_PASSWORD_BYTES,
        });
    }
    // Moves the text; the credentials wipe it.
    Ok(std::mem::take(&mut *text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_everything_but_one_line_end() {
        let read = |text: &str| password(text.as_bytes()).ok();
        assert_eq!(read("secret\n").as_deref(), Some("secret"));
        assert_eq!(read("secret\r\n").as_deref(), Some("secret"));
        assert_eq!(read(" secret ").as_deref(), Some(" secret "));
        assert_eq!(read(""), None);
        assert_eq!(read("\n"), None);
        assert_eq!(
            read("{\n  \"key\": 1\n}\n").as_deref(),
            Some("{\n  \"key\": 1\n}")
        );
        assert_eq!(read("secret\n\n").as_deref(), Some("secret\n"));
        assert_eq!(read("secret\r").as_deref(), Some("secret\r"));
        assert_eq!(read(&"x".repeat(70_000)), None);
    }

    #[test]
    fn a_password_goes_to_one_registry() {
        let parse = |text: &str| text.parse::<Reference>().expect("a valid reference");
        let (here, there) = (parse("a.example/x"), parse("b.example/x"));
        assert!(one_registry("--username", &[here.clone(), here.clone()]).is_ok());
        let hub = [parse("alpine"), parse("registry-1.docker.io/a/b")];
        assert!(one_registry("--username", &hub).is_ok());
        let error = one_registry("--username", &[here, there]).expect_err("two registries");
        assert!(error.to_string().contains("b.example"));
    }
}
