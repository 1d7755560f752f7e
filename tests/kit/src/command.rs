//! Running a tool, with its output in the error.

use std::process::{Command, Output, Stdio};

use crate::KitError;

/// How much of a tool's output an error carries, in bytes.
const OUTPUT_TAIL_BYTES: usize = 4000;

/// Runs `command` to its end; an exit status other than zero is an error with the end of its output.
pub(crate) fn run(command: &mut Command) -> Result<Output, KitError> {
    let output = run_any(command)?;
    if output.status.success() {
        return Ok(output);
    }
    let mut both = output.stdout;
    both.extend_from_slice(&output.stderr);
    Err(KitError::Command {
        command: line(command),
        status: output.status,
        output: tail(&both),
    })
}

/// Runs `command` to its end, whatever its exit status.
pub(crate) fn run_any(command: &mut Command) -> Result<Output, KitError> {
    command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| KitError::Spawn {
            program: command.get_program().to_string_lossy().into_owned(),
            source,
        })
}

/// The end of a tool's output, as text.
pub(crate) fn tail(bytes: &[u8]) -> String {
    let start = bytes.len().saturating_sub(OUTPUT_TAIL_BYTES);
    String::from_utf8_lossy(&bytes[start..]).trim().to_owned()
}

/// The command line, arguments separated by blanks.
pub(crate) fn line(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(
        command
            .get_args()
            .map(|argument| argument.to_string_lossy().into_owned()),
    );
    words.join(" ")
}
