//! The target platform, and picking its manifest from an OCI index
