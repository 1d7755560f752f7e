use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use msb_credentials::{Credential, Error, RegistryName};
use msb_registry::{CredentialFuture, CredentialProvider, RegistryAuth, RegistryHost};

/// Credentials from Docker's and podman's files and credential helpers, in the order of podman and skopeo.
///
/// ```text
///   $REGISTRY_AUTH_FILE, alone if it is set; else in order
///     $XDG_RUNTIME_DIR/containers/auth.json
///     ${XDG_CONFIG_HOME:-~/.config}/containers/auth.json
///     ${DOCKER_CONFIG:-~/.docker}/config.json
///     ~/.dockercfg
/// ```
///
/// Files are read, and helpers run, on a thread for blocking work, and only when a registry requires authentication. Every lookup
/// reads the files again.
///
/// ```
/// use microsandbox_image::{DockerCredentials, GlobalCache, Platform, Registry};
///
/// # fn example(cache: GlobalCache) -> Result<(), Box<dyn std::error::Error>> {
/// let registry = Registry::builder(Platform::host_linux(), cache)
///     .credentials(DockerCredentials::from_env())
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct DockerCredentials(Arc<msb_credentials::DockerCredentials>);

impl DockerCredentials {
    /// Returns the credentials of the files that the environment of this process names.
    #[must_use]
    pub fn from_env() -> Self {
        Self(Arc::new(msb_credentials::DockerCredentials::from_env()))
    }

    /// Uses this file alone, for reading and for writing.
    #[must_use]
    pub fn with_auth_file(self, path: impl Into<PathBuf>) -> Self {
        Self(Arc::new((*self.0).clone().with_auth_file(path)))
    }

    /// Sets how long a credential helper may take. Default: 10 s.
    #[must_use]
    pub fn with_helper_timeout(self, timeout: Duration) -> Self {
        Self(Arc::new((*self.0).clone().with_helper_timeout(timeout)))
    }

    /// Returns the files that are read, in order, whether they exist or not.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.0.files()
    }

    /// Stores credentials for `host`: in the helper that the file configures for it, else in the file, with mode 0600.
    ///
    /// Returns where they were stored. Docker Hub is stored under the key that Docker reads, `https://index.docker.io/v1/`.
    ///
    /// # Errors
    ///
    /// [`CredentialError`](crate::CredentialError) if the credentials are anonymous or have no form that can be read back, if the
    /// helper fails, or if the file is malformed or cannot be written.
    pub async fn store(&self, host: &RegistryHost, auth: &RegistryAuth) -> Result<String, Error> {
        let name: RegistryName = host.as_str().parse()?;
        let credential = credential(auth);
        let stored = self.blocking(move |docker| docker.store(&name, &credential));
        stored.await.map(|origin| origin.to_string())
    }

    /// Erases the credentials for `host` where [`store`](Self::store) stores them. Returns the places that had any.
    ///
    /// # Errors
    ///
    /// [`CredentialError`](crate::CredentialError) if the helper fails, or if the file is malformed or cannot be written.
    pub async fn erase(&self, host: &RegistryHost) -> Result<Vec<String>, Error> {
        let name: RegistryName = host.as_str().parse()?;
        let erased = self.blocking(move |docker| docker.erase(&name)).await?;
        Ok(erased.iter().map(ToString::to_string).collect())
    }

    async fn find(
        &self,
        host: &RegistryHost,
        repository: Option<&str>,
    ) -> Result<RegistryAuth, Error> {
        let name: RegistryName = host.as_str().parse()?;
        let repository = repository.map(str::to_owned);
        let found = self.blocking(move |docker| docker.get(&name, repository.as_deref()));
        let Some(found) = found.await? else {
            tracing::debug!(%host, "no credentials in Docker's and podman's files");
            return Ok(RegistryAuth::Anonymous);
        };
        tracing::debug!(%host, origin = %found.origin, "credentials found");
        Ok(registry_auth(&found.credential))
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&msb_credentials::DockerCredentials) -> T + Send + 'static,
    ) -> T {
        let docker = Arc::clone(&self.0);
        match tokio::task::spawn_blocking(move || work(&docker)).await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is shutting down, and drops this future next.
                Err(_) => std::future::pending().await,
            },
        }
    }
}

impl CredentialProvider for DockerCredentials {
    fn credentials<'a>(&'a self, host: &'a RegistryHost) -> CredentialFuture<'a> {
        Box::pin(async move { Ok(self.find(host, None).await?) })
    }

    fn has_repository_credentials(&self) -> bool {
        true
    }

    fn repository_credentials<'a>(
        &'a self,
        host: &'a RegistryHost,
        repository: &'a str,
    ) -> CredentialFuture<'a> {
        Box::pin(async move { Ok(self.find(host, Some(repository)).await?) })
    }
}

impl fmt::Debug for DockerCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files: Vec<_> = self.files().collect();
        f.debug_tuple("DockerCredentials").field(&files).finish()
    }
}

fn registry_auth(credential: &Credential) -> RegistryAuth {
    match credential {
        Credential::Basic { username, password } => RegistryAuth::Basic {
            username: username.clone(),
            password: password.expose().to_owned(),
        },
        Credential::IdentityToken { token } => RegistryAuth::IdentityToken {
            token: token.expose().to_owned(),
        },
        Credential::Bearer { token } => RegistryAuth::Bearer {
            token: token.expose().to_owned(),
        },
        // A form that this version does not know cannot be sent.
        _ => RegistryAuth::Anonymous,
    }
}

fn credential(auth: &RegistryAuth) -> Credential {
    match auth {
        RegistryAuth::Basic { username, password } => {
            Credential::basic(username.clone(), password.clone())
        }
        RegistryAuth::IdentityToken { token } => Credential::identity_token(token.clone()),
        RegistryAuth::Bearer { token } => Credential::bearer(token.clone()),
        // An empty password is refused when it is stored.
        _ => Credential::basic("", ""),
    }
}
