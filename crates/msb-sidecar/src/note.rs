use std::fmt;

use serde::{Deserialize, Serialize};

/// A fidelity note: something of a layer that its disk does not represent exactly, or that was corrected.
///
/// Paths are escaped as [`fs_tree::show_path`] shows them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Note {
    /// The layer names paths below directories that it does not describe. The merged disk has them as the layers below describe
    /// them. The layer image alone has them with mode 0755 and owner root.
    ImpliedDirectories {
        /// Their number.
        count: u64,
        /// One of them.
        first: String,
    },
    /// The layer has hard links to files of lower layers. The merged disk has them; the layer image alone cannot.
    LinksBelow {
        /// Their number.
        count: u64,
        /// The first of them.
        first: String,
    },
    /// The layer hides everything below it, and so does the merged disk. An overlay mount of the layer images cannot, because overlayfs
    /// does not check the root of a layer for a marker.
    OpaqueRoot,
    /// An xattr that would control an overlay mount was left out.
    OverlayXattr {
        /// The entry.
        path: String,
        /// The xattr's name.
        name: String,
    },
    /// An xattr outside the namespaces that EROFS can hold was left out.
    UnsupportedXattr {
        /// The entry.
        path: String,
        /// The xattr's name.
        name: String,
    },
    /// A POSIX ACL that Linux cannot parse was left out, because the kernel would refuse every access that needs it.
    MalformedAcl {
        /// The entry.
        path: String,
        /// The xattr's name.
        name: String,
    },
    /// A character device 0:0 was left out, because an overlay mount would treat it as a whiteout.
    WhiteoutDevice {
        /// The entry.
        path: String,
    },
    /// A hard link to an entry that was left out was left out too.
    LinkToLeftOut {
        /// The entry.
        path: String,
        /// The target of the link.
        target: String,
    },
    /// A file of the aufs storage driver was left out.
    AufsFile {
        /// The entry.
        path: String,
    },
    /// An entry whose type is unknown was left out.
    UnknownType {
        /// The entry.
        path: String,
        /// The tar type flag.
        type_flag: u8,
    },
    /// The archive states attributes of an entry in a form that is not decoded.
    LostAttributes {
        /// The entry.
        path: String,
        /// An ACL as text.
        text_acl: bool,
        /// BSD file flags.
        file_flags: bool,
        /// An SELinux context outside the xattrs.
        selinux: bool,
    },
    /// The layer's media type states another compression than that of its bytes.
    MediaType {
        /// The media type in the manifest.
        media_type: String,
        /// The compression of the bytes.
        compression: String,
    },
    /// The disk has more files than a common limit on open files permits. A hypervisor keeps all of them open.
    OpenFiles {
        /// The number of files, including the descriptor.
        files: u64,
        /// The limit.
        limit: u64,
    },
    /// The image's config lacks its operating system or its architecture, which the specification requires.
    UnstatedPlatform {
        /// The platform that was assumed.
        assumed: String,
    },
    /// There were more notes than are kept.
    Truncated {
        /// The number of notes that were not kept.
        omitted: u64,
    },
}

impl Note {
    /// Returns whether the merged disk lacks something that the layer has. The other notes are about the layer image alone.
    #[must_use]
    pub fn is_loss(&self) -> bool {
        !matches!(
            self,
            Self::ImpliedDirectories { .. }
                | Self::LinksBelow { .. }
                | Self::OpaqueRoot
                | Self::MediaType { .. }
                | Self::OpenFiles { .. }
                | Self::UnstatedPlatform { .. }
        )
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ImpliedDirectories { count, first } => {
                write!(
                    f,
                    "{first}: one of {count} directories that the layer does not describe; its image alone shows defaults"
                )
            }
            Self::LinksBelow { count, first } => {
                write!(
                    f,
                    "{first}: one of {count} hard links to files of lower layers; the layer's image alone lacks them"
                )
            }
            Self::OpaqueRoot => f.write_str(
                "the layer hides everything below it; an overlay of the layer images would not",
            ),
            Self::OverlayXattr { path, name } => write!(
                f,
                "{path}: left out xattr {name}, which would control an overlay mount"
            ),
            Self::UnsupportedXattr { path, name } => {
                write!(f, "{path}: left out xattr {name}, which EROFS cannot hold")
            }
            Self::MalformedAcl { path, name } => {
                write!(f, "{path}: left out xattr {name}, which is not a valid ACL")
            }
            Self::WhiteoutDevice { path } => write!(
                f,
                "{path}: left out character device 0:0, an overlay's whiteout"
            ),
            Self::LinkToLeftOut { path, target } => {
                write!(
                    f,
                    "{path}: left out a hard link to {target}, which is left out"
                )
            }
            Self::AufsFile { path } => write!(f, "{path}: left out a file of the aufs driver"),
            Self::UnknownType { path, type_flag } => {
                write!(
                    f,
                    "{path}: left out an entry of unknown type 0x{type_flag:02x}"
                )
            }
            Self::LostAttributes {
                path,
                text_acl,
                file_flags,
                selinux,
            } => {
                write!(f, "{path}: left out")?;
                let lost = [
                    (text_acl, " a textual ACL"),
                    (file_flags, " BSD file flags"),
                    (selinux, " an SELinux context"),
                ];
                lost.iter()
                    .filter(|(is_lost, _)| **is_lost)
                    .try_for_each(|(_, what)| f.write_str(what))
            }
            Self::MediaType {
                media_type,
                compression,
            } => {
                write!(
                    f,
                    "the layer's media type is {media_type}, its bytes are {compression}"
                )
            }
            Self::OpenFiles { files, limit } => write!(
                f,
                "the disk consists of {files} files; a hypervisor with a limit of {limit} open files cannot open it"
            ),
            Self::UnstatedPlatform { assumed } => write!(
                f,
                "the image's config does not state its platform; {assumed} was assumed"
            ),
            Self::Truncated { omitted } => write!(f, "{omitted} more notes"),
        }
    }
}

/// Collects the notes of one layer: the first thousand, and at most a mebibyte of text.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    notes: Vec<Note>,
    text_bytes: usize,
    omitted: u64,
}

impl Notes {
    const MAX: usize = 1000;
    /// As JSON this stays below the limit of a sidecar. Escaping at most doubles a text, because notes contain printable text only.
    const MAX_TEXT_BYTES: usize = 1 << 20;

    /// Keeps a note if there is room.
    pub fn push(&mut self, note: Note) {
        let text_bytes = self.text_bytes.saturating_add(note.to_string().len());
        if self.notes.len() < Self::MAX && text_bytes <= Self::MAX_TEXT_BYTES {
            self.text_bytes = text_bytes;
            self.notes.push(note);
        } else {
            self.omitted += 1;
        }
    }

    /// Returns the notes, and one more with the number of those that were not kept.
    #[must_use]
    pub fn into_vec(mut self) -> Vec<Note> {
        if self.omitted > 0 {
            self.notes.push(Note::Truncated {
                omitted: self.omitted,
            });
        }
        self.notes
    }
}
