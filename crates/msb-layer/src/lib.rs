//! Turns a compressed layer tar stream into an EROFS layer image, in one pass
