use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use msb_oci::Reference;

use super::docker::{self, DockerImage, DockerSource};
use super::error::ArchiveError;
use super::files::{CopyOptions, Files};
use super::layout::{self, LayoutImage, LayoutSource};
use super::{ImageSource, MAX_IMAGES};
use crate::PullError;
use crate::blocking::blocking;

/// Images in a file or a directory: an OCI layout, or an archive of `docker save`.
///
/// ```text
///   directory ────────────────────────────┐
///   tar ──────────────────────────────────┼─▶ index.json: OCI layout, else manifest.json: docker save
///   tar.gz, tar.zst, stream ─▶ tar copy ──┘
/// ```
///
/// An archive that has both documents, as those of newer Docker versions, is read as an OCI layout. An uncompressed tar file is
/// read in place. A compressed file and a stream are first copied, uncompressed, to a temporary file without a name, because
/// tools write the documents that describe the layers after the layers.
///
/// No member is extracted to a path. The archive must not change while it is used.
#[derive(Clone, Debug)]
pub struct ImageArchive {
    files: Arc<Files>,
    images: Images,
}

#[derive(Clone, Debug)]
enum Images {
    Layout(Vec<LayoutImage>),
    Docker(Vec<Arc<DockerImage>>),
}

/// One image of an archive, and the reference under which it is cached.
#[derive(Clone, Debug)]
pub struct ArchiveImage {
    reference: Reference,
    files: Arc<Files>,
    image: Image,
}

#[derive(Clone, Debug)]
enum Image {
    Layout(LayoutImage),
    Docker(Arc<DockerImage>),
}

/// Options for opening an archive.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ArchiveOptions {
    /// The directory of temporary copies. Default: the system's, which `TMPDIR` names.
    pub copy_dir: PathBuf,
    /// The longest temporary copy, in bytes. Default: 1 TiB.
    pub copy_bytes: u64,
}

impl Default for ArchiveOptions {
    fn default() -> Self {
        Self {
            copy_dir: std::env::temp_dir(),
            copy_bytes: 1 << 40,
        }
    }
}

impl ArchiveOptions {
    /// Sets [`copy_dir`](Self::copy_dir).
    #[must_use]
    pub fn with_copy_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.copy_dir = directory.into();
        self
    }

    /// Sets [`copy_bytes`](Self::copy_bytes).
    #[must_use]
    pub fn with_copy_bytes(mut self, bytes: u64) -> Self {
        self.copy_bytes = bytes;
        self
    }

    fn into_copy(self) -> CopyOptions {
        CopyOptions {
            directory: self.copy_dir,
            limit: self.copy_bytes,
        }
    }
}

impl ImageArchive {
    /// Opens a directory or a file, and reads the list of its images.
    ///
    /// # Errors
    /// [`PullError::Archive`].
    pub async fn open(path: impl AsRef<Path>, options: ArchiveOptions) -> Result<Self, PullError> {
        let path = path.as_ref().to_owned();
        blocking(move || Ok(Self::new(Files::open(&path, &options.into_copy())?)?)).await
    }

    /// Copies a stream, such as standard input, to a temporary file, and reads the list of its images. `name` is the name of the
    /// stream in errors.
    ///
    /// A blocking read of `input` cannot be interrupted: after the future is dropped, it continues on its thread.
    ///
    /// # Errors
    /// [`PullError::Archive`].
    pub async fn read(
        name: impl Into<String>,
        mut input: impl Read + Send + 'static,
        options: ArchiveOptions,
    ) -> Result<Self, PullError> {
        let name = escape_text::escape(&name.into()).to_string();
        blocking(move || {
            let files = Files::copy(name, &mut input, &options.into_copy())?;
            Ok(Self::new(files)?)
        })
        .await
    }

    fn new(files: Files) -> Result<Self, ArchiveError> {
        let images = match layout::images(&files)? {
            Some(images) => Images::Layout(images),
            None => match docker::images(&files)? {
                Some(images) => Images::Docker(images.into_iter().map(Arc::new).collect()),
                None => {
                    return Err(ArchiveError::UnknownFormat {
                        archive: files.archive().to_owned(),
                    });
                }
            },
        };
        let archive = Self {
            files: Arc::new(files),
            images,
        };
        if archive.len() > MAX_IMAGES {
            return Err(ArchiveError::TooManyImages {
                archive: archive.files.archive().to_owned(),
                limit: MAX_IMAGES,
            });
        }
        Ok(archive)
    }

