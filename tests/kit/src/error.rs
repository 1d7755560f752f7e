//! The error type of the kit.

use std::{io, path::PathBuf, process::ExitStatus};

/// An error of an oracle or a builder, or a problem that an oracle found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KitError {
    /// An operation of the operating system failed.
    #[error("cannot {step} {}", path.display())]
    Io {
        /// The operation, as a verb.
        step: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The failure.
        source: io::Error,
    },
    /// A program could not be started.
    #[error("cannot start {program}")]
    Spawn {
        /// The path of the program.
        program: String,
        /// The failure.
        source: io::Error,
    },
    /// A program failed; often the result that a test expects.
    #[error("{command}: {status}: {output}")]
    Command {
        /// The command line, with its arguments separated by spaces.
        command: String,
        /// The exit status.
        status: ExitStatus,
        /// The end of its standard output and standard error.
        output: String,
    },
    /// A program exited with 0 and reported an error.
    #[error("{command}: exited with 0, but reported: {output}")]
    Complaint {
        /// The command line, with its arguments separated by spaces.
        command: String,
        /// The lines with errors.
        output: String,
    },
    /// A tool is not installed.
    #[error(
        "{tool} is missing (Debian package {package}): run `cargo xtask test`, which installs it"
    )]
    Missing {
        /// The name of the tool.
        tool: &'static str,
        /// The Debian package of the tool.
        package: &'static str,
    },
    /// A tool would be run from a folder that other users can write to.
    #[error("{} {problem}: no tool is run from there; $MSB_ORACLES names another folder", folder.display())]
    Untrusted {
        /// The folder, or one above it.
        folder: PathBuf,
        /// Who can write to it.
        problem: &'static str,
    },
    /// The kernel refused a mount.
    #[error("cannot {step} to mount {what}{log}")]
    Mount {
        /// The call that failed.
        step: &'static str,
        /// The image or the lower directories.
        what: String,
        /// The kernel's log messages, if any.
        log: String,
        /// The failure.
        source: io::Error,
    },
    /// A registry did not start or stopped.
    #[error("docker-registry: {reason}")]
    Registry {
        /// The problem, with the end of its log.
        reason: String,
    },
    /// A guest did not boot, or did not write its report.
    #[error("guest: {reason}; end of its console: {console}")]
    Guest {
        /// The problem.
        reason: String,
        /// The end of the guest's console.
        console: String,
    },
    /// Two trees that should be equal are not.
    #[error("{} differences between {left} and {right}:\n{}", differences.len(), differences.join("\n"))]
    TreesDiffer {
        /// The name of the first tree.
        left: String,
        /// The name of the second tree.
        right: String,
        /// One line for each difference.
        differences: Vec<String>,
    },
    /// A listing or another output of a tool could not be parsed.
    #[error("{what}: cannot parse {line:?}")]
    Parse {
        /// The source of the text.
        what: &'static str,
        /// The line.
        line: String,
    },
}

impl KitError {
    /// Returns an adapter for `map_err` that adds `step` and `path` to an I/O error.
    pub(crate) fn io(
        step: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> KitError {
        let path = path.into();
        move |source| KitError::Io { step, path, source }
    }
}
