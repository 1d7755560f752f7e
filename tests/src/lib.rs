//! Integration tests of the whole workspace, each against a real registry; see `tests/`.
