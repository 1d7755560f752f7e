mod docker_credentials;
mod hosts;

pub use docker_credentials::DockerCredentials;

use std::path::PathBuf;
use std::sync::Arc;

use msb_oci::Reference;
use msb_platform::Platform;
use msb_registry::{
    Client, ClientBuilder, ClientCertificate, CredentialProvider, CredentialUse, HostHealth,
    HostProvider, Limits, RegistryAuth, RegistryHost, Timeouts,
};

use hosts::HostSources;

use crate::engine::{Engine, EngineBuilder, engine_options};
use crate::progress::Progress;
use crate::source::RegistrySource;
use crate::{
    GlobalCache, ProgressReceiver, PullError, PullOptions, PullResult, PullTask, RemoteImage,
    Repair, RepairError, pull,
};

/// Pulls images for one platform into one cache. Cheap to create and to clone; clones share connections, credentials and limits.
#[derive(Clone, Debug)]
pub struct Registry {
    engine: Arc<Engine>,
    client: Client,
}

/// Configures a [`Registry`].
#[derive(Clone, Debug)]
pub struct RegistryBuilder {
    engine: EngineBuilder,
    client: ClientBuilder,
    hosts: HostSources,
}

impl Registry {
    /// Creates a registry that pulls for `platform` into `cache`, without credentials.
    ///
    /// # Errors
    /// As [`RegistryBuilder::build`], which accepts the defaults.
    pub fn new(platform: Platform, cache: GlobalCache) -> Result<Self, PullError> {
        Self::builder(platform, cache).build()
    }

    /// Returns a builder for credentials, TLS, limits and concurrency.
    #[must_use]
    pub fn builder(platform: Platform, cache: GlobalCache) -> RegistryBuilder {
        RegistryBuilder {
            client: Client::builder().host_health(cache.host_health()),
            engine: EngineBuilder::new(platform, cache),
            hosts: HostSources::default(),
        }
    }

    /// Returns the cache that this registry pulls into.
    #[must_use]
    pub fn cache(&self) -> &GlobalCache {
        &self.engine.cache
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Returns the platform that this registry pulls for.
    #[must_use]
    pub fn platform(&self) -> &Platform {
        &self.engine.platform
    }

    /// Checks that the registry `host` accepts the credentials for it, with a request.
    ///
    /// Returns [`CredentialUse::Sent`] if the registry accepts them, and [`CredentialUse::NotRequested`] if it did not ask for any.
    ///
    /// # Errors
    /// [`PullError::Registry`] if the registry refuses them, or cannot be reached.
    pub async fn sign_in(&self, host: &RegistryHost) -> Result<CredentialUse, PullError> {
        Ok(self.client.sign_in(host).await?)
    }

    /// Pulls an image. Needs a tokio runtime with its I/O and time drivers enabled.
    ///
    /// Dropping the future stops the work and leaves the cache intact.
    ///
    /// # Errors
    /// See [`PullError`].
    pub async fn pull(
        &self,
        reference: &Reference,
        options: &PullOptions,
    ) -> Result<PullResult, PullError> {
        self.run(reference, options, &Progress::without_receiver())
            .await
    }

    /// Spawns a pull as a tokio task. Returns the receiver of its events and the task. Must be called within a tokio runtime.
    ///
    /// Dropping the task cancels the pull and leaves the cache intact; dropping the receiver has no effect on it.
    pub fn pull_with_progress(
        &self,
        reference: &Reference,
        options: &PullOptions,
    ) -> (ProgressReceiver, PullTask) {
        let (progress, receiver) = Progress::channel();
        let (registry, reference, options) = (self.clone(), reference.clone(), options.clone());
        let task = tokio::spawn(async move { registry.run(&reference, &options, &progress).await });
        (receiver, PullTask::new(task))
    }

    /// Describes the image that a pull would use: the platforms that there are, its layers and its config. Downloads documents alone, and
    /// writes nothing to the cache.
    ///
    /// # Errors
    /// As [`pull`](Self::pull).
    pub async fn inspect(&self, reference: &Reference) -> Result<RemoteImage, PullError> {
        let progress = Progress::without_receiver();
        let source = RegistrySource::new(&self.client, reference, &progress);
        pull::describe(&self.engine, &source, reference).await
    }

    /// Returns the tags of the repository that `repository` names, in the order of the registry; its tag and digest do not count. At most
    /// a million. A registry may send any text as a tag.
    ///
    /// # Errors
    /// [`PullError::Registry`].
    pub async fn tags(&self, repository: &Reference) -> Result<Vec<String>, PullError> {
        Ok(self.client.tags(repository).await?)
    }

    /// Verifies a cached image with all its contents, and rebuilds only what is damaged: merged metadata and descriptor from the layers in
    /// the cache without a request, layers and documents from the registry of the reference by their digests, even if the tag names
    /// another image now. If the image's record is damaged, the reference is resolved again.
    ///
    /// Files that a guest has open stay as they are; damaged ones are replaced under their names.
    ///
    /// # Errors
    /// [`RepairError::Inspect`] if the image is not cached or cannot be verified, [`RepairError::Pull`] if a part cannot be rebuilt.
    pub async fn repair(&self, reference: &Reference) -> Result<Repair, RepairError> {
        let progress = Progress::without_receiver();
        let source = RegistrySource::new(&self.client, reference, &progress);
        pull::repair(&self.engine, &source, reference, &progress).await
    }

    async fn run(
        &self,
        reference: &Reference,
        options: &PullOptions,
        progress: &Progress,
    ) -> Result<PullResult, PullError> {
        let source = RegistrySource::new(&self.client, reference, progress);
        pull::pull(&self.engine, &source, reference, options, progress).await
    }
}

engine_options!(RegistryBuilder);

impl RegistryBuilder {
    /// Sets the platform that images are pulled and repaired for, in place of that of [`Registry::builder`].
    #[must_use]
    pub fn platform(mut self, platform: Platform) -> Self {
        self.engine.platform = platform;
        self
    }

