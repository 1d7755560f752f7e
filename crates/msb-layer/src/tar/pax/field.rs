//! The value of a record.

/// A value that a PAX record may set or delete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) enum Field<T> {
    /// No record.
    #[default]
    Unset,
    /// A record with an empty value, which deletes earlier records.
    Deleted,
    /// A record with a value.
    Set(T),
}

impl<T: Copy> Field<T> {
    pub(in super::super) fn get(self) -> Option<T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Unset | Self::Deleted => None,
        }
    }

    /// Returns the value of the local record, or of the global one if there is no local record.
    pub(in super::super) fn pick(local: Self, global: Self) -> Option<T> {
        local.or(global).get()
    }

    /// Returns this record, or the other if this is unset.
    pub(super) fn or(self, other: Self) -> Self {
        match self {
            Self::Unset => other,
            Self::Deleted | Self::Set(_) => self,
        }
    }
}

impl Field<()> {
    /// Creates a field from a record's value; an empty value deletes.
    pub(super) fn of(value: &[u8]) -> Self {
        if value.is_empty() {
            Self::Deleted
        } else {
            Self::Set(())
        }
    }
}

/// A range of a buffer. `start <= end`, both within the buffer that it belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Span {
    pub(in super::super) fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start..self.end]
    }

    pub(super) fn len(self) -> usize {
        self.end - self.start
    }
}

/// Name and value of an xattr.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct XattrSpan {
    pub(in super::super) name: Span,
    pub(in super::super) value: Span,
}
