//! Running a program with a timeout and a bound on what it may write.

use std::io::{self, Read, Write as _};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process_group};
use zeroize::Zeroizing;

use crate::error::HelperFault;

/// Longest wait between two looks at whether the program has ended; pipes end a wait at once.
const TICK: Duration = Duration::from_millis(20);
/// What is kept of standard error; the rest is read and dropped.
const MAX_STDERR_BYTES: usize = 4096;
/// Size of one read.
const CHUNK_BYTES: usize = 8192;

/// How a program ended and what it wrote.
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    pub(super) stdout: Zeroizing<Vec<u8>>,
    pub(super) stderr: Zeroizing<Vec<u8>>,
}

/// Runs `program action` with `input` on standard input, and waits for it.
///
/// The program leads a process group of its own, which is killed if it does not end in time or writes too much: a script's children
/// go with it. Output that arrives after the program itself has ended, from a daemon that it started, is not waited for.
pub(super) fn run(
    program: &Path,
    action: &str,
    input: &[u8],
    timeout: Duration,
    max_stdout_bytes: usize,
) -> Result<Ended, HelperFault> {
    let deadline = Instant::now().checked_add(timeout);
    let child = Command::new(program)
        .arg(action)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|source| HelperFault::Start { source })?;
    let mut running = Running(child);
    let child = &mut running.0;
    let mut stdin = child.stdin.take();
    let mut stdout = Pipe::new(child.stdout.take(), max_stdout_bytes.saturating_add(1));
    let mut stderr = Pipe::new(child.stderr.take(), MAX_STDERR_BYTES);
    let mut rest = input;
    let prepared = [
        stdin.as_ref().map(nonblocking),
        stdout.source.as_ref().map(nonblocking),
        stderr.source.as_ref().map(nonblocking),
    ];
    for result in prepared.into_iter().flatten() {
        result.map_err(pipe_fault)?;
    }
    loop {
        // Asked before the pipes are read: all that the program wrote is in them by then.
        let status = child.try_wait().map_err(pipe_fault)?;
        if let Some(pipe) = &mut stdin {
            match pipe.write(rest) {
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(error) if is_transient(&error) => {}
                // The program need not read its input.
                Err(_) => rest = &[],
            }
            if rest.is_empty() {
                stdin = None;
            }
        }
        stdout.drain().map_err(pipe_fault)?;
        stderr.drain().map_err(pipe_fault)?;
        if stdout.bytes.len() > max_stdout_bytes {
            return Err(HelperFault::TooMuchOutput {
                limit_bytes: max_stdout_bytes,
            });
        }
        if let Some(status) = status {
            return Ok(Ended {
                status,
                stdout: stdout.bytes,
                stderr: stderr.bytes,
            });
        }
        let left = match deadline {
            Some(deadline) => deadline.saturating_duration_since(Instant::now()),
            None => TICK,
        };
        if left.is_zero() {
            return Err(HelperFault::TimedOut { timeout });
        }
        let mut waiting = Vec::with_capacity(3);
        if let Some(pipe) = &stdin {
            waiting.push(PollFd::new(pipe, PollFlags::OUT));
        }
        if let Some(pipe) = &stdout.source {
            waiting.push(PollFd::new(pipe, PollFlags::IN));
        }
        if let Some(pipe) = &stderr.source {
            waiting.push(PollFd::new(pipe, PollFlags::IN));
        }
        // Between the end of the output and the end of the program lie microseconds.
        let tick = if waiting.is_empty() {
            Duration::from_millis(1)
        } else {
            TICK
        };
        let tick = Timespec::try_from(tick.min(left)).expect("a tick fits the kernel's time");
        match poll(&mut waiting, Some(&tick)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(pipe_fault(errno.into())),
        }
    }
}

/// A program that is killed and waited for when it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // A process that was waited for no longer owns its number.
        if let Ok(None) = self.0.try_wait() {
            if let Ok(id) = i32::try_from(self.0.id())
                && let Some(group) = Pid::from_raw(id)
            {
                let _ = kill_process_group(group, Signal::KILL);
            }
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

/// The readable end of a pipe, and the beginning of what came out of it.
struct Pipe<R> {
    /// `None` once everything was read.
    source: Option<R>,
    bytes: Zeroizing<Vec<u8>>,
    max_bytes: usize,
}

impl<R: Read> Pipe<R> {
    fn new(source: Option<R>, max_bytes: usize) -> Self {
        Self {
            source,
            bytes: Zeroizing::default(),
            max_bytes,
        }
    }

    /// Reads what is there, without waiting.
    fn drain(&mut self) -> io::Result<()> {
        let mut chunk = Zeroizing::new([0; CHUNK_BYTES]);
        // A program that writes without end must not keep the loop from its deadline.
        for _ in 0..64 {
            let Some(source) = &mut self.source else {
                return Ok(());
            };
            match source.read(&mut *chunk) {
                Ok(0) => self.source = None,
                Ok(count) => {
                    let room = self.max_bytes.saturating_sub(self.bytes.len());
                    append(&mut self.bytes, &chunk[..count.min(room)]);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_transient(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Appends without leaving a copy of the old bytes in freed memory.
fn append(bytes: &mut Zeroizing<Vec<u8>>, more: &[u8]) {
    let needed = bytes.len() + more.len();
    if needed > bytes.capacity() {
        let mut grown = Zeroizing::new(Vec::with_capacity(needed.max(2 * bytes.capacity())));
        grown.extend_from_slice(bytes);
        *bytes = grown;
    }
    bytes.extend_from_slice(more);
}

fn nonblocking(pipe: &impl AsFd) -> io::Result<()> {
    let flags = fcntl_getfl(pipe)?;
    fcntl_setfl(pipe, flags | OFlags::NONBLOCK)?;
    Ok(())
}

fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

fn pipe_fault(source: io::Error) -> HelperFault {
    HelperFault::Pipe { source }
}
