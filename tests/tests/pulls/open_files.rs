//! Pulls with a low limit on open files.

use std::process::Output;

use super::*;
use crate::common::msb_image;

/// Runs `msb-image` with a limit on open files.
fn limited(files: usize, cache: &Path, arguments: &[&str]) -> Output {
    std::process::Command::new("sh")
        .arg("-c")
        .arg(format!("ulimit -n {files} && exec \"$@\""))
        .arg("sh")
        .arg(msb_image())
        .arg("--cache-dir")
        .arg(cache)
        .args(arguments)
        .output()
        .unwrap()
}

fn many(layers: usize) -> ImageBuilder {
    (0..layers).fold(ImageBuilder::new(), |image, n| {
        image.layer(
            Layer::recipe(&format!(
                "file d/{n} size={} seed={n}\nfile short{n} size=100 seed={n}",
                n * 50
            ))
            .gzip(),
        )
    })
}

async fn pulls(layers: usize) {
    let served = Served::new(&many(layers));
    let cache = tempfile::tempdir().unwrap();
    let name = served.reference.to_string();
    let run = |arguments: &[&str]| {
        let common = ["pull", "--progress", "none", "--format", "json"];
        let output = limited(64, cache.path(), &[&common, arguments, &[&name]].concat());
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {stderr}");
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    assert_eq!(run(&[])["cached"], false);
    assert_eq!(run(&[])["cached"], true);
    assert_eq!(run(&["--policy", "always"])["cached"], true);
    for command in [
        &["verify", "--full", &name][..],
        &["verify", &name],
        &["tree", &name, "/d"],
        &["cat", &name, "/short1"],
    ] {
        let output = limited(64, cache.path(), command);
        assert!(output.status.success(), "{command:?}: {output:?}");
    }
    // An even lower limit is an error of the machine, not damage.
    let output = limited(9, cache.path(), &["verify", "--full", &name]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(stderr.contains("Too many open files"), "{output:?}");
    assert!(!String::from_utf8_lossy(&output.stdout).contains("DAMAGED"));
    // The layers are cached, and the disk is rebuilt.
    std::fs::remove_dir_all(cache.path().join("disks")).unwrap();
    assert_eq!(run(&["--policy", "always"])["cached"], false);

    let result = pull(cache.path(), &served.reference).await.unwrap();
    assert!(result.cached);
    result.verify(true).unwrap();
    let notes: Vec<String> = result.notes.iter().map(ToString::to_string).collect();
    let about_files = notes.iter().filter(|note| note.contains("open files"));
    assert_eq!(about_files.count(), usize::from(layers > 256), "{notes:?}");
    assert!(result.notes.iter().all(|note| !note.is_loss()));
}

#[tokio::test]
async fn an_image_of_120_layers_is_pulled_with_64_open_files() {
    pulls(120).await;
}

#[tokio::test]
async fn an_image_of_300_layers_is_pulled_with_64_open_files() {
    pulls(300).await;
}
