use std::sync::Arc;

use msb_oci::Reference;
use msb_platform::Platform;

use crate::engine::{Engine, EngineBuilder, engine_options};
use crate::progress::Progress;
use crate::{
    ArchiveImage, GlobalCache, ImageArchive, ProgressReceiver, PullError, PullOptions, PullPolicy,
    PullResult, PullTask, pull,
};

/// Loads images for one platform from layouts and archives into one cache, without a registry. Cheap to clone; clones share limits.
///
/// ```no_run
/// use microsandbox_image::{GlobalCache, ImageArchive, LoadOptions, Loader, Platform};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let cache = GlobalCache::new("/path/to/cache")?;
/// let loader = Loader::new(Platform::host_linux(), cache);
/// let archive = ImageArchive::open("/path/to/alpine.tar", Default::default()).await?;
/// for image in loader.load_all(&archive, None, &LoadOptions::default()).await? {
///     println!("{}: {}", image.reference, image.vmdk.display());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Loader {
    engine: Arc<Engine>,
}

/// Configures a [`Loader`].
#[derive(Clone, Debug)]
pub struct LoaderBuilder {
    engine: EngineBuilder,
}

/// Options of one load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadOptions {
    /// Unpack and build everything again, even what is cached.
    pub force: bool,
    /// Fail with [`PullError::NotExact`] if a part of the image cannot be represented exactly.
    pub strict: bool,
    /// Keep the blobs of the layers; see [`PullOptions::keep_blobs`].
    pub keep_blobs: bool,
    /// Add a hash tree of dm-verity to the disk; see [`PullOptions::verity`].
    pub verity: bool,
}

impl LoadOptions {
    /// Sets [`force`](Self::force).
    #[must_use]
    pub fn with_force(mut self, force: bool) -> Self {
        self.force = force;
        self
    }

    /// Sets [`strict`](Self::strict).
    #[must_use]
    pub fn with_strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }

    /// Sets [`keep_blobs`](Self::keep_blobs).
    #[must_use]
    pub fn with_keep_blobs(mut self, keep_blobs: bool) -> Self {
        self.keep_blobs = keep_blobs;
        self
    }

    /// Sets [`verity`](Self::verity).
    #[must_use]
    pub fn with_verity(mut self, verity: bool) -> Self {
        self.verity = verity;
        self
    }

    /// Returns the options of a pull that reads its source, whatever is cached.
    fn to_pull(self) -> PullOptions {
        PullOptions {
            pull_policy: PullPolicy::Always,
            force: self.force,
            strict: self.strict,
            keep_blobs: self.keep_blobs,
            verity: self.verity,
            ..PullOptions::default()
        }
    }
}

impl Loader {
    /// Returns a loader with the default limits.
    #[must_use]
    pub fn new(platform: Platform, cache: GlobalCache) -> Self {
        Self::builder(platform, cache).build()
    }

    /// Returns a builder for limits and concurrency.
    #[must_use]
    pub fn builder(platform: Platform, cache: GlobalCache) -> LoaderBuilder {
        LoaderBuilder {
            engine: EngineBuilder::new(platform, cache),
        }
    }

    /// Loads one image. Its record replaces that of an image with the same reference and platform; layers that are cached are
    /// neither unpacked nor written again.
    ///
    /// Every digest is verified as in a pull. Dropping the future stops the work and leaves the cache intact.
    ///
    /// # Errors
    /// See [`PullError`].
    pub async fn load(
        &self,
        image: &ArchiveImage,
        options: &LoadOptions,
    ) -> Result<PullResult, PullError> {
        self.run(image, options, &Progress::without_receiver())
            .await
    }

    /// Spawns a load as a tokio task. Returns the receiver of its events, which are those of a pull, and the task. Must be called within
    /// a tokio runtime.
    ///
    /// Dropping the task cancels the load and leaves the cache intact; dropping the receiver has no effect on it.
    pub fn load_with_progress(
        &self,
        image: &ArchiveImage,
        options: &LoadOptions,
    ) -> (ProgressReceiver, PullTask) {
        let (progress, receiver) = Progress::channel();
        let (loader, image, options) = (self.clone(), image.clone(), *options);
        let task = tokio::spawn(async move { loader.run(&image, &options, &progress).await });
        (receiver, PullTask::new(task))
    }

    /// Loads all named images of an archive one after the other, or the one that `reference` names; see
    /// [`ImageArchive::images`] and [`ImageArchive::image_named`].
    ///
    /// # Errors
    /// The error of the first image that fails; those before it are cached.
    pub async fn load_all(
        &self,
        archive: &ImageArchive,
        reference: Option<&Reference>,
        options: &LoadOptions,
    ) -> Result<Vec<PullResult>, PullError> {
        let images = match reference {
            Some(reference) => vec![archive.image_named(reference)?],
            None => archive.images()?,
        };
        let mut results = Vec::with_capacity(images.len());
        for image in &images {
            results.push(self.load(image, options).await?);
        }
        Ok(results)
    }

    async fn run(
        &self,
        image: &ArchiveImage,
        options: &LoadOptions,
        progress: &Progress,
    ) -> Result<PullResult, PullError> {
        let (source, options) = (image.source(), options.to_pull());
        pull::pull(
            &self.engine,
            &*source,
            image.reference(),
            &options,
            progress,
        )
        .await
    }
}

engine_options!(LoaderBuilder);

impl LoaderBuilder {
    /// Builds the loader.
    #[must_use]
    pub fn build(self) -> Loader {
        Loader {
            engine: Arc::new(self.engine.build()),
        }
    }
}
