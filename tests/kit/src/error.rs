//! The kit's one error type.

use std::{io, path::PathBuf, process::ExitStatus};

/// Why an oracle or a builder could not do its work, or what it found wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KitError {
    /// The operating system refused `step` on `path`.
    #[error("cannot {step} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        step: &'static str,
        /// The file or folder it was tried on.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A program could not be started.
    #[error("cannot start {program}")]
    Spawn {
        /// The program's path.
        program: String,
        /// The system's answer.
        source: io::Error,
    },
    /// A program ran and failed: often the verdict that a test asks for.
    #[error("{command}: {status}: {output}")]
    Command {
        /// The command line, arguments separated by blanks.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it wrote on both of its outputs.
        output: String,
    },
    /// A program ended well and still wrote of an error.
    #[error("{command}: ended well, but wrote: {output}")]
    Complaint {
        /// The command line, arguments separated by blanks.
        command: String,
        /// The lines that complain.
        output: String,
    },
    /// A tool is not installed.
    #[error(
        "{tool} is missing (Debian package {package}): run `cargo xtask test`, which installs it"
    )]
    Missing {
        /// The tool's name.
        tool: &'static str,
        /// The package that has it.
        package: &'static str,
    },
    /// The kernel refused a mount.
    #[error("cannot {step} for mounting {what}{log}")]
    Mount {
        /// Which call failed.
        step: &'static str,
        /// The image or the lower directories.
        what: String,
        /// What the kernel said about it, if anything.
        log: String,
        /// The system's answer.
        source: io::Error,
    },
    /// A registry did not come up or go on.
    #[error("docker-registry: {reason}")]
    Registry {
        /// What was seen, with the end of its log.
        reason: String,
    },
    /// A guest did not boot, or did not report.
    #[error("guest: {reason}; end of its console: {console}")]
    Guest {
        /// What was missing.
        reason: String,
        /// The end of the guest's console.
        console: String,
    },
    /// Two trees that should be equal are not.
    #[error("{} differences between {left} and {right}:\n{}", differences.len(), differences.join("\n"))]
    TreesDiffer {
        /// Name of the first tree.
        left: String,
        /// Name of the second tree.
        right: String,
        /// One line for each difference.
        differences: Vec<String>,
    },
    /// A listing or another text of a tool could not be understood.
    #[error("{what}: cannot read {line:?}")]
    Parse {
        /// Whose text.
        what: &'static str,
        /// The line.
        line: String,
    },
}

impl KitError {
    /// An I/O error of `step` on `path`, for `map_err`.
    pub(crate) fn io(
        step: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> KitError {
        let path = path.into();
        move |source| KitError::Io { step, path, source }
    }
}
