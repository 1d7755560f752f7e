//! Writes EROFS images: file data streamed in, then metadata planned and emitted
