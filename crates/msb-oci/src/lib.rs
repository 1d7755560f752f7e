//! Reference and digest: the names of OCI things, parsed once
