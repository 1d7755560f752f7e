//! What programs read: JSON results, errors and events, quiet output, exit codes.

#![allow(
    clippy::unwrap_used,
    reason = "a test, and what it calls, fails by panicking"
)]

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Output;

use common::{ok, run, stderr, stdout};
use microsandbox_image::{CachedImage, ImageInfo, Pruned, PullProgress};
use msb_testkit::image::{ImageBuilder, Layer};
use msb_testkit::registry::{DockerRegistry, RegistryOptions};
use serde_json::{Value, json};
use tempfile::TempDir;

const NAME: &str = "example.org/tools/python:3.13";
const PLATFORM: [&str; 2] = ["--platform", "linux/amd64"];

fn image() -> ImageBuilder {
    ImageBuilder::new()
        .layer(Layer::recipe("dir etc\nfile etc/motd data=hello\nchar null dev=1:3").gzip())
        .config(json!({"Entrypoint": ["/a"], "Healthcheck": {"Test": ["CMD", "a"]}}))
}

fn write(folder: &Path, image: &ImageBuilder) -> PathBuf {
    let layout = tempfile::tempdir_in(folder).unwrap().keep();
    image.write_layout(&layout, "t").unwrap();
    layout
}

/// Returns a folder whose `cache` has one image.
fn cached() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let layout = write(folder.path(), &image());
    let args = ["load", layout.to_str().unwrap(), "--tag", NAME];
    ok(&run(
        &folder.path().join("cache"),
        [&args[..], &PLATFORM, &["-q"]].concat(),
    ));
    folder
}

fn on(folder: &TempDir, args: &[&str]) -> Output {
    run(&folder.path().join("cache"), args)
}

/// Returns the error object of a failed command, after checking that nothing else was printed.
#[track_caller]
fn error(output: &Output, code: i32) -> Value {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    assert_eq!(stdout(output), "");
    let text = stderr(output);
    assert_eq!(text.lines().count(), 1, "{text}");
    let object: Value = serde_json::from_str(&text).unwrap();
    let members: Vec<_> = object.as_object().unwrap().keys().collect();
    let mut expected = ["kind", "message", "causes", "hint", "reference", "digest"];
    expected.sort_unstable();
    let mut sorted = members.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, expected);
    object
}

#[test]
fn an_error_is_one_object() {
    let folder = cached();
    let json = ["--format", "json"];
    let missing = [&["inspect", "example.org/other:t"][..], &json].concat();
    let object = error(&on(&folder, &missing), 1);
    assert_eq!(object["kind"], "not_found");
    assert_eq!(object["reference"], "example.org/other:t");
    assert!(
        object["hint"].as_str().unwrap().contains("msb-image pull"),
        "{object}"
    );

    for (args, hint) in [
        (&["pul", "a"][..], Some("pull")),
        (&["pull"], None),
        (&["pull", "a", "--policy", "sometimes"], None),
        (&["pull", "a", "--force", "--policy", "never"], None),
    ] {
        let object = error(&on(&folder, &[args, &json].concat()), 2);
        assert_eq!(object["kind"], "usage", "{object}");
        assert!(!object["message"].as_str().unwrap().is_empty());
        if let Some(hint) = hint {
            assert!(object["hint"].as_str().unwrap().contains(hint), "{object}");
        }
    }

    let nowhere = folder.path().join("nowhere");
    let object = error(&run(&nowhere, ["ls", "--format=json"]), 1);
    assert_eq!(object["kind"], "not_found");

    let hidden = "example.org/\u{202e}";
    let output = on(&folder, &["pull", hidden, "--format", "json"]);
    assert!(stderr(&output).is_ascii());
    error(&output, 2);
}

#[test]
fn a_refused_pull_is_unauthorized_and_names_image_and_digest() {
    let registry = DockerRegistry::start(RegistryOptions {
        basic_auth: Some(("me".into(), "hunter2".into())),
        ..RegistryOptions::default()
    })
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let layout = write(folder.path(), &image());
    registry.push_oci_layout(&layout, "x", "t").unwrap();
    let reference = format!("{}/x:t", registry.host());
    let args = ["pull", &reference, "--format", "json", "--progress", "none"];
    let object = error(&on(&folder, &args), 1);
    assert_eq!(object["kind"], "unauthorized", "{object}");
    assert_eq!(object["reference"], reference);

    let open = DockerRegistry::start(RegistryOptions::default()).unwrap();
    let wrong = image().diff_ids(vec![format!("sha256:{}", "0".repeat(64))]);
    let layout = write(folder.path(), &wrong);
    open.push_raw(&layout, "x", "t").unwrap();
    let reference = format!("{}/x:t", open.host());
    let args = ["pull", &reference, "--format", "json", "--progress", "none"];
    let object = error(&on(&folder, &[&args[..], &PLATFORM].concat()), 1);
    assert_eq!(object["kind"], "corrupt", "{object}");
    assert_eq!(object["reference"], reference);
    assert!(object["digest"].as_str().unwrap().starts_with("sha256:"));
    assert!(!object["causes"].as_array().unwrap().is_empty());
}

