//! Which CPUs this process may run on.

use std::io;

/// The CPUs that this process may run on, in order.
pub(crate) fn allowed() -> io::Result<Vec<usize>> {
    // SAFETY: all zero is the empty set.
    #[allow(unsafe_code)]
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set is there to be filled, as large as announced, and outlives the call.
    #[allow(unsafe_code)]
    let answer = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) };
    if answer != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: every index is below the size of the set.
    #[allow(unsafe_code)]
    let is_set = |cpu: &usize| unsafe { libc::CPU_ISSET(*cpu, &set) };
    Ok((0..libc::CPU_SETSIZE as usize).filter(is_set).collect())
}
