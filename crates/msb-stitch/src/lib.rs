//! Merges layers into a metadata-only EROFS image and writes the VMDK descriptor