    /// Returns the number of images, each counted once for each of its names.
    fn len(&self) -> usize {
        match &self.images {
            Images::Layout(images) => images.len(),
            Images::Docker(images) => images.iter().map(|image| image.names.len().max(1)).sum(),
        }
    }

    /// Returns every image under each of its names, in the order of the archive.
    ///
    /// The names are `RepoTags` of `docker save`, and of a layout the annotations `io.containerd.image.name` or, where that is a
    /// full name, `org.opencontainers.image.ref.name`. Images without such a name are left out if others have one.
    ///
    /// # Errors
    /// [`PullError::Archive`] if no image has a name.
    pub fn images(&self) -> Result<Vec<ArchiveImage>, PullError> {
        let all = self.all();
        let count = all.len();
        let named: Vec<_> = all
            .into_iter()
            .filter_map(|(name, image)| Some(self.image(name?, image)))
            .collect();
        if named.len() < count {
            tracing::warn!(
                archive = self.files.archive(),
                unnamed = count - named.len(),
                "images without a full name are left out"
            );
        }
        if named.is_empty() {
            let archive = self.files.archive().to_owned();
            return Err(match count {
                0 => ArchiveError::NoImages { archive },
                images => ArchiveError::Unnamed { archive, images },
            }
            .into());
        }
        Ok(named)
    }

    /// Returns the image to cache as `reference`: the one with this name; else, in a layout, the only one whose name is this tag alone;
    /// else the only image of the archive.
    ///
    /// # Errors
    /// [`PullError::Archive`] if there is no such image.
    pub fn image_named(&self, reference: &Reference) -> Result<ArchiveImage, PullError> {
        let all = self.all();
        let by_name = all
            .iter()
            .find(|(name, _)| name.as_ref() == Some(reference))
            .map(|(_, image)| image);
        let by_tag = || {
            let mut tagged = all.iter().filter(|(_, image)| {
                let label = match image {
                    Image::Layout(image) => image.label.as_deref(),
                    Image::Docker(_) => None,
                };
                label.is_some() && label == reference.tag()
            });
            tagged.next().filter(|_| tagged.next().is_none())
        };
        let found = by_name
            .or_else(|| by_tag().map(|(_, image)| image))
            .or(match self.images {
                Images::Layout(ref images) if images.len() == 1 => Some(&all[0].1),
                Images::Docker(ref images) if images.len() == 1 => Some(&all[0].1),
                _ => None,
            });
        match found {
            Some(image) => Ok(self.image(reference.clone(), image.clone())),
            None => Err(ArchiveError::NoSuchImage {
                archive: self.files.archive().to_owned(),
                reference: Box::new(reference.clone()),
                names: all.into_iter().filter_map(|(name, _)| name).collect(),
            }
            .into()),
        }
    }

    fn image(&self, reference: Reference, image: Image) -> ArchiveImage {
        ArchiveImage {
            reference,
            files: Arc::clone(&self.files),
            image,
        }
    }

    /// Returns every image under each of its names; one without a name once.
    fn all(&self) -> Vec<(Option<Reference>, Image)> {
        match &self.images {
            Images::Layout(images) => images
                .iter()
                .map(|image| (image.name.clone(), Image::Layout(image.clone())))
                .collect(),
            Images::Docker(images) => images
                .iter()
                .flat_map(|image| {
                    let names = image.names.iter().cloned().map(Some);
                    let unnamed = image.names.is_empty().then_some(None);
                    names
                        .chain(unnamed)
                        .map(|name| (name, Image::Docker(Arc::clone(image))))
                })
                .collect(),
        }
    }
}

impl ArchiveImage {
    /// Returns the reference under which the image is cached.
    #[must_use]
    pub fn reference(&self) -> &Reference {
        &self.reference
    }

    pub(crate) fn source(&self) -> Box<dyn ImageSource> {
        let files = Arc::clone(&self.files);
        match &self.image {
            Image::Layout(image) => Box::new(LayoutSource::new(files, image.clone())),
            Image::Docker(image) => Box::new(DockerSource::new(files, Arc::clone(image))),
        }
    }
}
