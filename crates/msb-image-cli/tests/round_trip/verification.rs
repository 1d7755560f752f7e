//! `verify`, and pulls over damaged files.

use super::*;

#[test]
fn a_damaged_disk_is_found_and_rebuilt() {
    let registry = DockerRegistry::start(RegistryOptions::default()).unwrap();
    let reference = push(&registry);
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path();
    let pull = |more: &[&str]| {
        let args = [&["pull", &reference, "--format", "json"], more, &PLATFORM].concat();
        json_lines(&ok(&run(cache, args))).remove(0)
    };
    let image = pull(&[]);
    let layer = image["layers"][0]["erofs"].as_str().unwrap();
    let whole = std::fs::read(layer).unwrap();
    let mut flipped = whole.clone();
    // Data begins in the block after the superblock's.
    flipped[4096] ^= 1;
    std::fs::write(layer, &flipped).unwrap();
    let output = run(cache, ["verify", "--full", "--format", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let report = json_lines(&stdout(&output)).remove(0);
    assert_eq!(report["status"], "damaged");
    assert!(report["causes"][0].is_string());
    let damaged = &report["damaged"][0];
    assert_eq!(damaged["artifact"], "layer image");
    assert_eq!(damaged["path"], layer);
    assert_eq!(damaged["layer"], image["layers"][0]["diff_id"]);
    assert!(damaged["files"][0].is_string(), "{damaged}");
    let output = run(
        cache,
        ["verify", "--full", &reference, PLATFORM[0], PLATFORM[1]],
    );
    let text = stdout(&output);
    let file = damaged["files"][0].as_str().unwrap();
    for words in [
        "verify --repair",
        "layer image: ",
        layer,
        "checksum mismatch",
        file,
    ] {
        assert!(text.contains(words), "{words:?}: {text}");
    }
    // Without --full the damage is not found, and the output states why.
    assert!(
        ok(&run(cache, ["verify"])).contains("structure only; use --full to compare file data too")
    );

    std::fs::write(layer, &whole[..4096]).unwrap();
    let output = run(cache, ["verify", "--format", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let report = json_lines(&stdout(&output)).remove(0);
    assert_eq!(report["status"], "incomplete");
    assert_eq!(report["damaged"][0]["path"], layer);
    let text = stdout(&run(cache, ["verify"]));
    assert!(
        text.contains("file data was not compared; use --full to compare it"),
        "{text}"
    );
    let text = stdout(&run(cache, ["verify", "--full"]));
    assert!(!text.contains("was not compared"), "{text}");
    let cause = report["causes"][0].as_str().unwrap();
    assert!(
        cause.contains("expected ") && cause.contains("found 4096"),
        "{cause}"
    );
    assert_eq!(
        json_lines(&ok(&run(cache, ["ls", "--format", "json"])))[0]["complete"],
        false
    );

    let repair = ["verify", "--repair", "--format", "json"];
    let report = json_lines(&ok(&run(cache, repair))).remove(0);
    assert_eq!(report["status"], "repaired");
    assert_eq!(report["damaged"][0]["path"], layer);
    assert_eq!(
        report["downloaded"].as_array().unwrap(),
        &[image["layers"][0]["diff_id"].clone()]
    );
    assert_eq!(std::fs::read(layer).unwrap(), whole);
    std::fs::remove_file(image["vmdk"].as_str().unwrap()).unwrap();
    let text = ok(&run(
        cache,
        ["verify", "--repair", &reference, PLATFORM[0], PLATFORM[1]],
    ));
    assert!(text.contains("1 artifact, 0 layers downloaded"), "{text}");
    let report = json_lines(&ok(&run(cache, repair))).remove(0);
    assert_eq!(report["status"], "ok");
    assert_eq!(pull(&["--force"])["cached"], false);

    // Without its record, nothing names the image.
    let record = std::fs::read_dir(cache.join("images")).unwrap().next();
    let record = record.unwrap().unwrap().path();
    std::fs::remove_file(&record).unwrap();
    std::fs::write(&record, "{}").unwrap();
    let output = run(cache, ["verify"]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(
        text.contains("cannot decode image record") && text.contains("pull the image again"),
        "{text}"
    );
    ok(&run(
        cache,
        ["verify", "--repair", &reference, PLATFORM[0], PLATFORM[1]],
    ));
    ok(&run(cache, ["verify", "--full"]));
}

#[test]
fn a_full_verification_without_file_data_states_that() {
    let layout = tempfile::tempdir().unwrap();
    ImageBuilder::new()
        .layer(Layer::recipe("dir d\nfile d/empty size=0").gzip())
        .write_layout(layout.path(), "v1")
        .unwrap();
    let registry = FaultRegistry::start().unwrap();
    registry.serve("test", layout.path());
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path();
    let reference = format!("{}/test:v1", registry.host());
    ok(&run(cache, [&["pull", &reference][..], &PLATFORM].concat()));
    let full = ok(&run(cache, ["verify", "--full"]));
    assert!(
        full.contains("no file data to compare") && !full.contains("structure only"),
        "{full}"
    );
}
