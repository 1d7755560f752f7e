use std::fmt;
use std::path::Path;
use std::str::FromStr;

use escape_text::escape;

use super::facts::DISK;
use crate::PullResult;

/// A hypervisor, or the kernel alone, for which [`PullResult::boot_lines`] returns what to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BootLines {
    /// Options of QEMU, one on each line.
    Qemu,
    /// The parameters of the kernel alone.
    Kernel,
    /// Options of Cloud Hypervisor, one on each line.
    CloudHypervisor,
    /// The configuration of Firecracker: the members `boot-source` and `drives`, on one line.
    Firecracker,
    /// Calls of libkrun in C, one on each line.
    Libkrun,
}

/// Reports a name that no hypervisor of [`BootLines`] has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such hypervisor: {}", escape(name))]
#[non_exhaustive]
pub struct UnknownHypervisor {
    /// The name.
    pub name: String,
}

impl BootLines {
    /// Every kind of lines.
    pub const ALL: [Self; 5] = [
        Self::Qemu,
        Self::Kernel,
        Self::CloudHypervisor,
        Self::Firecracker,
        Self::Libkrun,
    ];

    /// Returns the name, as [`FromStr`] takes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Qemu => "qemu",
            Self::Kernel => "kernel",
            Self::CloudHypervisor => "cloud-hypervisor",
            Self::Firecracker => "firecracker",
            Self::Libkrun => "libkrun",
        }
    }

    /// Returns whether the hypervisor takes one raw file, which [`PullResult::export`] writes, and not a descriptor.
    ///
    /// Firecracker reads raw files only. Cloud Hypervisor reads descriptors whose extents lie beneath their folder, in recent
    /// versions only.
    #[must_use]
    pub const fn takes_raw_file(self) -> bool {
        matches!(self, Self::CloudHypervisor | Self::Firecracker)
    }
}

impl FromStr for BootLines {
    type Err = UnknownHypervisor;

    fn from_str(name: &str) -> Result<Self, UnknownHypervisor> {
        let found = Self::ALL.into_iter().find(|lines| lines.name() == name);
        found.ok_or_else(|| UnknownHypervisor { name: name.into() })
    }
}

impl fmt::Display for BootLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl PullResult {
    /// Returns the lines that attach the disk and boot from it. `disk` is the exported raw file where
    /// [`BootLines::takes_raw_file`] states that one is needed; otherwise the descriptor of the cache is used.
    ///
    /// The lines are quoted for a POSIX shell, as JSON, or as C, and have no line breaks and control characters of their own.
    /// They lack what does not depend on the image, such as the kernel and the memory. Bytes of a path that are not UTF-8 are
    /// replaced.
    #[must_use]
    pub fn boot_lines(&self, lines: BootLines, disk: &Path) -> Vec<String> {
        let facts = self.boot_facts();
        let (raw, vmdk) = (disk.to_string_lossy(), self.vmdk.to_string_lossy());
        let cmdline = &facts.cmdline;
        match lines {
            BootLines::Kernel => vec![cmdline.clone()],
            BootLines::Qemu => {
                // QEMU splits options at commas; a doubled one is part of the value.
                let file = vmdk.replace(',', ",,");
                let drive = format!("file={file},format=vmdk,if=virtio,readonly=on");
                vec![
                    format!("-drive {}", shell(&drive)),
                    format!("-append {}", shell(cmdline)),
                ]
            }
            BootLines::CloudHypervisor => {
                // A quoted value may contain commas.
                let disk = if raw.contains([',', '[', ']']) {
                    format!("path=\"{raw}\",readonly=on")
                } else {
                    format!("path={raw},readonly=on")
                };
                vec![
                    format!("--disk {}", shell(&disk)),
                    format!("--cmdline {}", shell(cmdline)),
                ]
            }
            BootLines::Firecracker => {
                // Firecracker itself names the root device and its mode, unless another one verifies it.
                let is_root = facts.verity.is_none();
                let arguments = match is_root {
                    true => format!("rootfstype={}", facts.rootfstype),
                    false => cmdline.clone(),
                };
                let object = serde_json::json!({
                    "boot-source": {"boot_args": arguments},
                    "drives": [{
                        "drive_id": "rootfs",
                        "path_on_host": raw,
                        "is_root_device": is_root,
                        "is_read_only": true,
                    }],
                });
                vec![object.to_string()]
            }
            // It has no call for the parameters of the kernel, so the disk is mounted without dm-verity.
            BootLines::Libkrun => vec![
                format!(
                    "krun_add_disk2(ctx, \"rootfs\", {}, KRUN_DISK_FORMAT_VMDK, true);",
                    c_string(&vmdk)
                ),
                format!(
                    "krun_set_root_disk_remount(ctx, \"{}\", \"{}\", \"ro\");",
                    DISK, facts.rootfstype
                ),
            ],
        }
    }
}

/// Quotes a word for a POSIX shell. A control character has no portable form in quotes, so it is escaped by `$'...'` of newer shells.
fn shell(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    if word.contains(char::is_control) {
        let escaped: String = word
            .chars()
            .map(|c| match c {
                '\'' | '\\' => format!("\\{c}"),
                c if c.is_control() => {
                    let mut bytes = [0; 4];
                    let bytes = c.encode_utf8(&mut bytes).bytes();
                    bytes.map(|byte| format!("\\{byte:03o}")).collect()
                }
                c => c.to_string(),
            })
            .collect();
        return format!("$'{escaped}'");
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Quotes a string literal of C. Octal escapes have three digits, so that no digit after them belongs to them.
fn c_string(text: &str) -> String {
    let mut literal = String::from("\"");
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => literal.extend(['\\', char::from(byte)]),
            b' '..=b'~' => literal.push(char::from(byte)),
            byte => literal.push_str(&format!("\\{byte:03o}")),
        }
    }
    literal.push('"');
    literal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell_and_strings_for_c() {
        assert_eq!(shell("/a/b-1.vmdk,x=y"), "/a/b-1.vmdk,x=y");
        assert_eq!(shell("a b"), "'a b'");
        assert_eq!(shell("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(shell(""), "''");
        assert_eq!(shell("a\nb'"), r"$'a\012b\''");
        assert_eq!(c_string("a\"b\\c\u{e9}\n1"), r#""a\"b\\c\303\251\0121""#);
    }

    #[test]
    fn every_name_is_parsed_and_another_one_is_escaped() {
        for lines in BootLines::ALL {
            assert_eq!(lines.to_string().parse(), Ok(lines));
        }
        let error = "x\u{1b}".parse::<BootLines>().unwrap_err();
        assert_eq!(error.to_string(), "no such hypervisor: x\\u{1b}");
    }
}
