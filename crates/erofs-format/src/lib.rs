//! On-disk structures of the EROFS filesystem, with the kernel's names
