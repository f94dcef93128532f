//! The pre-written file: filled once and synced, then only overwritten. The same state that a node's chunk files
//! are in when they take appends (D2).

use super::{DeviceError, DeviceWork, ring};
use crate::measured::{Measured, Until};
use crate::noise::Noise;
use quarry_protocol::limits::BLOCK_BYTES;
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Bytes written at a time while the file is filled.
const FILL_BYTES: usize = 1 << 20;

/// A file written full, open for durable direct writes. Removed when dropped.
#[derive(Debug)]
pub struct DeviceFile {
    file: File,
    path: PathBuf,
    bytes: u64,
    /// Where the next write goes; carried from round to round.
    position: u64,
}

impl DeviceFile {
    /// Writes `bytes` (rounded up to whole MiB) into a new file `path`, syncs it and its directory.
    pub fn prepare(path: &Path, bytes: u64) -> Result<Self, DeviceError> {
        let failed = |what| move |source| DeviceError::File { what, path: path.to_path_buf(), source };
        let bytes = bytes.next_multiple_of(FILL_BYTES as u64);
        let mut filler = OpenOptions::new().write(true).create_new(true).open(path).map_err(failed("create"))?;
        let part = Noise::new(1).bytes(FILL_BYTES);
        for _ in 0..bytes / FILL_BYTES as u64 {
            filler.write_all(&part).map_err(failed("fill"))?;
        }
        filler.sync_all().map_err(failed("sync"))?;
        drop(filler);
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(directory).and_then(|d| d.sync_all()).map_err(failed("sync the directory of"))?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_DIRECT | libc::O_DSYNC)
            .open(path)
            .map_err(failed("open with O_DIRECT"))?;
        Ok(Self { file, path: path.to_path_buf(), bytes, position: 0 })
    }

    /// Overwrites the file from where the last call ended, round and round, until `until`.
    pub fn measure(&mut self, work: DeviceWork, until: Until) -> Result<Measured, DeviceError> {
        let write_bytes = u64::from(work.block_bytes());
        if work.in_flight == 0 || write_bytes == 0 || self.bytes < write_bytes * work.in_flight as u64 {
            let why = format!(
                "{} writes of {write_bytes} bytes in flight need a file of at least that size, it has {} bytes",
                work.in_flight, self.bytes
            );
            return Err(DeviceError::Work { why });
        }
        let mut place = || {
            if self.position + write_bytes > self.bytes {
                self.position = 0;
            }
            let position = self.position;
            self.position += write_bytes;
            position
        };
        ring::measure(&self.file, work, until, &mut place)
    }

    /// Writes aligned pieces one behind the other from `position` on, durably, in as few calls as the kernel allows.
    pub(crate) fn write_all_at(&self, pieces: &[IoSlice<'_>], position: u64) -> io::Result<()> {
        let wanted = pieces.iter().map(|piece| piece.len()).sum::<usize>();
        let written = rustix::io::pwritev(&self.file, pieces, position)?;
        if written == wanted {
            return Ok(());
        }
        Err(io::Error::other(format!("only {written} of {wanted} bytes were written at {position}")))
    }

    /// How large the file is, in bytes.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for DeviceFile {
    fn drop(&mut self) {
        // Scratch data: a file left behind costs space, not correctness.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Whether files in `dir` can be opened with `O_DIRECT` and take a durable direct write.
pub fn probe_direct_writes(dir: &Path) -> Result<(), DeviceError> {
    let mut file = DeviceFile::prepare(&dir.join(format!(".quarry-probe-{}", std::process::id())), FILL_BYTES as u64)?;
    file.measure(DeviceWork { write_bytes: BLOCK_BYTES, in_flight: 1 }, Until::operations(1))?;
    Ok(())
}
