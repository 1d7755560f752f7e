//! Arrays and maps with a bound on the number of their elements.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Expected, Loose};

/// Maximum number of elements of a [`List`] or a [`Map`]: far more than any image has, in little memory.
const MAX_ELEMENTS: usize = 100_000;

/// An array of at most 100,000 elements; null is an empty one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List<T>(pub Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
            type Value = List<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "an array of at most {MAX_ELEMENTS} elements")
            }

            fn visit_unit<E>(self) -> Result<List<T>, E> {
                Ok(List::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<List<T>, A::Error> {
                let mut list = Vec::new();
                while let Some(element) = elements.next_element()? {
                    if list.len() == MAX_ELEMENTS {
                        return Err(A::Error::invalid_length(MAX_ELEMENTS + 1, &self));
                    }
                    list.push(element);
                }
                Ok(List(list))
            }
        }
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

/// The first `N` elements of an array that have the expected type; the others are skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Few<T, const N: usize>(pub Vec<T>);

impl<'de, T: Expected<'de>, const N: usize> Expected<'de> for Few<T, N> {
    fn from_array<A: SeqAccess<'de>>(mut elements: A) -> Result<Option<Self>, A::Error> {
        let mut few = Vec::new();
        while few.len() < N {
            match elements.next_element::<Loose<T>>()? {
                Some(Loose::Value(value)) => few.push(value),
                Some(_) => {}
                None => return Ok(Some(Self(few))),
            }
        }
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Some(Self(few)))
    }
}

/// An object with arbitrary member names, at most 100,000, each once; null is an empty one. The names are case-sensitive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Map<T>(pub BTreeMap<String, T>);

impl<T> Default for Map<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Map<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MapVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for MapVisitor<T> {
            type Value = Map<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "an object of at most {MAX_ELEMENTS} members")
            }

            fn visit_unit<E>(self) -> Result<Map<T>, E> {
                Ok(Map::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Map<T>, A::Error> {
                let mut map = BTreeMap::new();
                while let Some(name) = members.next_key::<String>()? {
                    if map.len() == MAX_ELEMENTS {
                        return Err(A::Error::invalid_length(MAX_ELEMENTS + 1, &self));
                    }
                    match map.entry(name) {
                        Entry::Vacant(entry) => entry.insert(members.next_value()?),
                        Entry::Occupied(entry) => {
                            let name = crate::Excerpt::new(entry.key());
                            return Err(A::Error::custom(format_args!("duplicate key `{name}`")));
                        }
                    };
                }
                Ok(Map(map))
            }
        }
        deserializer.deserialize_any(MapVisitor(PhantomData))
    }
}
