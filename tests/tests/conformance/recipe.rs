//! Parses a file of `tests/conformance`.
//!
//! A layer begins with `--- COMPRESSION`: `plain`, `gzip`, `gzip members`, `zstd` or `zstd chunked`; then optional words:
//! `piece=1` (bytes of each piece of the download), `trailing=VALUE` (bytes behind the blob), `after=VALUE` (bytes behind the
//! archive), `claim=-1` (difference of the size in the manifest). Below it is a recipe of [`msb_testkit::tar`].
//!
//! In recipes and trees `{TEXT*N}` is a text N times, and `repeat N LINE` is a line N times with a number for each `{i}`.

use std::fs;
use std::path::{Path, PathBuf};

use integration_tests::Failure;
use integration_tests::disk::Blob;
use msb_testkit::image::Layer;
use msb_testkit::tar;

use crate::notes::ExpectedNotes;
use crate::tree::ExpectedTree;

/// One case of one clause.
#[derive(Debug)]
pub(crate) struct Recipe {
    pub(crate) layers: Vec<Blob>,
    pub(crate) expected: Expected,
}

#[derive(Debug)]
pub(crate) enum Expected {
    Disk {
        tree: ExpectedTree,
        notes: ExpectedNotes,
        /// Whether an overlay of the layer images must have the same tree.
        overlay: bool,
    },
    /// Texts that must occur in the error, its causes, or the names of their variants.
    Error(Vec<String>),
}

/// Returns every file with the name of its test, such as `layers/whiteout-lower-only`.
pub(crate) fn all() -> Result<Vec<(String, PathBuf)>, Failure> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance");
    let mut all = Vec::new();
    for folder in fs::read_dir(&root)? {
        let folder = folder?.path();
        if !folder.is_dir() {
            continue;
        }
        for file in fs::read_dir(&folder)? {
            let path = file?.path();
            if path.extension().is_some_and(|name| name == "recipe") {
                let name = path.strip_prefix(&root)?.with_extension("");
                all.push((name.to_string_lossy().into_owned(), path));
            }
        }
    }
    all.sort();
    Ok(all)
}

impl Recipe {
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        Self::parse(&fs::read_to_string(path)?)
    }

    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let text = expand(text)?;
        let mut parts: Vec<(&str, String)> = Vec::new();
        for line in text.lines() {
            if line.starts_with("--- ") || line.starts_with("=== ") {
                parts.push((line, String::new()));
            } else if let Some((_, body)) = parts.last_mut() {
                body.push_str(line);
                body.push('\n');
            } else if !line.starts_with('#') {
                return Err(format!("neither a comment nor part of a section: {line}").into());
            }
        }
        let (mut layers, mut tree, mut notes, mut error) = (Vec::new(), None, None, None);
        let mut overlay = false;
        for (head, body) in &parts {
            match *head {
                "=== tree" => tree = Some(ExpectedTree::parse(body)?),
                "=== notes" => notes = Some(ExpectedNotes::parse(body)?),
                "=== overlay" => overlay = true,
                "=== error" => {
                    let lines = body.lines().filter(|line| !line.is_empty());
                    error = Some(lines.map(str::to_owned).collect());
                }
                _ => layers.push(layer(head, body)?),
            }
        }
        let expected = match (tree, error) {
            (Some(tree), None) => Expected::Disk {
                tree,
                notes: notes.unwrap_or_default(),
                overlay,
            },
            (None, Some(error)) => Expected::Error(error),
            _ => return Err("either a tree or an error".into()),
        };
        Ok(Self { layers, expected })
    }
}

fn layer(head: &str, recipe: &str) -> Result<Blob, Failure> {
    let words = head
        .strip_prefix("--- ")
        .ok_or_else(|| format!("unknown part {head:?}"))?;
    let (options, compression): (Vec<&str>, Vec<&str>) = words
        .split_whitespace()
        .partition(|word| word.contains('='));
    let (mut piece, mut trailing, mut after, mut claim) = (None, Vec::new(), Vec::new(), 0_i64);
    for option in options {
        match option.split_once('=') {
            Some(("piece", count)) => piece = Some(count.parse()?),
            Some(("trailing", bytes)) => trailing = tar::value(bytes)?,
            Some(("after", bytes)) => after = tar::value(bytes)?,
            Some(("claim", difference)) => claim = difference.parse()?,
            _ => return Err(format!("unknown option {option:?}").into()),
        }
    }
    let mut archive = tar::recipe(recipe);
    archive.extend(after);
    let layer = Layer::tar(archive.clone());
    let layer = match compression.join(" ").as_str() {
        "plain" => layer,
        "gzip" => layer.gzip(),
        "gzip members" => layer.gzip_members(3),
        "zstd" => layer.zstd(),
        "zstd chunked" => layer.zstd_frames(3, true),
        other => return Err(format!("unknown compression {other:?}").into()),
    };
    let mut bytes = layer.blob_bytes().ok_or("a blob in memory")?.to_vec();
    bytes.extend(trailing);
    let len = bytes.len();
    Ok(Blob {
        bytes,
        tar: archive,
        piece: piece.unwrap_or(len.max(1)),
        claimed_bytes: (len as u64)
            .checked_add_signed(claim)
            .ok_or("a claim below zero")?,
    })
}

/// Expands `{TEXT*N}` and `repeat`.
fn expand(text: &str) -> Result<String, Failure> {
    let mut out = String::new();
    for line in text.lines() {
        match line.strip_prefix("repeat ") {
            Some(rest) => {
                let (count, line) = rest.split_once(' ').ok_or("repeat N LINE")?;
                let count: usize = count.parse()?;
                let width = count.saturating_sub(1).to_string().len();
                for index in 0..count {
                    let numbered = line.replace("{i}", &format!("{index:0width$}"));
                    out.push_str(&repeated(&numbered)?);
                    out.push('\n');
                }
            }
            None => {
                out.push_str(&repeated(line)?);
                out.push('\n');
            }
        }
    }
    Ok(out)
}

fn repeated(line: &str) -> Result<String, Failure> {
    let mut out = String::new();
    let mut rest = line;
    while let Some((before, behind)) = rest.split_once('{').filter(|_| !line.starts_with('#')) {
        let (inner, after) = behind.split_once('}').ok_or("{ without }")?;
        let (text, count) = inner.rsplit_once('*').ok_or("{TEXT*N}")?;
        out.push_str(before);
        out.push_str(&text.repeat(count.parse()?));
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}
