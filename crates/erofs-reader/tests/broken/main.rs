//! Images with one defect each, and the error that reports it.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test fails where its numbers do not fit"
)]

#[path = "../common/mod.rs"]
mod common;
mod directories;
mod disk;
mod inodes;
mod xattrs;

use std::io::Read;

use common::raw::{ROOT, Raw, dir_block, inode};
use erofs_format::{DataLayout, Features, HOLE};
use erofs_reader::FileType::{self, Directory, Regular};
use erofs_reader::{
    CheckOptions, DirProblem, Error, Image, InodeProblem, Limit, Limits, SuperProblem, check,
    check_with,
};

const DOT: (&str, u64, FileType) = (".", ROOT, Directory);

const DOT_DOT: (&str, u64, FileType) = ("..", ROOT, Directory);

/// Creates an image of a root with these names; the caller adds more.
fn rooted(nlink: u32, names: &[(&str, u64, FileType)]) -> Raw {
    let mut raw = Raw::new(3);
    raw.dir(ROOT, nlink, names);
    raw
}

/// Returns the first problem of an image that can be opened.
fn wrong(raw: &mut Raw) -> Error {
    let image = Image::open(raw.build()).unwrap();
    let error = check(&image, &CheckOptions::default()).unwrap_err();
    assert!(
        error.is_corrupt() || matches!(error, Error::Limit { .. }),
        "{error}"
    );
    assert!(!error.to_string().contains(char::is_control));
    error
}

fn dir_problem(error: Error) -> DirProblem {
    match error {
        Error::Dir { problem, .. } => problem,
        other => panic!("{other}"),
    }
}

fn inode_problem(error: Error) -> InodeProblem {
    match error {
        Error::Inode { problem, .. } => problem,
        other => panic!("{other}"),
    }
}
