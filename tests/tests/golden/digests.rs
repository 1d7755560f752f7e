//! The digests of all artifacts and the tree of the disk, compared with the committed ones.

use std::fmt::Write as _;
use std::fs;

use erofs_reader::dump;
use integration_tests::{Failure, golden, workspace};
use microsandbox_image::PullResult;
use msb_testkit::digest;

#[test]
fn every_recipe_makes_the_committed_bytes() {
    let mut differing = Vec::new();
    for fixture in golden::all().unwrap() {
        let pulled = fixture.pull().unwrap();
        for (extension, found) in [
            ("sums", sums(&pulled.result).unwrap()),
            ("dump", tree(&pulled.result).unwrap()),
        ] {
            let path = golden::folder().join(format!("{}.{extension}", fixture.name));
            if workspace::is_blessing() {
                fs::write(&path, found).unwrap();
                continue;
            }
            let expected = fs::read_to_string(&path).unwrap_or_default();
            if let Some(difference) = first_difference(&expected, &found) {
                differing.push(format!("{}.{extension}:\n{difference}", fixture.name));
            }
        }
    }
    assert!(
        differing.is_empty(),
        "tests/golden differs; if the change is intended, record it with MSB_BLESS=1:\n{}",
        differing.join("\n")
    );
}

/// Returns one line for each artifact: name, length and digest.
fn sums(result: &PullResult) -> Result<String, Failure> {
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

/// Returns the tree of the disk as text.
fn tree(result: &PullResult) -> Result<String, Failure> {
    let mut text = Vec::new();
    dump(result.open_tree()?.image(), &mut text)?;
    Ok(String::from_utf8(text)?)
}

/// Returns the first line that differs, as a diff shows it.
fn first_difference(expected: &str, found: &str) -> Option<String> {
    let (mut old, mut new) = (expected.lines(), found.lines());
    loop {
        match (old.next(), new.next()) {
            (None, None) => return (expected != found).then(|| "line ends".to_owned()),
            (a, b) if a == b => {}
            (a, b) => {
                let (a, b) = (a.unwrap_or("(end)"), b.unwrap_or("(end)"));
                return Some(format!("- {a}\n+ {b}"));
            }
        }
    }
}

#[test]
fn the_first_difference_is_shown() {
    assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
    let difference = first_difference("a\nb\n", "a\nc\nd\n");
    assert_eq!(difference.as_deref(), Some("- b\n+ c"));
    assert!(first_difference("a\n", "a\nb\n").is_some());
    assert!(first_difference("a\n", "a").is_some());
}
