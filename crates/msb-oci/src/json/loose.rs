//! Values whose type the caller checks, so that one odd value does not fail a document.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::folding::Folding;

/// A member that may have any type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Loose<T> {
    /// It is missing or null.
    #[default]
    Absent,
    /// It has the expected type.
    Value(T),
    /// It has another type and was skipped.
    Other,
}

impl<T> Loose<T> {
    /// Returns the value if it has the expected type.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Other => None,
        }
    }

    /// Returns whether the member is present and not null.
    pub fn is_present(&self) -> bool {
        !matches!(self, Self::Absent)
    }
}

/// A type that [`Loose`] can expect. Each method converts one kind of JSON value; the others are skipped.
pub trait Expected<'de>: Sized {
    /// Converts a string.
    #[must_use]
    fn from_text(_text: &str) -> Option<Self> {
        None
    }

    /// Converts a nonnegative integer that fits 64 bits.
    #[must_use]
    fn from_unsigned(_number: u64) -> Option<Self> {
        None
    }

    /// Converts any other number, `true` or `false`, from its JSON text.
    fn from_literal(_literal: &dyn fmt::Display) -> Option<Self> {
        None
    }

    /// Converts an object.
    ///
    /// # Errors
    ///
    /// Any error of `members`, which ends the document.
    fn from_object<A: MapAccess<'de>>(mut members: A) -> Result<Option<Self>, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    /// Converts an array.
    ///
    /// # Errors
    ///
    /// Any error of `elements`, which ends the document.
    fn from_array<A: SeqAccess<'de>>(mut elements: A) -> Result<Option<Self>, A::Error> {
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

impl Expected<'_> for String {
    fn from_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

/// A size in bytes, from 0 to 2^63 - 1: the specification's sizes are `int64`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

impl Expected<'_> for Size {
    fn from_unsigned(number: u64) -> Option<Self> {
        i64::try_from(number).is_ok().then_some(Self(number))
    }
}

/// The value of an annotation or a label: text, or a number or Boolean as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation(pub String);

impl Expected<'_> for Annotation {
    fn from_text(text: &str) -> Option<Self> {
        Some(Self(text.to_owned()))
    }

    fn from_unsigned(number: u64) -> Option<Self> {
        Some(Self(number.to_string()))
    }

    fn from_literal(literal: &dyn fmt::Display) -> Option<Self> {
        Some(Self(literal.to_string()))
    }
}

/// An object that is decoded as `T`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Expected<'de> for Object<T> {
    fn from_object<A: MapAccess<'de>>(members: A) -> Result<Option<Self>, A::Error> {
        let object = serde::de::value::MapAccessDeserializer::new(members);
        // The members of `T` are known only from here on.
        Ok(Some(Self(T::deserialize(Folding::new(object))?)))
    }
}

impl<'de, T: Expected<'de>> Deserialize<'de> for Loose<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LooseVisitor(PhantomData))
    }
}

struct LooseVisitor<T>(PhantomData<T>);

impl<'de, T: Expected<'de>> Visitor<'de> for LooseVisitor<T> {
    type Value = Loose<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Loose<T>, E> {
        Ok(Loose::Absent)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Loose<T>, E> {
        Ok(checked(T::from_literal(&value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Loose<T>, E> {
        Ok(checked(T::from_unsigned(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Loose<T>, E> {
        Ok(checked(T::from_literal(&value)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Loose<T>, E> {
        Ok(checked(T::from_literal(&value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Loose<T>, E> {
        Ok(checked(T::from_text(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<Loose<T>, A::Error> {
        Ok(checked(T::from_array(elements)?))
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Loose<T>, A::Error> {
        Ok(checked(T::from_object(members)?))
    }
}

fn checked<T>(value: Option<T>) -> Loose<T> {
    value.map_or(Loose::Other, Loose::Value)
}
