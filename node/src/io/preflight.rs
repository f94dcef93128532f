//! What has to be true of the machine before an executor is made. glommio itself answers a missing `io_uring` by
//! printing a joke and ending the process, so it is asked here first, in words that say what to do.

use std::io;

/// Locked memory that glommio's rings need, in bytes.
pub const MEMLOCK_BYTES_MIN: u64 = 512 << 10;

/// Why no executor can run here.
#[derive(Debug, thiserror::Error)]
pub enum PreflightError {
    /// `RLIMIT_MEMLOCK` is too low for the rings.
    #[error(
        "locked memory is limited to {limit} bytes, io_uring needs at least {MEMLOCK_BYTES_MIN}: raise it with \
         `ulimit -l 8192`, LimitMEMLOCK=8M in the systemd unit, or --ulimit memlock=8388608 for a container"
    )]
    LockedMemory {
        /// The limit in force, in bytes.
        limit: u64,
    },
    /// The kernel refuses `io_uring`.
    #[error(
        "io_uring is not available ({why}): it needs Linux 5.8 or later, kernel.io_uring_disabled = 0, and a seccomp \
         profile that allows io_uring_setup, io_uring_enter and io_uring_register (containers often forbid them)"
    )]
    IoUring {
        /// What the kernel answered.
        why: io::Error,
    },
    /// A limit could not be read.
    #[error("reading the limit of locked memory: {why}")]
    Limit {
        /// What the kernel answered.
        why: io::Error,
    },
}

/// Checks the limit of locked memory, then asks the kernel for a ring and gives it back.
pub fn check() -> Result<(), PreflightError> {
    check_locked_memory()?;
    check_io_uring().map_err(|why| PreflightError::IoUring { why })
}

fn check_locked_memory() -> Result<(), PreflightError> {
    let limit = soft_limit(libc::RLIMIT_MEMLOCK).map_err(|why| PreflightError::Limit { why })?.rlim_cur;
    if limit < MEMLOCK_BYTES_MIN {
        return Err(PreflightError::LockedMemory { limit });
    }
    Ok(())
}

fn soft_limit(resource: libc::__rlimit_resource_t) -> io::Result<libc::rlimit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid rlimit for the call to fill, and outlives it.
    #[allow(unsafe_code)]
    let answer = unsafe { libc::getrlimit(resource, &raw mut limit) };
    if answer == 0 { Ok(limit) } else { Err(io::Error::last_os_error()) }
}

/// Raises the soft limit of open files to the hard one: a shard keeps its chunk files open. Best effort.
pub fn raise_open_files() {
    let Ok(mut limit) = soft_limit(libc::RLIMIT_NOFILE) else { return };
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` is a valid rlimit that the call only reads.
    #[allow(unsafe_code)]
    let answer = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    if answer != 0 {
        tracing::warn!(why = %io::Error::last_os_error(), "could not raise the limit of open files");
    }
}

fn check_io_uring() -> io::Result<()> {
    // struct io_uring_params is 120 bytes; all zero asks for the defaults.
    let mut params = [0u64; 15];
    // SAFETY: the kernel reads and fills 120 bytes at `params`, which is exactly as large and outlives the call.
    #[allow(unsafe_code)]
    let ring = unsafe { libc::syscall(libc::SYS_io_uring_setup, 1u32, params.as_mut_ptr()) };
    if ring < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was made above and nobody else knows it.
    #[allow(unsafe_code)]
    let closed = unsafe { libc::close(ring as libc::c_int) };
    assert!(closed == 0, "closing a fresh ring failed: {}", io::Error::last_os_error());
    Ok(())
}
