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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use crate::{FormatOptions, StartError};
    use quarry_protocol::limits::FILE_BYTES_MIN;
    use std::path::Path;
    use std::process::Command;

    /// What the child process is to take away from itself before it starts a node on the directory that follows.
    const CHILD: &str = "QUARRY_TEST_PREFLIGHT_CHILD";

    /// A child process that limits itself, so that nobody else is limited. Does nothing in the parent.
    #[test]
    fn child() {
        let Ok(task) = std::env::var(CHILD) else { return };
        let (what, data) = task.split_once(':').expect("a task and a directory");
        match what {
            "memlock" => limit_locked_memory(64 << 10),
            "io_uring" => forbid_io_uring(),
            _ => {}
        }
        let settings = Settings { data: Some(data.into()), listen: Some("127.0.0.1:0".into()), ..Settings::default() };
        match crate::start(&settings.check().expect("good settings")) {
            Err(why @ StartError::Preflight(_)) => println!("refused: {why}"),
            Err(why) => println!("another reason: {why}"),
            Ok(node) => {
                node.stop();
                node.wait();
                println!("started");
            }
        }
    }

    fn limit_locked_memory(bytes: u64) {
        let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
        // SAFETY: `limit` is a valid rlimit that the call only reads.
        #[allow(unsafe_code)]
        let answer = unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) };
        assert!(answer == 0, "{}", io::Error::last_os_error());
    }

    /// A seccomp filter under which `io_uring_setup` is not permitted, as in most containers.
    fn forbid_io_uring() {
        let statement = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
        let mut filter = [
            // The number of the system call is the first field of seccomp_data.
            statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0),
            libc::sock_filter {
                jf: 1,
                ..statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, libc::SYS_io_uring_setup as u32)
            },
            statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
            statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW),
        ];
        let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
        // SAFETY: plain numbers; this only gives up privileges.
        #[allow(unsafe_code)]
        let given_up = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
        assert!(given_up == 0, "{}", io::Error::last_os_error());
        // SAFETY: the program and its filter outlive the call, which copies them.
        #[allow(unsafe_code)]
        let filtered = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
        assert!(filtered == 0, "{}", io::Error::last_os_error());
    }

    fn run_child(what: &str, data: &Path) -> String {
        let mut child = Command::new(std::env::current_exe().expect("this test"));
        child.args(["--exact", "io::preflight::tests::child", "--nocapture"]);
        let output = child.env(CHILD, format!("{what}:{}", data.display())).output().expect("run");
        assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    #[test]
    fn what_the_machine_lacks_is_said_before_an_executor_is_made() {
        let directory =
            tempfile::Builder::new().prefix("preflight-").tempdir_in(test_directory()).expect("a directory");
        let data = directory.path().join("data");
        let options = FormatOptions {
            data: data.clone(),
            cluster: "oak".into(),
            zone: "a".into(),
            shards: 1,
            capacity_bytes: Some(8 * FILE_BYTES_MIN),
            file_bytes: Some(FILE_BYTES_MIN),
        };
        crate::format(&options, |_, _| ()).expect("formatted");
        let said = run_child("nothing", &data);
        assert!(said.contains("started"), "{said}");
        let said = run_child("memlock", &data);
        assert!(
            said.contains("refused: locked memory is limited to 65536 bytes") && said.contains("ulimit -l"),
            "{said}"
        );
        let said = run_child("io_uring", &data);
        assert!(said.contains("refused: io_uring is not available") && said.contains("seccomp"), "{said}");
    }

    /// On the disk that holds the target directory, not on a file system in memory.
    fn test_directory() -> std::path::PathBuf {
        let test = std::env::current_exe().expect("this test");
        test.parent().expect("it lies in a directory").to_owned()
    }
}
