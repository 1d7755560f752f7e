//! Pulls an OCI image into a disk that a microVM boots from
