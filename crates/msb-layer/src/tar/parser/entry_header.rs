//! An entry's own header, combined with the extensions before it.

use super::super::{
    EntryName, Limit, PushError, TarError,
    header::{BadField, RawHeader, Resolved},
    pax::Field,
};
use super::state::MetaKind;
use super::{Extensions, Meta, TarParser, TarSink};
use tokio_tar::EntryType;

impl TarParser {
    pub(super) fn on_entry_header<S: TarSink>(
        &mut self,
        header: &RawHeader<'_>,
        offset: u64,
        sink: &mut S,
    ) -> Result<(), PushError<S::Error>> {
        self.set_names(header);
        let bad = |bad: BadField| bad.at(header, offset);
        let extensions = &self.extensions;
        let resolved = Resolved::new(header, &extensions.local, &extensions.global).map_err(bad)?;
        let ends_in_slash = self.path.ends_with(b"/");
        let (kind, has_payload) = match header.entry_type() {
            // V7 has no type for directories; see the module's documentation.
            EntryType::Regular | EntryType::Continuous if ends_in_slash && resolved.size == 0 => {
                (MetaKind::Directory, false)
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                (MetaKind::Regular, true)
            }
            EntryType::Link => (MetaKind::HardLink, false),
            EntryType::Symlink => (MetaKind::Symlink, false),
            EntryType::Char => {
                let (major, minor) = header.device().map_err(bad)?;
                (MetaKind::CharDevice { major, minor }, false)
            }
            EntryType::Block => {
                let (major, minor) = header.device().map_err(bad)?;
                (MetaKind::BlockDevice { major, minor }, false)
            }
            EntryType::Directory => (MetaKind::Directory, false),
            EntryType::Fifo => (MetaKind::Fifo, false),
            // A GNU dump directory, followed by a list of names.
            EntryType::Other(b'D') => (MetaKind::Directory, true),
            _ => (MetaKind::Other(header.type_byte()), true),
        };
        let stored = if has_payload { resolved.size } else { 0 };
        let skip = has_payload && matches!(kind, MetaKind::Directory);
        self.meta = Meta {
            offset,
            kind,
            mode: header.mode().map_err(bad)?,
            uid: resolved.uid,
            gid: resolved.gid,
            mtime: resolved.mtime,
            size: if skip { 0 } else { stored },
            stored,
            is_sparse: false,
            skip,
        };
        self.check_limits()?;
        self.start_sparse(header, has_payload && !skip, sink)
    }

    /// Writes the entry's path and link target into their buffers, which are reused without an allocation.
    pub(super) fn set_names(&mut self, header: &RawHeader<'_>) {
        let Extensions {
            local,
            global,
            long_name,
            long_link,
            has_global,
            ..
        } = &mut self.extensions;
        if *has_global {
            local.inherit(global);
        }
        let record = |local_span: Field<_>, global_span: Field<_>| match (local_span, global_span) {
            (Field::Set(span), _) => Some((&*local, span)),
            (Field::Unset, Field::Set(span)) => Some((&*global, span)),
            _ => None,
        };
        self.path.clear();
        if let Field::Set(span) = local.sparse_name {
            self.path.extend_from_slice(span.of(local.bytes()));
        } else if !long_name.is_empty() {
            self.path.extend_from_slice(long_name);
        } else if let Some((pax, span)) = record(local.path, global.path) {
            self.path.extend_from_slice(span.of(pax.bytes()));
        } else {
            header.path_into(&mut self.path);
        }
        self.link.clear();
        if !long_link.is_empty() {
            self.link.extend_from_slice(long_link);
        } else if let Some((pax, span)) = record(local.link_path, global.link_path) {
            self.link.extend_from_slice(span.of(pax.bytes()));
        } else {
            self.link.extend_from_slice(header.link_name());
        }
    }

    pub(super) fn check_limits(&self) -> Result<(), TarError> {
        let xattrs = self.extensions.local.xattr_bytes();
        if xattrs > self.limits.xattr_bytes {
            return Err(self.too_large(Limit::XattrBytes, self.limits.xattr_bytes, xattrs));
        }
        let names = self.extensions.local.xattr_name_bytes();
        if names > self.limits.xattr_name_bytes {
            let allowed = self.limits.xattr_name_bytes;
            return Err(self.too_large(Limit::XattrNameBytes, allowed, names));
        }
        let target = self.link.len() as u64;
        if matches!(self.meta.kind, MetaKind::Symlink) && target > self.limits.symlink_bytes {
            return Err(self.too_large(Limit::SymlinkBytes, self.limits.symlink_bytes, target));
        }
        Ok(())
    }

    pub(super) fn too_large(&self, limit: Limit, allowed: u64, actual: u64) -> TarError {
        TarError::TooLarge {
            offset: self.meta.offset,
            entry: EntryName::new(&self.path),
            limit,
            allowed,
            actual,
        }
    }
}