    /// Sets the credentials for the first registry that is contacted. Default: none.
    ///
    /// They are bound to the registry in the reference of the first pull that makes a request, and are sent to no other. To pull
    /// from several registries, name the host of each with [`auth_for`](Self::auth_for), or use a provider.
    #[must_use]
    pub fn auth(mut self, auth: RegistryAuth) -> Self {
        self.client = self.client.auth(auth);
        self
    }

    /// Sets the credentials for the registry `host`, given as `HOST` or `HOST:PORT`. May be called repeatedly; the last call for a
    /// host counts. Takes precedence over [`auth`](Self::auth) and the provider.
    #[must_use]
    pub fn auth_for(mut self, host: impl Into<String>, auth: RegistryAuth) -> Self {
        self.client = self.client.auth_for(host, auth);
        self
    }

    /// Sets the provider of credentials for every host that has none by [`auth_for`](Self::auth_for) or [`auth`](Self::auth).
    #[must_use]
    pub fn credentials(mut self, provider: impl CredentialProvider + 'static) -> Self {
        self.client = self.client.credentials(provider);
        self
    }

    /// Adds a directory of registry settings in containerd's format: `DIR/HOST/hosts.toml`, else `DIR/_default/hosts.toml`, with
    /// mirrors, TLS settings and headers. May be called repeatedly; the first directory with settings for a registry counts.
    #[must_use]
    pub fn hosts_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.hosts.files.dirs.push(dir.into());
        self
    }

    /// Adds containerd's own directories after those of [`hosts_dir`](Self::hosts_dir): `/etc/containerd/certs.d`, then
    /// `/etc/docker/certs.d`.
    #[must_use]
    pub fn containerd_hosts_dirs(mut self) -> Self {
        self.hosts.files.has_containerd_dirs = true;
        self
    }

    /// Sets the provider of the hosts of each registry for which [`hosts_dir`](Self::hosts_dir) and
    /// [`containerd_hosts_dirs`](Self::containerd_hosts_dirs) find no settings.
    #[must_use]
    pub fn hosts(mut self, provider: impl HostProvider + 'static) -> Self {
        self.hosts.provider = Some(Arc::new(provider));
        self
    }

    /// Shares with other registries which hosts failed a short time ago and are tried last. Default: the registries of one
    /// [`GlobalCache`] and its clones share it.
    #[must_use]
    pub fn host_health(mut self, health: HostHealth) -> Self {
        self.client = self.client.host_health(health);
        self
    }

    /// Presents a client certificate to the registry `host`, given as `HOST` or `HOST:PORT`, and to none of its mirrors. May be called
    /// repeatedly; the last call for a host counts.
    #[must_use]
    pub fn client_certificate(
        mut self,
        host: impl Into<String>,
        certificate: ClientCertificate,
    ) -> Self {
        self.client = self.client.client_certificate(host, certificate);
        self
    }

    /// Uses plain HTTP for `host`, given as `HOST:PORT`, or as `HOST` for all its ports, and sends credentials over it. May be called
    /// repeatedly.
    #[must_use]
    pub fn plain_http(mut self, host: impl Into<String>) -> Self {
        self.client = self.client.plain_http(host);
        self
    }

    /// Lets registries lead to `host`, given as `HOST` or `HOST:PORT`, although it is a loopback, link-local or private address. May be
    /// called repeatedly.
    #[must_use]
    pub fn private_host(mut self, host: impl Into<String>) -> Self {
        self.client = self.client.private_host(host);
        self
    }

    /// Trusts the certificates in `pem` in addition to the system's. Loopback registries are then contacted over TLS only. May be called
    /// repeatedly.
    ///
    /// A certificate that cannot be used is skipped, with a warning in the log that names it.
    #[must_use]
    pub fn ca_cert(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.client = self.client.ca_cert(pem);
        self
    }

    /// Trusts certificates like [`ca_cert`](Self::ca_cert). Warnings and errors contain `name`, such as the path of the file.
    #[must_use]
    pub fn named_ca_cert(mut self, name: impl Into<String>, pem: impl Into<Vec<u8>>) -> Self {
        self.client = self.client.named_ca_cert(name, pem);
        self
    }

    /// Sets the limits on what a registry may send.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.client = self.client.limits(limits);
        self
    }

    /// Sets the timeouts for a registry: how long failures are retried, how long a response may stall, and how slow a blob may
    /// be.
    ///
    /// ```
    /// # use microsandbox_image::{GlobalCache, Platform, Registry, Timeouts};
    /// use std::time::Duration;
    ///
    /// # fn example(platform: Platform, cache: GlobalCache) -> Result<(), Box<dyn std::error::Error>> {
    /// let timeouts = Timeouts::default().with_retry_time(Duration::from_secs(10));
    /// let registry = Registry::builder(platform, cache).timeouts(timeouts).build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.client = self.client.timeouts(timeouts);
        self
    }

    /// Builds the registry. Connections and TLS are set up by the first request.
    ///
    /// # Errors
    /// [`PullError::Registry`] for certificates or credentials that cannot be used.
    pub fn build(mut self) -> Result<Registry, PullError> {
        if !self.hosts.is_empty() {
            self.client = self.client.hosts(self.hosts);
        }
        Ok(Registry {
            engine: Arc::new(self.engine.build()),
            client: self.client.build()?,
        })
    }
}
