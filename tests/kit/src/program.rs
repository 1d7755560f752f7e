//! Programs that a test runs from a place of its own.

use std::path::Path;
use std::process::Command;

use crate::{KitError, command};

/// Copies a program, with its permissions, by a process of its own.
///
/// A copy within this process could not be run at times: a child that another thread starts meanwhile inherits the descriptor, and
/// the kernel runs no file that is open for writing.
///
/// # Errors
///
/// [`KitError::Spawn`] and [`KitError::Command`].
pub fn copy(from: &Path, to: &Path) -> Result<(), KitError> {
    command::run(Command::new("cp").arg("--").arg(from).arg(to))?;
    Ok(())
}
