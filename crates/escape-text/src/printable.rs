/// Returns whether a character takes visible space on a line and affects nothing else.
///
/// Not printable are control characters (C0 with ESC, DEL, C1), line and paragraph separators, format characters (bidirectional
/// controls, zero-width characters, tags), other invisible characters, and every space but U+0020, which other spaces imitate.
#[must_use]
pub fn is_printable(c: char) -> bool {
    match c {
        ' '..='~' => true,
        _ if c.is_control() || c.is_whitespace() => false,
        _ => {
            let after = INVISIBLE.partition_point(|(first, _)| *first <= c);
            let last = after.checked_sub(1).map(|place| INVISIBLE[place].1);
            last.is_none_or(|last| last < c)
        }
    }
}

/// First and last character of each range, in order: the general category Cf, the property Default_Ignorable_Code_Point and the
/// blank pattern of Braille. `tests/unicode.rs` compares it with Unicode's own tables.
const INVISIBLE: &[(char, char)] = &[
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{600}', '\u{605}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{6dd}', '\u{6dd}'),
    ('\u{70f}', '\u{70f}'),
    ('\u{890}', '\u{891}'),
    ('\u{8e2}', '\u{8e2}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{202a}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{2800}', '\u{2800}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fffb}'),
    ('\u{110bd}', '\u{110bd}'),
    ('\u{110cd}', '\u{110cd}'),
    ('\u{13430}', '\u{1343f}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
];
