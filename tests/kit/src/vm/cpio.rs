//! The "newc" cpio archive that the kernel takes as its first root file system.

/// An archive that is being written.
#[derive(Debug, Default)]
pub(super) struct Cpio {
    bytes: Vec<u8>,
    inode: u32,
}

impl Cpio {
    pub(super) fn folder(&mut self, name: &str) {
        self.entry(name, 0o040_755, &[]);
    }

    pub(super) fn file(&mut self, name: &str, contents: &[u8]) {
        self.entry(name, 0o100_755, contents);
    }

    /// `/dev/console`, without which the first process has no output.
    pub(super) fn console(&mut self) {
        self.entry_of("dev/console", 0o020_600, &[], (5, 1));
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn entry(&mut self, name: &str, mode: u32, contents: &[u8]) {
        self.entry_of(name, mode, contents, (0, 0));
    }

    fn entry_of(&mut self, name: &str, mode: u32, contents: &[u8], device: (u32, u32)) {
        self.inode += 1;
        let size =
            u32::try_from(contents.len()).expect("a file of the guest's root is far below 4 GiB");
        let name_size = u32::try_from(name.len() + 1).expect("a name is short");
        // inode, mode, uid, gid, nlink, mtime, size, device of the file system, device, name, checksum
        let fields = [
            self.inode, mode, 0, 0, 1, 0, size, 0, 0, device.0, device.1, name_size, 0,
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes
                .extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.align();
        self.bytes.extend_from_slice(contents);
        self.align();
    }

    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}
