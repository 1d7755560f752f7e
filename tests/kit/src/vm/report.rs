//! Parses the guest's report on its second disk.

use std::collections::BTreeMap;

use crate::{
    KitError,
    tree::{Entry, Listing},
};

/// A parsed report.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) kernel: String,
    pub(super) listing: Listing,
    pub(super) script: String,
    pub(super) failures: Vec<String>,
}

/// Parses a report. Returns `None` if the guest did not finish it.
pub(super) fn read(disk: &[u8]) -> Result<Option<Report>, KitError> {
    let mut report = Report::default();
    let mut inodes: BTreeMap<u64, Vec<Vec<u8>>> = BTreeMap::new();
    let mut digests: Vec<(Vec<u8>, String)> = Vec::new();
    for line in disk.split(|&byte| byte == b'\n') {
        let bad = || KitError::Parse {
            what: "the guest's report",
            // A report without an end is as long as the disk.
            line: String::from_utf8_lossy(&line[..line.len().min(200)]).into_owned(),
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if line == b"guest end" {
            link(&mut report.listing, inodes);
            for (path, digest) in digests {
                // Only the first name of a file has its properties.
                if let Some(entry) = report
                    .listing
                    .entries
                    .get_mut(&path)
                    .filter(|entry| entry.link.is_none())
                {
                    entry.sha256 = Some(digest);
                }
            }
            return Ok(Some(report));
        } else if let Some(release) = line.strip_prefix(b"guest ") {
            report.kernel = text(release);
        } else if let Some(failure) = line.strip_prefix(b"failed ") {
            report.failures.push(text(failure));
        } else if let Some(output) = line.strip_prefix(b"script ") {
            report.script.push_str(&text(output));
            report.script.push('\n');
        } else if let Some(fields) = line.strip_prefix(b"stat\x01") {
            let (path, entry, inode) = entry(fields).ok_or_else(bad)?;
            if entry.kind != 'd' && entry.nlink > Some(1) {
                inodes.entry(inode).or_default().push(path.clone());
            }
            report.listing.entries.insert(path, entry);
        } else if let Some(rest) = line.strip_prefix(b"sum ") {
            let (digest, name) = rest.split_at_checked(64).ok_or_else(bad)?;
            digests.push((absolute(name.get(2..).ok_or_else(bad)?), text(digest)));
        } else {
            return Err(bad());
        }
    }
    Ok(None)
}

fn link(listing: &mut Listing, inodes: BTreeMap<u64, Vec<Vec<u8>>>) {
    for mut paths in inodes.into_values() {
        paths.sort();
        let first = paths.remove(0);
        for path in paths {
            if let Some(entry) = listing.entries.get_mut(&path) {
                *entry = Entry {
                    kind: entry.kind,
                    link: Some(first.clone()),
                    ..Entry::default()
                };
            }
        }
    }
}

/// Parses mode in hexadecimal, uid, gid, size, links, inode, major, minor, time, name, and name with target, each after
/// a byte of 1.
fn entry(fields: &[u8]) -> Option<(Vec<u8>, Entry, u64)> {
    let mut fields = fields.split(|&byte| byte == 1);
    let mut text = || {
        fields
            .next()
            .and_then(|field| std::str::from_utf8(field).ok())
    };
    let mode = u32::from_str_radix(text()?, 16).ok()?;
    let (uid, gid, size, nlink, inode) = (
        text()?.parse().ok()?,
        text()?.parse().ok()?,
        text()?.parse().ok()?,
        text()?.parse().ok()?,
        text()?.parse().ok()?,
    );
    let (major, minor) = (
        u32::from_str_radix(text()?, 16).ok()?,
        u32::from_str_radix(text()?, 16).ok()?,
    );
    let mtime = time(text()?)?;
    let (name, quoted) = (fields.next()?, fields.next()?);
    let kind = match mode & 0o170_000 {
        0o040_000 => 'd',
        0o100_000 => 'f',
        0o120_000 => 'l',
        0o020_000 => 'c',
        0o060_000 => 'b',
        0o010_000 => 'p',
        _ => 's',
    };
    let mut entry = Entry {
        kind,
        mode: mode & 0o7777,
        uid,
        gid,
        mtime: Some(mtime),
        ..Entry::default()
    };
    if kind != 'd' {
        entry.nlink = Some(nlink);
    }
    match kind {
        'f' => entry.size = Some(size),
        'c' | 'b' => entry.rdev = Some((major, minor)),
        'l' => {
            // 'name' -> 'target'
            let target = quoted
                .get(name.len() + 2..)?
                .strip_prefix(b" -> '")?
                .strip_suffix(b"'")?;
            entry.target = Some(target.to_vec());
        }
        _ => {}
    }
    Some((absolute(name), entry, inode))
}

/// Converts `./a` and `.` into the absolute paths of listings.
fn absolute(name: &[u8]) -> Vec<u8> {
    match name.strip_prefix(b".") {
        Some(b"") => b"/".to_vec(),
        Some(rest) => rest.to_vec(),
        None => name.to_vec(),
    }
}

/// Parses `2023-11-14 22:13:20.123456789`, possibly with a zone after it, always in UTC.
fn time(text: &str) -> Option<(i64, u32)> {
    let mut words = text.split(' ');
    let date = words.next()?;
    let (clock, fraction) = words.next()?.split_once('.')?;
    let sign = if date.starts_with('-') { -1 } else { 1 };
    let mut date = date
        .trim_start_matches('-')
        .split('-')
        .map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (sign * date.next()??, date.next()??, date.next()??);
    let mut clock = clock.split(':').map(|part| part.parse::<i64>().ok());
    let seconds = clock.next()?? * 3600 + clock.next()?? * 60 + clock.next()??;
    Some((
        days(year, month, day) * 86400 + seconds,
        fraction.parse().ok()?,
    ))
}

/// Returns the days since 1970 of a Gregorian date, counted in years that begin in March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, month) = (year.div_euclid(400), (month + 9) % 12);
    let year = year.rem_euclid(400);
    era * 146_097 + year * 365 + year / 4 - year / 100 + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_and_after_the_epoch_are_read() {
        assert_eq!(
            time("2023-11-14 22:13:20.500000000"),
            Some((1_700_000_000, 500_000_000))
        );
        assert_eq!(
            time("1969-12-31 23:59:58.750000000"),
            Some((-2, 750_000_000))
        );
        assert_eq!(
            time("2107-02-28 00:00:00.000000001"),
            Some((4_328_294_400, 1))
        );
    }

    #[test]
    fn a_report_without_its_end_is_none() {
        assert!(read(b"guest 6.12\n").unwrap_or_default().is_none());
        read(b"noise\n").unwrap_err();
    }
}
