//! Where credential files are.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// One file that may hold credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CredentialFile {
    pub(crate) path: PathBuf,
    pub(crate) format: Format,
    /// Whether the absence of the file is an error.
    pub(crate) is_required: bool,
}

/// The shape of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// An object with `auths`, `credHelpers` and `credsStore`: Docker's `config.json` and podman's `auth.json`.
    Config,
    /// The content of `auths` alone: Docker's old `.dockercfg`.
    Legacy,
}

/// The files to read, in order, and the one to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Files {
    pub(crate) read: Vec<CredentialFile>,
    pub(crate) write: Option<PathBuf>,
}

impl Files {
    /// Uses one file and no other.
    pub(crate) fn explicit(path: &Path, is_required: bool) -> Self {
        let file = CredentialFile {
            path: path.to_owned(),
            format: Format::Config,
            is_required,
        };
        Self {
            read: vec![file],
            write: Some(path.to_owned()),
        }
    }

    /// Finds the files by environment variables, in the order of containers-auth.json(5).
    pub(crate) fn discover(var: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let var = |name| {
            var(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        if let Some(path) = var("REGISTRY_AUTH_FILE") {
            return Self::explicit(&path, false);
        }
        let home = var("HOME");
        let below_home = |path: &str| home.as_ref().map(|home| home.join(path));
        let runtime = cfg!(target_os = "linux").then(|| match var("XDG_RUNTIME_DIR") {
            Some(folder) => folder.join("containers/auth.json"),
            // Where podman keeps the file without a session.
            None => {
                let uid = rustix::process::getuid().as_raw();
                PathBuf::from(format!("/run/containers/{uid}/auth.json"))
            }
        });
        let config = var("XDG_CONFIG_HOME").or_else(|| below_home(".config"));
        let docker = var("DOCKER_CONFIG").or_else(|| below_home(".docker"));
        let docker = docker.map(|folder| folder.join("config.json"));
        let optional = |path: PathBuf, format| CredentialFile {
            path,
            format,
            is_required: false,
        };
        let in_order = [
            (runtime, Format::Config),
            (
                config.map(|folder| folder.join("containers/auth.json")),
                Format::Config,
            ),
            (docker.clone(), Format::Config),
            (below_home(".dockercfg"), Format::Legacy),
        ];
        let read = in_order
            .into_iter()
            .filter_map(|(path, format)| Some(optional(path?, format)));
        Self {
            read: read.collect(),
            write: docker,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(vars: &[(&str, &str)]) -> (Vec<String>, Option<String>) {
        let files = Files::discover(&|name| {
            let value = vars.iter().find(|(var, _)| *var == name);
            value.map(|(_, value)| value.into())
        });
        let show = |path: &Path| path.to_str().unwrap().to_owned();
        (
            files.read.iter().map(|file| show(&file.path)).collect(),
            files.write.as_deref().map(show),
        )
    }

    #[test]
    fn the_order_is_that_of_podman_and_skopeo() {
        let (read, write) = paths(&[("HOME", "/h"), ("XDG_RUNTIME_DIR", "/r")]);
        let expected = [
            "/r/containers/auth.json",
            "/h/.config/containers/auth.json",
            "/h/.docker/config.json",
            "/h/.dockercfg",
        ];
        // Only Linux has runtime directories.
        let skipped = usize::from(!cfg!(target_os = "linux"));
        assert_eq!(read, expected[skipped..]);
        assert_eq!(write.as_deref(), Some("/h/.docker/config.json"));
    }

    #[test]
    fn variables_move_the_files() {
        let (read, write) = paths(&[
            ("HOME", "/h"),
            ("XDG_CONFIG_HOME", "/c"),
            ("DOCKER_CONFIG", "/d"),
            ("XDG_RUNTIME_DIR", ""),
        ]);
        assert!(
            read.contains(&"/c/containers/auth.json".to_owned()),
            "{read:?}"
        );
        assert!(read.contains(&"/d/config.json".to_owned()), "{read:?}");
        assert!(
            !read.contains(&"/h/.docker/config.json".to_owned()),
            "{read:?}"
        );
        assert_eq!(write.as_deref(), Some("/d/config.json"));
    }

    #[test]
    fn the_registry_auth_file_stands_alone() {
        let (read, write) = paths(&[("HOME", "/h"), ("REGISTRY_AUTH_FILE", "/a.json")]);
        assert_eq!(read, ["/a.json"]);
        assert_eq!(write.as_deref(), Some("/a.json"));
        assert_eq!(paths(&[]).1, None);
    }
}
