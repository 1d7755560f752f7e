//! Protects a secret in the memory of this process.

/// Keeps other processes of the same user from reading this process's memory, and the kernel from dumping it to disk.
///
/// On Linux the process becomes undumpable (prctl(2), `PR_SET_DUMPABLE`): no core file, no ptrace, no `/proc/PID/mem`.
/// Elsewhere only core files are turned off. Lasts until the process ends.
pub(crate) fn protect() {
    #[cfg(target_os = "linux")]
    let protected =
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    #[cfg(not(target_os = "linux"))]
    let protected = {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let maximum = getrlimit(Resource::Core).maximum;
        setrlimit(
            Resource::Core,
            Rlimit {
                current: Some(0),
                maximum,
            },
        )
    };
    if let Err(error) = protected {
        tracing::warn!(%error, "the memory of this process cannot be protected from other processes");
    }
}
