use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::num::NonZero;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::common::command;

/// The timeout for a screen to appear, and for the command to end.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The number of rows of the terminal.
const ROWS: u16 = 24;

/// A command on a terminal of its own, and what the terminal shows.
pub(crate) struct Terminal {
    child: Child,
    master: File,
    output: Receiver<Vec<u8>>,
    parser: vt100::Parser,
    /// Bytes that the screen does not show yet.
    unread: VecDeque<u8>,
    /// Everything that was written to the terminal.
    written: Vec<u8>,
}

impl Terminal {
    /// Starts the command; its standard output goes to the terminal too.
    pub(crate) fn start(
        cache: &Path,
        columns: u16,
        args: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = OpenOptions::new()
            .read(true)
            .write(true)
            .open(name.to_str().unwrap())
            .unwrap();
        let master = File::from(master);
        resize(&master, columns);
        let mut command = command(cache);
        command
            .args(args)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(slave.try_clone().unwrap())
            .stderr(slave);
        let child = command.spawn().unwrap();
        // Closes the copies of the slave in this process, so that the end of the child is an end of input.
        drop(command);
        let mut reader = master.try_clone().unwrap();
        let (sender, output) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            // A terminal without a process is an error (EIO).
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..length].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self {
            child,
            master,
            output,
            parser: vt100::Parser::new(nonzero(ROWS), nonzero(columns), 0),
            unread: VecDeque::new(),
            written: Vec::new(),
        }
    }

    /// Returns the screen, without empty lines at its end.
    pub(crate) fn screen(&self) -> String {
        let text = self.parser.screen().contents();
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        lines.join("\n").trim_end().to_owned()
    }

    /// Waits until a whole screen is as expected, and returns it.
    #[track_caller]
    pub(crate) fn until(&mut self, is_expected: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            while let Some(byte) = self.unread.pop_front() {
                self.parser.process(&[byte]);
                if self.is_whole() {
                    let screen = self.screen();
                    if is_expected(&screen) {
                        return screen;
                    }
                }
            }
            let rest = deadline.saturating_duration_since(Instant::now());
            assert!(self.read(rest), "it does not come: {}", self.screen());
        }
    }

    /// Returns whether the next bytes move the cursor up, to replace lines, or are not there yet.
    fn is_whole(&self) -> bool {
        let mut next = self.unread.iter();
        match (next.next(), next.next(), next.next()) {
            (None, ..) => true,
            (Some(0x1b), Some(b'['), Some(digit)) => digit.is_ascii_digit(),
            _ => false,
        }
    }

    /// Changes the width of the terminal.
    pub(crate) fn resize(&mut self, columns: u16) {
        resize(&self.master, columns);
        self.parser
            .screen_mut()
            .set_size(nonzero(ROWS), nonzero(columns));
    }

    /// Waits for the end of the command, and returns the last screen.
    pub(crate) fn end(mut self) -> (String, ExitStatus, Vec<u8>) {
        while self.read(TIMEOUT) {}
        let (first, second) = self.unread.as_slices();
        self.parser.process(first);
        self.parser.process(second);
        (
            self.screen(),
            self.child.wait().unwrap(),
            std::mem::take(&mut self.written),
        )
    }

    /// Reads what was written. Returns `false` at the end, or after the timeout.
    fn read(&mut self, timeout: Duration) -> bool {
        match self.output.recv_timeout(timeout) {
            Ok(bytes) => {
                self.written.extend(&bytes);
                self.unread.extend(bytes);
                true
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => false,
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It has ended, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn resize(master: &File, columns: u16) {
    let size = Winsize {
        ws_row: ROWS,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(master.as_fd(), size).unwrap();
}

fn nonzero(number: u16) -> NonZero<u16> {
    NonZero::new(number).unwrap()
}
