use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use erofs_reader::{DataLayout, FileType, Image, Limits};
use msb_testkit::image;
use msb_testkit::oracle::{Tool, require};
use msb_testkit::worlds::TAG;
use serde_json::{Value, json};

use super::images::BenchImage;

/// What a pull has left in the cache, in bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Artifacts {
    /// By the hexadecimal digits of the layer's diff_id.
    images: BTreeMap<String, u64>,
    pub(super) sidecars: u64,
    pub(super) fsmeta: u64,
    /// Inodes of the disk.
    pub(super) inodes: u64,
    /// Of `fsmeta`: names, targets of symbolic links, and file data that is inlined.
    pub(super) names_and_inline: u64,
}

impl Artifacts {
    /// Of the only image in a cache.
    pub(super) fn of(cache: &Path) -> Result<Artifacts, Box<dyn Error>> {
        let layers = files_below(&cache.join("layers"))?;
        let mut artifacts = Artifacts::default();
        for path in &layers {
            let bytes = fs::metadata(path)?.len();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            match name.split_once('.') {
                Some((hex, rest)) if rest.ends_with(".erofs") => {
                    artifacts.images.insert(hex.to_owned(), bytes);
                }
                Some((_, rest)) if rest.ends_with(".layer") => artifacts.sidecars += bytes,
                _ => {}
            }
        }
        let disks = files_below(&cache.join("disks"))?;
        let fsmeta = disks
            .iter()
            .find(|path| path.extension().is_some_and(|name| name == "erofs"))
            .ok_or("the cache has no disk")?;
        artifacts.fsmeta = fs::metadata(fsmeta)?.len();
        artifacts.read(fsmeta)?;
        Ok(artifacts)
    }

    pub(super) fn layer_images(&self) -> u64 {
        self.images.values().sum()
    }

    /// The layer images of these layers only.
    pub(super) fn images_of(&self, mkfs: &Mkfs) -> u64 {
        let made = mkfs.layers.iter().filter(|(_, bytes)| bytes.is_some());
        made.filter_map(|(hex, _)| self.images.get(hex)).sum()
    }

    fn read(&mut self, fsmeta: &Path) -> Result<(), Box<dyn Error>> {
        let image = Image::open_metadata(File::open(fsmeta)?)?;
        self.inodes = image.superblock().inos.get();
        let mut walk = image.walk(&Limits::default())?;
        while let Some(entry) = walk.next_entry() {
            let entry = entry?;
            let name = entry.path.rsplit(|byte| *byte == b'/').next();
            self.names_and_inline += name.map_or(0, <[u8]>::len) as u64;
            match entry.inode.file_type {
                // `.` and `..`
                FileType::Directory => self.names_and_inline += 3,
                FileType::Symlink => self.names_and_inline += entry.inode.size,
                FileType::Regular if entry.inode.layout == DataLayout::FlatInline => {
                    self.names_and_inline += entry.inode.size;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// What `mkfs.erofs --tar=f` makes of an image's layers.
#[derive(Clone, Debug, Default)]
pub(super) struct Mkfs {
    /// By the hexadecimal digits of the layer's diff_id: the image's bytes, or `None` where the tool failed (seen with a
    /// whiteout below what is a file in the same layer).
    layers: BTreeMap<String, Option<u64>>,
}

impl Mkfs {
    pub(super) fn bytes(&self) -> u64 {
        self.layers.values().flatten().sum()
    }

    pub(super) fn is_whole(&self) -> bool {
        self.made() == self.all()
    }

    /// How many layers it makes.
    pub(super) fn made(&self) -> usize {
        self.layers.values().flatten().count()
    }

    /// How many layers there are; those that are the same count once.
    pub(super) fn all(&self) -> usize {
        self.layers.len()
    }

    /// Makes the images, unless it is known what becomes of them: that does not change.
    pub(super) fn of(bench_image: &BenchImage) -> Result<Mkfs, Box<dyn Error>> {
        let folder = bench_image.folder()?;
        let kept = folder.join("mkfs.json");
        if let Ok(text) = fs::read_to_string(&kept) {
            let layers = serde_json::from_str::<Value>(&text)?;
            let layers = layers.as_object().into_iter().flatten();
            return Ok(Mkfs {
                layers: layers
                    .map(|(hex, bytes)| (hex.clone(), bytes.as_u64()))
                    .collect(),
            });
        }
        let layout = bench_image.layout()?;
        let (_, manifest) = image::read_manifest(&layout, TAG)?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let config = image::blob_path(&layout, &text(&manifest["config"]["digest"]));
        let config: Value = serde_json::from_slice(&fs::read(config)?)?;
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let diff_ids = list(&config["rootfs"]["diff_ids"]);
        let mut mkfs = Mkfs::default();
        for (layer, diff_id) in list(&manifest["layers"]).iter().zip(&diff_ids) {
            let blob = image::blob_path(&layout, &text(&layer["digest"]));
            let unpacker = unpacker(&text(&layer["mediaType"]))?;
            let bytes = mkfs_of(&unpacker, &blob, &folder.join("mkfs.erofs"))?;
            let hex = text(diff_id).replace("sha256:", "");
            mkfs.layers.insert(hex, bytes);
        }
        fs::write(&kept, json!(mkfs.layers).to_string())?;
        Ok(mkfs)
    }
}

fn mkfs_of(unpacker: &Path, blob: &Path, erofs: &Path) -> Result<Option<u64>, Box<dyn Error>> {
    let mut unpack = Command::new(unpacker)
        .arg("-dc")
        .arg(blob)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let archive = unpack.stdout.take().ok_or("no pipe")?;
    let status = Command::new(require(Tool::MkfsErofs))
        .args(["--quiet", "--tar=f"])
        .arg(erofs)
        .stdin(archive)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    // Where the other gives up, this one cannot write to its end.
    let is_unpacked = unpack.wait()?.success();
    if status.success() && !is_unpacked {
        return Err(format!("{} cannot be unpacked", blob.display()).into());
    }
    let bytes = fs::metadata(erofs).map(|metadata| metadata.len());
    let _ = fs::remove_file(erofs);
    Ok(if status.success() { Some(bytes?) } else { None })
}

/// What unpacks such a layer to its standard output, given `-dc`.
pub(super) fn unpacker(media_type: &str) -> Result<PathBuf, Box<dyn Error>> {
    match media_type.rsplit(['+', '.']).next() {
        Some("gzip") => Ok(require(Tool::Gzip)),
        Some("zstd") => Ok(require(Tool::Zstd)),
        _ => Err(format!("{media_type} is not compressed").into()),
    }
}

pub(super) fn files_below(folder: &Path) -> Result<Vec<PathBuf>, std::io::Error> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(files_below(&path)?);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}
