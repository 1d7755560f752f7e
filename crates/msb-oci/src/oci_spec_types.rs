//! Conversions from and to the types of the crate `oci-spec`.

use oci_spec::{distribution, image};

use crate::descriptor::MAX_URLS;
use crate::{Descriptor, DescriptorError, Digest, Manifest, ManifestError, Reference};

impl TryFrom<&distribution::Reference> for Reference {
    type Error = crate::Error;

    /// Converts, and fails where `oci-spec` accepts more: other digest algorithms, and parts that its constructors do not check.
    fn try_from(theirs: &distribution::Reference) -> Result<Self, crate::Error> {
        let mut text = format!("{}/{}", theirs.registry(), theirs.repository());
        for (mark, part) in [(':', theirs.tag()), ('@', theirs.digest())] {
            if let Some(part) = part {
                text.push(mark);
                text.push_str(part);
            }
        }
        text.parse()
    }
}

impl From<&Reference> for distribution::Reference {
    fn from(ours: &Reference) -> Self {
        let (registry, repository) = (ours.registry().to_owned(), ours.repository().to_owned());
        let identifier = ours.identifier().into_owned();
        match (ours.tag(), ours.digest()) {
            (Some(tag), Some(digest)) => {
                Self::with_tag_and_digest(registry, repository, tag.to_string(), digest.to_string())
            }
            (None, Some(_)) => Self::with_digest(registry, repository, identifier),
            (_, None) => Self::with_tag(registry, repository, identifier),
        }
    }
}

impl TryFrom<&image::Digest> for Digest {
    type Error = crate::Error;

    fn try_from(digest: &image::Digest) -> Result<Self, crate::Error> {
        digest.as_ref().parse()
    }
}

impl From<&Digest> for image::Digest {
    fn from(digest: &Digest) -> Self {
        digest
            .to_string()
            .parse()
            .expect("OK because every digest here satisfies the grammar of the image specification")
    }
}

impl TryFrom<&image::Descriptor> for Descriptor {
    type Error = DescriptorError;

    fn try_from(theirs: &image::Descriptor) -> Result<Self, DescriptorError> {
        let digest = Digest::try_from(theirs.digest()).map_err(DescriptorError::Digest)?;
        if i64::try_from(theirs.size()).is_err() {
            return Err(DescriptorError::Size { digest });
        }
        let urls = theirs.urls().iter().flatten().take(MAX_URLS);
        Ok(Self {
            media_type: theirs.media_type().to_string(),
            digest,
            size: theirs.size(),
            urls: urls.cloned().collect(),
        })
    }
}

impl From<&Descriptor> for image::Descriptor {
    fn from(ours: &Descriptor) -> Self {
        let mut theirs = Self::new(
            ours.media_type.as_str().into(),
            ours.size,
            image::Digest::from(&ours.digest),
        );
        if !ours.urls.is_empty() {
            theirs.set_urls(Some(ours.urls.clone()));
        }
        theirs
    }
}

impl TryFrom<&image::ImageManifest> for Manifest {
    type Error = ManifestError;

    fn try_from(theirs: &image::ImageManifest) -> Result<Self, ManifestError> {
        let bytes = serde_json::to_vec(theirs).map_err(|source| ManifestError::Json { source })?;
        Self::parse(&bytes)
    }
}
