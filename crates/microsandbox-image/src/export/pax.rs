//! Headers of tar archives in the PAX format (POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header").

/// The length of a header, and the unit of file data.
pub(crate) const BLOCK_BYTES: u64 = 512;

/// One member of an archive. What does not fit the fields of a header is in extended records before it.
#[derive(Debug)]
pub(crate) struct Member<'a> {
    /// The path, relative; that of a directory ends in a slash.
    pub(crate) path: &'a [u8],
    /// The type of the member.
    pub(crate) typeflag: u8,
    /// Permissions, setuid, setgid and sticky bits.
    pub(crate) mode: u16,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Bytes of data that follow the header.
    pub(crate) size: u64,
    pub(crate) mtime_secs: i64,
    /// Below 10^9; added to the seconds.
    pub(crate) mtime_nanos: u32,
    /// The target of a link; empty for other types.
    pub(crate) link: &'a [u8],
    /// Major and minor number of a device.
    pub(crate) device: (u32, u32),
    /// Full names and values. No name contains `=`.
    pub(crate) xattrs: &'a [(Vec<u8>, Vec<u8>)],
}

impl Member<'_> {
    /// Returns the headers, in whole blocks.
    pub(crate) fn headers(&self) -> Vec<u8> {
        let mut records = Vec::new();
        let mut header = Header([0; 512]);
        let name = if fits_name(self.path) {
            self.path
        } else {
            record(&mut records, b"path", self.path);
            &self.path[..self.path.len().min(NAME_BYTES)]
        };
        header.bytes(0, name);
        header.octal(100, 8, self.mode.into());
        for (key, offset, value) in [
            (&b"uid"[..], 108, u64::from(self.uid)),
            (b"gid", 116, u64::from(self.gid)),
        ] {
            if !header.octal(offset, 8, value) {
                record(&mut records, key, value.to_string().as_bytes());
            }
        }
        if !header.octal(124, 12, self.size) {
            record(&mut records, b"size", self.size.to_string().as_bytes());
        }
        let whole = u64::try_from(self.mtime_secs).ok();
        let whole = whole.filter(|_| self.mtime_nanos == 0);
        if !whole.is_some_and(|seconds| header.octal(136, 12, seconds)) {
            header.octal(136, 12, 0);
            let time = decimal(self.mtime_secs, self.mtime_nanos);
            record(&mut records, b"mtime", time.as_bytes());
        }
        header.bytes(156, &[self.typeflag]);
        if fits_name(self.link) {
            header.bytes(157, self.link);
        } else {
            record(&mut records, b"linkpath", self.link);
            header.bytes(157, &self.link[..self.link.len().min(NAME_BYTES)]);
        }
        // The kernel's numbers have 12 and 20 bits, the fields 21.
        header.octal(329, 8, self.device.0.into());
        header.octal(337, 8, self.device.1.into());
        for (name, value) in self.xattrs {
            record(&mut records, &[b"SCHILY.xattr.", &name[..]].concat(), value);
        }
        let mut headers = Vec::new();
        if !records.is_empty() {
            let mut extended = Header([0; 512]);
            extended.bytes(0, b"PaxHeaders/member");
            extended.octal(100, 8, 0o644);
            extended.octal(108, 8, 0);
            extended.octal(116, 8, 0);
            extended.octal(124, 12, records.len() as u64);
            extended.octal(136, 12, 0);
            extended.bytes(156, b"x");
            headers.extend(extended.finish());
            headers.extend(&records);
            headers.resize(headers.len().next_multiple_of(512), 0);
        }
        headers.extend(header.finish());
        headers
    }
}

/// The length of the fields `name` and `linkname`.
const NAME_BYTES: usize = 100;

/// Returns whether a name is written to its field, without a record. Readers differ in how they read other bytes there.
fn fits_name(name: &[u8]) -> bool {
    name.len() <= NAME_BYTES && name.is_ascii()
}

/// Appends a record: its length, which counts itself, a key, and a value.
fn record(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    // A blank, an equals sign and a line break.
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    records.extend(format!("{length} ").bytes());
    records.extend(key);
    records.push(b'=');
    records.extend(value);
    records.push(b'\n');
}

/// Returns a time as a decimal number of seconds, without zeros at its end.
fn decimal(secs: i64, nanos: u32) -> String {
    if nanos == 0 {
        return secs.to_string();
    }
    let text = if secs < 0 {
        // -2 s and 0.25 s are -1.75 s.
        format!(
            "-{}.{:09}",
            (secs + 1).unsigned_abs(),
            1_000_000_000 - nanos
        )
    } else {
        format!("{secs}.{nanos:09}")
    };
    text.trim_end_matches('0').to_owned()
}

struct Header([u8; 512]);

impl Header {
    /// Writes bytes that fit their field.
    fn bytes(&mut self, offset: usize, bytes: &[u8]) {
        self.0[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    /// Writes a number in octal digits with a NUL after them; returns `false` for one that does not fit, and writes zero.
    fn octal(&mut self, offset: usize, field: usize, value: u64) -> bool {
        let digits = field - 1;
        let fits = value >> (3 * digits) == 0;
        let value = if fits { value } else { 0 };
        self.bytes(offset, format!("{value:0digits$o}\0").as_bytes());
        fits
    }

    fn finish(mut self) -> [u8; 512] {
        self.bytes(257, b"ustar\x0000");
        // The checksum is that of a header with blanks in its place.
        self.bytes(148, b"        ");
        let sum: u32 = self.0.iter().map(|byte| u32::from(*byte)).sum();
        self.bytes(148, format!("{sum:06o}\0 ").as_bytes());
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_its_own_length() {
        for value in [0, 1, 5, 88, 89, 90, 91, 985, 986, 987, 9980, 99_980] {
            let mut records = Vec::new();
            record(&mut records, b"key", &vec![b'x'; value]);
            let text = String::from_utf8(records).unwrap();
            let length: usize = text.split(' ').next().unwrap().parse().unwrap();
            assert_eq!(length, text.len());
        }
    }

    #[test]
    fn times_have_nanoseconds_and_may_precede_1970() {
        assert_eq!(decimal(5, 0), "5");
        assert_eq!(decimal(123, 500_000_000), "123.5");
        assert_eq!(decimal(-2, 250_000_000), "-1.75");
        assert_eq!(decimal(-1, 1), "-0.999999999");
        assert_eq!(decimal(i64::MIN, 1), "-9223372036854775807.999999999");
    }

    #[test]
    fn what_does_not_fit_a_field_is_in_a_record() {
        let long = [b'a'; 101];
        let member = Member {
            path: &long,
            typeflag: b'2',
            mode: 0o777,
            uid: 3_000_000,
            gid: 7,
            size: 8 << 30,
            mtime_secs: -1,
            mtime_nanos: 0,
            link: "ü".as_bytes(),
            device: (0, 0),
            xattrs: &[(b"user.a".to_vec(), vec![0, 255])],
        };
        let headers = member.headers();
        assert_eq!(headers.len() % 512, 0);
        let text = String::from_utf8_lossy(&headers);
        for part in [
            "uid=3000000\n",
            "size=8589934592\n",
            "mtime=-1\n",
            "linkpath=ü\n",
            "SCHILY.xattr.user.a=\0",
        ] {
            assert!(text.contains(part), "{part}");
        }
        assert!(!text.contains("gid="));
    }
}
