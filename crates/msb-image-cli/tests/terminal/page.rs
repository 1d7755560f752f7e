use std::fs;
use std::path::{Path, PathBuf};

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs")
        .join(name)
}

/// Compares a page of `docs/` with `text`, apart from what differs between runs: numbers, units, the lengths of bars, digests.
///
/// `MSB_BLESS=1` writes the page. CI refuses it.
#[track_caller]
pub(crate) fn check(name: &str, text: &str) {
    if std::env::var_os("MSB_BLESS").is_some_and(|value| value == "1") {
        assert!(std::env::var_os("CI").is_none(), "CI records nothing");
        fs::write(path(name), text).unwrap();
        return;
    }
    let page = fs::read_to_string(path(name)).unwrap();
    let lines = |text: &str| text.lines().map(shape).collect::<Vec<_>>();
    assert_eq!(
        lines(&page),
        lines(text),
        "docs/{name} differs; after an intended change, record it with MSB_BLESS=1"
    );
}

/// Returns a line without what differs between runs.
fn shape(line: &str) -> String {
    let mut shape = String::new();
    for word in line.split_whitespace() {
        let is_bar = word.chars().all(|c| "=>".contains(c));
        let is_unit = [
            "B", "KiB", "MiB", "B/s", "KiB/s", "MiB/s", "B/s,", "KiB/s,", "MiB/s,",
        ];
        let masked = match word {
            _ if is_bar => continue,
            unit if is_unit.contains(&unit) => unit.trim_start_matches(['K', 'M', 'i']).to_owned(),
            word => mask(word),
        };
        shape.push_str(&masked);
        shape.push(' ');
    }
    shape
}

/// Returns a word with a `0` for each number and digest.
fn mask(word: &str) -> String {
    let mut masked = String::new();
    let parts = word.split_inclusive(|c: char| !c.is_ascii_alphanumeric() && c != '.');
    for part in parts {
        let text = part.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let is_number = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.');
        let is_hex = text.len() >= 12 && text.chars().all(|c| c.is_ascii_hexdigit());
        if is_number || is_hex {
            masked.push('0');
            masked.push_str(&part[text.len()..]);
        } else {
            masked.push_str(part);
        }
    }
    masked
}

#[test]
fn lines_that_differ_in_numbers_alone_have_one_shape() {
    let one = "  21  ====>      80.1 KiB/391.1 KiB  1.2 MiB/s, 3 s sha256:0123456789abcdef";
    let other = "  9   =>          1.0 MiB/2.5 MiB    12.2 KiB/s, 59 s sha256:abcdefabcdefabcd";
    assert_eq!(shape(one).replace("KiB/", "MiB/"), shape(other));
    assert_ne!(shape("12 layers"), shape("12 files"));
}
