use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Failure;

/// Time that threads have after an interrupt to remove their files. A later pull or prune removes the rest.
const CLEAN_UP_LIMIT: Duration = Duration::from_secs(2);

/// Signals that end a command in an orderly way: from the user, a service manager, a closing terminal.
const SIGNALS: [(&str, SignalKind); 3] = [
    ("SIGINT", SignalKind::interrupt()),
    ("SIGTERM", SignalKind::terminate()),
    ("SIGHUP", SignalKind::hangup()),
];

/// Runs network work on this thread until it ends or a signal interrupts it. An interrupt drops the work, which cancels it.
pub(crate) fn run<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::EventLoop)?;
    let result = runtime.block_on(async {
        let mut signals = listen().map_err(Failure::EventLoop)?;
        let mut work = pin!(work);
        poll_fn(|context| {
            for (name, signal) in &mut signals {
                if signal.poll_recv(context).is_ready() {
                    return Poll::Ready(Err(Failure::Interrupted { signal: name }));
                }
            }
            work.as_mut().poll(context)
        })
        .await
    });
    runtime.shutdown_timeout(CLEAN_UP_LIMIT);
    result
}

fn listen() -> io::Result<Vec<(&'static str, Signal)>> {
    SIGNALS
        .into_iter()
        // A command that was started with nohup outlives its terminal.
        .filter(|(_, kind)| *kind != SignalKind::hangup() || !is_hangup_ignored())
        .map(|(name, kind)| Ok((name, signal(kind)?)))
        .collect()
}

/// Returns whether this process was started with SIGHUP ignored, where the system shows it (proc_pid_status(5)).
fn is_hangup_ignored() -> bool {
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| ignored_signals(&status))
        .is_some_and(|mask| mask & 1 != 0)
}

/// Returns the bit mask of ignored signals; bit 0 is signal 1, SIGHUP.
fn ignored_signals(status: &str) -> Option<u64> {
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_of_ignored_signals_is_read() {
        assert_eq!(
            ignored_signals("Name:\tx\nSigIgn:\t0000000000001001\n"),
            Some(0x1001)
        );
        assert_eq!(ignored_signals("SigIgn:\tnone\n"), None);
        assert_eq!(ignored_signals(""), None);
    }
}
