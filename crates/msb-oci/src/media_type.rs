//! The media types of manifests, indexes and configs.

/// An OCI image index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// An OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// A Docker manifest list, which a pull reads as an index.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// A Docker image manifest, version 2, schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// The config of an OCI image.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// The config of a Docker image.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// Returns the manifest or index type of this module that `media_type` names, if any. Case does not matter, as in all media types (RFC 6838).
#[must_use]
pub fn known(media_type: &str) -> Option<&'static str> {
    [OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST]
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(media_type))
}

/// Returns whether `media_type` names an index or a manifest list.
#[must_use]
pub fn is_index(media_type: &str) -> bool {
    matches!(known(media_type), Some(OCI_INDEX | DOCKER_LIST))
}

/// Returns whether `media_type` names the manifest of one image.
#[must_use]
pub fn is_manifest(media_type: &str) -> bool {
    matches!(known(media_type), Some(OCI_MANIFEST | DOCKER_MANIFEST))
}

/// Returns whether `media_type` names the config of an image.
#[must_use]
pub fn is_config(media_type: &str) -> bool {
    [OCI_CONFIG, DOCKER_CONFIG]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(media_type))
}

#[cfg(test)]
mod tests {
    use oci_spec::image::{MediaType, ToDockerV2S2 as _};

    use super::*;

    #[test]
    fn the_names_are_those_of_oci_spec() {
        assert_eq!(MediaType::ImageIndex.as_ref(), OCI_INDEX);
        assert_eq!(MediaType::ImageManifest.as_ref(), OCI_MANIFEST);
        assert_eq!(MediaType::ImageConfig.as_ref(), OCI_CONFIG);
        let docker_config = MediaType::ImageConfig.to_docker_v2s2().unwrap();
        assert_eq!(docker_config, DOCKER_CONFIG);
        assert!(is_config("Application/vnd.oci.image.config.v1+JSON"));
        assert!(!is_config(OCI_MANIFEST));
        assert_eq!(MediaType::ImageIndex.to_docker_v2s2().unwrap(), DOCKER_LIST);
        assert_eq!(
            MediaType::ImageManifest.to_docker_v2s2().unwrap(),
            DOCKER_MANIFEST
        );
    }
}
