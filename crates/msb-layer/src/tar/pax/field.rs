//! Where a record's value is kept.

/// A value that a PAX record may set or delete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) enum Field<T> {
    /// No record.
    #[default]
    Unset,
    /// A record with an empty value: no earlier record counts.
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

    /// The local record, where there is none the global one.
    pub(in super::super) fn pick(local: Self, global: Self) -> Option<T> {
        local.or(global).get()
    }

    /// This record, where there is none the other.
    pub(super) fn or(self, other: Self) -> Self {
        match self {
            Self::Unset => other,
            Self::Deleted | Self::Set(_) => self,
        }
    }
}

impl Field<()> {
    /// Whether there is a value.
    pub(super) fn of(value: &[u8]) -> Self {
        if value.is_empty() {
            Self::Deleted
        } else {
            Self::Set(())
        }
    }
}

/// A stretch of a buffer. `start <= end`, both within the buffer that it was made for.
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
