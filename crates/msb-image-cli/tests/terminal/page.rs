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

/// Returns a line without what differs between runs. The speed and the time after a bar's bytes may be missing.
fn shape(line: &str) -> String {
    let is_bar = |word: &&str| word.chars().all(|c| "=>".contains(c));
    let mut words: Vec<_> = line.split_whitespace().collect();
    if let Some(place) = words.iter().position(is_bar) {
        words.truncate(place + 4);
        words.remove(place);
    }
    let words: Vec<_> = words.into_iter().map(mask).collect();
    words.join(" ")
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
    let one = " 21  ====>      80.1 KiB/391.1 KiB  1.2 MiB/s, 3 s";
    let other = "  9   =>          1.0 KiB/2.5 KiB";
    assert_eq!(shape(one), shape(other));
    assert_eq!(
        shape("of sha256:0123456789ab, 7 layers"),
        "of sha256:0, 0 layers"
    );
    assert_ne!(shape("12 layers"), shape("12 files"));
}