#[test]
fn results_are_the_types_of_the_library() {
    let folder = cached();
    let json = ["--format", "json"];
    let text = ok(&on(
        &folder,
        &[&["inspect", NAME][..], &PLATFORM, &json].concat(),
    ));
    let info: ImageInfo = serde_json::from_str(&text).unwrap();
    let printed: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_value(&info).unwrap(), printed);
    assert_eq!(info.reference.to_string(), NAME);
    assert_eq!(printed["config"]["architecture"], "amd64");
    assert_eq!(
        printed["config"]["healthcheck"]["test"],
        json!(["CMD", "a"])
    );
    assert!(printed["config"]["history"].is_array());

    let text = ok(&on(&folder, &[&["ls"][..], &json].concat()));
    let listed: CachedImage = serde_json::from_str(&text).unwrap();
    let printed: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_value(&listed).unwrap(), printed);

    let text = ok(&on(&folder, &[&["prune"][..], &json].concat()));
    let pruned: Pruned = serde_json::from_str(&text).unwrap();
    let printed: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_value(&pruned).unwrap(), printed);
}

/// Adds the names of all members that are lengths.
fn add_lengths(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| add_lengths(value, names)),
        Value::Object(members) => {
            for (name, value) in members {
                if name == "size" || name.ends_with("bytes") {
                    names.insert(name.clone());
                }
                add_lengths(value, names);
            }
        }
        _ => {}
    }
}

/// Returns the names in the table of the page about scripts.
fn documented_lengths() -> BTreeSet<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/scripts.md");
    let page = std::fs::read_to_string(page).unwrap();
    let table = page.split("| member | quantity | in |\n").nth(1).unwrap();
    let rows = table.split("\n\n").next().unwrap().lines();
    let cells = rows.filter_map(|row| row.strip_prefix("| ")?.split(" |").next());
    let names = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    names.map(str::to_owned).collect()
}

