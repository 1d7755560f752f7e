//! An index of 4 MiB takes no more than a few times its bytes. One test a process, because it reads the process's peak.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and prints what it measured"
)]

use msb_oci::{Digest, media_type};
use msb_platform::{Index, Platform};

const INDEX_BYTES: usize = 4 << 20;

/// Returns the process's peak in bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib: usize = line
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    kib << 10
}

/// Repeats an element until an index of 4 MiB is full.
fn index(element: &str, before: &str, after: &str) -> String {
    let count = (INDEX_BYTES - before.len() - after.len()) / (element.len() + 1);
    let mut text = String::with_capacity(INDEX_BYTES);
    text.push_str(before);
    for position in 0..count {
        text.push_str(if position == 0 { "" } else { "," });
        text.push_str(element);
    }
    text.push_str(after);
    text
}

#[test]
fn an_index_of_4_mib_takes_little_more_than_its_bytes() {
    let digest = Digest::sha256_of(b"x");
    let kind = media_type::OCI_MANIFEST;
    let shortest = format!(r#"{{"digest":"{digest}","size":1}}"#);
    let usual = format!(
        r#"{{"mediaType":"{kind}","digest":"{digest}","size":500,"platform":{{"os":"linux","architecture":"amd64"}}}}"#
    );
    let (before, after) = (r#"{"manifests":["#, "]}");
    let in_child = |member: &str| {
        (
            format!(r#"{before}{{"digest":"{digest}","size":1,{member}"#),
            "]}]}",
        )
    };
    let features = in_child(r#""platform":{"os":"linux","architecture":"amd64","os.features":["#);
    let unknown = in_child(r#""x":["#);
    let inputs = [
        ("usual children", (&*usual, before, after)),
        ("shortest children", (&*shortest, before, after)),
        ("numbers", ("1", before, after)),
        ("empty objects", ("{}", before, after)),
        ("odd media types", (r#"{"mediaType":"x"}"#, before, after)),
        ("features", ("\"\"", &*features.0, "]}}]}")),
        ("unknown arrays", ("[]", &*unknown.0, unknown.1)),
        (
            "unknown objects",
            (r#"{"a":1}"#, r#"{"manifests":[],"x":["#, after),
        ),
        (
            "annotations",
            (r#""a":1"#, r#"{"manifests":[{"annotations":{"#, "}}]}"),
        ),
    ];
    let wanted = Platform::new("linux", "amd64");
    let start = peak();
    let mut last = start;
    for (name, (element, before, after)) in inputs {
        let text = index(element, before, after);
        assert!(text.len() > INDEX_BYTES - 300 && text.len() <= INDEX_BYTES);
        let index = Index::parse(text.as_bytes()).unwrap();
        let count = index
            .candidates(&wanted)
            .map_or(0, |candidates| candidates.len());
        let now = peak();
        println!(
            "{name}: {count} candidates, {} KiB more",
            now.saturating_sub(last) >> 10
        );
        last = now;
    }
    let grown = last.saturating_sub(start);
    println!(
        "{} MiB in all, of which {} are one text",
        grown >> 20,
        INDEX_BYTES >> 20
    );
    assert!(
        grown <= 6 * INDEX_BYTES,
        "the peak grew by {} MiB",
        grown >> 20
    );
}
