//! Trees as short text, without default properties.

use msb_testkit::tar::DEFAULT_MTIME_SECONDS;
use msb_testkit::tree::{Listing, escape};
use std::fmt::Write;

/// Returns one line for each path, `/a/b f`, with properties that differ from the defaults: mode 0644, 0755 for directories and
/// 0777 for symlinks; owner root; the time of recipes; one link.
pub(crate) fn short(listing: &Listing) -> String {
    let mut text = String::new();
    for (path, entry) in &listing.entries {
        write!(text, "{} {}", escape(path), entry.kind).unwrap();
        if let Some(link) = &entry.link {
            writeln!(text, " = {}", escape(link)).unwrap();
            continue;
        }
        let usual = match entry.kind {
            'd' => 0o755,
            'l' => 0o777,
            _ => 0o644,
        };
        if entry.mode != usual {
            write!(text, " {:04o}", entry.mode).unwrap();
        }
        if (entry.uid, entry.gid) != (0, 0) {
            write!(text, " {}:{}", entry.uid, entry.gid).unwrap();
        }
        match entry.mtime {
            Some((DEFAULT_MTIME_SECONDS, 0)) | None => {}
            Some((secs, 0)) => write!(text, " @{secs}").unwrap(),
            Some((secs, nanos)) => write!(text, " @{secs}.{nanos:09}").unwrap(),
        }
        if let Some(nlink) = entry.nlink.filter(|&nlink| nlink != 1) {
            write!(text, " nlink={nlink}").unwrap();
        }
        if let Some(size) = entry.size {
            write!(text, " {size}").unwrap();
        }
        if let Some(target) = &entry.target {
            write!(text, " -> {}", escape(target)).unwrap();
        }
        if let Some((major, minor)) = entry.rdev {
            write!(text, " {major}:{minor}").unwrap();
        }
        for (name, value) in entry.xattrs.iter().flatten() {
            write!(
                text,
                " {}={}",
                escape(name),
                msb_testkit::digest::hex(value)
            )
            .unwrap();
        }
        text.push('\n');
    }
    text
}

/// Removes the indentation of a test's text from each line.
pub(crate) fn unindent(text: &str) -> String {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| format!("{line}\n"))
        .collect()
}
