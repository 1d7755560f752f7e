//! Compares the table of invisible characters with Unicode's properties, and tests the invariants for any input.

use std::collections::BTreeSet;

use escape_text::{Excerpt, escape, is_printable};
use proptest::prelude::*;
use regex_syntax::hir::{Class, HirKind};

/// Returns the characters of a regular expression's class, such as `\p{Cf}`.
fn class(pattern: &str) -> BTreeSet<char> {
    let hir = regex_syntax::parse(pattern).expect("the pattern is a class");
    let HirKind::Class(Class::Unicode(class)) = hir.kind() else {
        panic!("{pattern} is not a class");
    };
    class
        .ranges()
        .iter()
        .flat_map(|range| range.start()..=range.end())
        .collect()
}

#[test]
fn unprintable_is_what_unicode_defines_as_invisible() {
    let mut invisible = class(r"[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Zs}\p{Default_Ignorable_Code_Point}]");
    invisible.remove(&' ');
    // Invisible, although Unicode classifies it as a symbol.
    invisible.insert('\u{2800}');
    let ours: BTreeSet<char> = ('\0'..=char::MAX).filter(|c| !is_printable(*c)).collect();
    assert_eq!(ours, invisible);
}

proptest! {
    #[test]
    fn output_is_printable_and_stable(bytes in proptest::collection::vec(any::<u8>(), 0..300), text in "\\PC{0,40}|.{0,40}") {
        for input in [bytes.as_slice(), text.as_bytes()] {
            let shown = escape(input).to_string();
            prop_assert!(shown.chars().all(is_printable));
            prop_assert_eq!(escape(&shown).to_string(), &*shown);
            let excerpt = Excerpt::from_bytes(input);
            prop_assert!(excerpt.as_str().chars().count() <= 163);
            let head = excerpt.as_str().strip_suffix("...").unwrap_or(excerpt.as_str());
            prop_assert!(shown.starts_with(head));
        }
    }
}
