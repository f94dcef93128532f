//! The guard against glommio's IOPOLL probe.
//!
//! The first file that an executor opens on a device is probed by a read at offset 0 through a polling ring. Of an empty
//! file that read succeeds, whatever the device can do; from then on all I/O of that executor goes to the polling ring,
//! a core spins and latency rises tenfold. So the first file is always the superblock, which is never empty.

use crate::layout;
use glommio::io::DmaFile;
use std::path::Path;

/// Opens the superblock, which settles the probe for this executor and device. Keep the file: while it is open nobody
/// can believe the device unused.
pub(super) async fn settle(data: &Path) -> Result<DmaFile, String> {
    let path = layout::superblock(data);
    let file = DmaFile::open(&path).await.map_err(|why| why.to_string())?;
    let bytes = file.file_size().await.map_err(|why| why.to_string())?;
    assert!(bytes > 0, "{} is empty: it must not be the first file opened", path.display());
    Ok(file)
}

/// How much this executor read and wrote through its polling ring since the last call: must be nothing.
pub(super) fn polled_operations() -> u64 {
    let stats = glommio::executor().io_stats();
    let ring = stats.poll_ring;
    ring.file_reads().0 + ring.file_writes().0
}
