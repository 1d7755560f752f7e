//! `cargo xtask golden`: the same recipe gives the same bytes, on every machine and until somebody means to change them.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::Write;

use clap::Args;
use erofs_reader::dump;
use microsandbox_image::PullResult;
use msb_testkit::digest;

use crate::{Outcome, fixtures};

/// What to do with differences.
#[derive(Debug, Default, Args)]
pub(crate) struct GoldenOptions {
    /// Fail on differences (the default)
    #[arg(long)]
    check: bool,
    /// Write what is there now over what was expected
    #[arg(long, conflicts_with = "check")]
    bless: bool,
}

/// Pulls every recipe and compares the digests of all artifacts, and the tree in a guest's eyes, with the files beside it.
pub(crate) fn golden(options: &GoldenOptions, out: &mut dyn Write) -> Outcome {
    let mut differing = Vec::new();
    for fixture in fixtures::all()? {
        let pulled = fixture.pull()?;
        let now = [
            ("sums", sums(&pulled.result)?),
            ("dump", tree(&pulled.result)?),
        ];
        for (extension, text) in now {
            let path = fixtures::folder().join(format!("{}.{extension}", fixture.name));
            let expected = fs::read_to_string(&path).unwrap_or_default();
            if expected == text {
                continue;
            }
            if options.bless {
                fs::write(&path, text)?;
            } else {
                first_difference(&expected, &text, out)?;
                differing.push(format!("{}.{extension}", fixture.name));
            }
        }
        writeln!(
            out,
            "golden {}: {} layers",
            fixture.name,
            pulled.result.layers.len()
        )?;
    }
    if differing.is_empty() {
        return Ok(());
    }
    let files = differing.join(", ");
    Err(format!(
        "tests/golden differs: {files}; if that is meant, run `cargo xtask golden --bless`"
    )
    .into())
}

/// A digest for each artifact.
fn sums(result: &PullResult) -> Result<String, Box<dyn Error>> {
    let mut files = Vec::new();
    for (index, layer) in result.layers.iter().enumerate() {
        files.push((format!("layer{index}.erofs"), layer.erofs.clone()));
        files.push((
            format!("layer{index}.layer"),
            layer.erofs.with_extension("layer"),
        ));
    }
    files.push(("fsmeta.erofs".to_owned(), result.fsmeta.clone()));
    files.push(("rootfs.vmdk".to_owned(), result.vmdk.clone()));
    let mut text = String::new();
    for (name, path) in files {
        let (sum, bytes) = digest::sha256_file(&path)?;
        writeln!(text, "{name} {bytes} {sum}")?;
    }
    Ok(text)
}

/// The whole disk as text.
fn tree(result: &PullResult) -> Result<String, Box<dyn Error>> {
    let mut text = Vec::new();
    dump(result.open_tree()?.image(), &mut text)?;
    Ok(String::from_utf8(text)?)
}

fn first_difference(expected: &str, text: &str, out: &mut dyn Write) -> Outcome {
    let (mut old, mut new) = (expected.lines(), text.lines());
    loop {
        match (old.next(), new.next()) {
            (None, None) => return Ok(()),
            (a, b) if a == b => {}
            (a, b) => {
                writeln!(
                    out,
                    "- {}\n+ {}",
                    a.unwrap_or("(end)"),
                    b.unwrap_or("(end)")
                )?;
                return Ok(());
            }
        }
    }
}
