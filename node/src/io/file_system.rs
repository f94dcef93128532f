//! What the file system below a path says of itself.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

fn statvfs(path: &Path) -> io::Result<libc::statvfs> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: all zero is a valid statvfs: plain numbers.
    #[allow(unsafe_code)]
    let mut stat: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: the path is a C string and `stat` is there to be filled; both outlive the call.
    #[allow(unsafe_code)]
    let answer = unsafe { libc::statvfs(path.as_ptr(), &raw mut stat) };
    if answer == 0 { Ok(stat) } else { Err(io::Error::last_os_error()) }
}

/// The id of the file system that holds `path`; 0 if it has none.
pub(crate) fn file_system_id(path: &Path) -> io::Result<u64> {
    statvfs(path).map(|stat| stat.f_fsid)
}

/// Bytes that can still be written to the file system that holds `path`.
pub(crate) fn free_bytes(path: &Path) -> io::Result<u64> {
    statvfs(path).map(|stat| stat.f_bavail * stat.f_frsize)
}
