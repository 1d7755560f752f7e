//! Archives that tests write member by member.

use std::io::Write;
use std::path::{Path, PathBuf};

use msb_testkit::digest::sha256;
use msb_testkit::image::Layer;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A tar archive of any members.
pub(crate) struct Archive {
    tar: tar::Builder<Vec<u8>>,
}

impl Archive {
    pub(crate) fn new() -> Self {
        Self {
            tar: tar::Builder::new(Vec::new()),
        }
    }

    pub(crate) fn file(mut self, name: &str, bytes: &[u8]) -> Self {
        let header = header(name, tar::EntryType::Regular, bytes.len() as u64);
        self.tar.append(&header, bytes).unwrap();
        self
    }

    pub(crate) fn json(self, name: &str, value: &Value) -> Self {
        self.file(name, value.to_string().as_bytes())
    }

    pub(crate) fn link(mut self, kind: tar::EntryType, name: &str, target: &str) -> Self {
        let mut header = header(name, kind, 0);
        let field = &mut header.as_old_mut().linkname;
        field[..target.len()].copy_from_slice(target.as_bytes());
        header.set_cksum();
        self.tar.append(&header, std::io::empty()).unwrap();
        self
    }

    /// Adds a header that states another size than its data has.
    pub(crate) fn lying_file(mut self, name: &str, size: u64, bytes: &[u8]) -> Self {
        let header = header(name, tar::EntryType::Regular, size);
        self.tar.get_mut().extend_from_slice(header.as_bytes());
        self.tar.get_mut().extend_from_slice(bytes);
        let padding = bytes.len().next_multiple_of(512) - bytes.len();
        self.tar.get_mut().extend_from_slice(&vec![0; padding]);
        self
    }

    pub(crate) fn bytes(self) -> Vec<u8> {
        self.tar.into_inner().unwrap()
    }

    pub(crate) fn write(self) -> Written {
        Written::new(&self.bytes())
    }
}

/// An archive on disk.
pub(crate) struct Written {
    folder: TempDir,
}

impl Written {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut file = std::fs::File::create(folder.path().join("archive.tar")).unwrap();
        file.write_all(bytes).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("archive.tar")
    }
}

/// Names are written as they are, which the tar crate refuses for some.
fn header(name: &str, kind: tar::EntryType, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header.set_cksum();
    header
}

/// Returns a config over these diff_ids.
pub(crate) fn config(diff_ids: &[&str]) -> Value {
    json!({"os": "linux", "architecture": "amd64", "config": {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids}})
}

/// Returns `HEX` of `sha256:HEX`.
pub(crate) fn hex(digest: &str) -> &str {
    digest.strip_prefix("sha256:").unwrap()
}

/// An archive of `docker save` before version 25, of images that share layers: the first image that has a layer holds it, the
/// others link to it.
pub(crate) fn docker_save(images: &[(&str, &[Layer])]) -> Vec<u8> {
    let mut archive = Archive::new();
    let mut rows = Vec::new();
    let mut held: Vec<(String, String)> = Vec::new();
    for (image, (tag, layers)) in images.iter().enumerate() {
        let diff_ids: Vec<&str> = layers.iter().map(Layer::diff_id).collect();
        let config = config(&diff_ids).to_string();
        let config_name = format!("{}.json", hex(&sha256(config.as_bytes())));
        archive = archive.file(&config_name, config.as_bytes());
        let mut paths = Vec::new();
        for (place, layer) in layers.iter().enumerate() {
            // An id of a layer is not its digest.
            let id = hex(&sha256(format!("{image}/{place}").as_bytes())).to_owned();
            let path = format!("{id}/layer.tar");
            archive = archive
                .link(tar::EntryType::Directory, &format!("{id}/"), "")
                .file(&format!("{id}/VERSION"), b"1.0")
                .file(&format!("{id}/json"), b"{}");
            let known = held.iter().find(|(diff_id, _)| diff_id == layer.diff_id());
            archive = match known {
                Some((_, first)) => {
                    archive.link(tar::EntryType::Symlink, &path, &format!("../{first}"))
                }
                None => {
                    held.push((layer.diff_id().to_owned(), path.clone()));
                    archive.file(&path, layer.tar_bytes())
                }
            };
            paths.push(path);
        }
        rows.push(json!({"Config": config_name, "RepoTags": [tag], "Layers": paths}));
    }
    archive
        .json("manifest.json", &Value::Array(rows))
        .file("repositories", b"{}")
        .bytes()
}

/// Packs a layout directory as tar does, with `./` before each name if `dotted`.
pub(crate) fn tar_of(layout: &Path, dotted: bool) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let prefix = if dotted { "." } else { "" };
    tar.append_dir_all(prefix, layout).unwrap();
    tar.into_inner().unwrap()
}
