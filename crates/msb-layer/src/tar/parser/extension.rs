//! Headers that describe the next entry, or all that follow: PAX records and GNU long names.

use super::super::{
    EntryName, Limit, TarError,
    header::RawHeader,
    pax::{BadRecord, Scope},
};
use super::{Extension, Skipped, State, TarParser, padding, split_at_most};

impl TarParser {
    pub(super) fn start_extension(
        &mut self,
        kind: Extension,
        header: &RawHeader<'_>,
        offset: u64,
    ) -> Result<(), TarError> {
        let size = header.size().map_err(|bad| bad.at(header, offset))?;
        let (limit, allowed, actual) = match kind {
            Extension::Pax(Scope::Local) => (Limit::PaxBytes, self.limits.pax_bytes, size),
            Extension::Pax(Scope::Global) => {
                let total = self.extensions.global_bytes.saturating_add(size);
                (Limit::GlobalPaxBytes, self.limits.pax_bytes, total)
            }
            Extension::LongName | Extension::LongLink => {
                (Limit::LongNameBytes, self.limits.long_name_bytes, size)
            }
        };
        if actual > allowed {
            return Err(TarError::TooLarge {
                offset,
                entry: EntryName::new(header.short_name()),
                limit,
                allowed,
                actual,
            });
        }
        if kind == Extension::Pax(Scope::Global) {
            self.extensions.global_bytes = actual;
        } else {
            self.extensions.pending = Some(offset);
        }
        self.extensions.body.clear();
        self.state = State::Extension {
            kind,
            offset,
            left: size,
            size,
        };
        if size == 0 {
            self.end_extension(kind, offset, 0, None)?;
        }
        Ok(())
    }

    pub(super) fn on_extension<'b>(&mut self, bytes: &'b [u8]) -> Result<&'b [u8], TarError> {
        let State::Extension {
            kind,
            offset,
            left,
            size,
        } = &mut self.state
        else {
            return Ok(bytes);
        };
        let (kind, offset, size) = (*kind, *offset, *size);
        let (body, rest) = split_at_most(bytes, *left);
        let is_whole = body.len() as u64 == size;
        *left -= body.len() as u64;
        let is_complete = *left == 0;
        if !is_whole {
            self.extensions.body.extend_from_slice(body);
        }
        if is_complete {
            self.end_extension(kind, offset, size, is_whole.then_some(body))?;
        }
        Ok(rest)
    }

    /// Parses a complete extension: `body`, or the gathered bytes if it straddled pushes.
    pub(super) fn end_extension(
        &mut self,
        kind: Extension,
        offset: u64,
        size: u64,
        body: Option<&[u8]>,
    ) -> Result<(), TarError> {
        let extensions = &mut self.extensions;
        let body = body.unwrap_or(&extensions.body);
        let bad_record = |bad: BadRecord| TarError::Pax {
            offset,
            position: bad.position as u64,
            fault: bad.fault,
        };
        let name_end = || {
            body.iter()
                .position(|byte| *byte == 0)
                .unwrap_or(body.len())
        };
        match kind {
            Extension::Pax(Scope::Local) => {
                extensions.local.clear();
                extensions
                    .local
                    .read(body, Scope::Local)
                    .map_err(bad_record)?;
            }
            Extension::Pax(Scope::Global) => {
                extensions.has_global = true;
                extensions
                    .global
                    .read(body, Scope::Global)
                    .map_err(bad_record)?;
            }
            Extension::LongName => {
                extensions.long_name.clear();
                extensions.long_name.extend_from_slice(&body[..name_end()]);
            }
            Extension::LongLink => {
                extensions.long_link.clear();
                extensions.long_link.extend_from_slice(&body[..name_end()]);
            }
        }
        self.state = State::Skip {
            left: padding(size),
            of: Skipped::Extension { offset },
        };
        self.after_empty_skip();
        Ok(())
    }
}