#[test]
fn one_word_stands_for_one_length() {
    let registry = DockerRegistry::start(RegistryOptions::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let layout = write(folder.path(), &image());
    registry.push_raw(&layout, "x", "t").unwrap();
    let reference = format!("{}/x:t", registry.host());
    let pull = ["pull", &reference, "--progress", "json"];
    let of_image =
        |command: &[&'static str]| -> Vec<&str> { [command, &[&reference], &PLATFORM].concat() };
    let mut names = BTreeSet::new();
    for (command, has_events) in [
        ([&pull[..], &PLATFORM].concat(), true),
        (of_image(&["inspect"]), false),
        (of_image(&["inspect", "--remote"]), false),
        (of_image(&["tree"]), false),
        (vec!["ls"], false),
        (vec!["df"], false),
        (vec!["verify", "--full"], false),
        (vec!["pin", "a", &reference], false),
        (vec!["prune", "--grace", "0", "--max-bytes", "1"], false),
    ] {
        let is_pin = command[0] == "pin";
        let format: &[&str] = if is_pin {
            &PLATFORM
        } else {
            &["--format", "json"]
        };
        let output = on(&folder, &[&command, format].concat());
        assert!(
            output.status.success() || command[0] == "prune",
            "{output:?}"
        );
        let text = if has_events {
            stdout(&output) + &stderr(&output)
        } else {
            stdout(&output)
        };
        for line in text.lines().filter(|_| !is_pin) {
            add_lengths(&serde_json::from_str(line).unwrap(), &mut names);
        }
    }
    // Of events that need a fault or chance.
    for rare in ["unpacked_bytes", "from_bytes"] {
        names.insert(rare.into());
    }
    assert_eq!(names, documented_lengths());
}

#[test]
fn progress_is_printed_as_events() {
    let registry = DockerRegistry::start(RegistryOptions::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let layout = write(folder.path(), &image());
    registry.push_raw(&layout, "x", "t").unwrap();
    let reference = format!("{}/x:t", registry.host());
    let events = |args: &[&str]| -> Vec<PullProgress> {
        let pull = ["pull", &reference, "--progress", "json"];
        let output = on(&folder, &[&pull[..], &PLATFORM, args].concat());
        let lines = stderr(&output);
        let lines = lines.lines().filter_map(|line| {
            let object: Value = serde_json::from_str(line).unwrap();
            assert_eq!(object["reference"], reference);
            // The last line of a failed pull is its error.
            let event = object.get("event")?;
            assert!(event.is_string());
            Some(serde_json::from_str(line).unwrap())
        });
        lines.collect()
    };
    let pulled = events(&[]);
    assert!(matches!(pulled[0], PullProgress::Resolving { .. }));
    assert!(
        pulled
            .iter()
            .any(|event| matches!(event, PullProgress::LayerMaterialized { layer: 0, .. }))
    );
    let last = pulled.last().unwrap();
    assert!(matches!(last, PullProgress::Complete { cached: false, .. }));
    drop(registry);
    let failed = events(&["--force", "--retry-seconds", "0", "-q"]);
    let last = failed
        .iter()
        .find(|event| matches!(event, PullProgress::Failed { .. }));
    assert!(last.is_some(), "{failed:?}");
}

#[test]
fn quiet_prints_the_path_of_the_disk_alone() {
    let folder = cached();
    let vmdk = ok(&on(
        &folder,
        &[&["-q", "inspect", NAME][..], &PLATFORM].concat(),
    ));
    assert_eq!(vmdk.lines().count(), 1);
    assert!(Path::new(vmdk.trim_end()).is_absolute());
    assert!(vmdk.trim_end().ends_with(".vmdk"));
    let never = ["pull", NAME, "--policy", "never", "--quiet"];
    let pulled = on(&folder, &[&never[..], &PLATFORM].concat());
    assert_eq!(ok(&pulled), vmdk);
    assert_eq!(stderr(&pulled), "");
    assert_eq!(ok(&on(&folder, &["ls", "-q"])), format!("{NAME}\n"));
    let both = on(&folder, &["ls", "-q", "-v"]);
    assert_eq!(both.status.code(), Some(2));
}

#[test]
fn log_lines_are_json_on_request() {
    let folder = cached();
    let output = on(&folder, &["ls", "-v", "--log-format", "json"]);
    ok(&output);
    let text = stderr(&output);
    let first: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(first["level"], "info");
    assert_eq!(first["message"], "msb-image");
    assert!(first["fields"]["cache"].is_string());
}

#[test]
fn the_help_lists_the_exit_codes() {
    let folder = tempfile::tempdir().unwrap();
    let help = ok(&on(&folder, &["--help"]));
    assert!(
        help.contains("Exit codes: 0 done, 1 failed, 2 bad usage, 130 interrupted"),
        "{help}"
    );
}

#[test]
fn a_mistyped_reference_of_a_cached_image_is_recognized() {
    let folder = cached();
    for mistyped in [
        "example.org/tools/pyhton:3.13",
        "example.org/tools/python:3.12",
    ] {
        let output = on(&folder, &["inspect", mistyped]);
        let text = stderr(&output);
        let hint = format!("hint: did you mean {NAME}, which is cached? If not, pull it with");
        assert!(text.contains(&hint), "{text}");
        let text = stderr(&on(&folder, &["rm", mistyped]));
        let hint = format!("hint: did you mean {NAME}, which is cached?\n");
        assert!(text.contains(&hint), "{text}");
    }
    let text = stderr(&on(&folder, &["inspect", "example.org/tools/debian:3.13"]));
    assert!(!text.contains("did you mean"), "{text}");
}

#[test]
fn an_image_is_removed_for_all_platforms() {
    let folder = cached();
    let other = write(folder.path(), &image().platform("linux", "arm64"));
    let load = ["load", other.to_str().unwrap(), "--tag", NAME];
    let arm = ["--platform", "linux/arm64", "-q"];
    ok(&on(&folder, &[&load[..], &arm].concat()));
    assert_eq!(ok(&on(&folder, &["ls", "-q"])).lines().count(), 2);
    let both = on(
        &folder,
        &["rm", NAME, "--all-platforms", "--platform", "arm64"],
    );
    assert_eq!(both.status.code(), Some(2));
    let removed = ok(&on(&folder, &["rm", NAME, "--all-platforms"]));
    assert_eq!(
        removed,
        format!("removed {NAME} for linux/amd64\nremoved {NAME} for linux/arm64\n")
    );
    let again = on(&folder, &["rm", NAME, "--all-platforms"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(stderr(&again).contains("is not cached"));
}

#[test]
fn a_listing_shows_when_each_image_was_used() {
    let folder = cached();
    let record = std::fs::read_dir(folder.path().join("cache/images")).unwrap();
    let record = record.map(|entry| entry.unwrap().path()).next().unwrap();
    let file = std::fs::File::open(record).unwrap();
    let three_hours_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3 * 3_600);
    file.set_modified(three_hours_ago).unwrap();
    let table = ok(&on(&folder, &["ls"]));
    let [head, row] = &table.lines().collect::<Vec<_>>()[..] else {
        panic!("{table}");
    };
    let column = head.find("USED").unwrap();
    assert!(row[column..].starts_with("3h "), "{table}");
}
