//! Every stream is decoded whole, byte by byte and in odd pieces, with the same result.

mod gzip;
mod pool;
mod support;
mod zstd;
