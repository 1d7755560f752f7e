/// Files that everything but the layers of a pull needs: standard streams, the runtime, connections, the cache's directories and
/// leases, and the disk that is being written.
const RESERVED: usize = 24;

/// Files that one layer has open at most: its lock, its image and sidecar with the handles of the stages on them, its partial
/// blob, its connection.
const PER_LAYER: usize = 12;

/// Returns how many layers may have files open at once: `wanted`, or fewer if this process may not open so many files.
pub(crate) fn layers_at_once(wanted: usize) -> usize {
    let free = limit().map_or(usize::MAX, |limit| limit.saturating_sub(RESERVED));
    at_once(wanted, free.saturating_sub(open_now()))
}

fn at_once(wanted: usize, free: usize) -> usize {
    (free / PER_LAYER).clamp(1, wanted.max(1))
}

/// Returns the soft limit on open files; `None` if there is none.
fn limit() -> Option<usize> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit
        .current
        .map(|files| usize::try_from(files).unwrap_or(usize::MAX))
}

/// Returns the number of files that this process has open beyond those that [`RESERVED`] counts; 0 where the system does not list them.
fn open_now() -> usize {
    const COUNTED: usize = 12;
    let files = std::fs::read_dir("/proc/self/fd").or_else(|_| std::fs::read_dir("/dev/fd"));
    files.map_or(0, |files| files.count().saturating_sub(COUNTED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_open_files_mean_few_layers_at_once_and_never_none() {
        assert_eq!(at_once(20, 0), 1);
        assert_eq!(at_once(20, 64 - RESERVED), 3);
        assert_eq!(at_once(20, 1024 - RESERVED), 20);
        assert_eq!(at_once(0, 1024), 1);
    }
}
