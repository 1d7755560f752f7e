use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use msb_layer::tar::EntryName;

use super::error::ArchiveError;
use super::files::Extent;
use super::{BlobData, BlobEvent};
use crate::PullError;
use crate::blocking::blocking;
use crate::document::Blob;

/// The bytes that are read at once.
const PIECE_BYTES: u64 = 256 << 10;

/// The unread bytes of a blob.
struct Rest {
    archive: Arc<str>,
    member: EntryName,
    file: Arc<File>,
    /// `position <= end`, both in bytes of the file.
    position: u64,
    end: u64,
}

/// Returns the bytes of a blob that lies in a file, from `offset` on. `find` finds it, and blocks on file I/O.
pub(super) fn blob_data(
    archive: Arc<str>,
    blob: &Blob,
    offset: u64,
    find: impl FnOnce() -> Result<(EntryName, Extent), ArchiveError> + Send + 'static,
) -> BlobData {
    let expected = blob.bytes;
    let open = async move {
        let name = Arc::clone(&archive);
        let opened = blocking(move || {
            let (member, extent) = find()?;
            if extent.bytes != expected {
                return Err(ArchiveError::Size {
                    archive: name.to_string(),
                    member,
                    expected,
                    actual: extent.bytes,
                }
                .into());
            }
            Ok((member, extent))
        });
        let (member, extent) = opened.await?;
        let end = extent.offset.saturating_add(extent.bytes);
        Ok::<_, PullError>(Rest {
            archive,
            member,
            file: extent.file,
            position: extent.offset.saturating_add(offset).min(end),
            end,
        })
    };
    let state = State::Unopened(Box::pin(open));
    Box::pin(stream::unfold(state, |state| async move {
        let rest = match state {
            State::Unopened(open) => open.await,
            State::Open(rest) => Ok(rest),
            State::Failed => return None,
        };
        match read_next(rest).await {
            Ok(None) => None,
            Ok(Some((bytes, rest))) => Some((Ok(BlobEvent::Data(bytes)), State::Open(rest))),
            Err(error) => Some((Err(error), State::Failed)),
        }
    }))
}

enum State {
    Unopened(super::SourceFuture<'static, Rest>),
    Open(Rest),
    Failed,
}

async fn read_next(rest: Result<Rest, PullError>) -> Result<Option<(Bytes, Rest)>, PullError> {
    let mut rest = rest?;
    let length = PIECE_BYTES.min(rest.end - rest.position);
    if length == 0 {
        return Ok(None);
    }
    blocking(move || {
        // OK because a piece has few bytes.
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        // A file that was truncated meanwhile ends early, which is an error.
        let read = rest.file.read_exact_at(&mut bytes, rest.position);
        read.map_err(|source| ArchiveError::ReadMember {
            archive: rest.archive.to_string(),
            member: rest.member.clone(),
            source,
        })?;
        rest.position += length;
        Ok(Some((bytes.into(), rest)))
    })
    .await
}
