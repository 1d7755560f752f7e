//! The content-addressed cache directory: locks, staging, publishing
