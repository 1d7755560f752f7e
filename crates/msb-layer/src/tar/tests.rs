//! Every archive is parsed whole, byte by byte and in odd pieces, with the same result.

mod dialects;
mod hostile;
mod pax;
mod sparse;
mod support;
mod tools;
